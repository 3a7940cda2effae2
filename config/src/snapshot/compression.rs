//! Compression of responses: which ones, and how hard.

use super::Search;

/// The codings that are switched on; at least one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// `enable-zstd`; wins over the others where a client takes several.
    pub zstd: Option<CodingSettings>,
    /// `enable-brotli`; wins over gzip where a client takes both.
    pub brotli: Option<CodingSettings>,
    /// `use-gzip`.
    pub gzip: Option<CodingSettings>,
    /// `gzip-disable`: clients with such a User-Agent get no gzip.
    pub no_gzip_for: Option<Search>,
}

/// One coding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodingSettings {
    /// As the coding counts: 1 to 9 for gzip, 0 to 11 for brotli, 1 to 19 for zstd.
    pub level: u8,
    /// Shorter responses are left alone (`…-min-length`, bytes); those of unknown length are not.
    pub bytes_min: u64,
    /// Media types besides `text/html` (`…-types`); `*` is any.
    pub types: Box<[Box<str>]>,
}

impl CodingSettings {
    /// Whether responses of a media type and a length, where it is known, are coded.
    pub fn covers(&self, media_type: &[u8], length: Option<u64>) -> bool {
        let is_listed = |listed: &str| listed == "*" || media_type.eq_ignore_ascii_case(listed.as_bytes());
        length.is_none_or(|length| length >= self.bytes_min)
            && (media_type.eq_ignore_ascii_case(b"text/html") || self.types.iter().any(|listed| is_listed(listed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_and_listed_types_of_enough_bytes_are_covered() {
        let gzip = CodingSettings { level: 1, bytes_min: 256, types: ["text/css".into()].into() };
        assert!(gzip.covers(b"Text/HTML", Some(256)) && gzip.covers(b"text/css", None));
        assert!(!gzip.covers(b"text/css", Some(255)) && !gzip.covers(b"image/png", None) && !gzip.covers(b"", None));
        let any = CodingSettings { types: ["*".into()].into(), ..gzip };
        assert!(any.covers(b"image/png", None));
    }
}
