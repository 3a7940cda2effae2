//! Recorded requests: lines of an access log, JSON objects, or requests written by hand.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// A request, and what was recorded of its fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) method: String,
    /// `None` when the record does not say.
    pub(super) https: Option<bool>,
    /// `None` when the record does not say.
    pub(super) host: Option<String>,
    /// Path and query as sent.
    pub(super) target: String,
    /// Names and values.
    pub(super) fields: Vec<(String, String)>,
    pub(super) client: Option<IpAddr>,
    pub(super) fate: Fate,
}

/// What was recorded of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) status: Option<u16>,
    /// `$proxy_upstream_name` and `$proxy_alternative_upstream_name`, those that are set.
    pub(super) upstreams: Vec<String>,
    /// Whether an upstream was asked; `None` when the record does not say.
    pub(super) proxied: Option<bool>,
}

impl Recorded {
    /// The URL, with these where the record does not say.
    pub(super) fn url(&self, https: bool, host: &str) -> String {
        let scheme = if self.https.unwrap_or(https) { "https" } else { "http" };
        format!("{scheme}://{}{}", self.host.as_deref().unwrap_or(host), self.target)
    }

    /// Reads a line; `None` when it holds no request.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with('{') {
            return Self::from_json(serde_json::from_str(line).ok()?);
        }
        Self::from_request(line).or_else(|| Self::from_log(line))
    }

    /// `GET https://host/path`, or a URL alone.
    fn from_request(line: &str) -> Option<Self> {
        let (method, url) = line.split_once(' ').unwrap_or(("GET", line));
        let (scheme, rest) = url.trim().split_once("://")?;
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(at);
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let recorded = Self { https: Some(https), host: Some(host.to_owned()), ..Self::default() };
        recorded.with_request(method, &target).filter(|recorded| recorded.host.as_deref() != Some(""))
    }

    /// The default form of ingress-nginx; what it has in front is the form of nginx.
    fn from_log(line: &str) -> Option<Self> {
        let words = words(line);
        let word = |at: usize| words.get(at).map(|word| word.as_str());
        let mut parts = word(4)?.split(' ');
        let (method, target) = (parts.next()?, parts.next()?);
        let status = word(5)?.parse().ok()?;
        let upstreams = [word(11), word(12)].into_iter().flatten().filter(is_set).map(str::to_owned).collect();
        let proxied = word(13).map(|address| is_set(&address));
        let mut recorded = Self {
            client: word(0)?.parse().ok(),
            fate: Fate { status: Some(status), upstreams, proxied },
            ..Self::default()
        };
        let agent = word(8).filter(is_set).map(|agent| ("User-Agent".to_owned(), agent.to_owned()));
        recorded.fields.extend(agent);
        recorded.with_request(method, target)
    }

    /// nginx' names of variables, and a few that are common instead. A collector's wrapper is taken off.
    fn from_json(value: Value) -> Option<Self> {
        let object = value.as_object()?;
        if let Some(line) = ["log", "message"].iter().find_map(|name| object.get(*name)?.as_str()) {
            return Self::parse(line);
        }
        let text =
            |names: &[&str]| names.iter().find_map(|name| scalar(object, name)).filter(|text| is_set(&text.as_str()));
        let request = text(&["request"]).unwrap_or_default();
        let mut parts = request.split(' ');
        let (from_line, target_of_line) = (parts.next().unwrap_or_default(), parts.next());
        let method = text(&["request_method", "method"]).unwrap_or_else(|| from_line.to_owned());
        let mut target = text(&["request_uri", "uri", "path"]).or_else(|| target_of_line.map(str::to_owned))?;
        if let Some(query) = text(&["args", "query_string", "request_query"]).filter(|_| !target.contains('?')) {
            target = format!("{target}?{query}");
        }
        let upstream = [&["proxy_upstream_name", "upstream_name"][..], &["proxy_alternative_upstream_name"]];
        let address = text(&["upstream_addr"]);
        let says_address = object.contains_key("upstream_addr");
        let agent = text(&["http_user_agent", "user_agent"]);
        Self {
            https: text(&["scheme", "http_x_forwarded_proto"]).map(|scheme| scheme == "https"),
            host: text(&["host", "http_host", "vhost", "server_name"]),
            fields: agent.map(|agent| ("User-Agent".to_owned(), agent)).into_iter().collect(),
            client: text(&["remote_addr", "client_ip"]).and_then(|address| address.parse().ok()),
            fate: Fate {
                status: text(&["status"]).and_then(|status| status.parse().ok()),
                upstreams: upstream.into_iter().filter_map(text).collect(),
                proxied: says_address.then_some(address.is_some()),
            },
            ..Self::default()
        }
        .with_request(&method, &target)
    }

    fn with_request(self, method: &str, target: &str) -> Option<Self> {
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let is_target = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
        (is_method && is_target).then(|| Self { method: method.to_owned(), target: target.to_owned(), ..self })
    }
}

