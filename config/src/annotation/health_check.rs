//! Group load-balance: active health checks of the endpoints (no counterpart in ingress-nginx).

use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::Annotations;
use crate::intent::RoutePolicy;
use crate::snapshot::{CheckKind, HealthCheck};
use crate::value::{self, Expected, Source as _};

const NAME: &str = "ringress.io/health-check";
const PATH: &str = "ringress.io/health-check-path";
const STATUS: &str = "ringress.io/health-check-status";
const SERVICE: &str = "ringress.io/health-check-service";
const HOST: &str = "ringress.io/health-check-host";
const PORT: &str = "ringress.io/health-check-port";
const INTERVAL: &str = "ringress.io/health-check-interval";
const TIMEOUT: &str = "ringress.io/health-check-timeout";
const HEALTHY: &str = "ringress.io/health-check-healthy-threshold";
const UNHEALTHY: &str = "ringress.io/health-check-unhealthy-threshold";

/// Bytes of a path, a host or the name of a service.
const TEXT_BYTES_MAX: usize = 1024;
/// A kubelet takes these for healthy as well.
const STATUSES: RangeInclusive<u16> = 200..=399;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Off,
    Http,
    Grpc,
    Tcp,
}

/// The check that the annotations of one Ingress want; endpoints are spoken to as `policy` has it.
pub(crate) fn read(annotations: &mut Annotations<'_>, policy: &RoutePolicy) -> Option<Arc<HealthCheck>> {
    let kind = annotations.get(NAME, kind).unwrap_or(Kind::Off);
    report_idle(annotations, kind);
    let kind = match kind {
        Kind::Off => return None,
        Kind::Http => CheckKind::Http {
            path: annotations.get(PATH, path).unwrap_or_else(|| "/".into()),
            statuses: annotations.get(STATUS, statuses).unwrap_or_else(|| [STATUSES].into()),
        },
        Kind::Grpc => CheckKind::Grpc { service: annotations.get(SERVICE, text).unwrap_or_default() },
        Kind::Tcp => CheckKind::Tcp,
    };
    let check = HealthCheck {
        kind,
        host: annotations.get(HOST, text),
        port: annotations.get(PORT, port),
        protocol: policy.protocol,
        tls: policy.upstream_tls.clone(),
        interval: annotations.get(INTERVAL, time).unwrap_or(Duration::from_secs(10)),
        timeout: annotations.get(TIMEOUT, time).unwrap_or(Duration::from_secs(2)),
        healthy_after: annotations.get(HEALTHY, times).unwrap_or(2),
        unhealthy_after: annotations.get(UNHEALTHY, times).unwrap_or(3),
    };
    Some(Arc::new(check))
}

/// What is said beside a check that takes no notice of it.
fn report_idle(annotations: &mut Annotations<'_>, kind: Kind) {
    let all = [PATH, STATUS, SERVICE, HOST, PORT, INTERVAL, TIMEOUT, HEALTHY, UNHEALTHY];
    let is_idle = |name: &str| match kind {
        Kind::Off => true,
        Kind::Http => name == SERVICE,
        Kind::Grpc => name == PATH || name == STATUS,
        Kind::Tcp => [PATH, STATUS, SERVICE, HOST].contains(&name),
    };
    for name in all.into_iter().filter(|name| is_idle(name)) {
        if annotations.text(name).is_some() {
            let message = format!("has no effect with the present {NAME}");
            annotations.warn(name, message);
        }
    }
}

fn kind(text: &str) -> Result<Kind, Expected> {
    Ok(match text {
        "off" => Kind::Off,
        "http" => Kind::Http,
        "grpc" => Kind::Grpc,
        "tcp" => Kind::Tcp,
        _ => return Err("http, grpc, tcp or off"),
    })
}

/// Goes into a request line or a field as it is.
fn text(text: &str) -> Result<Box<str>, Expected> {
    let is_plain = text.len() <= TEXT_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
    if is_plain { Ok(text.into()) } else { Err("visible ASCII without blanks, at most 1024 bytes") }
}

fn path(path: &str) -> Result<Box<str>, Expected> {
    let plain = text(path).ok().filter(|path| path.starts_with('/') && !path.contains('#'));
    plain.ok_or("a path with or without query, visible ASCII, at most 1024 bytes")
}

fn statuses(text: &str) -> Result<Box<[RangeInclusive<u16>]>, Expected> {
    let status = |text: &str| text.trim().parse().ok().filter(|status| (100..=599).contains(status));
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = status(first)?..=status(last)?;
        (!range.is_empty()).then_some(range)
    };
    let ranges: Option<Box<[_]>> = value::list(text).map(range).collect();
    ranges.filter(|ranges| !ranges.is_empty()).ok_or("statuses and ranges of them, such as 200,204,300-399")
}

