//! Group proxy: times, body, other attempts.

use std::time::Duration;

use crate::intent::RoutePolicy;
use crate::value::{self, Expected, Source};

pub(super) fn read(source: &mut impl Source, policy: &mut RoutePolicy) {
    let times = &mut policy.timeouts;
    set(&mut times.connect, source.get("proxy-connect-timeout", positive));
    set(&mut times.send, source.get("proxy-send-timeout", positive));
    set(&mut times.read, source.get("proxy-read-timeout", positive));
    let body = &mut policy.body;
    let size = source.get("proxy-body-size", value::size);
    set(&mut body.bytes_max, size.map(|bytes| (bytes != 0).then_some(bytes)));
    set(&mut body.buffer, source.get("proxy-request-buffering", value::on_off));
    let retry = &mut policy.retry;
    set(&mut retry.tries_max, source.get("proxy-next-upstream-tries", value::natural));
    set(&mut retry.budget, source.get("proxy-next-upstream-timeout", value::seconds));
    if let Some(conditions) = source.get("proxy-next-upstream", conditions) {
        retry.on_error = conditions.error;
        retry.on_timeout = conditions.timeout;
        retry.non_idempotent = conditions.non_idempotent;
        if !conditions.without_effect.is_empty() {
            let message = format!("{} cause no other attempt yet", conditions.without_effect.join(", "));
            source.warn("proxy-next-upstream", message);
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// A wait of no time at all could never succeed; nginx refuses it too.
fn positive(text: &str) -> Result<Duration, Expected> {
    let seconds = value::seconds(text)?;
    if seconds.is_zero() { Err("a number of seconds from 1 up, without unit") } else { Ok(seconds) }
}

#[derive(Default)]
struct Conditions {
    error: bool,
    timeout: bool,
    non_idempotent: bool,
    without_effect: Vec<String>,
}

fn conditions(text: &str) -> Result<Conditions, Expected> {
    let mut conditions = Conditions::default();
    for word in text.split_ascii_whitespace() {
        match word {
            "error" => conditions.error = true,
            "timeout" => conditions.timeout = true,
            "non_idempotent" => conditions.non_idempotent = true,
            "off" => return Ok(Conditions::default()),
            "invalid_header" | "http_500" | "http_502" | "http_503" | "http_504" | "http_403" | "http_404"
            | "http_429" => conditions.without_effect.push(word.to_owned()),
            _ => return Err("a list of nginx's conditions, such as error timeout"),
        }
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotation::Annotations;
    use crate::testing::{annotated, reference};

    fn read_from(pairs: &[(&str, &str)]) -> (RoutePolicy, usize) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut policy = RoutePolicy::default();
        read(&mut annotations, &mut policy);
        (policy, annotations.into_findings().len())
    }

    #[test]
    fn annotation_proxy_values_act() {
        let (policy, findings) = read_from(&[
            ("proxy-connect-timeout", "7"),
            ("proxy-read-timeout", " 3600 "),
            ("proxy-body-size", "8M"),
            ("proxy-request-buffering", "off"),
            ("proxy-next-upstream", "error non_idempotent"),
            ("proxy-next-upstream-tries", "0"),
            ("proxy-next-upstream-timeout", "30"),
        ]);
        assert_eq!(findings, 0);
        assert_eq!(policy.timeouts.connect, Duration::from_secs(7));
        assert_eq!(policy.timeouts.send, Duration::from_secs(60));
        assert_eq!(policy.timeouts.read, Duration::from_secs(3600));
        assert_eq!((policy.body.bytes_max, policy.body.buffer), (Some(8 << 20), false));
        let retry = policy.retry;
        assert_eq!((retry.on_error, retry.on_timeout, retry.non_idempotent), (true, false, true));
        assert_eq!((retry.tries_max, retry.budget), (0, Duration::from_secs(30)));
    }

    #[test]
    fn annotation_proxy_body_size_zero_is_no_limit() {
        assert_eq!(read_from(&[("proxy-body-size", "0")]).0.body.bytes_max, None);
    }

    #[test]
    fn annotation_proxy_next_upstream_off_and_conditions_without_effect() {
        let (policy, findings) = read_from(&[("proxy-next-upstream", "off")]);
        assert_eq!((policy.retry.on_error, policy.retry.on_timeout, findings), (false, false, 0));
        let (policy, findings) = read_from(&[("proxy-next-upstream", "error http_502")]);
        assert_eq!((policy.retry.on_error, policy.retry.on_timeout, findings), (true, false, 1));
    }

    #[test]
    fn annotation_proxy_bad_values_leave_the_default_with_a_warning() {
        for (name, value) in [
            ("proxy-connect-timeout", "5s"),
            ("proxy-connect-timeout", "0"),
            ("proxy-read-timeout", "-1"),
            ("proxy-body-size", "8 m"),
            ("proxy-request-buffering", "true"),
            ("proxy-next-upstream", "everything"),
            ("proxy-next-upstream-tries", "x"),
        ] {
            assert_eq!(read_from(&[(name, value)]), (RoutePolicy::default(), 1), "{name} {value}");
        }
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        assert_eq!(read_from(&[("proxy-read-timeout", " ")]), (RoutePolicy::default(), 0));
    }
}
