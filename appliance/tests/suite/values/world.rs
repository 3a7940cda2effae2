//! What stands around the options: services, Secrets and ConfigMaps that values may name, and what a host looks like
//! from outside.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::certificates::{Authority, Certificate, opaque};
use crate::support::client::{Connection, Response};
use crate::support::manifests::service;
use crate::support::origin::{Next, Origin, Received};
use crate::support::process::Ringress;

/// Origins that answer, and two that are asked who may pass.
pub(super) struct World {
    main: Origin,
    other: Origin,
    /// Lets everybody pass, and tells the upstream what it was asked.
    yes: Origin,
    /// Refuses everybody.
    no: Origin,
}

/// An origin whose answer has something of all that options change. `/status/404` is answered with that status, `/long`
/// with a head of 2 KB.
fn origin(name: &'static str) -> Origin {
    Origin::with(move |request, peer| {
        peer.read_body(request)?;
        let long = if request.target.starts_with("/long") { 2000 } else { 1 };
        let long = "x".repeat(long);
        let status = request.target.strip_prefix("/status/").and_then(|rest| rest.get(..3)?.parse().ok());
        let fields = [
            ("Content-Type", "application/json"),
            ("Location", "http://in.test/x"),
            ("Server", "origin"),
            ("X-Hidden", &long),
            ("Set-Cookie", "a=1; Path=/; Domain=in.test"),
        ];
        let body = format!("{name:<1000}");
        let body: &[u8] = if request.method == "HEAD" { b"" } else { body.as_bytes() };
        peer.answer(status.unwrap_or(200), &fields, body)?;
        Ok(Next::Keep)
    })
}

impl World {
    pub(super) fn new() -> Self {
        let yes = Origin::with(|request, peer| {
            let of = |name: &str| request.header(name).unwrap_or_default().to_owned();
            let (redirect, ask, method) = (of("x-auth-request-redirect"), of("x-ask"), request.method.clone());
            let fields = [
                ("X-Seen-Method", &*method),
                ("X-Seen-Redirect", &redirect),
                ("X-Seen-Ask", &ask),
                ("Set-Cookie", "s=1"),
            ];
            peer.answer(200, &fields, b"")?;
            Ok(Next::Keep)
        });
        let no = Origin::with(|_, peer| {
            peer.answer(401, &[], b"")?;
            Ok(Next::Keep)
        });
        Self { main: origin("main"), other: origin("other"), yes, no }
    }

    /// All that values may name.
    pub(super) fn objects(&self) -> Vec<Value> {
        let mut objects = [service("main", &[self.main.address]), service("other", &[self.other.address])].concat();
        let map = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
        objects.extend([
            Certificate::for_names(&["*.test"]).secret("cert"),
            Authority::named("an authority").secret("ca"),
            // The password is `secret`.
            opaque("users", &[("auth", "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")]),
            opaque("map", &[("ann", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")]),
            map("fields", json!({"X-Custom": "a $x"})),
            map("more", json!({"X-More": "1"})),
            map("ask", json!({"X-Ask": "of $host"})),
        ]);
        objects
    }

    /// The text of a value with the addresses of the origins in the place of their names in braces.
    pub(super) fn fill(&self, text: &str) -> String {
        text.replace("{yes}", &self.yes.address.to_string()).replace("{no}", &self.no.address.to_string())
    }

    /// What the upstream got of the request that was marked so.
    fn upstream(&self, mark: &str) -> Option<Received> {
        let of = |origin: &Origin| {
            origin.received().iter().rev().find(|request| request.header("x-mark") == Some(mark)).cloned()
        };
        of(&self.main).or_else(|| of(&self.other))
    }

    /// One request, marked, and what came of it on both sides.
    pub(super) fn ask(
        &self,
        ringress: &Ringress,
        host: &str,
        request: &Ask<'_>,
    ) -> io::Result<(Response, Option<Received>)> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mark = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let mut connection = match request.tls {
            true => Connection::tls(ringress.https, Some(host))?,
            false => Connection::plain(ringress.http)?,
        };
        let fields = [request.fields, &[("X-Mark", &*mark), ("Connection", "close")]].concat();
        let response = connection.request(request.method, host, request.target, &fields, b"")?;
        Ok((response, self.upstream(&mark)))
    }

    /// What a host does with requests of several kinds. Two hosts that are treated alike look alike.
    pub(super) fn look(&self, ringress: &Ringress, host: &str) -> Vec<String> {
        const FIELDS: &[(&str, &str)] = &[
            ("Origin", "https://o.test"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("X_Under", "1"),
            ("Accept-Encoding", "gzip, br"),
            ("User-Agent", "curl/8"),
            ("X-Kind", "yes"),
        ];
        const TOO_LONG: &[(&str, &str)] = &[("Content-Length", "1048577")];
        let of = |method, target, fields, tls| Ask { method, target, fields, tls };
        let all = [
            of("GET", "/x/y/?q=1", FIELDS, false),
            of("GET", "/x/y/", FIELDS, true),
            of("OPTIONS", "/", &FIELDS[..1], true),
            of("POST", "/", TOO_LONG, true),
            of("GET", "/status/404", &[], true),
        ];
        let lines = all.iter().map(|ask| match self.ask(ringress, host, ask) {
            Ok((response, received)) => described(host, &response, received.as_ref()),
            Err(error) => error.kind().to_string(),
        });
        lines.collect()
    }
}

/// A request without body.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) fields: &'a [(&'a str, &'a str)],
    pub(super) tls: bool,
}

/// A request's fate in words, without what differs from one to the next.
fn described(host: &str, response: &Response, received: Option<&Received>) -> String {
    let fields = |all: &[(String, String)]| {
        let fields = all.iter().filter(|(name, _)| !matches!(&**name, "x-mark" | "date" | "traceparent"));
        let field = |(name, value): &(String, String)| format!("{name}: {}", steady(name, value));
        fields.map(field).collect::<Vec<_>>().join(" | ")
    };
    let upstream =
        received.map(|request| format!("{} {} {}", request.method, request.target, fields(&request.headers)));
    let body = response.text().split(' ').next().unwrap_or_default().to_owned();
    format!("{} {} {body} <- {upstream:?}", response.status, fields(&response.headers)).replace(host, "HOST")
}

/// A value without what is random or of the moment.
fn steady(name: &str, value: &str) -> String {
    match name {
        "x-request-id" | "x-forwarded-port" => format!("{} characters", value.len()),
        "set-cookie" => {
            let mut parts = value.split("; ");
            let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default();
            let steady = parts.map(|part| if part.starts_with("Expires=") { "Expires" } else { part });
            std::iter::once(name).chain(steady).collect::<Vec<_>>().join("; ")
        }
        _ => value.to_owned(),
    }
}
