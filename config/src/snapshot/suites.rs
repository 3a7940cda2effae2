//! Cipher suites by the names of OpenSSL. Only suites that the engine has can be meant; all others are told.

use std::hash::{Hash, Hasher};

use rustls::{CipherSuite, NamedGroup};

/// Suites of TLS 1.2 that can be offered, best first.
pub const SUITES: [(&str, CipherSuite); 6] = [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// What a list of ciphers comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CipherList {
    /// What can be offered, in the order of the list; `None` when the list names groups, which stand for all.
    pub suites: Option<Box<[CipherSuite]>>,
    /// Words of the list that stand for nothing that can be offered.
    pub unknown: Vec<String>,
}

impl CipherList {
    /// Reads a list in OpenSSL's language: names and groups between `:`, exclusions after `!` or `-`.
    pub fn parse(text: &str) -> Self {
        let (mut chosen, mut unknown, mut all) = (Vec::new(), Vec::new(), false);
        let mut excluded = Vec::new();
        for word in text.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
            // Weak suites, which such exclusions mean, are never offered.
            if let Some(name) = word.strip_prefix(['!', '-']) {
                excluded.push(name);
                continue;
            }
            let word = word.trim_start_matches('+');
            match SUITES.iter().find(|(name, _)| *name == word) {
                Some((_, suite)) if !chosen.contains(suite) => chosen.push(*suite),
                Some(_) => {}
                None if is_group(word) => all = true,
                None if is_of_tls13(word) || word.starts_with('@') => {}
                None => unknown.push(word.to_owned()),
            }
        }
        if all {
            chosen = SUITES.iter().map(|(_, suite)| *suite).collect();
        }
        let is_excluded = |suite: &CipherSuite| SUITES.iter().any(|(n, s)| s == suite && excluded.contains(n));
        chosen.retain(|suite| !is_excluded(suite));
        Self { suites: (chosen.len() < SUITES.len() || !all).then(|| chosen.into()), unknown }
    }
}

/// What a host wants of the suites of TLS 1.2 that differs from what the operator said for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCiphers {
    /// Suites, best first (`ssl-ciphers`); `None` for the operator's.
    pub suites: Option<Box<[CipherSuite]>>,
    /// Whether the order of this side counts (`ssl-prefer-server-ciphers`); `None` for the operator's word.
    pub prefer_own: Option<bool>,
}

/// The engine's names of suites cannot be hashed.
impl Hash for HostCiphers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for suite in self.suites.iter().flatten() {
            u16::from(*suite).hash(state);
        }
        self.prefer_own.hash(state);
    }
}

fn is_group(word: &str) -> bool {
    matches!(
        word,
        "DEFAULT" | "ALL" | "HIGH" | "ECDHE" | "EECDH" | "kECDHE" | "AESGCM" | "EECDH+AESGCM" | "ECDHE+AESGCM"
    )
}

/// Suites of TLS 1.3 are always offered, all of them.
fn is_of_tls13(word: &str) -> bool {
    word.starts_with("TLS_")
}

/// What a list of groups of the key exchange, between `:`, comes to: `None` for `auto`. Also its unknown words.
pub fn parse_groups(text: &str) -> (Option<Box<[NamedGroup]>>, Vec<String>) {
    let (mut groups, mut unknown) = (Vec::new(), Vec::new());
    for word in text.split(':').map(str::trim).filter(|word| !word.is_empty()) {
        match &*word.to_ascii_lowercase() {
            "auto" => return (None, unknown),
            "x25519mlkem768" => groups.push(NamedGroup::X25519MLKEM768),
            "x25519" => groups.push(NamedGroup::X25519),
            "prime256v1" | "secp256r1" | "p-256" => groups.push(NamedGroup::secp256r1),
            "secp384r1" | "p-384" => groups.push(NamedGroup::secp384r1),
            _ => unknown.push(word.to_owned()),
        }
    }
    ((!groups.is_empty()).then(|| groups.into()), unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_suites_keep_their_order_and_the_rest_is_told() {
        let list = CipherList::parse("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:AES128-SHA:!aNULL");
        let expected =
            [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
        assert_eq!(list.suites.as_deref(), Some(&expected[..]));
        assert_eq!(list.unknown, ["AES128-SHA"]);
        let nothing = CipherList::parse("RC4-SHA");
        assert_eq!((nothing.suites.as_deref(), nothing.unknown.len()), (Some(&[][..]), 1));
    }

    #[test]
    fn key_exchange_groups_have_several_names() {
        let expected: Box<[_]> = [NamedGroup::X25519, NamedGroup::secp256r1].into();
        assert_eq!(parse_groups("X25519:prime256v1"), (Some(expected), Vec::new()));
        assert_eq!(parse_groups("auto"), (None, Vec::new()));
        assert_eq!(parse_groups("secp521r1"), (None, vec!["secp521r1".to_owned()]));
    }

    #[test]
    fn groups_stand_for_all_but_what_is_excluded() {
        for text in ["DEFAULT", "HIGH:!aNULL:!MD5", "ALL:@STRENGTH"] {
            assert_eq!(CipherList::parse(text), CipherList::default(), "{text}");
        }
        let list = CipherList::parse("HIGH:!ECDHE-RSA-CHACHA20-POLY1305");
        assert_eq!(list.suites.map(|s| s.len()), Some(SUITES.len() - 1));
    }
}
