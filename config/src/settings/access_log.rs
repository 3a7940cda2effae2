//! The keys of the access log.

use std::sync::Arc;

use crate::snapshot::{AccessLogSettings, Escape, LogFormat};
use crate::value::{self, Expected, Source};

/// What the image of ingress-nginx links to standard output.
const NGINX_LOG: &str = "/var/log/nginx/access.log";

pub(super) fn read(keys: &mut impl Source) -> AccessLogSettings {
    let mut flag = |name| keys.get(name, value::bool).unwrap_or(false);
    let disabled = flag("disable-access-log") || flag("disable-http-access-log");
    let escape = match (flag("log-format-escape-none"), flag("log-format-escape-json")) {
        (true, _) => Escape::None,
        (false, true) => Escape::Json,
        (false, false) => Escape::Hex,
    };
    let unmatched = flag("enable-access-log-for-default-backend");
    let path = keys.get("http-access-log-path", path).or_else(|| keys.get("access-log-path", path));
    AccessLogSettings {
        enabled: !disabled,
        path: path.flatten(),
        format: format(keys, escape),
        skipped: skipped(keys),
        unmatched,
    }
}

fn format(keys: &mut impl Source, escape: Escape) -> LogFormat {
    const KEY: &str = "log-format-upstream";
    let Some(text) = keys.text(KEY).map(str::to_owned) else { return LogFormat::with_default_text(escape) };
    let (format, unknown) = LogFormat::parse(&text, escape);
    for name in unknown {
        keys.warn(KEY, format!("${name} is not known here; it is written as a value that is not there"));
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
    use std::collections::BTreeMap;

    use super::*;

    /// Keys with a count of the warnings.
    struct Keys(BTreeMap<&'static str, &'static str>, usize);

    impl Source for Keys {
        fn text(&self, name: &str) -> Option<&str> {
            self.0.get(name).copied()
        }

        fn warn(&mut self, _: &str, _: String) {
            self.1 += 1;
        }

        fn deny(&mut self, _: &str, _: String) {
            unreachable!("logs control no access");
        }
    }

    fn read_from(pairs: &[(&'static str, &'static str)]) -> (AccessLogSettings, usize) {
        let mut keys = Keys(pairs.iter().copied().collect(), 0);
        let settings = read(&mut keys);
        (settings, keys.1)
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
}
