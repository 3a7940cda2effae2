//! Answers that an error backend gives in place of others.

use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, options, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Ringress, on_each_driver};

/// Answers with the status that the path names.
fn status_origin() -> Origin {
    Origin::with(|request, peer| {
        peer.read_body(request)?;
        let status = request.target.trim_start_matches('/').split('?').next().and_then(|text| text.parse().ok());
        peer.answer(status.unwrap_or(200), &[], b"upstream")?;
        Ok(Next::Keep)
    })
}

/// Answers with the status that it was asked for, but 418 in place of 503.
fn error_origin() -> Origin {
    Origin::with(|request, peer| {
        peer.read_body(request)?;
        let code = request.header("x-code").and_then(|code| code.parse().ok()).unwrap_or(200);
        peer.answer(if code == 503 { 418 } else { code }, &[("X-Page", "yes")], b"page")?;
        Ok(Next::Keep)
    })
}

#[test]
fn the_error_backend_is_told_of_the_error_and_decides() {
    on_each_driver(|driver| {
        let (origin, errors) = (status_origin(), error_origin());
        let mut all = [service("one", &[origin.address]), service("errors", &[errors.address])].concat();
        all.extend(service("gone", &[]));
        let web = ingress("web").prefix("a.test", "/", "one").annotation("default-backend", "errors");
        all.push(web.annotation("custom-http-errors", "404,503").build());
        let down = ingress("down").prefix("down.test", "/", "one").annotation("default-backend", "gone");
        all.push(down.annotation("custom-http-errors", "404").build());
        let own = ingress("own").prefix("own.test", "/", "one").annotation("default-backend", "errors");
        let own = own.annotation("custom-http-errors", "403,404").annotation("disable-proxy-intercept-errors", "true");
        all.push(own.annotation("denylist-source-range", "127.0.0.0/8").build());
        let left = ingress("left").prefix("left.test", "/", "one").annotation("default-backend", "errors");
        let left = left.annotation("custom-http-errors", "404").annotation("disable-proxy-intercept-errors", "true");
        all.push(left.build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();

        let mut client = Connection::plain(ringress.http).unwrap();
        client.send(b"POST /404?q=1 HTTP/1.1\r\nHost: a.test\r\nAccept: a/b\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        let page = client.response(false).unwrap();
        assert_eq!((page.status, page.text().as_str(), page.header("x-page")), (404, "page", Some("yes")));
        let asked = errors.received().last().cloned().unwrap();
        assert_eq!((asked.target.as_str(), asked.body.len()), ("/?q=1", 0));
        for (name, value) in [
            ("x-code", "404"),
            ("x-format", "a/b"),
            ("x-original-uri", "/404?q=1"),
            ("x-namespace", "default"),
            ("x-ingress-name", "web"),
            ("x-service-name", "one"),
            ("x-service-port", "80"),
            ("host", "a.test"),
        ] {
            assert_eq!(asked.header(name), Some(value), "{name}");
        }
        assert!(asked.header("x-request-id").is_some());
        // The connection goes on.
        assert_eq!(client.get("a.test", "/503").unwrap().status, 418);
        assert_eq!(client.get("a.test", "/500").unwrap().text(), "upstream");
        // Without an error backend the status stays.
        assert_eq!(ringress.get("down.test", "/404").status, 404);
        // The proxy's own answers are replaced, those of upstreams only where that was not switched off.
        let own = ringress.get("own.test", "/");
        assert_eq!((own.status, own.text().as_str()), (403, "page"));
        assert_eq!(ringress.get("left.test", "/404").text(), "upstream");
    });
}

#[test]
fn a_default_backend_takes_over_while_the_service_has_no_endpoint() {
    on_each_driver(|driver| {
        let errors = error_origin();
        let mut all = [service("none", &[]), service("errors", &[errors.address])].concat();
        all.push(ingress("web").prefix("a.test", "/", "none").annotation("default-backend", "errors").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).start();
        assert_eq!(ringress.get("a.test", "/x?y=1").status, 418);
        let asked = errors.received().last().cloned().unwrap();
        assert_eq!((asked.target.as_str(), asked.header("x-code")), ("/x?y=1", Some("503")));
    });
}

#[test]
fn the_list_of_the_config_map_asks_the_default_backend() {
    on_each_driver(|driver| {
        let (origin, errors) = (status_origin(), error_origin());
        let mut all = [service("one", &[origin.address]), service("errors", &[errors.address])].concat();
        all.push(ingress("web").prefix("a.test", "/", "one").build());
        all.push(options(&[("custom-http-errors", "500"), ("disable-access-log", "true")]));
        let flags = ["--configmap=default/options", "--default-backend-service=default/errors"];
        let ringress = Ringress::on(driver).manifest("all.json", file(all)).flag(flags[0]).flag(flags[1]).start();
        let page = ringress.get("a.test", "/500");
        assert_eq!((page.status, page.text().as_str()), (500, "page"));
        assert_eq!(ringress.get("a.test", "/404").text(), "upstream");
    });
}
