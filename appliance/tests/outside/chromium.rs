//! Chromium as a peer: a page, events and a WebSocket over TLS and HTTP/2; and the dashboard in it, with objects whose
//! names are markup, from a name that somebody else could own, and asked by a page of another origin.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::output;
use crate::python::{Peer, Server};
use crate::support::certificates::Certificate;
use crate::support::client;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Ringress, on_each_driver};

/// Says in its title what came back on each way.
const PAGE: &str = r#"<!doctype html><title>waiting</title><script>
const event = new Promise((done, fail) => {
  const source = new EventSource("/events"), seen = [];
  source.onmessage = e => { seen.push(e.data); if (seen.length === 3) { source.close(); done(seen.join("+")); } };
  source.onerror = () => fail("events");
});
const echo = new Promise((done, fail) => {
  const socket = new WebSocket(`wss://${location.host}/ws`);
  socket.onopen = () => socket.send("through");
  socket.onmessage = e => { done(e.data); socket.close(1000); };
  socket.onerror = () => fail("socket");
});
const posted = fetch("/post", { method: "POST", body: "x".repeat(300000) }).then(a => a.text());
Promise.all([event, echo, posted]).then(all => document.title = "done " + all.join(" "), e => document.title = "done failed " + e);
</script>"#;

fn peer() -> Peer {
    Peer::new("websockets==15.0.1", "websockets", "chromium_peer.py")
}

fn told(text: &str) -> Value {
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("no JSON: {text}"))
}

#[test]
fn a_page_with_events_and_a_websocket_works_in_chromium() {
    let (peer, echo) = (peer(), Peer::new("websockets==15.0.1", "websockets", "websocket_peer.py"));
    on_each_driver(|driver| {
        let server = Server::start(&echo);
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            match request.target.as_str() {
                "/" => peer.answer(200, &[("content-type", "text/html")], PAGE.as_bytes())?,
                "/post" => peer.answer(200, &[], request.body.len().to_string().as_bytes())?,
                "/events" => {
                    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
                    for event in ["one", "two", "three"] {
                        peer.send(format!("data: {event}\n\n").as_bytes())?;
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    // The page closes it; else it would be asked for again.
                    let _ended = peer.receive(&mut [0; 1])?;
                    return Ok(Next::Close);
                }
                _ => peer.answer(404, &[], b"")?,
            }
            Ok(Next::Keep)
        });
        let mut objects = service("origin", &[origin.address]);
        objects.extend(service("echo", &[server.address]));
        objects.push(Certificate::for_names(&["a.test"]).secret("cert"));
        let both = ingress("a").tls("a.test", "cert").prefix("a.test", "/", "origin");
        objects.push(both.prefix("a.test", "/ws", "echo").build());
        let mut ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let base = format!("https://a.test:{}/", ringress.https.port());
        let seen = told(&output(peer.command("page").arg(ringress.https.ip().to_string()).arg(&base)));
        println!("Chromium: {seen}");
        assert_eq!(seen["title"], "done one+two+three through 300000", "{seen}");
        for path in ["", "events", "post"] {
            assert_eq!(seen["protocols"][format!("{base}{path}")], "h2", "{seen}");
        }
        // By HTTP/1.1 with 101, or on the session that is there with 200 (RFC 8441): the browser's choice.
        assert!(seen["websocket"] == json!([101]) || seen["websocket"] == json!([200]), "{seen}");
        ringress.assert_alive();
    });
}

/// Markup where names and texts of objects are shown. It would set `ran`.
const MARKUP: &str = "<img src=x onerror=window.ran=1><script>window.ran=1</script>";

fn shown(origin: &Origin) -> Vec<Value> {
    let mut objects = service("storefront", &[origin.address]);
    objects.extend(service("checkout", &[origin.address]));
    objects.extend(service("accounts", &[]));
    objects.push(Certificate::for_names(&["shop.example.com", "api.example.com"]).secret("example-com"));
    let shop = ingress("shop").without_redirect().tls("shop.example.com", "example-com");
    let shop = shop.prefix("shop.example.com", "/", "storefront").prefix("shop.example.com", "/cart", "checkout");
    objects.push(shop.build());
    let api = ingress("api").without_redirect().tls("api.example.com", "example-com").annotation("limit-rps", "100");
    objects.push(api.prefix("api.example.com", "/v1", "checkout").prefix("api.example.com", "/me", "accounts").build());
    objects.push(
        ingress("docs").annotation("ssl-ciphers", "AES128-SHA").prefix("docs.example.com", "/", "storefront").build(),
    );
    objects.push(
        ingress("old")
            .annotation("configuration-snippet", "more_set_headers x;")
            .prefix("old.example.com", "/", "storefront")
            .build(),
    );
    objects
}

