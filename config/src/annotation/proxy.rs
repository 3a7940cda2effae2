//! Group proxy: times, body, other attempts.

use std::time::Duration;

use super::Annotations;
use crate::intent::RoutePolicy;
use crate::snapshot::{RESPONSE_HEAD_BYTES_MAX, Replacement, RetryStatuses, Template, Tries, UpstreamWords};
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
    set(&mut body.response_head_bytes_max, source.get("proxy-buffer-size", head_bytes));
    set(&mut body.reads_ahead, source.get("proxy-buffering", value::on_off));
    set(&mut body.response_buffers, source.get("proxy-buffers-number", buffers));
    set(&mut policy.filters.upstream_hop.http_1_0, source.get("proxy-http-version", is_http_1_0));
    words(source, policy);
    let retry = &mut policy.retry;
    set(&mut retry.tries, source.get("proxy-next-upstream-tries", value::natural).map(Tries::new));
    set(&mut retry.budget, source.get("proxy-next-upstream-timeout", value::seconds));
    if let Some(conditions) = source.get("proxy-next-upstream", conditions) {
        retry.on_error = conditions.error;
        retry.on_timeout = conditions.timeout;
        retry.non_idempotent = conditions.non_idempotent;
        retry.on_invalid = conditions.invalid;
        retry.on_status = conditions.statuses;
    }
}

/// Reads what ingress-nginx has no words for.
pub(super) fn read_own(annotations: &mut Annotations<'_>, policy: &mut RoutePolicy) {
    // It does nothing, and what is no size keeps the Ingress out all the same.
    annotations.get("client-body-buffer-size", value::size);
    policy.retry.hedge_after = annotations.get("ringress.io/hedge-after", hedge_after);
    if let Some(whole) = annotations.get("ringress.io/per-try-timeout", per_try) {
        policy.retry.per_try = Some(whole);
        let times = &mut policy.timeouts;
        (times.connect, times.send) = (times.connect.min(whole), times.send.min(whole));
    }
}

fn hedge_after(text: &str) -> Result<Duration, Expected> {
    between(text, 1).ok_or("a time from 1ms to 60s, such as 200ms")
}

/// Deadlines have a resolution of 50 ms.
fn per_try(text: &str) -> Result<Duration, Expected> {
    between(text, 100).ok_or("a time from 100ms to 60s, such as 2s")
}

fn between(text: &str, least_ms: u64) -> Option<Duration> {
    let time = value::time(text).ok().filter(|_| !text.is_empty())?;
    (Duration::from_millis(least_ms)..=Duration::from_secs(60)).contains(&time).then_some(time)
}

/// How an upstream's words about itself are rewritten. Each kind of word that is named replaces what the ConfigMap says.
fn words(source: &mut impl Source, policy: &mut RoutePolicy) {
    let mut words = policy.filters.upstream_words.as_deref().cloned().unwrap_or_default();
    set(&mut words.cookie_domain, source.get("proxy-cookie-domain", pair));
    set(&mut words.cookie_path, source.get("proxy-cookie-path", pair));
    let from = source.get("proxy-redirect-from", word);
    let to = source.get("proxy-redirect-to", word);
    words.redirect = match (from, to) {
        (None, _) => words.redirect,
        (Some(from), _) if matches!(from.as_literal(), Some("off" | "default")) => None,
        (Some(from), Some(to)) if to.as_literal() != Some("off") => Some(Replacement { from, to }),
        (Some(_), _) => None,
    };
    policy.filters.upstream_words = (words != UpstreamWords::default()).then(|| words.into());
}

/// `off`, or two texts.
fn pair(text: &str) -> Result<Option<Replacement>, Expected> {
    const EXPECTED: Expected = "off, or two texts without patterns, with variables of the supported list";
    if text == "off" {
        return Ok(None);
    }
    let (from, to) = text.split_once(' ').ok_or(EXPECTED)?;
    let (from, to) = (word(from), word(to.trim()));
    from.and_then(|from| Ok(Some(Replacement { from, to: to? }))).map_err(|_| EXPECTED)
}

