//! `ringress shadow` as a program: what is sent, what is held against what, how it ends.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin, refusing_address};
use crate::support::process::{Ringress, on_each_driver, run};

/// Runs it on these requests; exit code and JSON.
fn shadow(requests: &str, arguments: &[String]) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests");
    std::fs::write(&path, requests).unwrap();
    let mut line = vec!["shadow".to_owned(), path.display().to_string(), "--output=json".to_owned()];
    line.extend_from_slice(arguments);
    let (code, out, error) = run(line);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}")))
}

fn between(old: &Origin, new: &Origin) -> Vec<String> {
    ["--rate=1000".to_owned(), format!("--old=http://{}", old.address), format!("--new=http://{}", new.address)].into()
}

/// A controller that answers by path.
fn controller(name: &'static str, moved_to: &'static str) -> Origin {
    let asked = AtomicUsize::new(0);
    Origin::with(move |request, peer| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        match request.target.as_str() {
            "/moved" => peer.answer(308, &[("Location", moved_to)], b"")?,
            "/gone" if name == "new" => peer.answer(404, &[("Content-Type", "text/plain")], b"")?,
            "/mood" if name == "new" && first => peer.answer(500, &[], b"")?,
            "/cookie" => peer.answer(200, &[("Set-Cookie", &format!("{name}=1; Path=/")), ("X-Pod", name)], b"")?,
            _ => peer.answer(200, &[("Date", name), ("X-Pod", "same")], b"")?,
        }
        Ok(Next::Keep)
    })
}

#[test]
fn answers_of_two_controllers_are_compared_and_each_difference_is_named() {
    let (old, new) = (controller("old", "https://a.test/1"), controller("new", "https://a.test/2"));
    let mut arguments = between(&old, &new);
    arguments.extend(["--header=x-frame".to_owned(), "--backend-header=X-Pod".to_owned()]);
    let requests =
        "GET http://a.test/same\nGET http://a.test/moved\nGET http://a.test/gone\nGET http://a.test/cookie\n";
    let (code, found) = shadow(requests, &arguments);
    assert_eq!(
        (code, &found["compared"], &found["same"], &found["differ"]),
        (Some(1), &json!(4), &json!(1), &json!(3))
    );
    let mut differences = found["differences"].as_array().unwrap().clone();
    differences.sort_by_key(|differing| differing["request"].to_string());
    let of = |at: usize| (&differences[at]["request"], &differences[at]["differences"]);
    let difference = |what: &str, old: &str, new: &str| json!({"what": what, "old": old, "new": new});
    let cookie = json!([difference("backend", "old", "new"), difference("cookies", "old", "new")]);
    let gone = json!([
        difference("status", "200", "404"),
        difference("backend", "same", "none"),
        difference("content-type", "none", "text/plain"),
    ]);
    let moved = json!([difference("location", "https://a.test/1", "https://a.test/2")]);
    assert_eq!(of(0), (&json!("GET a.test/cookie"), &cookie));
    assert_eq!(of(1), (&json!("GET a.test/gone"), &gone));
    assert_eq!(of(2), (&json!("GET a.test/moved"), &moved));
}

#[test]
fn what_may_change_something_is_not_sent_and_nothing_is_sent_twice_without_need() {
    let (old, new) = (controller("old", ""), controller("new", ""));
    let requests = "POST http://a.test/x\nGET http://a.test/x\n  X-Own: 1\nGET http://a.test/x\n  X-Own: 1\nnonsense\n";
    let (code, found) = shadow(requests, &between(&old, &new));
    let counts = ["compared", "differ", "unsafe", "repeated", "unread"].map(|name| found[name].clone());
    assert_eq!((code, counts), (Some(0), [json!(1), json!(0), json!(1), json!(1), json!(1)]));
    for origin in [&old, &new] {
        let received = origin.received();
        assert_eq!(received.len(), 1);
        let fields = ["host", "x-own", "user-agent"].map(|name| received[0].header(name));
        assert_eq!(fields, [Some("a.test"), Some("1"), Some("ringress-shadow")]);
    }
    let mut all = between(&old, &new);
    all.push("--all-methods".to_owned());
    assert_eq!(shadow("POST http://a.test/x\n", &all).1["compared"], 1);
    assert_eq!(old.received().last().unwrap().method, "POST");
}

#[test]
fn a_difference_that_does_not_come_again_is_a_mood() {
    let (old, new) = (controller("old", ""), controller("new", ""));
    let (code, found) = shadow("GET http://a.test/mood\n", &between(&old, &new));
    assert_eq!((code, &found["unsteady"], &found["differ"]), (Some(0), &json!(1), &json!(0)));
    assert_eq!(new.received().len(), 2);
}

