//! Why a request goes where it goes, by the router's own lookup.

use std::fmt;
use std::net::IpAddr;

use axum::http::Uri;
use ringress_config::snapshot::{Backend, HostRoutes, HttpsRedirect, PathKind, PathMatch, Route, Snapshot};
use serde::{Deserialize, Serialize};

use crate::http::target;

/// Routes of the host that are listed beside the one that serves.
const OTHERS_MAX: usize = 100;

/// The request that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    method: String,
    https: bool,
    /// Lower case, without port and final dot.
    host: String,
    /// As sent, without query.
    path: String,
    query: Option<String>,
    /// For policies that look at the client; none does yet.
    client_ip: Option<IpAddr>,
}

/// A question that makes no request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QuestionError {
    /// No `http://host/path`.
    #[error("{0:?} is not a URL such as https://host/path")]
    Url(String),
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
    pub fn new(url: &str, method: &str, headers: &[String], client_ip: Option<IpAddr>) -> Result<Self, QuestionError> {
        let error = || QuestionError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| error())?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(error()),
        };
        let mut host = uri.host().ok_or_else(error)?.to_owned();
        for header in headers {
            let (name, value) = header.split_once(':').ok_or_else(|| QuestionError::Header(header.clone()))?;
            if name.trim().eq_ignore_ascii_case("host") {
                host = without_port(value.trim()).to_owned();
            }
        }
        let host = host.strip_suffix('.').unwrap_or(&host).to_ascii_lowercase();
        let path = if uri.path().is_empty() { "/" } else { uri.path() }.to_owned();
        Ok(Self { method: method.to_owned(), https, host, path, query: uri.query().map(str::to_owned), client_ip })
    }

    /// Reads the query of `/api/explain`.
    pub fn from_query(pairs: &[(String, String)]) -> Result<Self, QuestionError> {
        let (mut url, mut method, mut headers, mut client_ip) = (None, "GET", Vec::new(), None);
        for (key, value) in pairs {
            match key.as_str() {
                "url" => url = Some(value.as_str()),
                "method" => method = value,
                "header" => headers.push(value.clone()),
                "client_ip" => {
                    client_ip = Some(value.parse().map_err(|_| QuestionError::ClientAddress(value.clone()))?);
                }
                _ => return Err(QuestionError::Key(key.clone())),
            }
        }
        Self::new(url.ok_or_else(|| QuestionError::Key("no url".into()))?, method, &headers, client_ip)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What becomes of the request.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Answer {
    /// The proxy refuses it.
    Refused {
        /// Status.
        status: u16,
        /// Why.
        reason: String,
    },
    /// The proxy redirects it.
    Redirect {
        /// Status.
        status: u16,
        /// Why.
        reason: String,
    },
    /// It goes to one of these clusters.
    Proxied {
        /// One, or several by weight.
        clusters: Vec<Target>,
    },
    /// The proxy answers.
    Status {
        /// Status.
        status: u16,
        /// Why.
        reason: String,
    },
}

/// A cluster that may get the request.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Target {
    /// `namespace-service-port`.
    pub cluster: String,
    /// Its share of the sum of weights.
    pub weight: u32,
    /// Its addresses; without any the answer is 503.
    pub endpoints: Vec<String>,
}

/// A rule and why it serves, or does not.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Rule {
    /// The object, such as `Ingress shop/web`.
    pub object: String,
    /// The field in it.
    pub field: String,
    /// Path as written.
    pub path: String,
    /// `exact`, `prefix` or `regex`.
    pub kind: String,
    /// Why.
    pub why: String,
}

/// The whole answer.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Explanation {
    /// Generation of the snapshot that was asked.
    pub generation: u64,
    /// The request, as understood.
    pub request: String,
    /// The path that is matched: decoded, slashes merged, dot segments resolved.
    pub normalised_path: String,
    /// The rules' host that the request's host matched; `_` is the catch-all.
    pub host: String,
    /// How it matched.
    pub host_match: String,
    /// What becomes of the request.
    pub answer: Answer,
    /// The rule that decided, if one did.
    pub rule: Option<Rule>,
    /// The certificate that an https client is shown.
    pub certificate: Option<String>,
    /// The other rules of this host.
    pub others: Vec<Rule>,
}

