//! Group server: other names of a host (reference 3.3), its suites, passing TLS on.

use std::sync::Arc;

use super::{Annotations, read};
use crate::intent::{HostKind, HostName};
use crate::snapshot::{CipherList, HostCiphers, Search};
use crate::value::{self, Expected, Source as _};

/// Names, wildcards and expressions; an expression that cannot be used is reported and left out.
pub(super) fn read_aliases(annotations: &mut Annotations<'_>) -> Vec<HostName> {
    const NAME: &str = "server-alias";
    let mut names = annotations.get(NAME, aliases).unwrap_or_default();
    names.retain(|name| match name.kind() {
        HostKind::Pattern(text) => match Search::new(text, true) {
            Ok(_) => true,
            Err(error) => {
                annotations.warn(NAME, format!("{name} is left out: {error}"));
                false
            }
        },
        _ => true,
    });
    names
}

/// Whether TLS of the hosts is passed on.
pub(super) fn read_passthrough(annotations: &mut Annotations<'_>) -> bool {
    annotations.get("ssl-passthrough", value::bool).unwrap_or(false)
}

/// Suites of TLS 1.2 that the hosts offer, and whose order counts.
pub(super) fn read_ciphers(annotations: &mut Annotations<'_>) -> Option<Arc<HostCiphers>> {
    let list = annotations.get("ssl-ciphers", cipher_list);
    let suites = list.and_then(|list| read::offered(annotations, "ssl-ciphers", list));
    let prefer_own = annotations.get("ssl-prefer-server-ciphers", value::bool);
    let ciphers = HostCiphers { suites, prefer_own };
    (ciphers != HostCiphers::default()).then(|| Arc::new(ciphers))
}

/// The letters that ingress-nginx takes.
fn cipher_list(text: &str) -> Result<CipherList, Expected> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+:_-!".contains(&byte)) {
        Ok(CipherList::parse(text))
    } else {
        Err("a list of OpenSSL's names of ciphers between `:`")
    }
}

fn aliases(text: &str) -> Result<Vec<HostName>, Expected> {
    let names = value::list(text).map(HostName::parse_alias).collect::<Result<Vec<_>, _>>();
    names.map(|names| names.concat()).map_err(|_| "a list of host names, `*.name`, `.name`, `name.*` and `~expression`")
}

#[cfg(test)]
mod tests {
    use rustls::CipherSuite;

    use super::*;
    use crate::testing::{annotated, reference};

    fn aliases(text: &str) -> (Vec<String>, usize, bool) {
        let (ingress, object) = (annotated(&[("server-alias", text)]), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let names = read_aliases(&mut annotations).iter().map(ToString::to_string).collect();
        let refused = annotations.outcome().refused;
        (names, annotations.into_findings().len(), refused)
    }

    fn ciphers(pairs: &[(&str, &str)]) -> (Option<HostCiphers>, usize, bool) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let ciphers = read_ciphers(&mut annotations).map(|ciphers| HostCiphers::clone(&ciphers));
        let refused = annotations.outcome().refused;
        (ciphers, annotations.into_findings().len(), refused)
    }

    #[test]
    fn annotation_ssl_ciphers_names_what_a_host_offers() {
        let one = [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
        let suites = |text| ciphers(&[("ssl-ciphers", text)]);
        let offered = Some(HostCiphers { suites: Some(one.into()), prefer_own: None });
        assert_eq!(suites("ECDHE-RSA-AES128-GCM-SHA256:!aNULL"), (offered.clone(), 0, false));
        assert_eq!(suites("AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256"), (offered, 1, false));
        assert_eq!(suites("HIGH:!aNULL"), (None, 0, false), "all, as without it");
        assert_eq!(suites("AES128-SHA"), (None, 2, false), "what is unknown, and that nothing is left");
        assert_eq!(suites("HIGH; ssl_protocols SSLv3"), (None, 1, true));
    }

    #[test]
    fn annotation_ssl_prefer_server_ciphers_says_whose_order_counts() {
        let prefer = |text| ciphers(&[("ssl-prefer-server-ciphers", text)]);
        for (text, prefer_own) in [("true", true), ("false", false)] {
            assert_eq!(prefer(text), (Some(HostCiphers { suites: None, prefer_own: Some(prefer_own) }), 0, false));
        }
        assert_eq!(prefer("perhaps"), (None, 1, false));
    }

    #[test]
    fn annotation_server_alias_is_a_list_of_names() {
        assert_eq!(aliases("B.test, *.c.test"), (vec!["b.test".into(), "*.c.test".into()], 0, false));
        assert_eq!(aliases(".d.test, www.e.*"), (vec!["d.test".into(), "*.d.test".into(), "www.e.*".into()], 0, false));
        assert_eq!(aliases("b.test, ~^x[0-9]"), (vec!["b.test".into(), "~^x[0-9]".into()], 0, false));
        assert_eq!(aliases("b.test, ~(?=x)"), (vec!["b.test".into()], 1, false), "needs backtracking");
        assert!(aliases("*.b.*").2);
        assert_eq!(aliases("b test"), (Vec::new(), 1, true));
    }
}
