//! Group proxy-ssl: TLS toward the pods.

use std::sync::Arc;

use rustls_pki_types::ServerName;

use super::{Annotations, read};
use crate::snapshot::{Authorities, Certificate, CipherList, TlsVersions, UpstreamTls, UpstreamVerify};
use crate::value::{self, Expected, Source as _};

const SECRET: &str = "proxy-ssl-secret";

/// What is shown to the pods and expected of them; all other annotations of the group act only with a Secret.
pub(super) fn read(annotations: &mut Annotations<'_>) -> Option<Arc<UpstreamTls>> {
    annotations.text(SECRET)?;
    if !annotations.is_legal_name(SECRET) {
        return None;
    }
    let verifies = annotations.get("proxy-ssl-verify", value::on_off).unwrap_or(false);
    let depth = annotations.get("proxy-ssl-verify-depth", value::natural).unwrap_or(1);
    let name = annotations.get("proxy-ssl-name", server_name);
    let asks = annotations.get("proxy-ssl-server-name", value::on_off).unwrap_or(false);
    let versions = annotations.get("proxy-ssl-protocols", versions).unwrap_or(DEFAULT_VERSIONS);
    let suites = read_ciphers(annotations);
    let secret = annotations.secret(SECRET)?;
    let part = |name: &str| secret.data.get(name).map(|bytes| &**bytes);
    let certificate = match (part("tls.crt"), part("tls.key")) {
        (Some(certificate), Some(key)) => {
            match Certificate::from_pem(certificate, key, Some(secret.meta.key.clone())) {
                Ok(certificate) => Some(Arc::new(certificate)),
                Err(error) => {
                    let field = if error.concerns_key() { "tls.key" } else { "tls.crt" };
                    annotations.deny(SECRET, format!("data.{field} of Secret {} {error}", secret.meta.key));
                    return None;
                }
            }
        }
        _ => None,
    };
    let verify = match (verifies, part("ca.crt")) {
        (false, _) => None,
        (true, None) => {
            let message = format!("proxy-ssl-verify is on and there is no data.ca.crt of Secret {}", secret.meta.key);
            annotations.deny(SECRET, message);
            return None;
        }
        (true, Some(authorities)) => match Authorities::from_pem(authorities, part("ca.crl")) {
            Ok(authorities) => {
                let name = name.clone().unwrap_or_else(|| unnamed(annotations));
                Some(UpstreamVerify { authorities: Arc::new(authorities), depth, name })
            }
            Err(error) => {
                let field = if error.concerns_revocations() { "ca.crl" } else { "ca.crt" };
                annotations.deny(SECRET, format!("data.{field} of Secret {} {error}", secret.meta.key));
                return None;
            }
        },
    };
    Some(Arc::new(UpstreamTls::new(certificate, verify, name.filter(|_| asks), versions, suites)))
}

/// ingress-nginx leaves TLS 1.3 out.
const DEFAULT_VERSIONS: TlsVersions = TlsVersions { tls12: true, tls13: false };

/// ingress-nginx names its upstreams so: no certificate is valid for it, and requests are answered 502.
fn unnamed(annotations: &mut Annotations<'_>) -> ServerName<'static> {
    let message = "is on and there is no proxy-ssl-name: the certificate would have to be valid for upstream_balancer";
    annotations.warn("proxy-ssl-verify", message.into());
    ServerName::try_from("upstream_balancer").expect("a valid name")
}

fn server_name(text: &str) -> Result<ServerName<'static>, Expected> {
    ServerName::try_from(text.to_owned()).map_err(|_| "the name or address of a server")
}

fn versions(text: &str) -> Result<TlsVersions, Expected> {
    let has = |version: &str| text.split_ascii_whitespace().any(|word| word == version);
    let versions = TlsVersions { tls12: has("TLSv1.2"), tls13: has("TLSv1.3") };
    if versions.tls12 || versions.tls13 { Ok(versions) } else { Err("a list with TLSv1.2 or TLSv1.3") }
}

