use std::time::Duration;

use super::*;
use crate::annotation::{NoObjects, Objects, Risk};
use crate::model::{Age, ConfigMap, Meta, ObjectKey, Secret};

pub(super) fn read(pairs: &[(&str, &str)]) -> (Globals, Vec<String>) {
    read_with(pairs, &Options::default())
}

pub(super) fn read_with(pairs: &[(&str, &str)], options: &Options) -> (Globals, Vec<String>) {
    let meta = Meta { key: ObjectKey::new("ingress-nginx", "controller"), age: Age::Unknown };
    let data = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let (globals, findings) = Globals::read(&ConfigMap { meta, data }, options, &NoObjects);
    (globals, findings.iter().map(ToString::to_string).collect())
}

#[test]
fn a_bound_of_connections_that_counts_nobody_says_so() {
    let bound = |more: &[(&str, &str)]| read(&[&[("client-connections-max", "100")], more].concat());
    let (globals, findings) = bound(&[]);
    assert_eq!(globals.settings.client.connections_per_client_max.map(u32::from), Some(100));
    assert_eq!(findings, [""; 0]);
    let (_, findings) = bound(&[("use-forwarded-headers", "true")]);
    assert!(matches!(&findings[..], [one] if one.contains("counts nobody")), "{findings:?}");
    assert_eq!(bound(&[("enable-real-ip", "true"), ("proxy-real-ip-cidr", "10.0.0.0/8")]).1, [""; 0]);
    assert_eq!(bound(&[("use-proxy-protocol", "true")]).1, [""; 0]);
}

#[test]
fn every_key_has_one_row() {
    let names: std::collections::BTreeSet<_> = rows().iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows().len());
}

#[test]
fn an_empty_config_map_is_the_defaults() {
    assert_eq!(read(&[]), (Globals::default(), vec![]));
    assert_eq!(read(&[("keep-alive", ""), ("hsts", " ")]), (Globals::default(), vec![]));
}

#[test]
fn the_defaults_of_the_table_are_the_defaults_that_act() {
    // A key that has been given its default is the same as an absent one, so each can be read.
    let defaults: Vec<_> = rows()
        .iter()
        .filter(|row| {
            matches!(row.support, Support::Honoured | Support::Except(_) | Support::Differs(_))
                && !row.default.is_empty()
        })
        .map(|row| (row.name, row.default))
        .collect();
    let (globals, findings) = read(&defaults);
    assert_eq!(findings, [""; 0]);
    // An absent worker-shutdown-timeout leaves the drain to the flag, whose default is shorter.
    let mut expected = Globals::default();
    Arc::make_mut(&mut expected.settings).drain_timeout = Some(Duration::from_secs(240));
    assert_eq!(globals, expected);
}

#[test]
fn levels_of_the_error_log_are_nginx_s() {
    use crate::snapshot::OwnLogLevel::{Debug, Error, Info, Warn};
    let all = [("debug", Debug), ("info", Info), ("notice", Info), ("warn", Warn), ("error", Error), ("emerg", Error)];
    for (text, level) in all {
        let (globals, findings) = read(&[("error-log-level", text)]);
        assert_eq!((globals.settings.own_log, findings.len()), (level, 0), "{text}");
    }
    let (globals, findings) = read(&[("error-log-level", "loud")]);
    assert_eq!((globals.settings.own_log, findings.len()), (Info, 1));
}

#[test]
fn compression_is_off_until_a_coding_is_switched_on() {
    let compression = |pairs: &[(&str, &str)]| {
        let (globals, findings) = read(pairs);
        (globals.settings.compression.clone(), findings.len())
    };
    assert_eq!(compression(&[("gzip-level", "9")]), (None, 0));
    let (gzip, findings) =
        compression(&[("use-gzip", "true"), ("gzip-types", "text/css  *"), ("gzip-disable", "msie6")]);
    let gzip = gzip.unwrap();
    assert!(
        gzip.brotli.is_none() && gzip.no_gzip_for.is_some_and(|s| s.is_found(b"Mozilla/4.0 (compatible; MSIE 6.0)"))
    );
    assert_eq!((gzip.gzip.unwrap().types.len(), findings), (2, 0));
    let bad = ["gzip-level", "brotli-level", "gzip-types", "brotli-min-length", "gzip-disable"];
    let bad: Vec<_> = bad.iter().map(|key| (*key, "(12")).chain([("enable-brotli", "true")]).collect();
    let (brotli, findings) = compression(&bad);
    let brotli = brotli.unwrap().brotli.unwrap();
    assert_eq!((brotli.level, brotli.bytes_min, findings), (4, 20, 5));
    assert!(brotli.covers(b"application/xml+rss", None));
    let (zstd, findings) = compression(&[("enable-zstd", "true"), ("zstd-level", "20"), ("zstd-min-length", "1k")]);
    let zstd = zstd.unwrap();
    assert!(zstd.brotli.is_none() && zstd.gzip.is_none());
    assert_eq!(zstd.zstd.map(|zstd| (zstd.level, zstd.bytes_min)), Some((3, 256)));
    assert_eq!(findings, 2);
}

