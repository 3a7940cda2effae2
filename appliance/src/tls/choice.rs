//! The operator's choice among what the engine's provider has.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup};

/// The provider with these suites for TLS 1.2 and these groups for the key exchange, in their order; all of them where
/// nothing is chosen, and of TLS 1.3 all suites in any case.
pub(super) fn choose(
    provider: &Arc<CryptoProvider>,
    suites: Option<&[CipherSuite]>,
    groups: Option<&[NamedGroup]>,
) -> Arc<CryptoProvider> {
    if suites.is_none() && groups.is_none() {
        return Arc::clone(provider);
    }
    let mut chosen = CryptoProvider::clone(provider);
    if let Some(names) = suites {
        let of_13 = provider.cipher_suites.iter().filter(|suite| suite.tls13().is_some());
        let of_12 = names.iter().filter_map(|name| provider.cipher_suites.iter().find(|s| s.suite() == *name));
        chosen.cipher_suites = of_13.chain(of_12).copied().collect();
    }
    if let Some(names) = groups {
        let known = |name: &NamedGroup| provider.kx_groups.iter().find(|group| group.name() == *name);
        chosen.kx_groups = names.iter().filter_map(known).copied().collect();
    }
    Arc::new(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hybrid_exchange_is_offered_first_unless_chosen_otherwise() {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let groups = |chosen: &CryptoProvider| chosen.kx_groups.iter().map(|g| g.name()).collect::<Vec<_>>();
        assert_eq!(groups(&choose(&provider, None, None))[0], NamedGroup::X25519MLKEM768);
        let two = [NamedGroup::secp384r1, NamedGroup::X25519];
        assert_eq!(groups(&choose(&provider, None, Some(&two))), two);
    }

    #[test]
    fn a_choice_of_suites_is_one_of_tls_1_2() {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let one = [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
        let chosen = choose(&provider, Some(&one), None);
        let of_12 = chosen.cipher_suites.iter().filter(|s| s.tls13().is_none());
        assert_eq!(of_12.map(|s| s.suite()).collect::<Vec<_>>(), one);
        assert!(chosen.cipher_suites.iter().any(|s| s.tls13().is_some()));
    }
}
