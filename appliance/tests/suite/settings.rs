//! Keys of the ConfigMap: what they do to a request and its answer, and what becomes of values that cannot be read.

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin, Received};
use crate::support::process::{Driver, Ringress, on_each_driver};

/// What the upstream got of one request under these keys.
fn asked(driver: Driver, settings: &[(&str, &str)], target: &str, fields: &[(&str, &str)]) -> Received {
    let origin = Origin::named("one");
    let mut all = service("one", &[origin.address]);
    all.extend([ingress("web").prefix("a.test", "/", "one").build(), options(settings)]);
    let ringress = Ringress::on(driver).manifest("all.json", file(all)).flag("--configmap=default/options").start();
    let mut connection = Connection::plain(ringress.http).expect("connect");
    connection.request("GET", "a.test", target, fields, b"").expect("an answer");
    origin.received().last().cloned().expect("a request")
}

#[test]
fn the_field_of_the_clients_address_can_have_another_name() {
    on_each_driver(|driver| {
        let fields = [("CF-Connecting-IP", "192.0.2.7"), ("X-Forwarded-For", "6.6.6.6")];
        let keys = [("use-forwarded-headers", "true"), ("forwarded-for-header", "CF-Connecting-IP")];
        let request = asked(driver, &keys, "/", &fields);
        assert_eq!(request.header("x-real-ip"), Some("192.0.2.7"));
        assert_eq!(request.header("x-forwarded-for"), Some("192.0.2.7"));
        assert_eq!(request.header("x-original-forwarded-for"), Some("192.0.2.7"));
        let request = asked(driver, &[("enable-real-ip", "true"), keys[1]], "/", &fields);
        assert_eq!(request.header("x-real-ip"), Some("192.0.2.7"));
        // Nobody is believed unless the operator says so.
        let request = asked(driver, &keys[1..], "/", &fields);
        assert_ne!(request.header("x-real-ip"), Some("192.0.2.7"));
    });
}

#[test]
fn the_chain_of_forwarding_hops_is_kept_whole_for_trusted_ones_only() {
    on_each_driver(|driver| {
        let fields = [("X-Forwarded-For", "192.0.2.7, 192.0.2.8")];
        let keys = [("compute-full-forwarded-for", "true"), ("use-forwarded-headers", "true")];
        let request = asked(driver, &keys, "/", &fields);
        let chain = request.header("x-forwarded-for").unwrap_or_default();
        let peer = chain.strip_prefix("192.0.2.7, 192.0.2.8, ").unwrap_or_else(|| panic!("{chain}"));
        assert!(peer.parse::<std::net::IpAddr>().is_ok(), "{chain}");
        assert_eq!(request.header("x-real-ip"), Some("192.0.2.7"));
        let request = asked(driver, &keys[..1], "/", &fields);
        assert_eq!(request.header("x-forwarded-for"), request.header("x-real-ip"));
        assert_ne!(request.header("x-real-ip"), Some("192.0.2.7"));
    });
}

#[test]
fn the_upstream_is_told_the_original_target_and_host_on_demand() {
    on_each_driver(|driver| {
        let fields = [("X-Original-URI", "/forged"), ("X-Host", "h.test"), ("X-Forwarded-Host", "f.test")];
        let request = asked(driver, &[], "/a%20b?c", &fields);
        assert_eq!(
            (request.header("x-original-uri"), request.header("x-original-forwarded-host")),
            (None, Some("f.test"))
        );
        let keys = [("proxy-add-original-uri-header", "true"), ("forwarded-host-header", "X-Host")];
        let request = asked(driver, &keys, "/a%20b?c", &fields);
        let original = (request.header("x-original-uri"), request.header("x-original-forwarded-host"));
        assert_eq!(original, (Some("/a%20b?c"), Some("h.test")));
    });
}

#[test]
fn request_ids_are_made_unless_the_operator_says_not_to() {
    on_each_driver(|driver| {
        let id = |settings: &[(&str, &str)], fields: &[(&str, &str)]| {
            asked(driver, settings, "/", fields).header("x-request-id").map(str::to_owned)
        };
        assert_eq!(id(&[], &[]).map(|id| id.len()), Some(32));
        let off = [("generate-request-id", "false")];
        assert_eq!(id(&off, &[]), None);
        assert_eq!(id(&off, &[("X-Request-ID", "mine")]).as_deref(), Some("mine"));
    });
}

