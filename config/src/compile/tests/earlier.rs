//! Earlier versions that act while the newer one is refused or broken.

use super::*;

const REFUSED: &str = "nginx.ingress.kubernetes.io/server-snippet: 'return 200;'";

fn with_tls(secret: &str) -> String {
    let tls = format!("  tls: [{{hosts: [a.test], secretName: {secret}}}]\n  rules:");
    ingress("a", "a.test", &["/"], "").replace("  rules:", &tls)
}

fn presented(compiled: &Compiled) -> Arc<Certificate> {
    Arc::clone(compiled.snapshot.certificates.present(Some("a.test")))
}

fn says(compiled: &Compiled, text: &str) -> bool {
    findings(compiled).iter().any(|finding| finding.contains(text))
}

#[test]
fn a_secret_that_breaks_is_presented_as_it_was_until_it_is_mended_or_gone() {
    let good = pem(&["a.test"]);
    let other_key = (good.0.clone(), pem(&["a.test"]).1);
    let rubbish = ("rubbish".to_owned(), good.1.clone());
    for broken in [other_key, rubbish, (String::new(), String::new())] {
        let mut compiler = compiler(Options::default());
        compiler.apply(&with_tls("t"));
        let before = presented(&compiler.apply(&secret("t", &good)));
        assert_eq!(compiler.held_secrets().count(), 0);
        let kept = compiler.apply(&secret("t", &broken));
        assert!(Arc::ptr_eq(&presented(&kept), &before) && !kept.changed, "nothing changes for clients");
        assert!(says(&kept, "error Secret default/t data.tls."), "{:?}", findings(&kept));
        assert!(says(&kept, "the pair before it is presented until"), "{:?}", findings(&kept));
        assert!(!says(&kept, "default certificate"), "{:?}", findings(&kept));
        assert_eq!(compiler.held_secrets().count(), 1);
        let mended = compiler.apply(&secret("t", &pem(&["a.test"])));
        assert!(!says(&mended, "Secret") && presented(&mended).fingerprint != before.fingerprint);
        compiler.apply(&secret("t", &broken));
        let gone = compiler.delete(Kind::Secret, "t");
        assert_eq!(presented(&gone).fingerprint, BUILT_IN.fingerprint);
        let anew = compiler.apply(&secret("t", &broken));
        assert_eq!(presented(&anew).fingerprint, BUILT_IN.fingerprint, "one made anew inherits nothing");
        assert!(says(&anew, "the default certificate is presented instead"), "{:?}", findings(&anew));
    }
}

#[test]
fn a_secret_made_anew_between_two_snapshots_inherits_nothing() {
    let mut compiler = compiler(Options::default());
    compiler.apply(&with_tls("t"));
    compiler.apply(&secret("t", &pem(&["a.test"])));
    compiler.remove(&ObjectRef { kind: Kind::Secret, key: ObjectKey::new("default", "t") });
    let anew = compiler.apply(&secret("t", &("rubbish".into(), "rubbish".into())));
    assert_eq!(presented(&anew).fingerprint, BUILT_IN.fingerprint);
}

#[test]
fn a_secret_that_nobody_followed_is_not_presented_as_it_was_long_ago() {
    let mut compiler = compiler(Options::default());
    compiler.apply(&with_tls("t"));
    compiler.apply(&secret("t", &pem(&["a.test"])));
    compiler.apply(&with_tls("other"));
    compiler.apply(&secret("t", &("rubbish".into(), "rubbish".into())));
    let again = compiler.apply(&with_tls("t"));
    assert_eq!(presented(&again).fingerprint, BUILT_IN.fingerprint);
}

#[test]
fn the_default_certificate_that_breaks_is_presented_as_it_was() {
    let default = Some(ObjectKey::new("default", "d"));
    let mut compiler = compiler(Options { default_ssl_certificate: default, ..Options::default() });
    let found = compiler.apply(&secret("d", &pem(&["d.test"])));
    let broken = compiler.apply(&secret("d", &("rubbish".into(), "rubbish".into())));
    assert!(!broken.changed && says(&broken, "the pair before it is presented until"));
    let default = |compiled: &Compiled| compiled.snapshot.certificates.default.fingerprint.clone();
    assert_eq!(default(&broken), default(&found));
    let gone = compiler.delete(Kind::Secret, "d");
    assert_eq!(default(&gone), BUILT_IN.fingerprint);
}

#[test]
fn a_usable_version_of_a_broken_secret_is_presented_after_a_restart() {
    let (good, broken) = (secret("t", &pem(&["a.test"])), secret("t", &("rubbish".into(), "rubbish".into())));
    let mut first = compiler(Options::default());
    first.apply(&with_tls("t"));
    let before = presented(&first.apply(&good));
    first.apply(&broken);
    let held: Vec<_> = first.held_secrets().map(|secret| Object::Secret(Arc::clone(secret))).collect();
    let restart = |text: &str| {
        let mut next = compiler(Options::default());
        for object in manifest::parse("a.yaml", (with_tls("t") + text).as_bytes()).objects {
            next.upsert(object);
        }
        next.restore(held.clone());
        let compiled = next.compile();
        presented(&compiled).fingerprint.clone()
    };
    assert_eq!(restart(&broken), before.fingerprint);
    assert_eq!(restart(""), BUILT_IN.fingerprint, "it is gone");
    let renewed = restart(&secret("t", &pem(&["a.test"])));
    assert!(renewed != before.fingerprint && renewed != BUILT_IN.fingerprint, "the newest is usable");
}

#[test]
fn only_where_an_accepted_version_serves_the_findings_say_so() {
    const KEPT: &str = "the Ingress is not loaded; an accepted version of it goes on serving";
    let mut compiler = compiler(Options::default());
    let fresh = compiler.apply(&ingress("a", "a.test", &["/"], REFUSED));
    assert!(says(&fresh, "the Ingress is not loaded") && !says(&fresh, KEPT), "{:?}", findings(&fresh));
    compiler.apply(&ingress("a", "a.test", &["/"], ""));
    let kept = compiler.apply(&ingress("a", "a.test", &["/new"], REFUSED));
    assert!(says(&kept, KEPT), "{:?}", findings(&kept));
}

#[test]
fn an_object_of_a_folder_is_the_one_of_its_file_wherever_it_stands_there() {
    let unstamped = |annotations: &str| {
        ingress("i", "a.test", &["/"], annotations).replace("creationTimestamp: 2026-01-01T00:00:00Z, ", "")
    };
    let held = manifest::parse("a.yaml", unstamped("").as_bytes()).objects;
    let restart = |path: &str, text: &str| {
        let mut next = compiler(Options::default());
        manifest::parse(path, text.as_bytes()).objects.into_iter().for_each(|object| next.upsert(object));
        next.restore(held.clone());
        next.compile().snapshot.hosts.exact.get("a.test").is_some()
    };
    assert!(restart("a.yaml", &(service("s", &[]) + &unstamped(REFUSED))));
    assert!(!restart("b.yaml", &unstamped(REFUSED)), "another file defines it anew");
}
