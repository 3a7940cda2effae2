//! Compression of responses: which ones, in which coding, and what their heads say then (nginx' rules).

mod encoder;

use ringress_config::snapshot::{CodingSettings, Compression};

pub(crate) use self::encoder::{Encoder, Encoders, Step};
use crate::http::field::FieldId;
use crate::http::framing::ResponseBody;
use crate::http::head::Version;
use crate::http::request::{Method, RequestHead};
use crate::http::response::ResponseHead;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// As Accept-Encoding and Content-Encoding have it.
    pub(crate) fn name(self) -> &'static [u8] {
        match self {
            Self::Zstd => b"zstd",
            Self::Brotli => b"br",
            Self::Gzip => b"gzip",
        }
    }
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Another client may get it in another coding.
    pub(crate) varies: bool,
    /// This client's coding, and its level.
    pub(crate) coding: Option<(Coding, u8)>,
}

/// Decides on a response.
pub(crate) fn decide(
    compression: &Compression,
    (request, inbox): (&RequestHead, &[u8]),
    (response, received): (&ResponseHead, &[u8]),
) -> Verdict {
    if request.method == Method::Head || !may_be_coded(response, received) {
        return Verdict::default();
    }
    let media_type = response.find(received, FieldId::ContentType).unwrap_or_default();
    let media_type = media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let covers = |coding: &&CodingSettings| coding.covers(media_type, response.content_length);
    let zstd = compression.zstd.as_ref().filter(covers);
    let brotli = compression.brotli.as_ref().filter(covers);
    let gzip = compression.gzip.as_ref().filter(covers);
    let accepted = |settings: Option<&CodingSettings>, coding| {
        settings.filter(|_| accepts(request, inbox, coding)).map(|settings| (coding, settings.level))
    };
    let chosen = accepted(zstd, Coding::Zstd).or_else(|| accepted(brotli, Coding::Brotli));
    let chosen = chosen.or_else(|| {
        let is_spared = |expression: &ringress_config::snapshot::Search| {
            request.find(inbox, FieldId::UserAgent).is_some_and(|agent| expression.is_found(agent))
        };
        let gzip = accepted(gzip, Coding::Gzip)?;
        (!compression.no_gzip_for.as_ref().is_some_and(is_spared)).then_some(gzip)
    });
    Verdict {
        varies: zstd.is_some() || brotli.is_some() || gzip.is_some(),
        // A client of HTTP/1.0 could not tell a whole response from one that was cut.
        coding: chosen.filter(|_| request.version == Version::Http11),
    }
}

/// Whether a response is of a kind that may be coded: nginx' statuses, not coded yet, not forbidden.
fn may_be_coded(response: &ResponseHead, received: &[u8]) -> bool {
    let forbids =
        |value: &[u8]| value.split(|b| *b == b',').any(|w| w.trim_ascii().eq_ignore_ascii_case(b"no-transform"));
    let mut orders = response.fields().iter().filter(|field| field.id == FieldId::CacheControl);
    matches!(response.status, 200 | 403 | 404)
        && !matches!(response.body, ResponseBody::None | ResponseBody::Length(0))
        && !response.has(FieldId::ContentEncoding)
        && !orders.any(|field| forbids(field.value.of(received)))
}

/// Whether a client names a coding, with a weight above zero.
fn accepts(request: &RequestHead, inbox: &[u8], coding: Coding) -> bool {
    let mut elements = request.find_all(inbox, FieldId::AcceptEncoding).flat_map(|line| line.split(|b| *b == b','));
    elements.any(|element| {
        let mut parts = element.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding.name())) && !parts.any(is_no_weight)
    })
}

/// `q=0`, `q=0.000`.
fn is_no_weight(parameter: &[u8]) -> bool {
    match parameter {
        [b'q' | b'Q', b'=', b'0', rest @ ..] => rest.iter().all(|byte| matches!(byte, b'.' | b'0')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::HeadLimits;
    use crate::http::response::Asked;

    fn settings(bytes_min: u64) -> Option<CodingSettings> {
        Some(CodingSettings { level: 1, bytes_min, types: ["text/css".into()].into() })
    }

    fn verdict(request: &str, response: &str) -> Verdict {
        let request = format!("{request}\r\n\r\n").replacen("\r\n", "\r\nHost: a\r\n", 1);
        let (mut asked, mut answered) = (RequestHead::default(), ResponseHead::default());
        let limits = HeadLimits::default();
        asked.parse(request.as_bytes(), &limits).unwrap();
        let response = format!("{response}\r\n\r\n");
        let head = asked.method == Method::Head;
        answered.parse(response.as_bytes(), &limits, Asked { head, upgrade: false }).unwrap();
        let compression = Compression {
            zstd: settings(256),
            brotli: settings(20),
            gzip: settings(256),
            no_gzip_for: Some(ringress_config::snapshot::Search::new("old", true).unwrap()),
        };
        decide(&compression, (&asked, request.as_bytes()), (&answered, response.as_bytes()))
    }

    const CSS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/css; charset=utf-8\r\nContent-Length: 300";

    fn coding(accept: &str) -> Option<Coding> {
        verdict(&format!("GET / HTTP/1.1\r\nAccept-Encoding: {accept}"), CSS).coding.map(|(coding, _)| coding)
    }

    #[test]
    fn the_client_chooses_among_what_it_takes_and_zstd_wins() {
        assert_eq!(coding("gzip, deflate, br"), Some(Coding::Brotli));
        assert_eq!(coding("gzip, deflate, br, zstd"), Some(Coding::Zstd));
        assert_eq!(coding("br, zstd;q=0"), Some(Coding::Brotli));
        assert_eq!(coding("GZIP;q=0.5"), Some(Coding::Gzip));
        assert_eq!(coding("br;q=0, gzip ; q=1"), Some(Coding::Gzip));
        for none in ["", "gzip;q=0", "gzip;q=0.00", "deflate", "*", "gzipped"] {
            assert_eq!(coding(none), None, "{none}");
        }
        let old = verdict("GET / HTTP/1.1\r\nAccept-Encoding: gzip\r\nUser-Agent: OLD one", CSS);
        assert_eq!(old, Verdict { varies: true, coding: None });
        assert!(verdict("GET / HTTP/1.0\r\nAccept-Encoding: gzip", CSS).coding.is_none());
    }

    #[test]
    fn what_is_no_plain_whole_response_is_left_alone() {
        let asked = "GET / HTTP/1.1\r\nAccept-Encoding: gzip, br";
        let of = |text: &str| verdict(asked, text);
        let left_alone = Verdict::default();
        for (what, text) in [
            ("partial", CSS.replace("200 OK", "206 Partial Content")),
            ("an error", CSS.replace("200 OK", "500 Error")),
            ("coded", format!("{CSS}\r\nContent-Encoding: identity")),
            ("forbidden", format!("{CSS}\r\nCache-Control: public, No-Transform")),
            ("another type", CSS.replace("text/css", "image/png")),
            ("no type", "HTTP/1.1 200 OK\r\nContent-Length: 300".into()),
            ("too short", CSS.replace("300", "19")),
            ("unchanged", CSS.replace("200 OK", "304 Not Modified")),
        ] {
            assert_eq!(of(&text), left_alone, "{what}");
        }
        assert_eq!(verdict(&asked.replace("GET", "HEAD"), CSS), left_alone);
        assert!(of("HTTP/1.1 404 No\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked").coding.is_some());
    }
}
