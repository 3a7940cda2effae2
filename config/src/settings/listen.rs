//! Keys of the listening sockets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroUsize;

use crate::options::Options;
use crate::snapshot::{ListenAddresses, ListenSettings};
use crate::value::{self, Expected, Source};

const BIND: &str = "bind-address";
const NO_IPV6: &str = "disable-ipv6";
const WORKERS: &str = "worker-processes";

/// More addresses than a host has: each costs a socket for every worker, and a try a second while it cannot be had.
const ADDRESSES_MAX: usize = 64;

pub(super) fn read(keys: &mut impl Source, options: &Options) -> ListenSettings {
    let ipv6 = !keys.get(NO_IPV6, value::bool).unwrap_or(false);
    let addresses = match named(keys) {
        Some(named) => ListenAddresses::Named(of_family(keys, named, ipv6)),
        None if !ipv6 && options.listens_on_ipv6_only => {
            keys.warn(NO_IPV6, "has no effect: --listen-address names no address of IPv4".into());
            ListenAddresses::OfFlags { ipv6: true }
        }
        None => ListenAddresses::OfFlags { ipv6 },
    };
    let socket_per_worker = keys.get("reuse-port", value::bool).unwrap_or(true);
    ListenSettings { addresses, socket_per_worker, workers: workers(keys, options) }
}

/// The addresses of `bind-address`. As in ingress-nginx, one that is none leaves the others.
fn named(keys: &mut impl Source) -> Option<Box<[IpAddr]>> {
    let parts: Vec<_> = value::list(keys.text(BIND)?).map(|part| (part.to_owned(), address(part))).collect();
    let all: BTreeSet<IpAddr> = parts.iter().filter_map(|(_, address)| *address).collect();
    if all.len() > ADDRESSES_MAX {
        keys.warn(BIND, format!("names {} addresses; the first {ADDRESSES_MAX} of them are listened on", all.len()));
    }
    let addresses: Box<[IpAddr]> = all.into_iter().take(ADDRESSES_MAX).collect();
    let rest = if addresses.is_empty() { "the default is used" } else { "the others are listened on" };
    if parts.is_empty() {
        keys.warn(BIND, "names no address; the default is used".into());
    }
    for (part, _) in parts.iter().filter(|(_, address)| address.is_none()) {
        keys.warn(BIND, format!("`{part}` is not an address, such as 192.0.2.1 or [2001:db8::1]; {rest}"));
    }
    Some(addresses).filter(|addresses| !addresses.is_empty())
}

/// Those that `disable-ipv6` leaves; all where it leaves none: to listen anywhere else is what nobody asked for.
fn of_family(keys: &mut impl Source, addresses: Box<[IpAddr]>, ipv6: bool) -> Box<[IpAddr]> {
    let left: Box<[IpAddr]> = addresses.iter().copied().filter(|address| ipv6 || address.is_ipv4()).collect();
    if left.is_empty() {
        keys.warn(NO_IPV6, format!("has no effect: {BIND} names no address of IPv4"));
        return addresses;
    }
    left
}

/// An address, of IPv6 with or without brackets. One of IPv4 in the form of IPv6 is the former.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse().ok().filter(IpAddr::is_ipv6),
        None => text.parse().ok(),
    }
    .map(|address: IpAddr| address.to_canonical())
}

fn workers(keys: &mut impl Source, options: &Options) -> Option<NonZeroUsize> {
    let workers = keys.get(WORKERS, count)?;
    if let (Some(workers), Some(started)) = (workers, options.workers_started)
        && workers > started
    {
        let message = format!(
            "`{workers}` is more than the {started} workers that were started, which is the maximum until the next \
             start; --workers says otherwise"
        );
        keys.warn(WORKERS, message);
    }
    workers
}

/// A number of workers; `None` is as many as there are.
fn count(text: &str) -> Result<Option<NonZeroUsize>, Expected> {
    if text == "auto" {
        return Ok(None);
    }
    let number = value::natural(text).ok().and_then(|number| usize::try_from(number).ok()).and_then(NonZeroUsize::new);
    number.map(Some).ok_or("auto or a number of workers from 1 up")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, read_with};
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> (ListenSettings, Vec<String>) {
        let (globals, findings) = read(pairs);
        (globals.settings.listen.clone(), findings)
    }

    fn named(addresses: &[&str]) -> ListenAddresses {
        ListenAddresses::Named(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }

    #[test]
    fn addresses_are_those_that_are_named_in_both_forms() {
        let (settings, findings) = of(&[(BIND, "10.0.0.1, ::1,[2001:db8::1],::ffff:10.0.0.2")]);
        assert_eq!(settings.addresses, named(&["10.0.0.1", "10.0.0.2", "::1", "2001:db8::1"]));
        assert_eq!(findings, [""; 0]);
        let (settings, findings) = of(&[(BIND, "10.0.0.1,[::1]"), (NO_IPV6, "true")]);
        assert_eq!((settings.addresses, findings.len()), (named(&["10.0.0.1"]), 0));
        assert_eq!(of(&[(NO_IPV6, "true")]).0.addresses, ListenAddresses::OfFlags { ipv6: false });
    }

    #[test]
    fn what_is_no_address_is_named_and_costs_the_others_nothing() {
        let (settings, findings) = of(&[(BIND, "localhost,10.0.0.1,[10.0.0.2],10.0.0.3:80")]);
        assert_eq!((settings.addresses, findings.len()), (named(&["10.0.0.1"]), 3));
        assert!(findings[0].contains("data.bind-address: `localhost` is not an address"), "{findings:?}");
        for bad in ["localhost", ",", "10.0.0.0/8"] {
            let (settings, findings) = of(&[(BIND, bad)]);
            assert_eq!((settings, findings.len()), (ListenSettings::default(), 1), "{bad}");
        }
    }

    #[test]
    fn addresses_are_bounded() {
        let list = |count: usize| (0..count).map(|n| format!("10.0.0.{n}")).collect::<Vec<_>>().join(",");
        for (count, taken, told) in [(ADDRESSES_MAX, ADDRESSES_MAX, 0), (ADDRESSES_MAX + 1, ADDRESSES_MAX, 1)] {
            let (settings, findings) = of(&[(BIND, &list(count))]);
            let ListenAddresses::Named(named) = settings.addresses else { panic!("none") };
            assert_eq!((named.len(), findings.len()), (taken, told));
        }
    }

    #[test]
    fn no_key_leaves_nothing_to_listen_on() {
        let (settings, findings) = of(&[(BIND, "::1"), (NO_IPV6, "true")]);
        assert_eq!((settings.addresses, findings.len()), (named(&["::1"]), 1));
        let options = Options { listens_on_ipv6_only: true, ..Options::default() };
        let (globals, findings) = read_with(&[(NO_IPV6, "true")], &options);
        assert_eq!(globals.settings.listen.addresses, ListenAddresses::OfFlags { ipv6: true });
        assert!(findings[0].contains("data.disable-ipv6"), "{findings:?}");
    }

    #[test]
    fn workers_are_bounded_by_those_that_were_started() {
        let options = Options { workers_started: NonZeroUsize::new(2), ..Options::default() };
        let accepting = |text: &str| {
            let (globals, findings) = read_with(&[(WORKERS, text)], &options);
            (globals.settings.listen.accepting(2), findings.len())
        };
        let all = ["auto", "1", "2", "3", "0", "many"].map(accepting);
        assert_eq!(all, [(2, 0), (1, 0), (2, 0), (2, 1), (2, 1), (2, 1)]);
        assert_eq!(of(&[(WORKERS, "64")]).1, [""; 0], "who was started is not known to `check`");
    }
}
