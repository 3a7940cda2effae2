//! Where the copy of a request goes.

use ringress_config::snapshot::{Mirror, Route};

use super::url::Url;
use super::{Request, template};

/// A copy that is to be made.
#[derive(Debug)]
pub(crate) struct MirrorTarget {
    pub(crate) url: Url,
    /// `Host` of the copy.
    pub(crate) host: Vec<u8>,
    /// It has the body.
    pub(crate) with_body: bool,
}

/// `None` when what the client sent makes no URL of the target.
pub(super) fn target(mirror: &Mirror, request: &Request<'_>, route: &Route) -> Option<MirrorTarget> {
    let text = |value| {
        let mut out = Vec::new();
        template::render(value, request, route, None, &mut out);
        out
    };
    let url = Url::parse(&text(&mirror.url))?;
    let host = mirror.host.as_ref().map(text).filter(|host| crate::http::host::split(host).is_some());
    let host = host.unwrap_or_else(|| url.host.clone().into_bytes());
    Some(MirrorTarget { url, host, with_body: mirror.body })
}
