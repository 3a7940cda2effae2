//! Password hashes of htpasswd files. The slow kinds are verified beside the core, and what was verified is remembered
//! for a while by its digest, so that a client that sends its password with every request costs one hash.

#![expect(clippy::disallowed_types, reason = "how long a verified password is remembered")]

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN, SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::offload;
use crate::worker::Core;

/// How long a verified password is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Passwords remembered per core.
const REMEMBERED_MAX: usize = 4096;

/// What a core has verified: digest of hash and password → result and time.
#[derive(Default)]
pub(crate) struct Verified(HashMap<[u8; 32], (bool, Instant)>);

/// Whether the password is the one that was hashed; `None` when it cannot be told now.
pub(super) async fn verify(core: &Rc<Core>, hash: &str, password: Vec<u8>) -> Option<bool> {
    let key = fingerprint(hash, &password);
    if let Some((result, at)) = core.verified_passwords.borrow().0.get(&key)
        && at.elapsed() < REMEMBERED
    {
        return Some(*result);
    }
    let hash = hash.to_owned();
    let result = offload::run(move || matches(&hash, &password)).await?;
    let mut verified = core.verified_passwords.borrow_mut();
    if verified.0.len() >= REMEMBERED_MAX {
        verified.0.clear();
    }
    verified.0.insert(key, (result, Instant::now()));
    Some(result)
}

fn fingerprint(hash: &str, password: &[u8]) -> [u8; 32] {
    let text = [hash.as_bytes(), b"\0", password].concat();
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, &text).as_ref());
    key
}

/// Every kind that nginx takes: apr1, SHA, salted SHA, and what crypt knows (bcrypt, MD5, SHA-256, SHA-512, DES).
fn matches(hash: &str, password: &[u8]) -> bool {
    if let Some(rest) = hash.strip_prefix("$apr1$") {
        let Some((salt, _)) = rest.split_once('$') else { return false };
        return equal(apr1(password, salt.as_bytes()).as_bytes(), hash.as_bytes());
    }
    if let Some(encoded) = hash.strip_prefix("{SHA}") {
        return equal(STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, password)).as_bytes(), encoded.as_bytes());
    }
    if let Some(encoded) = hash.strip_prefix("{SSHA}") {
        return is_salted_sha(encoded, password);
    }
    if let Some(plain) = hash.strip_prefix("{PLAIN}") {
        return equal(plain.as_bytes(), password);
    }
    pwhash::unix::verify(password, hash)
}

/// The digest of password and salt, and behind it the salt.
fn is_salted_sha(encoded: &str, password: &[u8]) -> bool {
    let decoded = STANDARD.decode(encoded).unwrap_or_default();
    let Some((hashed, salt)) = decoded.split_at_checked(SHA1_OUTPUT_LEN) else { return false };
    equal(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[password, salt].concat()).as_ref(), hashed)
}

/// Takes the same time for every text of that length.
fn equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Apache's variant of the MD5 crypt.
fn apr1(password: &[u8], salt: &[u8]) -> String {
    let salt = &salt[..salt.len().min(8)];
    let inner = Md5::digest([password, salt, password].concat());
    let mut first = [password, b"$apr1$", salt].concat();
    first.extend(inner.iter().cycle().take(password.len()));
    let mut n = password.len();
    while n > 0 {
        first.push(if n & 1 == 1 { 0 } else { password[0] });
        n >>= 1;
    }
    let mut sum = Md5::digest(first);
    for round in 0..1000 {
        let mut md5 = Md5::new();
        if round & 1 == 1 {
            md5.update(password)
        } else {
            md5.update(sum)
        }
        if round % 3 != 0 {
            md5.update(salt);
        }
        if round % 7 != 0 {
            md5.update(password);
        }
        if round & 1 == 1 {
            md5.update(sum)
        } else {
            md5.update(password)
        }
        sum = md5.finalize();
    }
    let salt = String::from_utf8_lossy(salt);
    format!("$apr1${salt}${}", crypt64(&sum))
}

/// The order of bytes and the alphabet of crypt(3).
fn crypt64(sum: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::new();
    let mut put = |value: u32, digits: u32| {
        (0..digits).for_each(|d| text.push(char::from(ALPHABET[(value >> (6 * d) & 63) as usize])));
    };
    let byte = |i: usize| u32::from(sum[i]);
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        put(byte(a) << 16 | byte(b) << 8 | byte(c), 4);
    }
    put(byte(11), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_hash_knows_its_password_and_no_other() {
        for hash in [
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
            "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0",
            "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
            "{PLAIN}secret",
            "{SSHA}1G904nLkTkGWjKNnQuB/hpWXC/hzYWx0c2FsdA==",
            // Without a salt it is the digest of the password alone.
            "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        ] {
            assert!(matches(hash, b"secret"), "{hash}");
            assert!(!matches(hash, b"Secret") && !matches(hash, b""), "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        for hash in
            ["", "secret", "$apr1$", "$apr1$x", "{SHA}", "{SSHA}", "{SSHA}c2VjcmV0", "{SSHA}no base64", "$9$x$y"]
        {
            assert!(!matches(hash, b"secret") && !matches(hash, b""), "{hash}");
        }
    }
}
