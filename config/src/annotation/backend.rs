//! Group backend: how upstreams are spoken to.

use super::Annotations;
use crate::intent::RoutePolicy;
use crate::snapshot::UpstreamProtocol;
use crate::value::{Expected, Source as _};

const NAME: &str = "backend-protocol";

/// What the annotation names.
enum Named {
    Known(UpstreamProtocol),
    Auto,
    FastCgi,
}

pub(super) fn read(annotations: &mut Annotations<'_>, policy: &mut RoutePolicy) {
    // They do nothing, and a value that they cannot have keeps the Ingress out all the same.
    let is_of_index = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    annotations.is_legal("fastcgi-index", is_of_index, "the name of a file of letters, digits and - _ .");
    annotations.is_legal_name("fastcgi-params-configmap");
    match annotations.get(NAME, named) {
        None => {}
        Some(Named::Known(protocol)) => policy.protocol = Some(protocol),
        Some(Named::Auto) => {
            policy.protocol = Some(UpstreamProtocol::Http);
            policy.filters.tls_as_client = true;
        }
        Some(Named::FastCgi) => {
            annotations.error(NAME, "FCGI cannot be spoken; the paths of this Ingress answer 503");
            policy.deny = Some(503);
        }
    }
}

fn named(text: &str) -> Result<Named, Expected> {
    Ok(match &*text.to_ascii_uppercase() {
        "HTTP" => Named::Known(UpstreamProtocol::Http),
        "HTTPS" => Named::Known(UpstreamProtocol::Https),
        "GRPC" => Named::Known(UpstreamProtocol::Grpc),
        "GRPCS" => Named::Known(UpstreamProtocol::Grpcs),
        "AUTO_HTTP" => Named::Auto,
        "FCGI" => Named::FastCgi,
        _ => return Err("HTTP, HTTPS, AUTO_HTTP, GRPC, GRPCS or FCGI"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn protocol(text: &str) -> (Option<UpstreamProtocol>, Option<u16>, usize) {
        let (ingress, object) = (annotated(&[(NAME, text)]), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut policy = RoutePolicy::default();
        read(&mut annotations, &mut policy);
        (policy.protocol, policy.deny, annotations.into_findings().len())
    }

    #[test]
    fn annotation_backend_protocol_in_any_case() {
        assert_eq!(protocol("https"), (Some(UpstreamProtocol::Https), None, 0));
        assert_eq!(protocol("gRPC"), (Some(UpstreamProtocol::Grpc), None, 0));
        assert_eq!(protocol("GRPCS"), (Some(UpstreamProtocol::Grpcs), None, 0));
    }

    #[test]
    fn annotation_backend_protocol_that_cannot_be_had_is_reported() {
        assert_eq!(protocol("AUTO_HTTP"), (Some(UpstreamProtocol::Http), None, 0), "and over TLS for clients that are");
        assert_eq!(protocol("FCGI"), (None, Some(503), 1));
        assert_eq!(protocol("AJP"), (None, None, 1));
    }
}
