//! Group access: address lists, and whether one check is enough (reference 3.15).

use ipnet::IpNet;

use super::Annotations;
use crate::snapshot::Access;
use crate::value::{self, Expected, Source};

pub(super) fn read(annotations: &mut Annotations<'_>, access: &mut Access) {
    read_lists(annotations, &["allowlist-source-range", "whitelist-source-range"], access);
    if let Some(any) = annotations.get("satisfy", any) {
        access.satisfy_any = any;
    }
}

/// The lists of the ConfigMap, which are the defaults of the annotations'.
pub(super) fn read_global(source: &mut impl Source, access: &mut Access) {
    read_lists(source, &["whitelist-source-range"], access);
}

/// A list that cannot be read denies; the source knows what that means.
fn read_lists(source: &mut impl Source, names: &[&str], access: &mut Access) {
    if let Some(deny) = list(source, "denylist-source-range") {
        access.deny = deny;
    }
    if let Some(name) = names.iter().find(|name| source.text(name).is_some()) {
        access.allow = list(source, name).or_else(|| access.allow.take());
    }
}

fn list(source: &mut impl Source, name: &str) -> Option<Box<[IpNet]>> {
    let text = source.text(name)?.to_owned();
    // A list of nothing is a mistake: it would refuse everybody, or nobody.
    let some = |nets: Box<[IpNet]>| if nets.is_empty() { Err("a list of addresses") } else { Ok(nets) };
    value::networks(&text)
        .and_then(some)
        .map_err(|expected| source.deny(name, format!("`{text}` is not {expected}")))
        .ok()
}

fn any(text: &str) -> Result<bool, Expected> {
    match text {
        "any" => Ok(true),
        "all" => Ok(false),
        _ => Err("any or all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn access(pairs: &[(&str, &str)]) -> (Access, Option<u16>) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut access = Access::default();
        read(&mut annotations, &mut access);
        (access, annotations.outcome().deny)
    }

    #[test]
    fn annotation_allowlist_wins_over_its_old_name_and_deny_over_both() {
        let (access, deny) = access(&[
            ("whitelist-source-range", "10.0.0.0/8"),
            ("allowlist-source-range", "192.0.2.0/24, 2001:db8::1"),
            ("denylist-source-range", "192.0.2.7"),
        ]);
        assert_eq!(deny, None);
        let passes = |ip: &str| access.address_passes(ip.parse().unwrap());
        assert_eq!(passes("192.0.2.1"), Some(true));
        assert_eq!(passes("2001:db8::1"), Some(true));
        assert_eq!(passes("192.0.2.7"), Some(false));
        assert_eq!(passes("10.0.0.1"), Some(false));
    }

    #[test]
    fn annotation_lists_that_cannot_be_read_never_fail_open() {
        for name in ["whitelist-source-range", "allowlist-source-range", "denylist-source-range"] {
            for value in ["10.0.0.0/33", "10.0.0.0/8, me", ","] {
                assert_eq!(access(&[(name, value)]).1, Some(503), "{name}: {value}");
            }
        }
    }

    #[test]
    fn annotation_satisfy_any() {
        assert!(access(&[("satisfy", "any")]).0.satisfy_any && !access(&[("satisfy", "some")]).0.satisfy_any);
    }
}
