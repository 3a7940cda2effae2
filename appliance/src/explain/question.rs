//! The request that is asked about.

use std::net::IpAddr;

use axum::http::Uri;

use crate::http::edge::Scheme;
use crate::http::head::{HeadError, HeadLimits, Progress};
use crate::http::request::RequestHead;

/// The request that is asked about, as the bytes of an HTTP/1.1 head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// For people.
    line: String,
    bytes: Vec<u8>,
    https: bool,
    /// Where it comes from, when that was said.
    client: Option<IpAddr>,
}

/// A question that makes no request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QuestionError {
    /// No `http://host/path`.
    #[error("{0:?} is not a URL such as https://host/path")]
    Url(String),
    /// No method.
    #[error("{0:?} is not a method such as GET")]
    Method(String),
    /// No `Name: value`.
    #[error("{0:?} is not a header such as Name: value")]
    Header(String),
    /// No address.
    #[error("{0:?} is not an address")]
    ClientAddress(String),
    /// A query of the API without `url`, or with an unknown key.
    #[error("expected url, method, header and client_ip, found {0:?}")]
    Key(String),
}

impl Question {
    /// Reads the parts as the command line and the API give them. A `Host` header wins over the URL's host.
    ///
    /// # Errors
    /// When a part is not what it should be.
    pub fn new(url: &str, method: &str, headers: &[String], client: Option<IpAddr>) -> Result<Self, QuestionError> {
        let error = || QuestionError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| error())?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(error()),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(error)?;
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(QuestionError::Method(method.to_owned()));
        }
        let (mut host, mut fields) = (authority.as_str(), String::new());
        for header in headers {
            let pair = header.split_once(':').filter(|(name, _)| !name.is_empty() && !header.contains(['\r', '\n']));
            let (name, value) = pair.ok_or_else(|| QuestionError::Header(header.clone()))?;
            if name.eq_ignore_ascii_case("host") {
                host = value.trim();
            } else {
                fields += &format!("{name}: {}\r\n", value.trim());
            }
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
        let bytes = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").into_bytes();
        let from = client.map(|address| format!(" from {address}")).unwrap_or_default();
        let line = format!("{method} {}://{host}{target}{from}", if https { "https" } else { "http" });
        Ok(Self { line, bytes, https, client })
    }

    /// Reads the query of `/api/explain`.
    ///
    /// # Errors
    /// As [`Self::new`], and for keys that the API does not have.
    pub fn from_query(pairs: &[(String, String)]) -> Result<Self, QuestionError> {
        let (mut url, mut method, mut headers, mut client) = (None, "GET", Vec::new(), None);
        for (key, value) in pairs {
            match key.as_str() {
                "url" => url = Some(value.as_str()),
                "method" => method = value,
                "header" => headers.push(value.clone()),
                "client_ip" => {
                    client = Some(value.parse().map_err(|_| QuestionError::ClientAddress(value.clone()))?);
                }
                _ => return Err(QuestionError::Key(key.clone())),
            }
        }
        Self::new(url.ok_or_else(|| QuestionError::Key("no url".into()))?, method, &headers, client)
    }

    pub(super) fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn client(&self) -> Option<IpAddr> {
        self.client
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn scheme(&self) -> Scheme {
        if self.https { Scheme::Https } else { Scheme::Http }
    }

    /// Parses the bytes as a worker does.
    pub(super) fn parse(&self) -> Result<RequestHead, HeadError> {
        let mut head = RequestHead::default();
        match head.parse(&self.bytes, &HeadLimits::default())? {
            Progress::Complete => Ok(head),
            // The bytes end with an empty line, so this is not met.
            Progress::Partial => Err(HeadError::LineEnd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_as_curl_would_send_it() {
        let question = Question::new("https://A.Test.:8443?y=1", "GET", &["X-A: b".into()], None).unwrap();
        assert_eq!(question.bytes, b"GET /?y=1 HTTP/1.1\r\nHost: A.Test.:8443\r\nX-A: b\r\n\r\n");
        let headers = ["Host: b.test:80".to_owned()];
        let question = Question::new("http://127.0.0.1:8080", "HEAD", &headers, "::1".parse().ok()).unwrap();
        assert_eq!(question.bytes, b"HEAD / HTTP/1.1\r\nHost: b.test:80\r\n\r\n");
        assert_eq!(question.line, "HEAD http://b.test:80/ from ::1");
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        for url in ["", "a.test/x", "ftp://a.test/", "http:///x", "http://a b/"] {
            assert_eq!(Question::new(url, "GET", &[], None), Err(QuestionError::Url(url.into())), "{url}");
        }
        for header in ["nothing", ": x", "A: b\r\nC: d"] {
            let headers = [header.to_owned()];
            let error = QuestionError::Header(header.into());
            assert_eq!(Question::new("http://a/", "GET", &headers, None), Err(error), "{header}");
        }
        assert_eq!(Question::new("http://a/", "G T", &[], None), Err(QuestionError::Method("G T".into())));
        let query = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert_eq!(Question::from_query(&query("client_ip", "x")), Err(QuestionError::ClientAddress("x".into())));
        assert_eq!(Question::from_query(&query("path", "x")), Err(QuestionError::Key("path".into())));
        assert_eq!(Question::from_query(&[]), Err(QuestionError::Key("no url".into())));
    }
}
