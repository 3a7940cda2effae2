//! From a request head to a route: host, then path, by the snapshot's own tables.

use std::sync::Arc;

use ringress_config::snapshot::{PathMatch, Route, Snapshot};

use crate::http::request::RequestHead;
use crate::http::target::BadTarget;

/// What a request is answered by.
pub(crate) enum Found<'s> {
    /// This route.
    Route(&'s Arc<Route>),
    /// 301 to the path with a final slash.
    AddSlash(&'s Arc<Route>),
    /// Nothing: 404.
    Nothing,
}

impl<'s> Found<'s> {
    /// The route, whatever it does.
    pub(crate) fn route(&self) -> Option<&'s Route> {
        match self {
            Self::Route(route) | Self::AddSlash(route) => Some(route),
            Self::Nothing => None,
        }
    }
}

/// Looks a request up; the normalised path comes along.
///
/// # Errors
/// When the path could mean another one to the upstream than to the tables.
pub(crate) fn find<'s, 'b>(
    snapshot: &'s Snapshot,
    head: &RequestHead,
    bytes: &'b [u8],
    scratch: &'b mut Vec<u8>,
) -> Result<(Found<'s>, &'b [u8]), BadTarget> {
    let path = head.normalised_path(bytes, scratch)?;
    let found = match snapshot.hosts.find(head.host().name()).find(path) {
        PathMatch::Route(route) => Found::Route(route),
        PathMatch::AddSlash(route) => Found::AddSlash(route),
        PathMatch::None => Found::Nothing,
    };
    Ok((found, path))
}