/// Says what a snapshot does with a request.
pub fn explain(snapshot: &Snapshot, question: &Question) -> Explanation {
    let host = snapshot.hosts.find(&question.host);
    let mut scratch = Vec::new();
    let (normalised, found) = match target::normalise(question.path.as_bytes(), &mut scratch) {
        Ok(path) => (Ok(path), host.paths.find(path)),
        Err(error) => (Err(error), PathMatch::None),
    };
    let (answer, chosen) = match (&normalised, found) {
        (Err(error), _) => (Answer::Refused { status: 400, reason: error.to_string() }, None),
        (Ok(_), PathMatch::None) => {
            (Answer::Status { status: 404, reason: "no rule of this host has a matching path".into() }, None)
        }
        (Ok(_), PathMatch::AddSlash(route)) => {
            let reason = format!("the rule's path is {}, with a final slash", route.path);
            (Answer::Redirect { status: 301, reason }, Some(route))
        }
        (Ok(_), PathMatch::Route(route)) => (serve(snapshot, question, route), Some(route)),
    };
    let path = normalised.unwrap_or_default();
    Explanation {
        generation: snapshot.generation,
        request: request_line(question),
        normalised_path: String::from_utf8_lossy(path).into_owned(),
        host: host.name.to_string(),
        host_match: host_match(&question.host, host).to_owned(),
        rule: chosen.map(|route| rule(route, chosen_why(route))),
        certificate: question.https.then(|| certificate(snapshot, &question.host)),
        others: others(host, chosen, path),
        answer,
    }
}

fn request_line(question: &Question) -> String {
    let scheme = if question.https { "https" } else { "http" };
    let query = question.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let client = question.client_ip.map(|ip| format!(" from {ip}")).unwrap_or_default();
    format!("{} {scheme}://{}{}{query}{client}", question.method, question.host, question.path)
}

fn host_match(asked: &str, host: &HostRoutes) -> &'static str {
    match &*host.name {
        "_" => "no rule names this host, so the catch-all serves it",
        name if name == asked => "exact",
        name if name.starts_with("*.") => "wildcard",
        _ => "alias",
    }
}

fn serve(snapshot: &Snapshot, question: &Question, route: &Route) -> Answer {
    let redirect = match route.https_redirect {
        HttpsRedirect::Always(status) => Some((status, "https is forced")),
        HttpsRedirect::IfCertificate(status) if snapshot.certificates.covers(&question.host) => {
            Some((status, "the host has a certificate"))
        }
        HttpsRedirect::IfCertificate(_) | HttpsRedirect::Never => None,
    };
    if let Some((status, reason)) = redirect
        && !question.https
    {
        return Answer::Redirect { status, reason: format!("to https, because {reason}") };
    }
    let target = |id, weight| {
        let cluster = snapshot.clusters.get(id)?;
        let endpoints = cluster.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
        Some(Target { cluster: cluster.name.to_string(), weight, endpoints })
    };
    let clusters: Vec<Target> = match &route.backend {
        Backend::Cluster(id) => target(*id, 1).into_iter().collect(),
        Backend::Weighted(parts) => parts.iter().filter_map(|part| target(part.cluster, part.weight)).collect(),
        Backend::Status(status) => {
            return Answer::Status { status: *status, reason: "the rule has no usable backend".into() };
        }
    };
    if clusters.iter().all(|cluster| cluster.endpoints.is_empty()) {
        return Answer::Status { status: 503, reason: "the service has no endpoints".into() };
    }
    Answer::Proxied { clusters }
}

fn certificate(snapshot: &Snapshot, host: &str) -> String {
    let certificate = snapshot.certificates.present(Some(host));
    match &certificate.secret {
        Some(secret) => format!("Secret {secret} for {}", certificate.names.join(", ")),
        None => "the built-in self-signed one".to_owned(),
    }
}

/// The word for a kind of path.
pub(crate) fn kind_name(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Exact => "exact",
        PathKind::Prefix => "prefix",
        PathKind::Regex => "regex",
    }
}