fn read_ciphers(annotations: &mut Annotations<'_>) -> Option<Box<[rustls::CipherSuite]>> {
    const NAME: &str = "proxy-ssl-ciphers";
    let list = CipherList::parse(annotations.text(NAME)?);
    read::offered(annotations, NAME, list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{OneSecret, annotated, reference};

    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn upstream_tls(pairs: &[(&str, &str)], data: &[(&str, &str)]) -> (Option<Arc<UpstreamTls>>, Option<u16>, usize) {
        let objects = OneSecret::new("tls", data);
        let (ingress, object) = (annotated(pairs), reference());
        let annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut annotations = annotations.with_objects(&objects, false);
        let read = read(&mut annotations);
        let deny = annotations.outcome().deny;
        (read, deny, annotations.into_findings().len())
    }

    #[test]
    fn annotation_proxy_ssl_acts_only_with_a_secret() {
        let alone = [("proxy-ssl-verify", "on"), ("proxy-ssl-name", "pod.test")];
        assert_eq!(upstream_tls(&alone, &[]), (None, None, 0));
        let (certificate, key) = pair();
        let data = [("tls.crt", &*certificate), ("tls.key", &*key)];
        let (found, deny, findings) = upstream_tls(&[(SECRET, "default/tls")], &data);
        let found = found.unwrap();
        assert!(found.certificate.is_some() && found.verify.is_none() && found.server_name.is_none());
        assert_eq!((found.versions, deny, findings), (DEFAULT_VERSIONS, None, 0));
    }

    #[test]
    fn annotation_proxy_ssl_values_make_the_identity() {
        let (certificate, key) = pair();
        let data = [("tls.crt", &*certificate), ("tls.key", &*key), ("ca.crt", &*certificate)];
        let all = [
            (SECRET, "default/tls"),
            ("proxy-ssl-verify", "on"),
            ("proxy-ssl-verify-depth", "2"),
            ("proxy-ssl-name", "pod.test"),
            ("proxy-ssl-server-name", "on"),
            ("proxy-ssl-protocols", "TLSv1.2 TLSv1.3"),
            ("proxy-ssl-ciphers", "ECDHE-RSA-AES128-GCM-SHA256:!MD5"),
        ];
        let whole = upstream_tls(&all, &data).0.unwrap();
        let verify = whole.verify.as_ref().unwrap();
        assert_eq!((verify.depth, verify.name.to_str()), (2, "pod.test".into()));
        assert_eq!((whole.server_name.is_some(), whole.versions), (true, TlsVersions::ALL));
        assert_eq!(whole, upstream_tls(&all, &data).0.unwrap());
        for left_out in 1..all.len() {
            let mut pairs = all.to_vec();
            pairs.remove(left_out);
            assert_ne!(whole, upstream_tls(&pairs, &data).0.unwrap(), "{:?}", all[left_out]);
        }
    }

    #[test]
    fn annotation_proxy_ssl_secret_that_cannot_be_had_denies() {
        let (certificate, key) = pair();
        let verify = [(SECRET, "default/tls"), ("proxy-ssl-verify", "on"), ("proxy-ssl-name", "pod.test")];
        assert_eq!(upstream_tls(&[(SECRET, "default/other")], &[]).1, Some(503));
        assert_eq!(upstream_tls(&[(SECRET, "default/{tls}")], &[]), (None, None, 1), "it is not loaded");
        assert_eq!(upstream_tls(&verify, &[("tls.crt", &certificate), ("tls.key", &key)]).1, Some(503));
        assert_eq!(upstream_tls(&verify, &[("ca.crt", "junk")]).1, Some(503));
        assert_eq!(upstream_tls(&verify, &[("tls.crt", "junk"), ("tls.key", &key)]).1, Some(503));
        let unnamed = upstream_tls(&verify[..2], &[("ca.crt", &certificate)]);
        assert_eq!((unnamed.0.is_some(), unnamed.2), (true, 1));
    }
}