#[test]
fn a_controller_that_gives_no_answer_differs_and_two_are_nothing_compared() {
    let old = controller("old", "");
    let nobody = refusing_address();
    let arguments = [format!("--old=http://{}", old.address), format!("--new=http://{nobody}")];
    let (code, found) = shadow("GET http://a.test/\n", &arguments);
    assert_eq!((code, &found["differences"][0]["differences"][0]["old"]), (Some(1), &json!("200")));
    let arguments = [format!("--old=http://{nobody}"), format!("--new=http://{nobody}")];
    let (code, found) = shadow("GET http://a.test/\n", &arguments);
    assert_eq!((code, &found["unanswered"]), (Some(2), &json!(1)));
    let (code, _, error) = run(["shadow", "no-such-file", "--source=dir:."]);
    assert!(code == Some(2) && error.contains("no-such-file"), "{error}");
}

#[test]
fn a_silent_controller_costs_its_timeout_and_the_whole_is_bounded() {
    let old = controller("old", "");
    let silent = Origin::with(|_, peer| {
        // Until the other side goes.
        let _gone = peer.receive(&mut [0; 1])?;
        Ok(Next::Close)
    });
    let mut arguments = between(&old, &silent);
    arguments.push("--timeout=100ms".to_owned());
    let (code, found) = shadow("GET http://a.test/\n", &arguments);
    let answer = found["differences"][0]["differences"][0]["new"].as_str().unwrap();
    assert!(code == Some(1) && answer.contains("no answer within 100ms"), "{found}");
}

#[test]
fn an_access_log_is_replayed_over_tls_against_a_running_instance() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut objects = service("one", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "one").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let line = |target: &str| {
            format!(
                r#"10.0.0.9 - - [24/Nov/2026:10:00:00 +0000] "GET {target} HTTP/1.1" 200 3 "-" "curl/8" 80 0.004 [default-one-80] [] {} 3 0.002 200 0af1"#,
                origin.address
            )
        };
        let arguments = [
            "--host=a.test".to_owned(),
            format!("--old=http://{}", ringress.http),
            format!("--new=https://{}", ringress.https),
        ];
        let (code, found) = shadow(&format!("{}\n{}\n", line("/"), line("/x?y")), &arguments);
        // The one and only difference of the two listeners.
        let differences = &found["differences"][0]["differences"];
        assert_eq!(
            (code, &found["compared"], &differences[0]["what"]),
            (Some(1), &json!(2), &json!("strict-transport-security"))
        );
        assert_eq!(differences.as_array().unwrap().len(), 1, "{found}");
        assert!(origin.received().iter().all(|request| request.header("user-agent") == Some("curl/8")));
    });
}

fn offline(log: &str, from: &str) -> (Option<i32>, Value) {
    shadow(log, &[from.to_owned(), "--scheme=http".to_owned(), "--host=a.test".to_owned()])
}

#[test]
fn a_log_is_held_against_the_routes_of_a_folder_or_an_instance_and_nothing_is_sent() {
    on_each_driver(|driver| {
        let origin = Origin::named("one");
        let mut objects = service("one", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "one").path("a.test", "Exact", "/two", "two").build());
        let ringress = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let line = |target: &str, upstream: &str| {
            format!(
                r#"10.0.0.9 - - [24/Nov/2026:10:00:00 +0000] "GET {target} HTTP/1.1" 200 3 "-" "-" 80 0.004 [{upstream}] [] 10.0.0.1:80 3 0.002 200 0af1"#
            )
        };
        let json = r#"{"host":"b.test","request_method":"GET","uri":"/","status":200,"proxy_upstream_name":"x-y-80","scheme":"http"}"#;
        let same = format!("{}\n{}\n", line("/", "default-one-80"), line("/two", "default-two-80"));
        let other = format!("{}\n{json}\n", line("/two", "default-one-80"));
        for from in [format!("--source=dir:{}", folder(ringress.manifests())), format!("--admin={}", ringress.admin)] {
            let (code, found) = offline(&same, &from);
            assert_eq!((code, &found["compared"], &found["differ"]), (Some(0), &json!(2), &json!(0)), "{found}");
            let (code, found) = offline(&other, &from);
            assert_eq!((code, &found["differ"]), (Some(1), &json!(2)), "{found}");
            let first = json!([{"what": "backend", "old": "default-one-80", "new": "default-two-80"}]);
            assert_eq!(found["differences"][0], json!({"request": "GET http://a.test/two", "differences": first}));
        }
        assert!(origin.received().is_empty());
    });
}

fn folder(path: &Path) -> String {
    path.display().to_string()
}
