use super::*;

use crate::http::edge::Scheme;
use crate::http::head::{HeadLimits, Progress};
use crate::http::request::RequestHead;

const HEAD: &[u8] = b"GET /a%20b?x=\"1 HTTP/1.1\r\nHost: A.test:80\r\nUser-Agent: it's \\ \xc3\xa9 \xff\r\n\r\n";

fn address() -> SocketAddr {
    "192.0.2.1:4711".parse().unwrap()
}

/// The line of a request for `HEAD` in this form.
fn line(format: &LogFormat<RequestValue>, change: impl Fn(&mut Entry<'_>)) -> String {
    let mut head = RequestHead::default();
    let limits = HeadLimits { line_bytes_max: 1 << 10, head_bytes_max: 1 << 10, fields_max: 10 };
    assert!(matches!(head.parse(HEAD, &limits), Ok(Progress::Complete)));
    let request = policy::Request {
        head: &head,
        bytes: HEAD,
        path: b"/a b",
        scheme: Scheme::Https,
        over_tls: true,
        client: address().ip(),
        client_port: address().port(),
        forwarded_for: b"",
        port: 443,
        host: b"A.test:80",
        request_id: b"id-1",
        secured: &crate::tls::Secured::Not,
        suite: crate::tls::Suite::default(),
        trace: None,
    };
    let labels = RouteLabels {
        namespace: "shop".into(),
        ingress: "web".into(),
        service: "cart".into(),
        service_port: "80".into(),
        host: "a.test".into(),
        path: "/".into(),
    };
    let mut trail = Trail::default();
    trail.begin("10.0.0.1:80".parse().unwrap());
    trail.fail(502, Duration::from_millis(3));
    trail.begin("10.0.0.2:80".parse().unwrap());
    *trail.open().unwrap() =
        Attempt { status: 200, length: 7, response: Some(Duration::from_millis(1040)), ..*trail.open().unwrap() };
    let mut entry = Entry {
        request: Ok(&request),
        peer: address(),
        labels: Some(&labels),
        client_auth: None,
        noted: None,
        protocol: "HTTP/1.1",
        connection_requests: 3,
        status: 200,
        bytes_sent: 150,
        body_bytes_sent: 7,
        bytes_received: 90,
        duration: Duration::from_micros(1_043_999),
        alternative: None,
        trail: &trail,
        trace: None,
    };
    change(&mut entry);
    let mut clock = Clock { now: Duration::from_millis(1_764_013_980_123), ..Clock::default() };
    clock.say(Timestamp::from_second(1_764_013_980).unwrap(), &TimeZone::fixed(jiff::tz::offset(-3)));
    let (mut line, mut value) = (Vec::new(), Vec::new());
    write(&mut line, &mut value, format, &clock, &entry);
    String::from_utf8(line).unwrap()
}

fn escaped(text: &str, escape: Escape) -> String {
    line(&LogFormat::parse(text, escape).0, |_| {})
}

fn as_is(text: &str) -> String {
    escaped(text, Escape::Hex)
}

#[test]
fn the_default_form_is_that_of_ingress_nginx() {
    let (mut text, mut value) = (Vec::new(), Vec::new());
    let trail = Trail::default();
    let entry = Entry {
        request: Err(b"PUT /\xff x\r\nmore"),
        peer: address(),
        labels: None,
        client_auth: None,
        noted: None,
        protocol: "HTTP/1.1",
        connection_requests: 0,
        status: 400,
        bytes_sent: 0,
        body_bytes_sent: 0,
        bytes_received: 0,
        duration: Duration::ZERO,
        alternative: None,
        trail: &trail,
        trace: None,
    };
    let mut clock = Clock::default();
    clock.say(Timestamp::from_second(0).unwrap(), &TimeZone::UTC);
    write(&mut text, &mut value, &LogFormat::default(), &clock, &entry);
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"PUT /\\xFF x\" 400 0 \"-\" \"-\" 0 0.000 [upstream-default-backend] [] \
         - - - - -\n"
    );
}

#[test]
fn times_are_those_of_the_zone() {
    assert_eq!(as_is("$time_local"), "24/Nov/2025:16:53:00 -0300\n");
    assert_eq!(as_is("$time_iso8601 $msec"), "2025-11-24T16:53:00-03:00 1764013980.123\n");
}

