use super::*;
use crate::http::edge::Scheme;
use crate::http::head::HeadLimits;

/// What the upstream gets of this request, with `change` made to the defaults.
fn forwarded(text: &str, change: impl FnOnce(&mut Forward<'_>)) -> String {
    let buf = text.as_bytes();
    let mut head = RequestHead::default();
    head.parse(buf, &HeadLimits::default()).unwrap();
    let mut edge = EdgeFields::default();
    edge.render("192.0.2.1".parse().unwrap(), Scheme::Https, 443);
    let mut forward = Forward {
        host: head.authority(buf),
        forwarded_host: head.authority(buf),
        target: None,
        request_id: b"0123",
        edge: &edge,
        framing: head.framing,
        policy: FieldPolicy::default(),
        changes: Changes::NONE,
        hop: UpstreamHop::default(),
        trace: None,
        address_field: None,
        host_field: None,
    };
    change(&mut forward);
    let mut out = Vec::new();
    write_request(&mut out, &head, buf, &forward);
    String::from_utf8(out).unwrap()
}

fn request(lines: &str) -> String {
    format!("GET /a?b HTTP/1.1\r\nHost: a.test:8\r\n{lines}\r\n")
}

/// The client's fields of `lines` that pass, in their order.
fn passing(lines: &str, change: impl FnOnce(&mut Forward<'_>)) -> Vec<String> {
    let text = forwarded(&request(lines), change);
    let own = ["GET ", "Host: ", "X-Request-ID: 0123", "X-Forwarded-Host: a.test:8", "X-Real-IP: 192.0.2.1"];
    let own_too = ["X-Forwarded-For: 192", "X-Forwarded-Port: 443", "X-Forwarded-Proto: https"];
    let own_last = ["X-Forwarded-Scheme: https", "X-Scheme: https"];
    let is_own = |line: &str| own.iter().chain(&own_too).chain(&own_last).any(|start| line.starts_with(start));
    text.split("\r\n").filter(|line| !line.is_empty() && !is_own(line)).map(str::to_string).collect()
}

#[test]
fn the_head_is_built_from_parts() {
    let text = forwarded(&request("Accept: */*\r\nx-custom:  spaced\t\r\n"), |_| ());
    assert_eq!(
        text,
        "GET /a?b HTTP/1.1\r\nHost: a.test:8\r\nAccept: */*\r\nx-custom: spaced\r\nX-Request-ID: 0123\r\n\
         X-Forwarded-Host: a.test:8\r\nX-Real-IP: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Port: 443\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Scheme: https\r\nX-Scheme: https\r\n\r\n"
    );
}

#[test]
fn the_original_target_and_other_fields_of_origin_are_told_on_demand() {
    let lines = "CF-IP: 1.2.3.4\r\nX-Forwarded-For: 6.6.6.6\r\nX-Original-URI: /forged\r\nX-Host: h.test\r\n";
    let passed = passing(lines, |f| {
        f.policy = FieldPolicy { trust_forwarded: true, original_uri: true, ..f.policy };
        (f.address_field, f.host_field, f.request_id) = (Some("cf-ip"), Some("x-host"), b"");
    });
    let told = ["X-Original-URI: /a?b", "X-Original-Forwarded-For: 1.2.3.4", "X-Original-Forwarded-Host: h.test"];
    assert_eq!(passed, [&["CF-IP: 1.2.3.4", "X-Host: h.test"][..], &told].concat());
    assert!(!forwarded(&request(""), |f| f.request_id = b"").contains("X-Request-ID"));
}

#[test]
fn what_is_said_of_the_connection_can_be_fixed() {
    use ringress_config::snapshot::ConnectionWord;
    let upgrade = request("Connection: upgrade\r\nUpgrade: websocket\r\n");
    let close = UpstreamHop { connection: Some(ConnectionWord::Close), http_1_0: true };
    let text = forwarded(&upgrade, |f| f.hop = close);
    assert!(text.starts_with("GET /a?b HTTP/1.0\r\n") && text.contains("\r\nConnection: close\r\n"), "{text}");
    assert!(!text.contains("upgrade") && !text.contains("websocket"));
    assert!(forwarded(&upgrade, |_| ()).contains("\r\nConnection: upgrade\r\n"));
}

#[test]
fn http_1_0_requests_and_absolute_targets_go_up_as_1_1_in_origin_form() {
    let text = forwarded("GET http://b.test HTTP/1.0\r\n\r\n", |_| ());
    assert!(text.starts_with("GET / HTTP/1.1\r\nHost: b.test\r\n"), "{text}");
}

#[test]
fn hop_by_hop_fields_and_what_connection_names_stay_behind() {
    let lines = "Connection: close, X-Secret\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nTrailer: X\r\n\
                 Upgrade: websocket\r\nProxy: http://evil\r\nProxy-Authorization: x\r\nExpect: 100-continue\r\n\
                 x-secret: 1\r\nX-Public: 2\r\n";
    assert_eq!(passing(lines, |_| ()), ["X-Public: 2"]);
}

#[test]
fn connection_cannot_take_away_what_the_proxy_answers_for() {
    let lines = "Connection: host, x-forwarded-for, x-real-ip, authorization, x-request-id\r\nAuthorization: z\r\n";
    assert_eq!(passing(lines, |_| ()), ["Authorization: z"]);
}

#[test]
fn forwarding_fields_of_clients_are_replaced() {
    let lines = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: x\r\n\
                 X-Forwarded-Port: 1\r\nX-Forwarded-Scheme: x\r\nX-Scheme: x\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6\r\n\
                 X-Forwarded-Prefix: /x\r\nX-Original-Forwarded-For: 1\r\nSSL-Client-Verify: SUCCESS\r\n\
                 X-Original-URI: /y\r\nX-Request-ID: theirs\r\n";
    let expected = ["X-Original-Forwarded-For: 6.6.6.6, 7.7.7.7", "X-Original-Forwarded-Host: evil"];
    assert_eq!(passing(lines, |_| ()), expected);
}

#[test]
fn believed_clients_keep_the_fields_that_the_edge_does_not_write() {
    let lines = "X-Forwarded-Prefix: /x\r\nForwarded: for=6\r\nX-Real-IP: 6.6.6.6\r\nssl-client-cert: x\r\n";
    assert_eq!(passing(lines, |f| f.policy.trust_forwarded = true), ["X-Forwarded-Prefix: /x", "Forwarded: for=6"]);
}

#[test]
fn names_that_upstreams_could_confuse_are_dropped_unless_allowed() {
    let lines = "X_A: 1\r\nX.B: 2\r\nX_Forwarded_For: 3\r\nContent_Length: 4\r\nProxy_Connection: 5\r\n";
    assert!(passing(lines, |_| ()).is_empty());
    assert_eq!(passing(lines, |f| f.policy.unusual_names = true), ["X.B: 2"]);
    assert_eq!(passing(lines, |f| f.policy.underscores = true), ["X_A: 1"], "twins of dropped fields stay dropped");
}

#[test]
fn framing_is_written_once_and_anew() {
    let chunked = passing("Transfer-Encoding:\tCHUNKED\r\n", |_| ());
    assert_eq!(chunked, ["Transfer-Encoding: chunked"]);
    assert_eq!(passing("content-length:5\r\n", |_| ()), ["Content-Length: 5"]);
    let buffered = passing("Transfer-Encoding: chunked\r\n", |f| f.framing = BodyFraming::Length(12));
    assert_eq!(buffered, ["Content-Length: 12"]);
}

#[test]
fn an_upgrade_is_passed_on() {
    let lines = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n";
    let expected = ["Sec-WebSocket-Key: k", "Connection: upgrade", "Upgrade: websocket"];
    assert_eq!(passing(lines, |_| ()), expected);
    assert!(passing("Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n", |_| ()).is_empty());
}

#[test]
fn set_and_removed_fields() {
    let lines = "A: 1\r\nB: 2\r\nC: 3\r\na: 4\r\n";
    let changes = Box::leak(Box::<Changes<'static>>::default());
    changes.set(b"a", b"new\r\nX: y");
    changes.remove(b"b");
    assert_eq!(passing(lines, |f| f.changes = changes), ["C: 3", "a: new  X: y"]);
}

#[test]
fn a_rewritten_target_replaces_the_clients() {
    let text = forwarded(&request(""), |f| f.target = Some(b"/new path\r\n?q"));
    assert!(text.starts_with("GET /new%20path%0D%0A?q HTTP/1.1\r\n"), "{text}");
    assert!(forwarded(&request(""), |f| f.target = Some(b"x")).starts_with("GET /x HTTP/1.1\r\n"));
}

#[test]
fn request_ids_are_32_hex_digits_and_different() {
    let mut random = fastrand::Rng::with_seed(7);
    let ids = [new_request_id(&mut random), new_request_id(&mut random)];
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        assert!(id.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{id:?}");
    }
}

#[test]
fn hex_digits_are_those_of_the_word() {
    for word in [0, u64::MAX, 0x0123_4567_89ab_cdef, 0x8000_0000_0000_0001] {
        assert_eq!(std::str::from_utf8(&hex_digits(word)), Ok(format!("{word:016x}").as_str()));
    }
}

#[test]
fn a_clients_request_id_is_kept_when_fit() {
    let id = |value: &str| {
        let text = request(&format!("X-Request-ID: {value}\r\n"));
        let mut head = RequestHead::default();
        head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
        client_request_id(&head, text.as_bytes()).map(<[u8]>::to_vec)
    };
    assert_eq!(id("req-17"), Some(b"req-17".to_vec()));
    assert_eq!(id(&"x".repeat(128)), Some(vec![b'x'; 128]));
    assert_eq!(id(&"x".repeat(129)), None);
    assert_eq!(id("a b"), None);
    assert_eq!(id(""), None);
}

#[test]
fn a_trace_takes_the_place_of_what_the_client_says_of_one() {
    let lines = "traceparent: forged\r\nTraceState: x=1\r\nAccept: */*\r\ntracestate: y=2\r\n";
    let all = ["traceparent: forged", "TraceState: x=1", "Accept: */*", "tracestate: y=2"];
    assert_eq!(passing(lines, |_| ()), all, "without one it is the client's own affair");
    let trace = |state| Some(TraceFields { parent: b"00-ours", state });
    assert_eq!(passing(lines, |f| f.trace = trace(b"a=1")), ["Accept: */*", "traceparent: 00-ours", "tracestate: a=1"]);
    assert_eq!(passing(lines, |f| f.trace = trace(b"")), ["Accept: */*", "traceparent: 00-ours"]);
    let changes = Box::leak(Box::<Changes<'static>>::default());
    changes.set(b"Traceparent", b"set");
    let passed = passing(lines, |f| (f.trace, f.changes) = (trace(b"a=1"), changes));
    assert_eq!(passed, ["Accept: */*", "Traceparent: set"], "the operator has the last word");
}