#[test]
fn the_proxy_names_itself_only_on_demand_and_not_over_the_upstream() {
    on_each_driver(|driver| {
        let origin = Origin::with(|_, peer| {
            peer.answer(200, &[("Server", "upstream")], b"")?;
            Ok(Next::Keep)
        });
        let servers = |settings: &[(&str, &str)]| {
            let mut all = service("one", &[origin.address]);
            all.extend([ingress("web").prefix("a.test", "/", "one").build(), options(settings)]);
            let ringress =
                Ringress::on(driver).manifest("all.json", file(all)).flag("--configmap=default/options").start();
            let server = |host| ringress.get(host, "/").header("server").map(str::to_owned);
            (server("a.test"), server("missing.test"))
        };
        assert_eq!(servers(&[]), (None, None));
        let own = format!("ringress/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(servers(&[("server-tokens", "true")]), (Some(own.clone()), Some(own.clone())));
        let both = [("server-tokens", "true"), ("allow-backend-server-header", "true")];
        assert_eq!(servers(&both), (Some("upstream".into()), Some(own)));
    });
}

#[test]
fn clients_on_the_lists_are_refused_on_every_host_and_no_other() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let statuses = |settings: &[(&str, &str)], requests: &[(&str, &[(&str, &str)])]| {
            let mut all = service("one", &[origin.address]);
            all.extend([ingress("web").prefix("a.test", "/", "one").build(), options(settings)]);
            let ringress =
                Ringress::on(driver).manifest("all.json", file(all)).flag("--configmap=default/options").start();
            let mut connection = Connection::plain(ringress.http).expect("connect");
            let mut status = |host: &str, fields: &[(&str, &str)]| {
                connection.request("GET", host, "/", fields, b"").expect("an answer").status
            };
            requests.iter().map(|(host, fields)| status(host, fields)).collect::<Vec<_>>()
        };
        let agent = |name| [("User-Agent", name)];
        let agents = [("block-user-agents", "Bad Bot,~*^curl/,~^$")];
        let asked = [agent("bad bot"), agent("CURL/8"), agent("not curl/8"), agent("Bad Bot 2")];
        let all: Vec<_> = asked.iter().map(|fields| ("a.test", &fields[..])).collect();
        assert_eq!(statuses(&agents, &all), [403, 403, 200, 200]);
        // An expression may ask for what is not there, and unknown hosts are no way around it.
        assert_eq!(statuses(&agents, &[("a.test", &[]), ("missing.test", &[])]), [403, 403]);
        let referers = [("block-referers", "~spam\\.test")];
        let spam = [("Referer", "http://www.spam.test/")];
        assert_eq!(statuses(&referers, &[("a.test", &spam), ("a.test", &[])]), [403, 200]);
        assert_eq!(statuses(&[("block-cidrs", "0.0.0.0/0,::/0")], &[("a.test", &[])]), [403]);
        assert_eq!(statuses(&[("block-cidrs", "203.0.113.0/24")], &[("a.test", &[])]), [200]);
        let believed = [("block-cidrs", "203.0.113.0/24"), ("use-forwarded-headers", "true")];
        assert_eq!(statuses(&believed, &[("a.test", &[("X-Forwarded-For", "203.0.113.9")])]), [403]);
        // A list that cannot be read refuses everybody.
        for bad in [("block-cidrs", "10.0.0.0/33"), ("block-user-agents", "~("), ("block-referers", "ok,~*[")] {
            assert_eq!(statuses(&[bad], &[("a.test", &[])]), [503], "{bad:?}");
        }
    });
}

#[test]
fn a_client_on_a_list_is_told_what_everybody_is_told_and_nothing_else() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        let site = |name: &str| ingress(name).prefix(&format!("{name}.test"), "/", "one");
        all.extend([
            site("moved").annotation("permanent-redirect", "https://new.test").build(),
            site("cors").annotation("enable-cors", "true").build(),
            site("root").annotation("app-root", "/start").build(),
            site("https").annotation("force-ssl-redirect", "true").build(),
            options(&[("block-user-agents", "bad")]),
        ]);
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).flag("--configmap=default/options").start();
        let mut connection = Connection::plain(ringress.http).expect("connect");
        let mut ask = |method: &str, host: &str| {
            connection.request(method, host, "/", &[("User-Agent", "bad")], b"").expect("an answer")
        };
        let moved = ask("GET", "moved.test");
        assert_eq!((moved.status, moved.header("location")), (301, Some("https://new.test")));
        assert_eq!(ask("OPTIONS", "cors.test").status, 204);
        assert_eq!(ask("GET", "root.test").status, 302);
        for host in ["cors.test", "https.test"] {
            assert_eq!(ask("GET", host).status, 403, "{host}");
        }
        assert!(ringress.metrics().contains("reason=\"blocked\"} 2"), "{}", ringress.metrics());
        assert!(origin.received().is_empty());
    });
}

