//! Group mirror: a copy of each request for another service.

use std::sync::Arc;

use super::Annotations;
use super::auth_external::url;
use super::headers::host;
use crate::snapshot::Mirror;
use crate::value::{self, Source as _};

pub(super) fn read(annotations: &mut Annotations<'_>) -> Option<Arc<Mirror>> {
    let url = annotations.get("mirror-target", url);
    let host = annotations.get("mirror-host", host);
    let body = annotations.get("mirror-request-body", value::on_off).unwrap_or(true);
    Some(Arc::new(Mirror { url: url?, host, body }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn mirror(pairs: &[(&str, &str)]) -> (Option<Mirror>, usize) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mirror = read(&mut annotations).as_deref().cloned();
        (mirror, annotations.into_findings().len())
    }

    #[test]
    fn annotation_mirror_target_with_its_companions() {
        let target = ("mirror-target", "https://copy.test$request_uri");
        let (found, findings) = mirror(&[target]);
        let found = found.unwrap();
        assert!(found.body && found.host.is_none() && findings == 0);
        let (found, findings) = mirror(&[target, ("mirror-host", "$host"), ("mirror-request-body", "off")]);
        let found = found.unwrap();
        assert!(!found.body && found.host.is_some() && findings == 0);
        assert_eq!(mirror(&[("mirror-host", "a.test")]), (None, 0));
    }

    #[test]
    fn annotation_mirror_values_that_cannot_be_read_are_named() {
        for bad in ["copy.test", "http://copy.test/$nothing", "ftp://copy.test"] {
            assert_eq!(mirror(&[("mirror-target", bad)]), (None, 1), "{bad}");
        }
        let target = ("mirror-target", "http://copy.test");
        for bad in [("mirror-host", "a b"), ("mirror-request-body", "false")] {
            let (found, findings) = mirror(&[target, bad]);
            assert!(found.is_some_and(|mirror| mirror.body && mirror.host.is_none()) && findings == 1, "{bad:?}");
        }
    }
}
