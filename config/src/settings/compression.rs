//! The keys of compression.

use super::find;
use crate::snapshot::{CodingSettings, Compression, Search};
use crate::value::{self, Expected, Source};

/// `None` when nothing is compressed. Values are looked at all the same.
pub(super) fn read(keys: &mut impl Source) -> Option<Box<Compression>> {
    let gzip = CodingSettings {
        level: keys.get("gzip-level", gzip_level).unwrap_or(1),
        bytes_min: keys.get("gzip-min-length", value::natural).unwrap_or(256).into(),
        types: keys.get("gzip-types", types).unwrap_or_else(|| default_types("gzip-types")),
    };
    let brotli = CodingSettings {
        level: keys.get("brotli-level", brotli_level).unwrap_or(4),
        bytes_min: keys.get("brotli-min-length", value::natural).unwrap_or(20).into(),
        types: keys.get("brotli-types", types).unwrap_or_else(|| default_types("brotli-types")),
    };
    let zstd = CodingSettings {
        level: keys.get("zstd-level", zstd_level).unwrap_or(3),
        bytes_min: keys.get("zstd-min-length", value::natural).unwrap_or(256).into(),
        types: keys.get("zstd-types", types).unwrap_or_else(|| default_types("zstd-types")),
    };
    let no_gzip_for = keys.get("gzip-disable", user_agent);
    let gzip = keys.get("use-gzip", value::bool).unwrap_or(false).then_some(gzip);
    let brotli = keys.get("enable-brotli", value::bool).unwrap_or(false).then_some(brotli);
    let zstd = keys.get("enable-zstd", value::bool).unwrap_or(false).then_some(zstd);
    let is_any = gzip.is_some() || brotli.is_some() || zstd.is_some();
    is_any.then(|| Box::new(Compression { zstd, brotli, gzip, no_gzip_for }))
}

fn gzip_level(text: &str) -> Result<u8, Expected> {
    const EXPECTED: Expected = "a level from 1 to 9";
    text.parse().ok().filter(|level| (1..=9).contains(level)).ok_or(EXPECTED)
}

fn brotli_level(text: &str) -> Result<u8, Expected> {
    const EXPECTED: Expected = "a level from 0 to 11";
    text.parse().ok().filter(|level| (0..=11).contains(level)).ok_or(EXPECTED)
}

fn zstd_level(text: &str) -> Result<u8, Expected> {
    const EXPECTED: Expected = "a level from 1 to 19";
    text.parse().ok().filter(|level| (1..=19).contains(level)).ok_or(EXPECTED)
}

fn types(text: &str) -> Result<Box<[Box<str>]>, Expected> {
    let is_type = |word: &str| word == "*" || word.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b));
    let all = text.split_ascii_whitespace().all(is_type);
    if all { Ok(listed(text)) } else { Err("media types between blanks, or *") }
}

/// The list of the table.
fn default_types(name: &str) -> Box<[Box<str>]> {
    listed(find(name).map_or("", |row| row.default))
}

fn is_token(text: &str) -> bool {
    value::field_name(text).is_ok()
}

fn listed(text: &str) -> Box<[Box<str>]> {
    text.split_ascii_whitespace().map(|word| word.to_ascii_lowercase().into()).collect()
}

/// nginx compares these without case; `msie6` is a word of its own for one browser.
fn user_agent(text: &str) -> Result<Search, Expected> {
    let expression = if text == "msie6" { r"MSIE [4-6]\." } else { text };
    Search::new(expression, true).map_err(|_| "a regular expression that can be served")
}
