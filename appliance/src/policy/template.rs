//! What a [`Template`] comes to for one request.

use std::io::Write as _;

use ringress_config::snapshot::{ClientAuth, Groups, Part, Route, RouteLabels, Template, Variable};

use super::{Request, client_certificate};
use crate::access_log::{msec, time_iso8601};
use crate::http::field::FieldId;

/// Appends the text of a template. `groups` are what `$1` to `$9` stand for.
pub(super) fn render(
    template: &Template,
    request: &Request<'_>,
    route: &Route,
    groups: Option<&Groups<'_>>,
    out: &mut Vec<u8>,
) {
    for part in template.parts() {
        match part {
            Part::Text(text) => out.extend_from_slice(text.as_bytes()),
            Part::Variable(variable) => render_variable(variable, request, &OfRule::of(route), groups, out),
        }
    }
}

/// What variables know of the rule that was met.
pub(crate) struct OfRule<'a> {
    pub(crate) labels: Option<&'a RouteLabels>,
    pub(crate) client_auth: Option<&'a ClientAuth>,
}

impl<'a> OfRule<'a> {
    #[inline]
    fn of(route: &'a Route) -> Self {
        let client_auth = route.policies.as_ref().and_then(|policies| policies.client_auth.as_deref());
        Self { labels: Some(&route.labels), client_auth }
    }
}

/// Appends the value of a variable; what comes from the rule is nothing where none was met.
pub(crate) fn render_variable(
    variable: &Variable,
    request: &Request<'_>,
    rule: &OfRule<'_>,
    groups: Option<&Groups<'_>>,
    out: &mut Vec<u8>,
) {
    let (head, bytes, labels) = (request.head, request.bytes, rule.labels);
    let label = |of: fn(&RouteLabels) -> &str| labels.map_or("", of).as_bytes();
    match variable {
        Variable::RequestUri => out.extend_from_slice(head.path_and_query(bytes)),
        Variable::EscapedRequestUri => escape(head.path_and_query(bytes), out),
        Variable::Uri => out.extend_from_slice(request.path),
        Variable::Args => out.extend_from_slice(head.query(bytes).unwrap_or_default()),
        Variable::IsArgs => {
            out.extend_from_slice(if head.query(bytes).is_some_and(|q| !q.is_empty()) { b"?" } else { b"" })
        }
        Variable::Scheme => out.extend_from_slice(request.own_scheme().as_str().as_bytes()),
        Variable::AccessScheme => out.extend_from_slice(request.scheme.as_str().as_bytes()),
        Variable::Host => out.extend_from_slice(head.host().name().as_bytes()),
        Variable::HttpHost => out.extend_from_slice(head.authority(bytes)),
        Variable::BestHttpHost => out.extend_from_slice(request.host),
        Variable::ServerName => out.extend_from_slice(label(|labels| &labels.host)),
        // Writing to a Vec cannot fail.
        Variable::ServerPort => drop(write!(out, "{}", request.port)),
        Variable::RemoteAddr => drop(write!(out, "{}", request.client)),
        Variable::RemotePort => drop(write!(out, "{}", request.client_port)),
        Variable::RemoteUser => out.extend_from_slice(&request.user().unwrap_or_default()),
        Variable::ForwardedFor => out.extend_from_slice(request.forwarded_for),
        Variable::RequestMethod => out.extend_from_slice(head.method_bytes(bytes)),
        Variable::RequestId => out.extend_from_slice(request.request_id),
        Variable::Field(name) => out.extend_from_slice(request.field(name).unwrap_or_default()),
        Variable::Cookie(name) => out.extend_from_slice(request.cookie_of_any_case(name).unwrap_or_default()),
        Variable::Arg(name) => out.extend_from_slice(request.argument_of_any_case(name).unwrap_or_default()),
        Variable::Capture(n) => out.extend_from_slice(groups.map_or(&[], |groups| groups[usize::from(*n)])),
        Variable::Namespace => out.extend_from_slice(label(|labels| &labels.namespace)),
        Variable::IngressName => out.extend_from_slice(label(|labels| &labels.ingress)),
        Variable::ServiceName => out.extend_from_slice(label(|labels| &labels.service)),
        Variable::ServicePort => out.extend_from_slice(label(|labels| &labels.service_port)),
        Variable::LocationPath => out.extend_from_slice(label(|labels| &labels.path)),
        Variable::UpstreamName => {
            if let Some(RouteLabels { namespace, service, service_port, .. }) = labels {
                drop(write!(out, "{namespace}-{service}-{service_port}"));
            }
        }
        Variable::ProxyHost => out.extend_from_slice(b"upstream_balancer"),
        Variable::TlsProtocol => out.extend_from_slice(request.suite.protocol().as_bytes()),
        Variable::TlsCipher => out.extend_from_slice(request.suite.name().as_bytes()),
        Variable::ClientVerify | Variable::ClientSubject | Variable::ClientIssuer => {
            client_certificate::write(variable, rule.client_auth, request, out);
        }
        Variable::TimeIso8601 => out.extend_from_slice(time_iso8601().as_bytes()),
        Variable::Msec => drop(write!(out, "{}", msec())),
        Variable::Hostname => out.extend_from_slice(rustix::system::uname().nodename().to_bytes()),
    }
}

/// Appends a text with all but the unreserved letters (RFC 3986 section 2.3) percent-encoded.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(*byte),
            other => drop(write!(out, "%{other:02X}")),
        }
    }
}

impl<'a> Request<'a> {
    /// The value of the first field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        let same = |field: &&crate::http::field::Field| field.name.of(self.bytes).eq_ignore_ascii_case(name.as_bytes());
        self.head.fields().iter().find(same).map(|field| field.value.of(self.bytes))
    }

    /// The value of the first cookie of that name.
    pub(super) fn cookie(&self, name: &str) -> Option<&'a [u8]> {
        self.cookies().find_map(|pair| value_of(pair, name, |a, b| a == b))
    }

    /// The same blind to case, as nginx' variables are.
    pub(super) fn cookie_of_any_case(&self, name: &str) -> Option<&'a [u8]> {
        self.cookies().find_map(|pair| value_of(pair, name, <[u8]>::eq_ignore_ascii_case))
    }

    fn cookies(&self) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.head.find_all(self.bytes, FieldId::Cookie);
        lines.flat_map(|line| line.split(|b| *b == b';')).map(<[u8]>::trim_ascii)
    }

    /// The value of the first query argument of that name, as sent.
    pub(super) fn argument(&self, name: &str) -> Option<&'a [u8]> {
        self.arguments().find_map(|pair| value_of(pair, name, |a, b| a == b))
    }

    /// The same blind to case, as nginx' variables are.
    pub(super) fn argument_of_any_case(&self, name: &str) -> Option<&'a [u8]> {
        self.arguments().find_map(|pair| value_of(pair, name, <[u8]>::eq_ignore_ascii_case))
    }

    fn arguments(&self) -> impl Iterator<Item = &'a [u8]> {
        self.head.query(self.bytes).into_iter().flat_map(|query| query.split(|b| *b == b'&'))
    }

    /// The user that basic authentication names, believed or not.
    pub(super) fn user(&self) -> Option<Vec<u8>> {
        super::access::credentials(self).map(|(user, _)| user)
    }
}

/// What is behind `name=`.
fn value_of<'a>(pair: &'a [u8], name: &str, same: impl Fn(&[u8], &[u8]) -> bool) -> Option<&'a [u8]> {
    let (start, rest) = pair.split_at_checked(name.len())?;
    if same(start, name.as_bytes()) { rest.strip_prefix(b"=") } else { None }
}
