use super::*;
use crate::compile::{Migrated, Migration, Parity};

fn migration(text: &str) -> Migration {
    let configmap = Some(ObjectKey::new("default", "settings"));
    let mut compiler = compiler(Options { configmap, ..Options::default() });
    compiler.apply(text);
    compiler.migration()
}

fn only(text: &str) -> Migrated {
    let mut migration = migration(text);
    assert_eq!(migration.ingresses.len(), 1, "{migration:?}");
    migration.ingresses.remove(0)
}

/// Of one annotation: how it fares, and its remarks.
fn of(annotation: &str) -> (Parity, Parity, String) {
    let text = ingress("i", "a.test", &["/"], &format!("nginx.ingress.kubernetes.io/{annotation}"));
    let ingress = only(&(text + &service("i", &["10.0.0.1"])));
    let entry = &ingress.entries[0];
    (entry.parity, ingress.parity, entry.remarks.join("; "))
}

#[test]
fn an_annotation_fares_as_its_row_and_its_findings_say() {
    let same = (Parity::Same, Parity::Same, String::new());
    assert_eq!(of("proxy-body-size: 8m"), same);
    // The row has an exception, which these values are not.
    assert_eq!(of("backend-protocol: HTTPS"), same);
    assert_eq!(of("proxy-request-buffering: 'on'"), same, "the default");
    for (annotation, parity, words) in [
        ("server-alias: '~(?=b)'", Parity::Differs, "is left out"),
        ("affinity: cookie", Parity::Differs, "a route without affinity"),
        ("proxy-body-size: many", Parity::Differs, "`many` is not"),
        ("client-body-buffer-size: 1m", Parity::Differs, "has no effect: "),
        ("secure-backends: 'true'", Parity::Same, "removed from ingress-nginx"),
        ("no-such-thing: x", Parity::Same, "is no annotation of ingress-nginx"),
        ("configuration-snippet: x", Parity::Refused, "is never inserted"),
        ("server-alias: 'a b'", Parity::Refused, "is not loaded"),
    ] {
        let (entry, ingress, remarks) = of(annotation);
        assert_eq!((entry, ingress), (parity, parity), "{annotation}: {remarks}");
        assert!(remarks.contains(words), "{annotation}: {remarks}");
        assert_eq!(remarks.matches(words).count(), 1, "said twice: {remarks}");
    }
}

#[test]
fn a_misspelt_annotation_of_our_own_is_said() {
    let text = ingress("i", "a.test", &["/"], "ringress.io/deny-path: /secret");
    let ingress = only(&(text + &service("i", &["10.0.0.1"])));
    assert_eq!(ingress.entries[0].name, "ringress.io/deny-path");
    assert!(ingress.entries[0].remarks.join("; ").contains("is no annotation of ringress; it has no effect"));
}

#[test]
fn other_fields_count_when_they_are_not_served_as_written() {
    let missing = only(&ingress("i", "a.test", &["/"], ""));
    assert_eq!((missing.parity, missing.remarks.len()), (Parity::Same, 1), "ingress-nginx answers 503 too");
    let host = only(&ingress("i", "a..test", &["/"], ""));
    assert_eq!((host.parity, &*host.remarks[0].field), (Parity::Refused, "spec.rules[0].host"));
    let pattern = only(&ingress("i", "a.test", &["/(?=x)"], "nginx.ingress.kubernetes.io/use-regex: 'true'"));
    assert_eq!(pattern.parity, Parity::Refused);
}

#[test]
fn ingresses_of_other_classes_are_left_alone() {
    let other = ingress("i", "a.test", &["/"], "").replace("ingressClassName: nginx", "ingressClassName: other");
    let migration = migration(&other);
    assert_eq!((migration.ingresses.len(), migration.foreign.len()), (0, 1));
    assert_eq!(migration.parity(), Parity::Same);
}

#[test]
fn the_config_map_is_compared_key_by_key() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {keep-alive: '10', \
                ssl-protocols: TLSv1.1 TLSv1.2, http-snippet: x, odd: x, use-gzip: 'false'}\n";
    let migration = migration(text);
    let settings = migration.config_map.as_ref().unwrap();
    let found: Vec<_> = settings.entries.iter().map(|entry| (entry.name.as_str(), entry.parity)).collect();
    let expected = [
        ("http-snippet", Parity::Refused),
        ("keep-alive", Parity::Same),
        ("odd", Parity::Same),
        ("ssl-protocols", Parity::Differs),
        ("use-gzip", Parity::Same),
    ];
    assert_eq!(found, expected);
    assert!(settings.entries[3].remarks.iter().any(|remark| remark == "TLSv1.1 cannot be offered"));
    assert_eq!((settings.parity, migration.parity()), (Parity::Refused, Parity::Refused));
    assert_eq!(migration.others, []);
}
