//! The keys of the access log.

use std::sync::Arc;

use crate::snapshot::{AccessLogSettings, Escape, LogFormat, LogShare, LogValue, StreamLogSettings};
use crate::value::{self, Expected, Source};

/// What the image of ingress-nginx links to standard output.
const NGINX_LOG: &str = "/var/log/nginx/access.log";

pub(super) fn read(keys: &mut impl Source) -> AccessLogSettings {
    let mut flag = |name| keys.get(name, value::bool).unwrap_or(false);
    let disabled = flag("disable-access-log") || flag("disable-http-access-log");
    let unmatched = flag("enable-access-log-for-default-backend");
    let path = keys.get("http-access-log-path", path).or_else(|| keys.get("access-log-path", path));
    for name in ["log-format-escape-none", "log-format-escape-json"] {
        keys.get(name, value::bool);
    }
    AccessLogSettings {
        enabled: !disabled,
        path: path.flatten(),
        format: format(keys, "log-format-upstream"),
        skipped: skipped(keys),
        unmatched,
        share: keys.get("access-log-sampling", value::log_share).unwrap_or(LogShare::ALL),
    }
}

/// The log of TCP and UDP sessions.
pub(super) fn read_streams(keys: &mut impl Source) -> StreamLogSettings {
    let own_switch = keys.get("disable-stream-access-log", value::bool) == Some(true);
    // What is wrong with the keys that both logs share is told where the other one is read.
    let disabled = quietly(keys, "disable-access-log") || own_switch;
    let shared_path = keys.text("access-log-path").and_then(|text| path(text).ok());
    let own_path = keys.get("stream-access-log-path", path);
    StreamLogSettings {
        enabled: !disabled,
        path: own_path.or(shared_path).flatten(),
        format: format(keys, "log-format-stream"),
    }
}

/// A switch whose faults are told elsewhere.
fn quietly(keys: &impl Source, name: &str) -> bool {
    keys.text(name).is_some_and(|text| value::bool(text) == Ok(true))
}

fn escape(keys: &impl Source) -> Escape {
    match (quietly(keys, "log-format-escape-none"), quietly(keys, "log-format-escape-json")) {
        (true, _) => Escape::None,
        (false, true) => Escape::Json,
        (false, false) => Escape::Hex,
    }
}

fn format<V: LogValue>(keys: &mut impl Source, key: &str) -> LogFormat<V> {
    let escape = escape(keys);
    let Some(text) = keys.text(key).map(str::to_owned) else { return LogFormat::with_default_text(escape) };
    let (format, unknown) = LogFormat::parse(&text, escape);
    for name in unknown {
        keys.warn(key, format!("${name} is not known here; it is written as a value that is not there"));
    }
    format
}

fn skipped(keys: &mut impl Source) -> Box<[Box<str>]> {
    const KEY: &str = "skip-access-log-urls";
    let listed: Vec<Box<str>> =
        keys.text(KEY).map(|text| value::list(text).map(Box::from).collect()).unwrap_or_default();
    let (patterns, targets): (Vec<_>, Vec<_>) = listed.into_iter().partition(|target| target.starts_with('~'));
    for pattern in patterns {
        keys.warn(KEY, format!("{pattern} is a pattern; only whole targets are left out"));
    }
    targets.into()
}

/// A file, or standard output.
fn path(text: &str) -> Result<Option<Arc<str>>, Expected> {
    match text {
        NGINX_LOG | "/dev/stdout" | "/proc/self/fd/1" => Ok(None),
        path if path.starts_with('/') => Ok(Some(path.into())),
        _ => Err("the absolute path of a file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Keys;

    fn read_from(pairs: &[(&str, &str)]) -> (AccessLogSettings, usize) {
        let mut keys = Keys::of(pairs);
        let settings = read(&mut keys);
        (settings, keys.warnings())
    }

    fn streams_from(pairs: &[(&str, &str)]) -> (StreamLogSettings, usize) {
        let mut keys = Keys::of(pairs);
        let settings = read_streams(&mut keys);
        (settings, keys.warnings())
    }

    #[test]
    fn a_config_map_turns_the_log_on_unless_it_says_otherwise() {
        assert_eq!(read_from(&[]), (AccessLogSettings::default(), 0));
        for key in ["disable-access-log", "disable-http-access-log"] {
            assert!(!read_from(&[(key, "true")]).0.enabled, "{key}");
        }
    }

    #[test]
    fn the_path_of_the_image_is_standard_output() {
        for path in [NGINX_LOG, "/dev/stdout"] {
            assert_eq!(read_from(&[("access-log-path", path)]).0.path, None, "{path}");
        }
        let file = |pairs| read_from(pairs).0.path;
        assert_eq!(file(&[("access-log-path", "/a")]).as_deref(), Some("/a"));
        assert_eq!(file(&[("access-log-path", "/a"), ("http-access-log-path", "/b")]).as_deref(), Some("/b"));
        assert_eq!(read_from(&[("access-log-path", "syslog:server=a")]).1, 1);
    }

    #[test]
    fn the_form_takes_one_way_of_escaping() {
        let escape = |pairs| read_from(pairs).0.format.escape();
        let (json, none) = (("log-format-escape-json", "true"), ("log-format-escape-none", "true"));
        assert_eq!((escape(&[]), escape(&[json]), escape(&[json, none])), (Escape::Hex, Escape::Json, Escape::None));
        let (settings, warnings) = read_from(&[("log-format-upstream", "$status $geoip_city $tcpinfo_rtt")]);
        assert_eq!((settings.format.parts().len(), warnings), (5, 2));
    }

    #[test]
    fn targets_are_left_out_as_they_are_and_patterns_reported() {
        let (settings, warnings) = read_from(&[("skip-access-log-urls", "/healthz, ~^/x,/ready?a=1")]);
        assert_eq!((&*settings.skipped, warnings), (&["/healthz".into(), "/ready?a=1".into()][..], 1));
    }

    #[test]
    fn the_log_of_sessions_has_keys_of_its_own_and_shares_the_rest() {
        assert_eq!(streams_from(&[]), (StreamLogSettings::default(), 0));
        for key in ["disable-access-log", "disable-stream-access-log"] {
            assert!(!streams_from(&[(key, "true")]).0.enabled, "{key}");
        }
        assert!(streams_from(&[("disable-http-access-log", "true")]).0.enabled);
        let (shared, own) = (("access-log-path", "/a"), ("stream-access-log-path", "/b"));
        assert_eq!(streams_from(&[shared]).0.path.as_deref(), Some("/a"));
        assert_eq!(streams_from(&[shared, own]).0.path.as_deref(), Some("/b"));
        assert_eq!(streams_from(&[shared, ("stream-access-log-path", NGINX_LOG)]).0.path, None);
        let (settings, _) = streams_from(&[("log-format-escape-json", "true")]);
        assert_eq!(settings.format.escape(), Escape::Json);
    }

    #[test]
    fn what_is_wrong_with_the_log_of_sessions_is_told_once() {
        for (name, text) in [
            ("disable-stream-access-log", "yes"),
            ("stream-access-log-path", "log"),
            ("log-format-stream", "$status $request_uri"),
        ] {
            assert_eq!((streams_from(&[(name, text)]).1, read_from(&[(name, text)]).1), (1, 0), "{name}");
        }
        for (name, text) in [("access-log-path", "log"), ("disable-access-log", "yes"), ("log-format-escape-json", "x")]
        {
            assert_eq!((streams_from(&[(name, text)]).1, read_from(&[(name, text)]).1), (0, 1), "{name}");
        }
    }
}
