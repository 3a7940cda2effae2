//! Text with variables, parsed once: what users write as `$host`, `$request_uri`, `$http_x`.

/// A parsed text. Evaluated by the workers without looking at a `$` again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Template {
    parts: Box<[Part]>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// As it is.
    Text(Box<str>),
    /// What the request says.
    Variable(Variable),
}

/// What a request can be asked for (reference 1.1, the fixed list).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// `$request_uri`: path and query as sent.
    RequestUri,
    /// `$escaped_request_uri`: the same with all but unreserved letters percent-encoded.
    EscapedRequestUri,
    /// `$uri`: the normalised path.
    Uri,
    /// `$args`, `$query_string`.
    Args,
    /// `$is_args`: `?` or nothing.
    IsArgs,
    /// `$scheme`: of the client's own connection.
    Scheme,
    /// `$pass_access_scheme`: as believed.
    AccessScheme,
    /// `$host`: lower case, without port.
    Host,
    /// `$http_host`: as sent.
    HttpHost,
    /// `$best_http_host`: as believed, with port.
    BestHttpHost,
    /// `$server_name`: the rule's host.
    ServerName,
    /// `$server_port`, `$pass_server_port`.
    ServerPort,
    /// `$remote_addr`, `$the_real_ip`, `$binary_remote_addr`: the client as resolved.
    RemoteAddr,
    /// `$remote_port`.
    RemotePort,
    /// `$remote_user`.
    RemoteUser,
    /// `$proxy_add_x_forwarded_for`: what upstreams are told as `X-Forwarded-For`.
    ForwardedFor,
    /// `$request_method`.
    RequestMethod,
    /// `$request_id`, `$req_id`.
    RequestId,
    /// `$http_NAME`, the name as in a head (dashes).
    Field(Box<str>),
    /// `$cookie_NAME`.
    Cookie(Box<str>),
    /// `$arg_NAME`.
    Arg(Box<str>),
    /// `$1` to `$9`, groups of the path's pattern.
    Capture(u8),
    /// `$namespace`.
    Namespace,
    /// `$ingress_name`.
    IngressName,
    /// `$service_name`.
    ServiceName,
    /// `$service_port`.
    ServicePort,
    /// `$location_path`.
    LocationPath,
    /// `$proxy_upstream_name`: namespace, name and port of the rule's service.
    UpstreamName,
    /// `$proxy_host`: what nginx calls the place that ingress-nginx sends every request to.
    ProxyHost,
    /// `$ssl_protocol`.
    TlsProtocol,
    /// `$ssl_cipher`: OpenSSL's name.
    TlsCipher,
    /// `$ssl_client_verify`.
    ClientVerify,
    /// `$ssl_client_s_dn`.
    ClientSubject,
    /// `$ssl_client_i_dn`.
    ClientIssuer,
    /// `$time_iso8601`.
    TimeIso8601,
    /// `$msec`: seconds since 1970, with milliseconds.
    Msec,
    /// `$hostname`: of the machine or pod.
    Hostname,
}

impl Variable {
    /// Whether it has to be noted while the request runs by whoever wants it at its end.
    pub fn is_noted(&self) -> bool {
        matches!(
            self,
            Self::ForwardedFor
                | Self::TlsProtocol
                | Self::TlsCipher
                | Self::ClientVerify
                | Self::ClientSubject
                | Self::ClientIssuer
        )
    }
}

