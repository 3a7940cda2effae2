//! Group rate-limit: requests per client (reference 3.15).

use std::sync::Arc;
use std::time::Duration;

use super::Annotations;
use crate::intent::{LimitStatuses, RoutePolicy};
use crate::snapshot::{Limits, Rate};
use crate::value::{self, Expected, Source};

const MINUTE: Duration = Duration::from_secs(60);

/// All paths of an Ingress count together.
pub(super) fn read(annotations: &mut Annotations<'_>, statuses: LimitStatuses) -> Option<Arc<Limits>> {
    let multiplier = annotations.get("limit-burst-multiplier", value::natural).unwrap_or(5);
    let mut rates = Vec::new();
    for (name, per) in [("limit-rps", Duration::from_secs(1)), ("limit-rpm", MINUTE)] {
        let requests = annotations.get(name, value::number_or_none).filter(|n| *n > 0);
        rates.extend(requests.map(|requests| Rate { requests, per, burst: requests.saturating_mul(multiplier) }));
    }
    let in_flight = annotations.get("limit-connections", value::number_or_none).filter(|n| *n > 0);
    let names = ["limit-allowlist", "limit-whitelist"];
    let name = names.into_iter().find(|name| annotations.text(name).is_some());
    let exempt = name.and_then(|name| annotations.get(name, value::networks)).unwrap_or_default();
    if rates.is_empty() && in_flight.is_none() {
        return None;
    }
    Some(Arc::new(Limits {
        key: annotations.key().to_string().into(),
        in_flight,
        rates: rates.into(),
        exempt,
        rate_status: statuses.rate,
        in_flight_status: statuses.in_flight,
    }))
}

/// How fast a response goes out; nginx counts in kilobytes. What the ConfigMap says is the default of the annotation.
pub(super) fn read_rate(source: &mut impl Source, policy: &mut RoutePolicy) {
    let rate = &mut policy.rate;
    for (name, bytes) in [("limit-rate", &mut rate.bytes_per_second), ("limit-rate-after", &mut rate.after_bytes)] {
        if let Some(kilobytes) = source.get(name, value::number_or_none) {
            *bytes = u64::from(kilobytes) << 10;
        }
    }
    policy.filters.rate = Some(*rate).filter(|rate| rate.bytes_per_second > 0);
}

/// The statuses are the ConfigMap's alone.
pub(super) fn read_statuses(source: &mut impl Source, policy: &mut RoutePolicy) {
    let statuses = &mut policy.limit_statuses;
    for (name, status) in
        [("limit-req-status-code", &mut statuses.rate), ("limit-conn-status-code", &mut statuses.in_flight)]
    {
        if let Some(value) = source.get(name, error_status) {
            *status = value;
        }
    }
}

fn error_status(text: &str) -> Result<u16, Expected> {
    let status = text.parse().ok().filter(|status| (400..=599).contains(status));
    status.ok_or("a status from 400 to 599")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn limits(pairs: &[(&str, &str)]) -> (Option<Arc<Limits>>, bool) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let limits = read(&mut annotations, LimitStatuses::default());
        (limits, annotations.outcome().refused)
    }

    #[test]
    fn annotation_limit_rps_and_rpm_have_bursts() {
        let limits = limits(&[("limit-rps", "2"), ("limit-rpm", "30"), ("limit-burst-multiplier", "3")]).0.unwrap();
        let second = Rate { requests: 2, per: Duration::from_secs(1), burst: 6 };
        assert_eq!(*limits.rates, [second, Rate { requests: 30, per: MINUTE, burst: 90 }]);
        assert_eq!((&*limits.key, limits.in_flight, limits.rate_status), ("default/web", None, 503));
    }

    #[test]
    fn annotation_limit_connections_with_exempt_clients() {
        let limits = limits(&[("limit-connections", "8"), ("limit-whitelist", "10.0.0.0/8")]).0.unwrap();
        assert_eq!((limits.in_flight, limits.rates.len(), limits.exempt.len()), (Some(8), 0, 1));
    }

    #[test]
    fn annotation_limits_of_nothing_are_none() {
        assert_eq!(limits(&[("limit-rps", "0"), ("limit-connections", "-1")]), (None, false));
    }

    #[test]
    fn annotation_limits_that_cannot_be_read_refuse_the_ingress() {
        for (name, value) in [("limit-rps", "5s"), ("limit-connections", "many"), ("limit-allowlist", "me")] {
            assert!(limits(&[(name, value)]).1, "{name}");
        }
    }

    #[test]
    fn annotation_limit_rate_counts_in_kilobytes_and_inherits_each_part() {
        let of = |policy: &mut RoutePolicy, pairs: &[(&str, &str)]| {
            let (ingress, object) = (annotated(pairs), reference());
            let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
            read_rate(&mut annotations, policy);
            (
                policy.filters.rate.map(|rate| (rate.bytes_per_second, rate.after_bytes)),
                annotations.into_findings().len(),
            )
        };
        let mut policy = RoutePolicy::default();
        assert_eq!(of(&mut policy, &[("limit-rate-after", "2")]), (None, 0));
        assert_eq!(of(&mut policy, &[("limit-rate", "4")]), (Some((4096, 2048)), 0));
        assert_eq!(of(&mut policy, &[("limit-rate", "4k")]), (Some((4096, 2048)), 1));
        assert_eq!(of(&mut policy, &[("limit-rate", "-1")]), (None, 0));
    }
}
