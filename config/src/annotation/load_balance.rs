//! Group load-balance: how the endpoints of the Services of an Ingress share the requests (reference 3.17).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::Annotations;
use crate::intent::BalancingWish;
use crate::options::UpstreamAddress;
use crate::settings::Globals;
use crate::snapshot::{Balancer, CircuitLimits, HashBy, Resilience};
use crate::value::{self, Expected, Source};

/// The group that a key leads to when `upstream-hash-by-subset-size` says nothing.
const SUBSET_SIZE: u32 = 3;

const UPSTREAM_ADDRESS: &str = "ringress.io/upstream-address";

const HASH_BY: &str = "upstream-hash-by";

const BALANCE_FACTOR: &str = "ringress.io/hash-balance-factor";

/// What the annotations of one Ingress say, on top of the ConfigMap.
pub(crate) fn read(annotations: &mut Annotations<'_>, globals: &Globals) -> BalancingWish {
    let mut wish = BalancingWish::clone(&globals.balancing);
    let mut field = None;
    if let Some(own) = annotations.get("service-upstream", value::bool) {
        (wish.address, field) = (service_upstream(own, wish.address), Some("service-upstream"));
    }
    if let Some(named) = annotations.get(UPSTREAM_ADDRESS, upstream_address) {
        (wish.address, field) = (named, Some(UPSTREAM_ADDRESS));
    }
    if let Some(named) = get_algorithm(annotations) {
        (wish.balancer, field) = (named, Some("load-balance"));
    }
    if let Some(named) = annotations.get("ringress.io/load-balance", own_algorithm) {
        (wish.balancer, field) = (named, Some("ringress.io/load-balance"));
    }
    if let Some(by) = hash_by(annotations) {
        (wish.balancer, field) = (Balancer::Hash(Arc::new(by)), Some(HASH_BY));
    }
    let resilience = resilience(annotations, wish.resilience);
    if resilience != wish.resilience {
        wish.resilience = resilience;
        field = field.or(Some("ringress.io/max-fails"));
    }
    wish.limits = limits(annotations);
    if wish.limits != CircuitLimits::default() {
        field = field.or(Some("ringress.io/max-requests"));
    }
    wish.field = field.map(|name| annotations.field_of(name));
    wish
}

/// What the ConfigMap says; `address` is what the flag says.
pub(crate) fn read_global(source: &mut impl Source, address: UpstreamAddress) -> BalancingWish {
    let mut wish = BalancingWish { address, ..BalancingWish::default() };
    if let Some(own) = source.get("service-upstream", value::bool) {
        wish.address = service_upstream(own, address);
    }
    wish.balancer = get_algorithm(source).unwrap_or(wish.balancer);
    wish
}

/// The Service's own address, or not: then pods are asked, unless `outer` says that only Nodes can be.
fn service_upstream(own: bool, outer: UpstreamAddress) -> UpstreamAddress {
    match (own, outer) {
        (true, _) => UpstreamAddress::ClusterIp,
        (false, UpstreamAddress::NodePort) => UpstreamAddress::NodePort,
        (false, UpstreamAddress::Pod | UpstreamAddress::ClusterIp) => UpstreamAddress::Pod,
    }
}

fn upstream_address(text: &str) -> Result<UpstreamAddress, Expected> {
    UpstreamAddress::parse(text).ok_or("pod, cluster-ip or node-port")
}

fn get_algorithm(source: &mut impl Source) -> Option<Balancer> {
    let name = "load-balance";
    match source.get(name, algorithm)? {
        Named::Known(balancer) => Some(balancer),
        Named::ByOtherMeans(text) => {
            source.warn(name, format!("{text} is chosen by other annotations; round_robin acts without them"));
            None
        }
    }
}