#[test]
fn block_lists_that_cannot_be_read_refuse_everybody() {
    let (globals, findings) =
        read(&[("block-cidrs", "10.0.0.0/8"), ("block-user-agents", "Bad, \"~*a bot\""), ("block-referers", "~x")]);
    let blocks = globals.settings.blocks.clone().unwrap();
    assert!(blocks.refuse("192.0.2.1".parse().unwrap(), b"A BOT", b""));
    assert_eq!((findings.len(), globals.missing), (0, None));
    for (key, value) in [("block-cidrs", "10.0.0.0/33"), ("block-user-agents", "ok, ~("), ("block-referers", "~*[")] {
        let (globals, findings) = read(&[(key, value)]);
        assert_eq!((findings.len(), globals.missing), (1, Some(503)), "{key}");
    }
}

#[test]
fn values_act() {
    let (globals, findings) = read(&[
        ("keep-alive", "0"),
        ("large-client-header-buffers", "2 1k"),
        ("annotations-risk-level", "critical"),
        ("annotation-value-word-blocklist", "load_module, lua_package"),
        ("no-tls-redirect-locations", "/a,/b"),
        ("http-redirect-code", "307"),
        ("use-forwarded-headers", "true"),
        ("hsts", "false"),
        ("upstream-keepalive-timeout", "5"),
    ]);
    assert_eq!(findings, [""; 0]);
    assert_eq!(globals.settings.client.keep_alive, Duration::ZERO);
    assert_eq!((globals.settings.client.header_line_bytes_max, globals.settings.client.header_bytes_max), (1024, 2048));
    assert_eq!(globals.settings.upstream.idle_timeout, Duration::from_secs(5));
    assert!(globals.settings.forwarded.trust && globals.settings.tls.hsts.is_none());
    assert_eq!((globals.risk_max, globals.redirect_status), (Risk::Critical, 307));
    assert_eq!(&*globals.blocked_words, &[Box::from("load_module"), Box::from("lua_package")]);
    assert_eq!(&*globals.no_redirect_paths, &[Box::from("/a"), Box::from("/b")]);
}

#[test]
fn bad_values_leave_the_default_and_are_named() {
    for (key, value) in [
        ("keep-alive", "75s"),
        ("keep-alive-requests", "-1"),
        ("large-client-header-buffers", "8k"),
        ("http-redirect-code", "303"),
        ("annotations-risk-level", "Extreme"),
        ("hsts", "on"),
        ("proxy-body-size", "1 m"),
        ("ssl-protocols", "SSLv3"),
        ("upstream-keepalive-time", "soon"),
        ("retry-non-idempotent", "yes"),
    ] {
        let (globals, findings) = read(&[(key, value)]);
        assert_eq!(globals, Globals::default(), "{key}");
        let start = format!("warning ConfigMap ingress-nginx/controller data.{key}: ");
        assert!(!findings.is_empty() && findings.iter().all(|finding| finding.starts_with(&start)), "{findings:?}");
    }
}

#[test]
fn global_access_control_that_cannot_be_had_closes_everything() {
    for (key, value) in [
        ("block-cidrs", "10.0.0.0/33"),
        ("block-referers", "~("),
        ("denylist-source-range", "10.0.0.0/33"),
        ("whitelist-source-range", "me"),
        ("global-auth-url", "auth.test"),
    ] {
        let (globals, findings) = read(&[(key, value)]);
        assert_eq!(globals.missing, Some(503), "{key}");
        assert!(findings[0].starts_with("error "), "{findings:?}");
    }
}

#[test]
fn global_access_control_is_the_default_of_every_route() {
    let (globals, findings) =
        read(&[("whitelist-source-range", "10.0.0.0/8"), ("global-auth-url", "http://auth.test/")]);
    assert!(findings.is_empty() && globals.missing.is_none() && globals.external_auth.is_some());
    let access = globals.policy.filters.access.unwrap();
    assert_eq!(access.address_passes("192.0.2.1".parse().unwrap()), Some(false));
}

#[test]
fn snippets_are_never_inserted_whatever_is_said() {
    let (globals, findings) = read(&[("allow-snippet-annotations", "true"), ("http-snippet", "deny all;")]);
    assert_eq!(globals, Globals { snippets_admitted: true, ..Globals::default() });
    assert_eq!(findings.len(), 2);
}

#[test]
fn a_bad_entry_of_a_set_of_fields_is_named_and_left_out_alone() {
    struct Set(ConfigMap);
    impl Objects for Set {
        fn secret(&self, _: &ObjectKey) -> Option<&Secret> {
            None
        }

        fn config_map(&self, _: &ObjectKey) -> Option<&ConfigMap> {
            Some(&self.0)
        }
    }
    let map = |name: &str, pairs: &[(&str, &str)]| ConfigMap {
        meta: Meta { key: ObjectKey::new("default", name), age: Age::Unknown },
        data: pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    };
    let set = Set(map("set", &[("X Bad", "1"), ("X-Bad", "$nothing"), ("X-Empty", ""), ("X-Good", "1")]));
    let options = map("options", &[("proxy-set-headers", "default/set")]);
    let (globals, findings) = Globals::read(&options, &Options::default(), &set);
    let names: Vec<_> = globals.policy.filters.request_fields.set.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["X-Empty", "X-Good"]);
    let said: Vec<_> = findings.iter().map(|finding| &*finding.message).collect();
    assert_eq!(
        said,
        [
            "`X Bad` of ConfigMap default/set is not the name of a header field; this field is not set, the others are",
            "X-Bad of ConfigMap default/set: `$nothing` is not visible text with variables of the supported list \
             ($nothing is not a variable that is supported); this field is not set, the others are",
        ]
    );
}
