//! Group auth-tls: client certificates of the hosts of an Ingress (reference 3.11).

use std::sync::Arc;

use super::Annotations;
use crate::snapshot::{Authorities, ClientAuth, ClientVerify, Search, Template};
use crate::value::{self, Expected, Source as _};

const SECRET: &str = "auth-tls-secret";

/// What the hosts do with client certificates; all other annotations of the group act only with a Secret.
pub(super) fn read(annotations: &mut Annotations<'_>) -> Option<Arc<ClientAuth>> {
    annotations.text(SECRET)?;
    if !annotations.is_legal_name(SECRET) {
        return None;
    }
    let verify = annotations.get("auth-tls-verify-client", verify).unwrap_or_default();
    let depth = annotations.get("auth-tls-verify-depth", value::natural).unwrap_or(1);
    let pass_certificate = annotations.get("auth-tls-pass-certificate-to-upstream", value::bool).unwrap_or(false);
    let subject = annotations.get("auth-tls-match-cn", subject);
    let error_page = read_error_page(annotations);
    let secret = annotations.host_secret(SECRET)?;
    let Some(certificates) = secret.data.get("ca.crt") else {
        annotations.deny_host(SECRET, format!("there is no data.ca.crt of Secret {}", secret.meta.key));
        return None;
    };
    match Authorities::from_pem(certificates, secret.data.get("ca.crl").map(|list| &**list)) {
        Ok(authorities) => {
            let authorities = Arc::new(authorities);
            Some(Arc::new(ClientAuth { verify, depth, authorities, subject, pass_certificate, error_page }))
        }
        Err(error) => {
            let field = if error.concerns_revocations() { "ca.crl" } else { "ca.crt" };
            annotations.deny_host(SECRET, format!("data.{field} of Secret {} {error}", secret.meta.key));
            None
        }
    }
}

fn verify(text: &str) -> Result<ClientVerify, Expected> {
    Ok(match text {
        "on" => ClientVerify::On,
        "off" => ClientVerify::Off,
        "optional" => ClientVerify::Optional,
        "optional_no_ca" => ClientVerify::OptionalNoCa,
        _ => return Err("on, off, optional or optional_no_ca"),
    })
}

fn subject(text: &str) -> Result<Arc<Search>, Expected> {
    const EXPECTED: Expected = "CN= and a regular expression without look-around and back-references";
    if !text.starts_with("CN=") {
        return Err(EXPECTED);
    }
    Search::new(text, false).map(Arc::new).map_err(|_| EXPECTED)
}

/// A URL. A path of the host, or a location by name, would have to be served without the certificate.
fn read_error_page(annotations: &mut Annotations<'_>) -> Option<Template> {
    const NAME: &str = "auth-tls-error-page";
    let text = annotations.text(NAME)?;
    if text.starts_with("http://") || text.starts_with("https://") {
        return annotations.get(NAME, value::template);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\{};<>^`|".contains(&b)) {
        return annotations.get(NAME, |_| Err("a URL, a path or the name of a location"));
    }
    annotations.warn(NAME, "is no http or https URL; clients without an accepted certificate are answered 400".into());
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotation::Outcome;
    use crate::testing::{OneSecret, annotated, reference};

    fn authority() -> String {
        let params = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap();
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn client_auth(pairs: &[(&str, &str)], data: &[(&str, &str)]) -> (Option<Arc<ClientAuth>>, Outcome, usize) {
        let objects = OneSecret::new("ca", data);
        let (ingress, object) = (annotated(pairs), reference());
        let annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut annotations = annotations.with_objects(&objects, false);
        let read = read(&mut annotations);
        (read, annotations.outcome(), annotations.into_findings().len())
    }

    #[test]
    fn annotation_auth_tls_has_nginx_s_defaults() {
        let ca = authority();
        let (found, outcome, findings) = client_auth(&[(SECRET, "default/ca")], &[("ca.crt", &ca)]);
        let found = found.unwrap();
        assert_eq!((found.verify, found.depth, found.pass_certificate), (ClientVerify::On, 1, false));
        assert_eq!((outcome, findings), (Outcome::default(), 0));
        let pairs = [
            (SECRET, "ca"),
            ("auth-tls-verify-client", "optional_no_ca"),
            ("auth-tls-verify-depth", "3"),
            ("auth-tls-match-cn", "CN=al.*"),
            ("auth-tls-error-page", "https://login.test/no?to=$host"),
        ];
        let found = client_auth(&pairs, &[("ca.crt", &ca)]).0.unwrap();
        assert_eq!((found.verify, found.depth), (ClientVerify::OptionalNoCa, 3));
        let subject = found.subject.as_ref().unwrap();
        assert!(subject.is_found(b"CN=alice,O=x") && !subject.is_found(b"CN=bob"));
        assert!(found.error_page.is_some());
    }

    #[test]
    fn annotation_auth_tls_secret_that_cannot_be_had_denies_the_host() {
        let ca = authority();
        let faults: [(&str, &[(&str, &str)]); 5] = [
            ("default/other", &[("ca.crt", &ca)]),
            ("elsewhere/ca", &[("ca.crt", &ca)]),
            ("default/ca", &[("tls.crt", &ca)]),
            ("default/ca", &[("ca.crt", "junk")]),
            ("default/ca", &[("ca.crt", &ca), ("ca.crl", "junk")]),
        ];
        for (name, data) in faults {
            let (found, outcome, findings) = client_auth(&[(SECRET, name)], data);
            assert_eq!((found, outcome.deny_host, findings), (None, Some(403), 1), "{name} {data:?}");
        }
    }

    #[test]
    fn annotation_auth_tls_secret_with_what_no_name_has_keeps_the_ingress_out() {
        for name in ["default/ca;", "default/\"ca\"", "$ca", "{ca}", "a\\b"] {
            let (found, outcome, findings) = client_auth(&[(SECRET, name)], &[]);
            assert_eq!((found, outcome.refused, findings), (None, true, 1), "{name}");
        }
    }

    #[test]
    fn annotation_auth_tls_match_cn_is_never_left_out() {
        let ca = authority();
        for bad in ["alice", "CN=(", "CN=(a)\\1"] {
            let outcome = client_auth(&[(SECRET, "ca"), ("auth-tls-match-cn", bad)], &[("ca.crt", &ca)]).1;
            assert!(outcome.refused, "{bad}");
        }
    }
}