/// The names that a text may hold, and what each stands for; ALL CAPS are for any name.
pub const VARIABLES: &[(&[&str], &str)] = &[
    (&["request_uri"], "path and query as sent"),
    (&["escaped_request_uri"], "the same, percent-encoded"),
    (&["uri", "document_uri"], "the path: decoded, slashes merged, dot segments resolved"),
    (&["args", "query_string"], "the query"),
    (&["is_args"], "`?` when there is a query, else nothing"),
    (&["arg_NAME"], "an argument of the query, as sent"),
    (&["scheme"], "`http` or `https`, by the client's own connection"),
    (&["pass_access_scheme"], "the same, as far as forwarded fields are believed"),
    (&["host"], "the host that was asked for, lower case, without port"),
    (&["http_host"], "the Host field as sent"),
    (&["best_http_host"], "the host with its port, as far as forwarded fields are believed"),
    (&["server_name"], "the host of the rule"),
    (&["server_port", "pass_server_port", "pass_port"], "the port that was asked"),
    (&["remote_addr", "the_real_ip", "binary_remote_addr"], "the client's address, as far as it is believed"),
    (&["remote_port"], "the client's port"),
    (&["remote_user"], "the user of basic authentication"),
    (&["proxy_add_x_forwarded_for"], "what backends are told as X-Forwarded-For"),
    (&["request_method"], "the method"),
    (&["request_id", "req_id"], "the request's id"),
    (&["http_NAME"], "a field of the request, `_` for `-`"),
    (&["content_type", "content_length"], "the fields of these names"),
    (&["cookie_NAME"], "a cookie"),
    (&["1"], "and up to `$9`: a group of the path's pattern"),
    (&["namespace", "ingress_name", "service_name", "service_port", "location_path"], "of the rule that serves"),
    (&["proxy_upstream_name"], "namespace, name and port of the rule's service, with `-` between"),
    (&["proxy_host"], "`upstream_balancer`, which it is with ingress-nginx whatever the service"),
    (&["ssl_protocol"], "`TLSv1.2` or `TLSv1.3`; nothing for a connection in the clear"),
    (&["ssl_cipher"], "the cipher suite of the client's connection by OpenSSL's name"),
    (&["ssl_client_verify"], "`SUCCESS`, `FAILED:why` or `NONE`: the client's certificate"),
    (&["ssl_client_s_dn", "ssl_client_i_dn"], "subject and issuer of the client's certificate"),
    (&["time_iso8601"], "the time, as `2026-11-30T15:04:05+00:00`"),
    (&["msec"], "the time in seconds since 1970, with milliseconds"),
    (&["hostname"], "the name of the machine or pod of the proxy"),
];

/// A `$` that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("${0} is not a variable that is supported")]
pub struct UnknownVariable(pub String);

impl Template {
    /// A text without variables, `$` included.
    pub fn literal(text: &str) -> Self {
        let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text.into())] };
        Self { parts: parts.into() }
    }

    /// Reads `$name`, `${name}` and `$1`; any other `$` stays.
    ///
    /// # Errors
    /// For a name that is none of [`Variable`].
    pub fn parse(text: &str) -> Result<Self, UnknownVariable> {
        let mut parts = Vec::new();
        for piece in pieces(text) {
            parts.push(match piece {
                Piece::Text(text) => Part::Text(text.into()),
                Piece::Name(name) => Part::Variable(variable(name).ok_or_else(|| UnknownVariable(name.into()))?),
            });
        }
        Ok(Self { parts: parts.into() })
    }

    /// The pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether one of its variables [has to be noted](Variable::is_noted).
    pub fn is_noted(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(variable) if variable.is_noted()))
    }

    /// Whether it begins as a URL does, in nginx' eyes: with a scheme, or with the variable of it.
    pub fn is_url(&self) -> bool {
        match self.parts.first() {
            Some(Part::Text(text)) => text.starts_with("http://") || text.starts_with("https://"),
            Some(Part::Variable(variable)) => *variable == Variable::Scheme,
            None => false,
        }
    }

    /// Whether it begins as the path of some host does.
    pub(crate) fn is_path(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Text(text)) if text.starts_with('/') && !text.starts_with("//"))
    }

    /// One behind the other.
    pub(crate) fn join(&self, end: &Self) -> Self {
        Self { parts: self.parts.iter().chain(&end.parts).cloned().collect() }
    }

    /// The text when there is no variable in it.
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// A piece of a text: as it stands, or the name behind a `$`.
pub(super) enum Piece<'t> {
    Text(String),
    Name(&'t str),
}

/// Takes a text apart at `$name`, `${name}` and `$1`; any other `$` is text.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        let (name, after) = name_at(&rest[at + 1..]);
        rest = after;
        if name.is_empty() {
            plain.push('$');
            continue;
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Name(name));
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