fn port(text: &str) -> Result<NonZeroU16, Expected> {
    text.parse().map_err(|_| "a port from 1 to 65535")
}

fn time(text: &str) -> Result<Duration, Expected> {
    let seconds = value::natural(text).ok().filter(|seconds| (1..=3600).contains(seconds));
    seconds.map(|seconds| Duration::from_secs(seconds.into())).ok_or("a number of seconds from 1 to 3600, without unit")
}

fn times(text: &str) -> Result<u32, Expected> {
    value::natural(text).ok().filter(|times| (1..=100).contains(times)).ok_or("a number from 1 to 100")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::UpstreamProtocol;
    use crate::testing::{annotated, reference};

    /// The check, and the fields of the findings.
    fn read(pairs: &[(&str, &str)]) -> (Option<Arc<HealthCheck>>, Vec<String>) {
        let full = |name: &str| format!("{NAME}{name}");
        let named: Vec<_> = pairs.iter().map(|(name, value)| (full(name), *value)).collect();
        let pairs: Vec<_> = named.iter().map(|(name, value)| (&**name, *value)).collect();
        let (ingress, object) = (annotated(&pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let policy = RoutePolicy { protocol: Some(UpstreamProtocol::Https), ..RoutePolicy::default() };
        let check = super::read(&mut annotations, &policy);
        (check, annotations.into_findings().into_iter().map(|finding| finding.field.to_string()).collect())
    }

    #[test]
    fn annotation_health_check_is_off_by_default_and_then_nothing_acts_silently() {
        assert_eq!(read(&[]), (None, vec![]));
        assert_eq!(read(&[("", "off")]), (None, vec![]));
        let (check, fields) = read(&[("-path", "/healthz"), ("-port", "1")]);
        assert!(check.is_none() && fields.len() == 2, "{fields:?}");
        assert_eq!(read(&[("", "https")]).1.len(), 1);
    }

    #[test]
    fn annotation_health_check_defaults_are_those_of_a_probe() {
        let (check, fields) = read(&[("", "http")]);
        let kind = CheckKind::Http { path: "/".into(), statuses: [200..=399].into() };
        let expected = HealthCheck {
            kind,
            host: None,
            port: None,
            protocol: Some(UpstreamProtocol::Https),
            tls: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            healthy_after: 2,
            unhealthy_after: 3,
        };
        assert_eq!((check, fields), (Some(Arc::new(expected)), vec![]));
    }

    #[test]
    fn annotation_health_check_values_act() {
        let (check, fields) = read(&[
            ("", "http"),
            ("-path", "/live?full=1"),
            ("-status", "200, 204,300-302"),
            ("-host", "inside.test"),
            ("-port", "8081"),
            ("-interval", "1"),
            ("-timeout", "3"),
            ("-healthy-threshold", "4"),
            ("-unhealthy-threshold", "5"),
        ]);
        let check = check.unwrap();
        let statuses = [200..=200, 204..=204, 300..=302].into();
        assert_eq!(check.kind, CheckKind::Http { path: "/live?full=1".into(), statuses });
        assert_eq!((check.host.as_deref(), check.port), (Some("inside.test"), NonZeroU16::new(8081)));
        assert_eq!((check.interval.as_secs(), check.timeout.as_secs()), (1, 3));
        assert_eq!((check.healthy_after, check.unhealthy_after, fields.len()), (4, 5, 0));
        let (check, _) = read(&[("", "grpc"), ("-service", "shop.Cart")]);
        assert_eq!(check.unwrap().kind, CheckKind::Grpc { service: "shop.Cart".into() });
        assert_eq!(read(&[("", "tcp")]).0.unwrap().kind, CheckKind::Tcp);
    }

    #[test]
    fn annotation_health_check_bad_values_are_reported_and_defaults_act() {
        let (expected, _) = read(&[("", "http")]);
        for (name, value) in [
            ("-path", "healthz"),
            ("-path", "/a b"),
            ("-path", "/a#b"),
            ("-status", "20"),
            ("-status", "300-200"),
            ("-status", ","),
            ("-host", "a b"),
            ("-port", "0"),
            ("-port", "65536"),
            ("-interval", "0"),
            ("-interval", "1s"),
            ("-timeout", "3601"),
            ("-healthy-threshold", "0"),
            ("-unhealthy-threshold", "101"),
        ] {
            let (check, fields) = read(&[("", "http"), (name, value)]);
            assert_eq!((&check, fields.len()), (&expected, 1), "{name}: {value}");
        }
    }

    #[test]
    fn annotation_health_check_says_what_its_kind_takes_no_notice_of() {
        for (kind, name, value) in
            [("http", "-service", "a"), ("grpc", "-path", "/"), ("grpc", "-status", "200"), ("tcp", "-host", "a.test")]
        {
            assert_eq!(read(&[("", kind), (name, value)]).1.len(), 1, "{kind}: {name}");
        }
    }
}
