//! What a log says of requests held against what the router would do with them; nothing is sent.

use tokio::time::Instant;

use super::outcome::{Difference, Outcome};
use super::read::{Input, Line};
use super::record::{Fate, Recorded};
use crate::cli::ExplainFrom;
use crate::explain::{Answer, Explainer, Explanation, NO_ENDPOINTS};

/// Upstream names under which ingress-nginx answers by itself.
const OWN_UPSTREAMS: [&str; 2] = ["upstream-default-backend", "internal"];

/// Statuses with which ingress-nginx sends a request elsewhere.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Compares what the input holds, until its end or the deadline.
pub(super) async fn run(from: &ExplainFrom, mut input: Input, deadline: Instant) -> Result<Outcome, String> {
    let explainer = Explainer::open(from).map_err(|error| error.to_string())?;
    let mut outcome = Outcome::default();
    while let Some(line) = input.next_before(deadline, &mut outcome).await {
        let Line::Request(recorded) = line else {
            outcome.unread += 1;
            continue;
        };
        let host = recorded.host.as_ref().or(input.host.as_ref()).filter(|_| recorded.fate != Fate::default());
        let Some(url) = host.map(|host| recorded.url(input.https, host)) else {
            outcome.unread += 1;
            continue;
        };
        let headers: Vec<String> = recorded.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        match explainer.ask(&url, &recorded.method, &headers, recorded.client).await {
            Ok(explanation) => {
                let differences = differences(&recorded, &explanation);
                outcome.add(format!("{} {url}", recorded.method), differences);
            }
            Err(error) if error.is_of_the_request() => outcome.unread += 1,
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(outcome)
}

fn differences(recorded: &Recorded, explanation: &Explanation) -> Vec<Difference> {
    let fate = &recorded.fate;
    let mut found = Vec::new();
    let logged: Vec<&str> =
        fate.upstreams.iter().map(String::as_str).filter(|name| !OWN_UPSTREAMS.contains(name)).collect();
    let is_known = |name: &&str| explanation.backends.iter().any(|backend| backend == name);
    let agrees = logged.iter().any(is_known) || (logged.is_empty() && explanation.backends.is_empty());
    if !agrees {
        let says_upstream = !fate.upstreams.is_empty() || fate.proxied.is_some();
        // A redirect made by the server itself has no upstream in the log, nor needs one.
        let redirects = logged.is_empty() && matches!(explanation.answer, Answer::Redirect { .. });
        if says_upstream && !redirects {
            found.push(Difference::new("backend", named(&logged), named(&explanation.backends)));
        }
    }
    let Some(status) = fate.status else { return found };
    let own = match &explanation.answer {
        Answer::Redirect { status, .. } | Answer::Refused { status, .. } => Some(*status),
        // Without endpoints in a folder it cannot be known what the backend would say.
        Answer::Status { reason, .. } if reason == NO_ENDPOINTS => None,
        Answer::Status { status, .. } => Some(*status),
        Answer::Proxied { .. } => None,
    };
    match own {
        Some(own) if own != status => found.push(Difference::new("status", status.to_string(), own.to_string())),
        None if fate.proxied == Some(false) && REDIRECTS.contains(&status) => {
            found.push(Difference::new("status", status.to_string(), "that of the backend"));
        }
        _ => {}
    }
    found
}

fn named<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation(answer: Answer, backends: &[&str]) -> Explanation {
        let json = serde_json::json!({"generation": 1, "request": "", "normalised_path": "/", "host": "a.test",
            "host_match": "exact", "answer": answer, "rule": null, "certificate": null, "others": [], "backends": backends});
        serde_json::from_value(json).unwrap()
    }

    fn of(line: &str, answer: &Answer, backends: &[&str]) -> Vec<String> {
        let end = format!("10.0.0.9 - - [t] \"GET / HTTP/1.1\" {line} 0af1");
        let found = differences(&Recorded::parse(&end).unwrap(), &explanation(answer.clone(), backends));
        found.iter().map(|difference| format!("{} {} {}", difference.what, difference.old, difference.new)).collect()
    }

    #[test]
    fn what_the_log_says_is_held_against_the_routes() {
        let proxied = Answer::Proxied { clusters: Vec::new() };
        let redirect = Answer::Redirect { status: 308, location: "x".into(), reason: String::new() };
        let nothing = Answer::Status { status: 404, reason: "no rule".into() };
        let empty = Answer::Status { status: 503, reason: NO_ENDPOINTS.into() };
        let refused = Answer::Status { status: 503, reason: "refused".into() };
        let served = r#"200 1 "-" "-" 1 0.1 [n-s-80] [] 10.0.0.1:80 1 0.1 200"#;
        let canary = r#"200 1 "-" "-" 1 0.1 [n-s-80] [n-c-80] 10.0.0.1:80 1 0.1 200"#;
        let sent_away = r#"308 1 "-" "-" 1 0.1 [n-s-80] [] - - - -"#;
        let unknown = r#"404 1 "-" "-" 1 0.1 [upstream-default-backend] [] 127.0.0.1:8181 1 0.1 404"#;
        let broken = r#"502 1 "-" "-" 1 0.1 [n-s-80] [] 10.0.0.1:80 1 0.1 502"#;
        let none: [&str; 0] = [];
        for (line, answer, backends) in [
            (served, &proxied, &["n-s-80"] as &[&str]),
            (served, &empty, &["n-s-80"]),
            (canary, &proxied, &["n-s-80", "n-c-80"]),
            (sent_away, &redirect, &["n-s-80"]),
            (unknown, &nothing, &[]),
            (broken, &proxied, &["n-s-80"]),
        ] {
            assert_eq!(of(line, answer, backends), none, "{line}");
        }
        assert_eq!(of(served, &proxied, &["n-t-80"]), ["backend n-s-80 n-t-80"]);
        assert_eq!(of(served, &redirect, &["n-s-80"]), ["status 200 308"]);
        assert_eq!(of(served, &refused, &["n-s-80"]), ["status 200 503"]);
        assert_eq!(of(sent_away, &proxied, &["n-s-80"]), ["status 308 that of the backend"]);
        assert_eq!(of(served, &nothing, &[]), ["backend n-s-80 none", "status 200 404"]);
        assert_eq!(of(unknown, &proxied, &["n-s-80"]), ["backend none n-s-80"]);
    }
}