/// The variable's name at the start of what follows a `$`, and what is behind it.
fn name_at(text: &str) -> (&str, &str) {
    if let Some(inner) = text.strip_prefix('{')
        && let Some(end) = inner.find('}')
    {
        return (&inner[..end], &inner[end + 1..]);
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.split_at(1);
    }
    text.split_at(text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// The variable of a name.
pub(super) fn variable(name: &str) -> Option<Variable> {
    if let Some(digit) = name.parse().ok().filter(|d| (1..=9).contains(d)) {
        return Some(Variable::Capture(digit));
    }
    let named = |prefix| name.strip_prefix(prefix).filter(|rest: &&str| !rest.is_empty());
    Some(match name {
        "request_uri" => Variable::RequestUri,
        "escaped_request_uri" => Variable::EscapedRequestUri,
        "uri" | "document_uri" => Variable::Uri,
        "args" | "query_string" => Variable::Args,
        "is_args" => Variable::IsArgs,
        "scheme" => Variable::Scheme,
        "pass_access_scheme" => Variable::AccessScheme,
        "host" => Variable::Host,
        "http_host" => Variable::HttpHost,
        "best_http_host" => Variable::BestHttpHost,
        "server_name" => Variable::ServerName,
        "server_port" | "pass_server_port" | "pass_port" => Variable::ServerPort,
        "remote_addr" | "the_real_ip" | "binary_remote_addr" => Variable::RemoteAddr,
        "remote_port" => Variable::RemotePort,
        "remote_user" => Variable::RemoteUser,
        "proxy_add_x_forwarded_for" => Variable::ForwardedFor,
        "content_type" => Variable::Field("content-type".into()),
        "content_length" => Variable::Field("content-length".into()),
        "request_method" => Variable::RequestMethod,
        "request_id" | "req_id" => Variable::RequestId,
        "namespace" => Variable::Namespace,
        "ingress_name" => Variable::IngressName,
        "service_name" => Variable::ServiceName,
        "service_port" => Variable::ServicePort,
        "location_path" => Variable::LocationPath,
        "proxy_upstream_name" => Variable::UpstreamName,
        "proxy_host" => Variable::ProxyHost,
        "ssl_protocol" => Variable::TlsProtocol,
        "ssl_cipher" => Variable::TlsCipher,
        "ssl_client_verify" => Variable::ClientVerify,
        "ssl_client_s_dn" => Variable::ClientSubject,
        "ssl_client_i_dn" => Variable::ClientIssuer,
        "time_iso8601" => Variable::TimeIso8601,
        "msec" => Variable::Msec,
        "hostname" => Variable::Hostname,
        _ => {
            if let Some(field) = named("http_") {
                Variable::Field(field.replace('_', "-").into())
            } else if let Some(cookie) = named("cookie_") {
                Variable::Cookie(cookie.into())
            } else {
                Variable::Arg(named("arg_")?.into())
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_variables_are_told_apart() {
        let template = Template::parse("$scheme://${host}:8443$request_uri?x=$arg_id&y=$http_x_y$").unwrap();
        let text = |t: &str| Part::Text(t.into());
        assert_eq!(
            template.parts(),
            [
                Part::Variable(Variable::Scheme),
                text("://"),
                Part::Variable(Variable::Host),
                text(":8443"),
                Part::Variable(Variable::RequestUri),
                text("?x="),
                Part::Variable(Variable::Arg("id".into())),
                text("&y="),
                Part::Variable(Variable::Field("x-y".into())),
                text("$"),
            ]
        );
    }

    #[test]
    fn a_digit_is_one_group_and_what_follows_is_text() {
        let template = Template::parse("/$12").unwrap();
        assert_eq!(template.parts()[1..], [Part::Variable(Variable::Capture(1)), Part::Text("2".into())]);
    }

    #[test]
    fn every_name_that_is_listed_is_known() {
        for name in VARIABLES.iter().flat_map(|(names, _)| *names) {
            assert!(variable(name).is_some(), "{name}");
        }
        assert_eq!(variable("escaped_request_uri"), Some(Variable::EscapedRequestUri));
    }

    #[test]
    fn an_unknown_variable_is_named() {
        assert_eq!(
            Template::parse("/$request_body").unwrap_err().to_string(),
            "$request_body is not a variable that is supported"
        );
    }

    #[test]
    fn a_literal_keeps_its_dollar() {
        assert_eq!(Template::literal("a $host b").as_literal(), Some("a $host b"));
        assert_eq!(Template::parse("plain").unwrap().as_literal(), Some("plain"));
        assert_eq!(Template::parse("$host").unwrap().as_literal(), None);
    }
}