#[test]
fn the_own_log_tells_as_much_as_error_log_level_says_unless_a_flag_says_otherwise() {
    on_each_driver(|driver| {
        let (origin, configured) = (Origin::named("one"), |level: &str| file([options(&[("error-log-level", level)])]));
        let start = |flags: &[&str]| {
            let mut all = service("one", &[origin.address]);
            all.push(ingress("web").prefix("a.test", "/", "one").build());
            let builder =
                Ringress::on(driver).manifest("all.json", file(all)).manifest("options.json", configured("notice"));
            flags.iter().fold(builder.flag("--configmap=default/options"), |builder, flag| builder.flag(*flag)).start()
        };
        // A head that is refused is worth a line of the level debug.
        let told = |ringress: &Ringress| {
            let mut connection = Connection::plain(ringress.http).expect("connect");
            connection.send(b"no request\r\n\r\n").expect("sent");
            assert_eq!(connection.response(false).expect("an answer").status, 400);
        };
        let ringress = start(&[]);
        told(&ringress);
        ringress.apply("options.json", configured("debug"));
        ringress.wait_logged("the level of this log has changed");
        assert!(!ringress.log().contains("request refused"));
        told(&ringress);
        ringress.wait_logged("request refused");
        for flag in ["--log-level=info", "-v=2"] {
            let fixed = start(&[flag]);
            fixed.apply("options.json", configured("debug"));
            told(&fixed);
            fixed.apply(
                "more.json",
                file([ingress("bad").annotation("no-such-thing", "1").prefix("b.test", "/", "one").build()]),
            );
            fixed.wait_logged("no-such-thing");
            assert!(!fixed.log().contains("request refused"), "{flag}");
        }
    });
}

/// Values that cannot be read, by key.
const BAD: &[(&str, &str)] = &[
    ("client-connections-max", "many"),
    ("forwarded-for-header", "two words"),
    ("forwarded-host-header", "a:b"),
    ("compute-full-forwarded-for", "yes"),
    ("proxy-add-original-uri-header", "on"),
    ("generate-request-id", "no"),
    ("server-tokens", "off"),
    ("use-gzip", "on"),
    ("limit-rate", "1m"),
    ("use-port-in-redirects", "x"),
    ("relative-redirects", "x"),
    ("limit-rate-after", "1m"),
    ("proxy-buffer-size", "0"),
    ("proxy-buffering", "true"),
    ("proxy-http-version", "2"),
    ("gzip-level", "0"),
    ("gzip-min-length", "1k"),
    ("gzip-types", "html"),
    ("gzip-disable", "(a"),
    ("enable-brotli", "yes"),
    ("brotli-level", "12"),
    ("brotli-min-length", "-1"),
    ("brotli-types", "text/"),
];

#[test]
fn a_value_that_cannot_be_read_is_named_and_the_default_acts() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut all = service("one", &[origin.address]);
        all.extend([ingress("web").prefix("a.test", "/", "one").build(), options(BAD)]);
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).flag("--configmap=default/options").start();
        let answer = ringress.get("a.test", "/");
        assert_eq!((answer.status, answer.header("server"), answer.text().as_str()), (200, None, "one"));
        let asked = origin.received().last().cloned().expect("a request");
        assert_eq!(asked.header("x-request-id").map(str::len), Some(32));
        assert_eq!((asked.header("x-original-uri"), asked.header("x-forwarded-for").is_some()), (None, true));
        let status = ringress.status();
        let rejected = status["rejected"].as_array().expect("a list");
        for (key, _) in BAD {
            let field = format!("data.{key}");
            assert!(rejected.iter().any(|finding| finding["field"] == field.as_str()), "{key}: {rejected:#?}");
        }
    });
}