/// Objects that say markup wherever they can say something.
fn hostile(host: &str) -> Vec<Value> {
    let mut named = ingress(MARKUP).tls(host, MARKUP).annotation("proxy-body-size", MARKUP).annotation(MARKUP, MARKUP);
    named = named.prefix(host, &format!("/{MARKUP}"), MARKUP);
    let mut objects = vec![named.build()];
    objects.push(
        ingress("markup")
            .annotation("server-alias", MARKUP)
            .annotation("limit-rps", MARKUP)
            .prefix(host, "/x", MARKUP)
            .build(),
    );
    objects.push(ingress("markup-host").prefix(MARKUP, "/", "storefront").build());
    objects
}

/// A page of another origin that tries to read the API and to have it act.
const ASKING: &str = r#"<!doctype html><title>waiting</title><script>
const admin = "http://ADMIN";
const reads = path => fetch(admin + path).then(a => a.text()).then(() => "read", () => "refused");
const acts = fetch(admin + "/api/sync", { method: "POST", mode: "no-cors" }).then(() => "sent", () => "refused");
Promise.all([reads("/api/status"), reads("/api/explain?url=http://x/"), reads("/metrics"), acts])
  .then(all => document.title = "done " + all.join(" "));
</script>"#;

#[test]
fn the_dashboard_is_safe_and_shown_well_in_chromium() {
    let peer = peer();
    on_each_driver(|driver| {
        let asking = Arc::<std::sync::Mutex<String>>::default();
        let page = Arc::clone(&asking);
        let origin = Origin::with(move |request, peer| {
            peer.read_body(request)?;
            let page = page.lock().expect("no panic").clone();
            match request.target.as_str() {
                "/asking" => peer.answer(200, &[("content-type", "text/html")], page.as_bytes())?,
                "/cart/fails" => peer.answer(500, &[], b"")?,
                "/v1/missing" => peer.answer(404, &[], b"")?,
                _ => peer.answer(200, &[], b"hello")?,
            }
            Ok(Next::Keep)
        });
        let mut objects = shown(&origin);
        objects.push(ingress("asking").prefix("asking.test", "/", "storefront").build());
        let builder = Ringress::on(driver).manifest("all.json", file(objects));
        let to_be_shown = std::env::var_os("RINGRESS_SCREENSHOTS").map(PathBuf::from);
        let ringress = match &to_be_shown {
            // As it looks where nobody means harm.
            Some(_) => builder.start(),
            None => builder.manifest("hostile.json", file(hostile("markup.example.com"))).start(),
        };
        *asking.lock().expect("no panic") = ASKING.replace("ADMIN", &ringress.admin.to_string());
        let folder = to_be_shown.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
        let points = if to_be_shown.is_some() { "35" } else { "3" };
        let traffic = Traffic::start(&ringress);
        let from = format!("http://asking.test:{}/asking", ringress.http.port());
        let seen = told(&output(
            peer.command("dashboard")
                .args([&ringress.admin.ip().to_string(), &ringress.admin.to_string(), &from])
                .arg(&folder)
                .arg(points),
        ));
        drop(traffic);
        let text = seen["text"].as_str().expect("a text");
        assert_eq!((&seen["ran"], &seen["elements"], &seen["dialogs"]), (&json!("undefined"), &json!(0), &json!(0)));
        assert!(to_be_shown.is_some() || text.contains("<img src=x"), "markup is shown as it is written: {text}");
        for word in ["shop.example.com", "default/api", "AES128-SHA", "storefront"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!(seen["complaints"], json!([]), "{seen}");
        let own = format!("http://{}/", ringress.admin);
        for request in seen["requests"].as_array().expect("a list") {
            assert!(request.as_str().is_some_and(|url| url.starts_with(&own)), "{request}");
        }
        for (name, width) in [("desktop", 1280), ("desktop-dark", 1280), ("phone", 390), ("phone-dark", 390)] {
            assert_eq!(seen["widths"][name], width, "nothing sticks out: {name}");
        }
        assert_eq!((&seen["rebound"], &seen["across"]), (&json!([403]), &json!("done refused refused refused sent")));
        let before = ringress.status()["generation"].clone();
        assert!(!before.is_null(), "it goes on");
    });
}

/// Requests as of an ordinary day, for the page to show; ends with it.
struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Traffic {
    fn start(ringress: &Ringress) -> Self {
        let (address, stop) = (ringress.http, Arc::<AtomicBool>::default());
        let told = Arc::clone(&stop);
        let asked = [
            ("shop.example.com", "/"),
            ("shop.example.com", "/cart"),
            ("shop.example.com", "/"),
            ("api.example.com", "/v1/items"),
            ("api.example.com", "/v1/missing"),
            ("docs.example.com", "/guide"),
        ];
        let thread = std::thread::spawn(move || {
            let mut turn = 0_usize;
            while !told.load(Ordering::SeqCst) {
                let (host, target) = if turn.is_multiple_of(97) {
                    ("shop.example.com", "/cart/fails")
                } else {
                    asked[turn % asked.len()]
                };
                // Ends with the process at the latest.
                let _answer = client::try_once(address, "GET", host, target);
                turn += 1;
                // More and less, so that there is a curve.
                std::thread::sleep(Duration::from_millis(2 + (turn / 200 % 6) as u64));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}