/// Visible text that is no pattern.
fn word(text: &str) -> Result<Template, Expected> {
    const EXPECTED: Expected = "a text without patterns, with variables of the supported list";
    let fits = text.bytes().all(|b| b.is_ascii_graphic()) && !text.starts_with('~') && !text.is_empty();
    if fits { Template::parse(text).map_err(|_| EXPECTED) } else { Err(EXPECTED) }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn head_bytes(text: &str) -> Result<u32, Expected> {
    let bytes = value::size(text)?.min(RESPONSE_HEAD_BYTES_MAX.into());
    u32::try_from(bytes).ok().filter(|bytes| *bytes > 0).ok_or("a size, such as 8k")
}

/// nginx refuses a single one.
fn buffers(text: &str) -> Result<u32, Expected> {
    value::natural(text).ok().filter(|number| *number >= 2).ok_or("a number from 2 up")
}

fn is_http_1_0(text: &str) -> Result<bool, Expected> {
    match text {
        "1.0" => Ok(true),
        "1.1" => Ok(false),
        _ => Err("1.0 or 1.1"),
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
    invalid: bool,
    statuses: RetryStatuses,
}

/// As ingress-nginx checks the annotation: one word that is no condition, and none of them counts, not even `off`.
fn conditions(text: &str) -> Result<Conditions, Expected> {
    let mut conditions = Conditions::default();
    let mut is_off = false;
    for word in text.split_ascii_whitespace() {
        match word {
            "error" => conditions.error = true,
            "timeout" => conditions.timeout = true,
            "non_idempotent" => conditions.non_idempotent = true,
            // Whatever else is named.
            "off" => is_off = true,
            "invalid_header" => conditions.invalid = true,
            _ => {
                let status = word.strip_prefix("http_").filter(|status| status.len() == 3);
                let status = status.and_then(|status| status.parse().ok());
                if !status.is_some_and(|status| conditions.statuses.add(status)) {
                    return Err("a list of nginx's conditions, such as error timeout http_503");
                }
            }
        }
    }
    Ok(if is_off { Conditions::default() } else { conditions })
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!((retry.tries, retry.budget), (Tries::EachEndpoint, Duration::from_secs(30)));
        assert_eq!([1, 20, 500].map(|endpoints| retry.tries.of(endpoints)), [3, 20, 32]);
    }

    #[test]
    fn annotation_proxy_buffer_size_bounds_the_head_and_the_version_is_1_0_or_1_1() {
        let head_bytes = |text: &str| read_from(&[("proxy-buffer-size", text)]).0.body.response_head_bytes_max;
        assert_eq!((head_bytes("8k"), head_bytes("1g"), head_bytes("")), (8 << 10, 256 << 10, 4 << 10));
        let (policy, findings) = read_from(&[("proxy-http-version", "1.0")]);
        assert_eq!((policy.filters.upstream_hop.http_1_0, findings), (true, 0));
    }

    #[test]
    fn annotation_proxy_buffering_reads_ahead_by_number_and_size_of_buffers() {
        let ahead = |pairs: &[(&str, &str)]| {
            let (policy, findings) = read_from(pairs);
            assert_eq!(findings, 0, "{pairs:?}");
            policy.body.bytes_ahead()
        };
        const ON: (&str, &str) = ("proxy-buffering", "on");
        assert_eq!(ahead(&[("proxy-buffers-number", "8")]), 0);
        assert_eq!(ahead(&[("proxy-buffering", "off"), ("proxy-buffers-number", "8")]), 0);
        assert_eq!(ahead(&[ON]), 16 << 10);
        assert_eq!(ahead(&[ON, ("proxy-buffers-number", "8"), ("proxy-buffer-size", "16k")]), 128 << 10);
        assert_eq!(ahead(&[ON, ("proxy-buffers-number", "4294967295"), ("proxy-buffer-size", "1m")]), 1 << 20);
    }

    #[test]
    fn annotation_proxy_cookie_and_redirect_pairs_are_read() {
        let (policy, findings) = read_from(&[
            ("proxy-cookie-domain", "in.test out.test"),
            ("proxy-cookie-path", "off"),
            ("proxy-redirect-from", "http://in.test/"),
            ("proxy-redirect-to", "/"),
        ]);
        let words = UpstreamWords::clone(&policy.filters.upstream_words.unwrap());
        let pair = |from, to| Some(Replacement { from: Template::literal(from), to: Template::literal(to) });
        assert_eq!((words.cookie_domain, words.cookie_path), (pair("in.test", "out.test"), None));
        assert_eq!((words.redirect, findings), (pair("http://in.test/", "/"), 0));
        let (policy, findings) = read_from(&[("proxy-cookie-domain", "in.test $host")]);
        assert_eq!((policy.filters.upstream_words.map(|words| words.has_variables()), findings), (Some(true), 0));
        for (name, value) in
            [("proxy-cookie-path", "/"), ("proxy-redirect-from", "~^/x"), ("proxy-cookie-domain", "a $nothing")]
        {
            let (policy, findings) = read_from(&[(name, value)]);
            assert_eq!((policy.filters.upstream_words, findings), (None, 1), "{name} {value}");
        }
        assert_eq!(
            read_from(&[("proxy-redirect-from", "default"), ("proxy-redirect-to", "/")]).0.filters.upstream_words,
            None
        );
    }

    #[test]
    fn annotation_proxy_body_size_zero_is_no_limit() {
        assert_eq!(read_from(&[("proxy-body-size", "0")]).0.body.bytes_max, None);
    }

    #[test]
    fn annotation_proxy_next_upstream_names_conditions_or_is_off() {
        for off in ["off", "off error", "error http_503 off"] {
            let (policy, findings) = read_from(&[("proxy-next-upstream", off)]);
            let retry = policy.retry;
            let acts = (retry.on_error, retry.on_timeout, retry.on_status.has(503));
            assert_eq!((acts, findings), ((false, false, false), 0), "{off}");
        }
        let (policy, findings) = read_from(&[("proxy-next-upstream", "error http_502 invalid_header http_404")]);
        let retry = policy.retry;
        assert_eq!((retry.on_error, retry.on_timeout, retry.on_invalid, findings), (true, false, true, 0));
        assert_eq!([404, 502, 503, 200].map(|status| retry.on_status.has(status)), [true, true, false, false]);
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
            ("proxy-next-upstream", "error http_501"),
            ("proxy-next-upstream", "error http_0503"),
            ("proxy-next-upstream", "off error bogus"),
            ("proxy-next-upstream", "bogus off"),
            ("proxy-next-upstream-tries", "x"),
            ("proxy-buffer-size", "0"),
            ("proxy-buffer-size", "8kb"),
            ("proxy-buffering", "yes"),
            ("proxy-buffers-number", "1"),
            ("proxy-buffers-number", "-4"),
            ("proxy-http-version", "2"),
        ] {
            assert_eq!(read_from(&[(name, value)]), (RoutePolicy::default(), 1), "{name} {value}");
        }
    }

    #[test]
    fn annotation_ringress_hedge_after_and_per_try_timeout_are_times_within_bounds() {
        let read = |name: &str, value: &str| {
            let (ingress, object) = (annotated(&[(name, value)]), reference());
            let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
            let mut policy = RoutePolicy::default();
            read_own(&mut annotations, &mut policy);
            (policy, annotations.into_findings().len())
        };
        let (policy, findings) = read("ringress.io/hedge-after", "200ms");
        assert_eq!((policy.retry.hedge_after, findings), (Some(Duration::from_millis(200)), 0));
        let (policy, findings) = read("ringress.io/per-try-timeout", "2s");
        let times = policy.timeouts;
        assert_eq!((policy.retry.per_try, findings), (Some(Duration::from_secs(2)), 0));
        assert_eq!((times.connect.as_secs(), times.send.as_secs(), times.read.as_secs()), (2, 2, 60));
        for (name, value) in [
            ("ringress.io/hedge-after", "0"),
            ("ringress.io/hedge-after", "soon"),
            ("ringress.io/hedge-after", "61s"),
            ("ringress.io/per-try-timeout", "99ms"),
            ("ringress.io/per-try-timeout", "2m"),
        ] {
            assert_eq!(read(name, value), (RoutePolicy::default(), 1), "{name}: {value}");
        }
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        assert_eq!(read_from(&[("proxy-read-timeout", " ")]), (RoutePolicy::default(), 0));
    }
}