enum Named {
    Known(Balancer),
    /// A name that ingress-nginx knows inside only.
    ByOtherMeans(&'static str),
}

fn algorithm(text: &str) -> Result<Named, Expected> {
    Ok(match text {
        "round_robin" => Named::Known(Balancer::RoundRobin),
        "ewma" => Named::Known(Balancer::Ewma),
        "chash" => Named::ByOtherMeans("chash"),
        "chashsubset" => Named::ByOtherMeans("chashsubset"),
        "sticky_balanced" => Named::ByOtherMeans("sticky_balanced"),
        "sticky_persistent" => Named::ByOtherMeans("sticky_persistent"),
        _ => return Err("round_robin or ewma"),
    })
}

fn own_algorithm(text: &str) -> Result<Balancer, Expected> {
    Ok(match text {
        "round_robin" => Balancer::RoundRobin,
        "ewma" => Balancer::Ewma,
        "least_request" => Balancer::LeastRequest,
        "random" => Balancer::Random,
        _ => return Err("round_robin, ewma, least_request or random"),
    })
}

fn hash_by(annotations: &mut Annotations<'_>) -> Option<HashBy> {
    let subset = annotations.get("upstream-hash-by-subset", value::bool).unwrap_or(false);
    let size = annotations.get("upstream-hash-by-subset-size", size);
    let is_of_key = |byte: u8| byte.is_ascii_alphanumeric() || b"-_${}".contains(&byte);
    annotations.is_legal(HASH_BY, is_of_key, "variables and text of letters, digits, - and _");
    let key = annotations.get(HASH_BY, value::template)?;
    let size = size.or(NonZeroU32::new(SUBSET_SIZE));
    let load_percent = annotations.get(BALANCE_FACTOR, above_hundred);
    if subset && load_percent.is_some() {
        annotations.warn(BALANCE_FACTOR, "has no effect beside upstream-hash-by-subset".into());
    }
    Some(HashBy { key, subset_size: size.filter(|_| subset), load_percent: load_percent.filter(|_| !subset) })
}

fn limits(annotations: &mut Annotations<'_>) -> CircuitLimits {
    CircuitLimits {
        requests_max: annotations.get("ringress.io/max-requests", size),
        pending_max: annotations.get("ringress.io/max-pending-requests", size),
        connections_max: annotations.get("ringress.io/max-connections", size),
    }
}

fn above_hundred(text: &str) -> Result<NonZeroU32, Expected> {
    let percent = value::natural(text).ok().filter(|percent| (101..=10_000).contains(percent));
    percent.and_then(NonZeroU32::new).ok_or("a number from 101 to 10000")
}

fn size(text: &str) -> Result<NonZeroU32, Expected> {
    value::natural(text).ok().and_then(NonZeroU32::new).ok_or("a number from 1 up, without unit")
}

fn resilience(annotations: &mut Annotations<'_>, default: Resilience) -> Resilience {
    let percent = |annotations: &mut Annotations<'_>, name| annotations.get(name, percent);
    Resilience {
        max_fails: annotations.get("ringress.io/max-fails", value::natural).unwrap_or(default.max_fails),
        fail_timeout: annotations.get("ringress.io/fail-timeout", positive).unwrap_or(default.fail_timeout),
        panic_percent: percent(annotations, "ringress.io/panic-threshold").unwrap_or(default.panic_percent),
        retry_percent: percent(annotations, "ringress.io/retry-budget").unwrap_or(default.retry_percent),
        slow_start: annotations.get("ringress.io/slow-start", value::seconds).unwrap_or(default.slow_start),
    }
}

fn percent(text: &str) -> Result<u8, Expected> {
    let number = value::natural(text).ok().and_then(|n| u8::try_from(n).ok());
    number.filter(|n| *n <= 100).ok_or("a number from 0 to 100")
}

fn positive(text: &str) -> Result<Duration, Expected> {
    let time = value::seconds(text).ok().filter(|time| !time.is_zero());
    time.ok_or("a number of seconds from 1 up, without unit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Template;
    use crate::testing::{Keys, annotated, reference};

    /// What is wanted, the findings, and whether the Ingress is refused.
    fn wish(pairs: &[(&str, &str)]) -> (BalancingWish, usize, bool) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let wish = read(&mut annotations, &Globals::default());
        let refused = annotations.outcome().refused;
        (wish, annotations.into_findings().len(), refused)
    }

    fn hash(key: &str, size: Option<u32>) -> Balancer {
        let key = Template::parse(key).unwrap();
        Balancer::Hash(Arc::new(HashBy { key, subset_size: size.and_then(NonZeroU32::new), load_percent: None }))
    }

    #[test]
    fn annotation_load_balance_names_an_algorithm() {
        assert_eq!(wish(&[("load-balance", "ewma")]).0.balancer, Balancer::Ewma);
        let (wanted, findings, refused) = wish(&[("load-balance", "chash")]);
        assert_eq!((wanted.balancer, findings, refused), (Balancer::RoundRobin, 1, false));
        assert!(wish(&[("load-balance", "least_conn")]).2, "as in ingress-nginx the Ingress is not loaded");
    }

    #[test]
    fn annotation_ringress_load_balance_has_more_and_wins() {
        let own = |text| wish(&[("load-balance", "ewma"), ("ringress.io/load-balance", text)]);
        assert_eq!(own("least_request").0.balancer, Balancer::LeastRequest);
        assert_eq!(own("random").0.balancer, Balancer::Random);
        let (wanted, findings, _) = own("fastest");
        assert_eq!((wanted.balancer, findings), (Balancer::Ewma, 1));
    }

    #[test]
    fn annotation_upstream_hash_by_beats_the_algorithm() {
        let by = ("upstream-hash-by", "$request_uri");
        let subset = ("upstream-hash-by-subset", "true");
        let balancer = |pairs: &[(&str, &str)]| wish(pairs).0.balancer;
        assert_eq!(balancer(&[by, ("load-balance", "ewma")]), hash("$request_uri", None));
        assert_eq!(balancer(&[by, subset]), hash("$request_uri", Some(3)));
        assert_eq!(balancer(&[by, subset, ("upstream-hash-by-subset-size", "5")]), hash("$request_uri", Some(5)));
        assert_eq!(balancer(&[subset]), Balancer::RoundRobin);
    }

    #[test]
    fn annotation_upstream_hash_by_bad_values_refuse_the_ingress() {
        let by = ("upstream-hash-by", "$uri");
        assert!(wish(&[(HASH_BY, "a;{}")]).2 && wish(&[(HASH_BY, "$uri\"")]).2);
        for text in ["plain", "${request_uri}-text $host"] {
            assert!(!wish(&[(HASH_BY, text)]).2, "{text}");
        }
        assert!(wish(&[("upstream-hash-by", "$request_body")]).2);
        assert!(wish(&[by, ("upstream-hash-by-subset", "yes")]).2);
        assert!(wish(&[by, ("upstream-hash-by-subset-size", "0")]).2);
    }

    #[test]
    fn annotation_ringress_resilience_values_act_and_bad_ones_do_not() {
        let (wanted, findings, _) = wish(&[
            ("ringress.io/max-fails", "7"),
            ("ringress.io/fail-timeout", "30"),
            ("ringress.io/panic-threshold", "50"),
            ("ringress.io/retry-budget", "0"),
            ("ringress.io/slow-start", "60"),
        ]);
        let expected = Resilience {
            max_fails: 7,
            fail_timeout: Duration::from_secs(30),
            panic_percent: 50,
            retry_percent: 0,
            slow_start: Duration::from_secs(60),
        };
        assert_eq!((wanted.resilience, findings), (expected, 0));
        for (name, value) in [
            ("ringress.io/max-fails", "-1"),
            ("ringress.io/fail-timeout", "0"),
            ("ringress.io/panic-threshold", "101"),
            ("ringress.io/retry-budget", "20%"),
            ("ringress.io/slow-start", "1m"),
        ] {
            let (wanted, findings, refused) = wish(&[(name, value)]);
            assert_eq!((wanted, findings, refused), (BalancingWish::default(), 1, false), "{name}: {value}");
        }
    }

    #[test]
    fn annotation_ringress_limits_of_a_service_are_numbers_from_one() {
        let all = ["ringress.io/max-requests", "ringress.io/max-pending-requests", "ringress.io/max-connections"];
        let (wanted, findings, _) = wish(&[(all[0], "100"), (all[1], "10"), (all[2], "50")]);
        let [requests_max, pending_max, connections_max] = [100, 10, 50].map(NonZeroU32::new);
        let expected = CircuitLimits { requests_max, pending_max, connections_max };
        assert_eq!((wanted.limits, findings), (expected, 0));
        for name in all {
            assert_eq!(wish(&[(name, "0")]), (BalancingWish::default(), 1, false), "{name}");
        }
    }

    #[test]
    fn annotation_ringress_hash_balance_factor_is_above_a_hundred_and_not_for_subsets() {
        let load = |pairs: &[(&str, &str)]| {
            let (wanted, findings, _) = wish(&[&[("upstream-hash-by", "$uri")], pairs].concat());
            let Balancer::Hash(by) = wanted.balancer else { panic!("no hash") };
            (by.load_percent.map(NonZeroU32::get), findings)
        };
        assert_eq!(load(&[(BALANCE_FACTOR, "125")]), (Some(125), 0));
        assert_eq!(load(&[(BALANCE_FACTOR, "100")]), (None, 1));
        assert_eq!(load(&[(BALANCE_FACTOR, "125"), ("upstream-hash-by-subset", "true")]), (None, 1));
    }

    #[test]
    fn annotation_service_upstream_asks_for_the_service_address() {
        assert_eq!(wish(&[("service-upstream", "true")]).0.address, UpstreamAddress::ClusterIp);
        assert_eq!(wish(&[("service-upstream", "on")]), (BalancingWish::default(), 1, false));
    }

    #[test]
    fn annotation_ringress_upstream_address_wins_over_service_upstream() {
        for address in UpstreamAddress::ALL {
            let (wanted, findings, _) = wish(&[("service-upstream", "true"), (UPSTREAM_ADDRESS, address.as_str())]);
            assert_eq!((wanted.address, findings), (address, 0));
        }
        assert_eq!(wish(&[(UPSTREAM_ADDRESS, "nodeport")]), (BalancingWish::default(), 1, false));
    }

    #[test]
    fn service_upstream_takes_back_the_service_address_and_not_the_nodes() {
        let of = |address, text| read_global(&mut Keys::of(&[("service-upstream", text)]), address).address;
        assert_eq!(of(UpstreamAddress::ClusterIp, "false"), UpstreamAddress::Pod);
        assert_eq!(of(UpstreamAddress::NodePort, "false"), UpstreamAddress::NodePort);
        assert_eq!(of(UpstreamAddress::NodePort, "true"), UpstreamAddress::ClusterIp);
    }
}