/// Text or number.
fn scalar(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn is_set(text: &&str) -> bool {
    !text.is_empty() && *text != "-"
}

/// Takes a line apart at blanks; what stands in quotes or brackets is one word, without them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let close = match first {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        let (word, after) = match close {
            Some(close) => {
                let inner = &rest[1..];
                let end = inner.find(close).unwrap_or(inner.len());
                (&inner[..end], inner.get(end + 1..).unwrap_or_default())
            }
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_default_log_tells_the_request_and_its_fate() {
        let line = r#"10.0.0.9 - - [24/Nov/2026:10:00:00 +0000] "GET /a?b=c HTTP/2.0" 502 150 "-" "curl/8 (x)" 80 0.004 [shop-web-80] [shop-web-canary-80] 10.1.0.1:8080, 10.1.0.2:8080 0, 0 0.002, 0.001 502, 502 0af1"#;
        let found = Recorded::parse(line).unwrap();
        assert_eq!((found.method.as_str(), found.target.as_str(), &found.host), ("GET", "/a?b=c", &None));
        assert_eq!(found.client, "10.0.0.9".parse().ok());
        assert_eq!(found.fields, [("User-Agent".to_owned(), "curl/8 (x)".to_owned())]);
        let upstreams = vec!["shop-web-80".to_owned(), "shop-web-canary-80".to_owned()];
        assert_eq!(found.fate, Fate { status: Some(502), upstreams, proxied: Some(true) });
        let own = r#"10.0.0.9 - - [24/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 308 164 "-" "-" 80 0.000 [shop-web-80] [] - - - - 0af2"#;
        let fate = Recorded::parse(own).unwrap().fate;
        assert_eq!((fate.status, fate.proxied, fate.upstreams.len()), (Some(308), Some(false), 1));
    }

    #[test]
    fn json_is_read_by_the_names_of_nginx_also_out_of_a_wrapper() {
        let line = r#"{"host":"a.test","scheme":"https","request_method":"POST","uri":"/x","args":"y=1","status":"201","proxy_upstream_name":"n-s-80","upstream_addr":"10.0.0.1:80"}"#;
        let found = Recorded::parse(line).unwrap();
        assert_eq!(found.url(false, "other"), "https://a.test/x?y=1");
        assert_eq!(found.fate.status, Some(201));
        let wrapped = serde_json::json!({ "log": line }).to_string();
        assert_eq!(Recorded::parse(&wrapped).unwrap(), found);
        let request = r#"{"vhost":"b.test","request":"GET /z HTTP/1.1","status":200}"#;
        let found = Recorded::parse(request).unwrap();
        assert_eq!((found.url(true, ""), found.fate.proxied), ("https://b.test/z".to_owned(), None));
    }

    #[test]
    fn requests_can_be_written_by_hand() {
        let found = Recorded::parse("HEAD http://a.test:8080?x").unwrap();
        assert_eq!((found.method.as_str(), found.url(true, "other")), ("HEAD", "http://a.test:8080/?x".into()));
        assert_eq!(Recorded::parse("https://a.test").unwrap().url(false, ""), "https://a.test/");
    }

    #[test]
    fn what_holds_no_request_is_none() {
        for line in [
            "",
            "x",
            "{",
            "{}",
            "[]",
            r#"{"log":"x"}"#,
            "GET ftp://a/",
            "GET http:///x",
            r#"a - - [b] "\x16\x03" 400 0"#,
        ] {
            assert_eq!(Recorded::parse(line), None, "{line}");
        }
    }
}