fn rule(route: &Route, why: String) -> Rule {
    Rule {
        object: route.source.to_string(),
        field: route.field.clone(),
        path: route.path.to_string(),
        kind: kind_name(route.kind).to_owned(),
        why,
    }
}

fn chosen_why(route: &Route) -> String {
    match route.kind {
        PathKind::Exact => "the path is equal".into(),
        PathKind::Prefix => "the longest prefix of the path".into(),
        PathKind::Regex => "the first pattern that matches, longest text first".into(),
    }
}

fn others(host: &HostRoutes, chosen: Option<&std::sync::Arc<Route>>, path: &[u8]) -> Vec<Rule> {
    let routes = host.paths.routes();
    let place = chosen.and_then(|chosen| routes.iter().position(|route| route.id == chosen.id));
    let others = routes.iter().enumerate().filter(|(index, _)| Some(*index) != place);
    others.take(OTHERS_MAX).map(|(index, route)| rule(route, why_not(route, path, place, index))).collect()
}

/// `routes()` is in the order in which patterns are tried, so of patterns only the place has to be known.
fn why_not(route: &Route, path: &[u8], chosen: Option<usize>, index: usize) -> String {
    let rest = path.strip_prefix(route.path.trim_end_matches('/').as_bytes());
    match route.kind {
        PathKind::Regex if chosen.is_some_and(|chosen| chosen < index) => "comes after the one that matched".into(),
        PathKind::Regex => "the pattern does not match".into(),
        PathKind::Exact => "the path is not equal".into(),
        PathKind::Prefix if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")) => {
            "a longer or exact path matched".into()
        }
        PathKind::Prefix => "not a prefix of the path".into(),
    }
}

/// The lines of `ringress explain`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.request)?;
        writeln!(f, "  host     {} ({})", self.host, self.host_match)?;
        writeln!(f, "  path     {}", self.normalised_path)?;
        if let Some(certificate) = &self.certificate {
            writeln!(f, "  tls      {certificate}")?;
        }
        if let Some(rule) = &self.rule {
            writeln!(f, "  rule     {rule}")?;
        }
        match &self.answer {
            Answer::Refused { status, reason } | Answer::Status { status, reason } => {
                writeln!(f, "  answer   {status}: {reason}")?;
            }
            Answer::Redirect { status, reason } => writeln!(f, "  answer   {status} redirect: {reason}")?,
            Answer::Proxied { clusters } => {
                for target in clusters {
                    writeln!(
                        f,
                        "  backend  {} (weight {}): {}",
                        target.cluster,
                        target.weight,
                        target.endpoints.join(", ")
                    )?;
                }
            }
        }
        for other in &self.others {
            writeln!(f, "  not      {other}")?;
        }
        Ok(())
    }
}

/// `Ingress shop/web spec.rules[0].http.paths[0], prefix /shop: why`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {} {}: {}", self.object, self.field, self.kind, self.path, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_as_curl_would_send_it() {
        let question = Question::new("https://A.Test.:8443/x?y=1", "GET", &[], None).unwrap();
        assert_eq!(request_line(&question), "GET https://a.test/x?y=1");
        let headers = ["Host: b.test:80".to_owned()];
        let question = Question::new("http://127.0.0.1:8080", "HEAD", &headers, "::1".parse().ok()).unwrap();
        assert_eq!(request_line(&question), "HEAD http://b.test/ from ::1");
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        for url in ["", "a.test/x", "ftp://a.test/", "http:///x", "http://a b/"] {
            assert_eq!(Question::new(url, "GET", &[], None), Err(QuestionError::Url(url.into())), "{url}");
        }
        let header = ["nothing".to_owned()];
        assert_eq!(Question::new("http://a/", "GET", &header, None), Err(QuestionError::Header("nothing".into())));
        let query = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert_eq!(Question::from_query(&query("client_ip", "x")), Err(QuestionError::ClientAddress("x".into())));
        assert_eq!(Question::from_query(&query("path", "x")), Err(QuestionError::Key("path".into())));
        assert_eq!(Question::from_query(&[]), Err(QuestionError::Key("no url".into())));
    }
}
