//! Services of type ExternalName (reference 3.7): an address as it is, a name by what was looked up for it.
//!
//! Nothing is looked up here. Whoever runs the compiler asks for [`Compiler::external_names`](super::Compiler) and
//! hands over what it finds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::endpoints::{Resolved, at, sorted};
use crate::model::{ServicePort, TargetPort};
use crate::options::Options;
use crate::snapshot::{ClusterKey, PortKey, UpstreamProtocol};

/// Longest name of the DNS, bytes, without its final dot.
const NAME_BYTES_MAX: usize = 253;

/// Longest label of one, bytes.
const LABEL_BYTES_MAX: usize = 63;

/// What names have, as far as somebody has looked. The error says why they have nothing.
pub(super) type Names = HashMap<Arc<str>, Result<Arc<[IpAddr]>, Arc<str>>>;

/// The endpoints of a Service that is called `name` somewhere else.
pub(super) fn resolve(
    key: &ClusterKey,
    port: Option<&ServicePort>,
    name: &Arc<str>,
    (options, names): (&Options, &Names),
) -> Resolved {
    if options.disable_external_name {
        let message = "is of type ExternalName, which --disable-svc-external-name turns off";
        return Resolved::problem(format!("Service {} {message}", key.service));
    }
    let Some(number) = number(port, &key.port) else {
        return Resolved::problem(format!("Service {} has no port {}", key.service, key.port));
    };
    let protocol = port.and_then(|port| port.app_protocol).map(UpstreamProtocol::from);
    let problem = |text: &str| Resolved { protocol, ..Resolved::problem(format!("Service {} {text}", key.service)) };
    let literal = name.parse::<IpAddr>().ok();
    let found: &[IpAddr] = match &literal {
        Some(address) => std::slice::from_ref(address),
        None if is_this_machine(name) => return problem("points to this machine, which is not allowed"),
        None if !is_name(name) => {
            return problem(&format!(
                "has the externalName `{name}`, which is neither an address nor a name of the DNS"
            ));
        }
        None => match names.get(name) {
            None => return Resolved { protocol, name: Some(Arc::clone(name)), ..Resolved::default() },
            Some(Ok(found)) => found,
            Some(Err(why)) => {
                return Resolved { name: Some(Arc::clone(name)), ..problem(&format!("points to {name}: {why}")) };
            }
        },
    };
    let asked = literal.is_none().then(|| Arc::clone(name));
    let elsewhere = found.iter().filter(|address| !is_loopback(**address));
    let endpoints = sorted(elsewhere.map(|address| at(*address, number)).collect());
    match endpoints.is_empty() {
        true => Resolved { name: asked, ..problem("points to this machine, which is not allowed") },
        false => Resolved { endpoints, protocol, name: asked, ..Resolved::default() },
    }
}

/// A Service without the port has it all the same: nothing has to be opened for it.
fn number(port: Option<&ServicePort>, key: &PortKey) -> Option<u16> {
    match (port, key) {
        (Some(ServicePort { target: TargetPort::Number(number), .. }), _) => Some(*number),
        (Some(port), _) => Some(port.port),
        (None, PortKey::Number(number)) => Some(*number),
        (None, PortKey::Name(_) | PortKey::First) => None,
    }
}

fn is_loopback(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

fn is_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

/// Names as ingress-nginx lets them pass: those of DNS subdomains (RFC 1123), with or without the final dot.
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |label: &str| {
        let ends = !label.starts_with('-') && !label.ends_with('-');
        !label.is_empty() && label.len() <= LABEL_BYTES_MAX && ends && label.bytes().all(inner)
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_dns() {
        let long = format!("{}.test", "a".repeat(63));
        for name in ["a", "a.test", "a.test.", "9.a-b.test", &long] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "a..test", ".test", "A.test", "a_b.test", "-a.test", "a-.test", "a b", "a/b", "a:80"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(!is_name(&format!("a{long}")) && !is_name(&vec!["a"; 128].join(".")));
    }

    #[test]
    fn this_machine_goes_by_several_names() {
        for name in ["localhost", "LocalHost.", "a.localhost"] {
            assert!(is_this_machine(name), "{name}");
        }
        assert!(!is_this_machine("localhost.test") && !is_this_machine("notlocalhost"));
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"] {
            assert!(is_loopback(address.parse().unwrap()), "{address}");
        }
        assert!(!is_loopback("192.0.2.1".parse().unwrap()) && !is_loopback("fd00::1".parse().unwrap()));
    }
}