#[test]
fn every_attempt_is_listed() {
    let text = "$upstream_addr $upstream_status $upstream_response_length $upstream_response_time";
    assert_eq!(as_is(text), "10.0.0.1:80, 10.0.0.2:80 502, 200 0, 7 0.003, 1.040\n");
}

#[test]
fn values_of_requests_and_routes() {
    assert_eq!(as_is("$proxy_upstream_name [$proxy_alternative_upstream_name]"), "shop-cart-80 []\n");
    assert_eq!(as_is("$status $bytes_sent $body_bytes_sent $request_length $request_time"), "200 150 7 90 1.043\n");
    assert_eq!(as_is("$host $http_host $scheme $https $req_id"), "a.test A.test:80 https on id-1\n");
    assert_eq!(as_is("$http_referer $cookie_x $remote_user $geoip_city"), "- - - -\n");
    assert_eq!(escaped("$http_referer|$geoip_city", Escape::Json), "|\n");
}

#[test]
fn what_a_client_sends_cannot_end_a_value() {
    assert_eq!(as_is("\"$request\""), "\"GET /a%20b?x=\\x221 HTTP/1.1\"\n");
    assert_eq!(as_is("$http_user_agent"), "it's \\x5C \\xC3\\xA9 \\xFF\n");
    assert_eq!(escaped("$args", Escape::Json), "x=\\\"1\n");
    assert_eq!(escaped("$http_user_agent", Escape::Json), "it's \\\\ é \u{fffd}\n");
    let mut out = Vec::new();
    escape(Escape::None, b"a\nb\x7f", &mut out);
    escape(Escape::Json, b"\n\x01", &mut out);
    assert_eq!(out, b"a b \\n\\u0001");
}

#[test]
fn the_built_in_json_form_is_json_for_every_request() {
    let changes: [fn(&mut Entry<'_>); 3] = [|_| {}, |entry| entry.request = Err(b""), |entry| entry.labels = None];
    for change in changes {
        let text = line(&LogFormat::json(), change);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!((&value["status"], &value["request_time"]), (&200.into(), &1.043.into()));
    }
}

#[test]
fn the_trace_of_a_request_has_its_variables() {
    let text =
        "$opentelemetry_trace_id $opentelemetry_span_id $opentelemetry_context_traceparent $opentelemetry_sampled";
    let (format, unknown) = LogFormat::parse(text, Escape::Hex);
    assert!(unknown.is_empty(), "{unknown:?}");
    let trace = Active::example();
    let line = |traced: bool| {
        let (mut line, mut value) = (Vec::new(), Vec::new());
        let entry = Entry {
            request: Err(b"PUT /\xff x\r\nmore"),
            peer: address(),
            labels: None,
            client_auth: None,
            noted: None,
            protocol: "HTTP/1.1",
            connection_requests: 1,
            status: 200,
            bytes_sent: 0,
            body_bytes_sent: 0,
            bytes_received: 0,
            duration: Duration::ZERO,
            alternative: None,
            trail: &Trail::default(),
            trace: traced.then_some(&trace),
        };
        write(&mut line, &mut value, &format, &Clock::default(), &entry);
        String::from_utf8(line).unwrap()
    };
    let (trace_id, span_id) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    assert_eq!(line(true), format!("{trace_id} {span_id} 00-{trace_id}-{span_id}-01 1\n"));
    assert_eq!(line(false), "- - - -\n");
}

#[test]
fn of_a_head_that_could_not_be_read_the_first_line_is_told() {
    let line = |received: &'static [u8]| {
        let (format, _) = LogFormat::parse("\"$request\" $status", Escape::Hex);
        line(&format, |entry| entry.request = Err(received))
    };
    assert_eq!(line(b"GET /a\xff \"x\r\nHost: a\r\n"), "\"GET /a\\xFF \\x22x\" 200\n");
    assert_eq!(line(b""), "\"\" 200\n");
    assert_eq!(line(&[b'a'; 5000]).len(), "\"\" 200\n".len() + UNREAD_BYTES_MAX);
}
