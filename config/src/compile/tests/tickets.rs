//! Shared keys of session tickets: what is used, what is not, and what is kept.

use super::*;

fn sharing() -> Compiler {
    let ticket_secret = Some(ObjectKey::new("default", "tickets"));
    compiler(Options { ticket_secret, configmap: Some(ObjectKey::new("default", "options")), ..Options::default() })
}

fn secret(values: &[(&str, usize)]) -> String {
    let values: Vec<_> = values.iter().map(|(name, size)| format!("{name}: {}", "k".repeat(*size))).collect();
    format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: tickets}}\nstringData: {{{}}}\n", values.join(", "))
}

fn options(key: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: options}}\ndata: {{ssl-session-ticket-key: '{key}'}}\n"
    )
}

fn used(compiled: &Compiled) -> Vec<u64> {
    compiled.snapshot.tickets.iter().flat_map(|keys| keys.rotated.iter().map(|key| key.from)).collect()
}

fn messages(compiled: &Compiled) -> Vec<String> {
    compiled.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn keys_come_with_the_secret_and_go_with_it() {
    let mut compiler = sharing();
    let none = compiler.compile();
    assert!(none.snapshot.tickets.is_none());
    assert!(
        messages(&none)[0].starts_with("warning Secret default/tickets: is the --ticket-secret and does not exist")
    );
    let two = compiler.apply(&secret(&[("key-20", 32), ("key-3", 80)]));
    assert!(two.changed && two.findings.is_empty(), "{:?}", two.findings);
    assert_eq!(used(&two), [3, 20]);
    assert!(!compiler.apply(&secret(&[("key-20", 32), ("key-3", 80)])).changed);
    let gone = compiler.delete(Kind::Secret, "tickets");
    assert!(gone.changed && gone.snapshot.tickets.is_none());
}

#[test]
fn a_broken_secret_keeps_the_keys_before_and_says_what_is_wrong_without_the_value() {
    let mut compiler = sharing();
    compiler.apply(&secret(&[("key-20", 32)]));
    let partly = compiler.apply(&secret(&[("key-20", 32), ("key-21", 31), ("tls.key", 9), ("key-x", 32)]));
    assert_eq!(used(&partly), [20]);
    assert_eq!(partly.findings.len(), 3, "{:?}", partly.findings);
    let broken = compiler.apply(&secret(&[("key-22", 5)]));
    assert_eq!(used(&broken), [20]);
    assert!(messages(&broken).iter().any(|message| message.contains("those before are kept")));
    assert!(!format!("{:?} {:?}", broken.findings, broken.snapshot.tickets).contains("kkkk"));
    let empty = sharing().apply(&secret(&[]));
    assert!(empty.snapshot.tickets.is_none() && messages(&empty)[0].contains("every process uses its own"));
}

#[test]
fn no_more_than_so_many_keys_are_used_and_the_newest_of_them() {
    let names: Vec<String> = (0..20).map(|from| format!("key-{from}")).collect();
    let values: Vec<_> = names.iter().map(|name| (name.as_str(), 32)).collect();
    let compiled = sharing().apply(&secret(&values));
    assert_eq!(used(&compiled), (4..20).collect::<Vec<_>>());
    assert_eq!(compiled.findings.len(), 1);
}

#[test]
fn the_config_map_gives_a_key_that_seals() {
    use base64::Engine as _;
    let mut compiler = sharing();
    compiler.apply(&secret(&[("key-20", 32)]));
    let text = |size| base64::engine::general_purpose::STANDARD.encode(vec![b'q'; size]);
    for size in [48, 80] {
        let given = compiler.apply(&options(&text(size)));
        let keys = given.snapshot.tickets.clone().expect("keys");
        assert_eq!((keys.given.as_ref().map(|key| key.secret().len()), keys.sealing(99)), (Some(size), Some(0)));
        assert!(given.changed && given.findings.is_empty(), "{:?}", given.findings);
    }
    for bad in [text(32), text(79), "no-base-64!".repeat(10)] {
        let refused = compiler.apply(&options(&bad));
        assert_eq!(used(&refused), [20]);
        assert!(refused.snapshot.tickets.as_ref().is_some_and(|keys| keys.given.is_none()));
        let message = &messages(&refused)[0];
        assert!(message.contains("data.ssl-session-ticket-key") && !message.contains(&bad[..8]), "{message}");
    }
}
