//! How a request can fail between client and upstream: stage and side decide the answer, the retry and the label.

use std::io;

use ringress_config::snapshot::RetryPolicy;

use crate::http::chunked::ChunkError;
use crate::http::h2::{ResetReason, Served, Unprocessed};
use crate::http::head::HeadError;
use crate::metrics::Refused;

/// A request that could not be carried to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The route has no endpoint that could be asked.
    #[error("no endpoint of the backend is ready")]
    NoEndpoint,
    /// As many requests or connections as the cluster may have (`ringress.io/max-requests`).
    #[error("the backend has as many requests or connections as it may have")]
    Overloaded,
    /// The upstream could not be connected to.
    #[error("connecting to the upstream: {0}")]
    Connect(#[source] io::Error),
    /// The upstream did not accept the connection in time (`proxy-connect-timeout`).
    #[error("the upstream did not accept the connection in time")]
    ConnectTimeout,
    /// The upstream took no bytes in time (`proxy-send-timeout`).
    #[error("the upstream took nothing of the request in time")]
    SendTimeout,
    /// The upstream ended the connection before its response began.
    #[error("the upstream closed the connection before its response")]
    NoResponse,
    /// The upstream has said that it did nothing with the request, on a connection that had done this before.
    #[error("the upstream took no more requests on the connection")]
    Unprocessed(Served),
    /// The upstream sent nothing in time (`proxy-read-timeout`).
    #[error("the upstream sent no response in time")]
    ResponseTimeout,
    /// The response is no unambiguous HTTP.
    #[error("the upstream's response: {0}")]
    BadResponse(#[source] HeadError),
    /// More interim responses than [`crate::limits::INTERIM_RESPONSES_MAX`].
    #[error("the upstream sends interim responses without end")]
    InterimFlood,
    /// The response's body is malformed in what came with its head, of which the client has seen nothing.
    #[error("the body of the upstream's response is malformed")]
    BadResponseBody,
    /// The response broke off, or its body is malformed, after its head went to the client; what an HTTP/2 upstream said to
    /// that.
    #[error("the upstream's response broke off")]
    ResponseCut(Option<ResetReason>),
    /// The client left, or its connection broke.
    #[error("the client closed the connection")]
    ClientGone,
    /// The client sent nothing of its body in time (`client-body-timeout`).
    #[error("the client sent nothing of its body in time")]
    ClientTimeout,
    /// The request body is over the route's limit (`proxy-body-size`).
    #[error("the request body is too large")]
    BodyTooLarge,
    /// The request body is malformed.
    #[error("the request body: {0}")]
    BadBody(#[source] ChunkError),
}

/// Whether another attempt makes sense, by the kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// When the policy retries connection errors.
    OnError,
    /// When the policy retries timeouts.
    OnTimeout,
    /// When the policy retries responses that are no HTTP.
    OnInvalid,
    /// Never: another attempt cannot help, or the client has seen bytes.
    Never,
}

impl Failure {
    /// Status of the answer, when the client has not seen one yet. `None`: there is nobody to answer.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::NoEndpoint | Self::Overloaded => Some(503),
            Self::Connect(_)
            | Self::NoResponse
            | Self::Unprocessed(_)
            | Self::BadResponse(_)
            | Self::BadResponseBody
            | Self::InterimFlood => Some(502),
            Self::ConnectTimeout | Self::SendTimeout | Self::ResponseTimeout => Some(504),
            Self::ClientTimeout => Some(408),
            Self::BodyTooLarge => Some(413),
            Self::BadBody(_) => Some(400),
            Self::ResponseCut(_) | Self::ClientGone => None,
        }
    }

    /// As what it counts where it is the client's, who is turned away for it.
    pub(crate) fn refusal(&self) -> Option<Refused> {
        match self {
            Self::BodyTooLarge => Some(Refused::BodyTooLarge),
            Self::BadBody(_) => Some(Refused::BadRequest),
            Self::ClientTimeout => Some(Refused::Timeout),
            _ => None,
        }
    }

    /// Whether another attempt makes sense.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Connect(_) | Self::NoResponse | Self::Unprocessed(_) => Retry::OnError,
            Self::ConnectTimeout | Self::SendTimeout | Self::ResponseTimeout => Retry::OnTimeout,
            Self::BadResponse(_) | Self::InterimFlood => Retry::OnInvalid,
            Self::NoEndpoint
            | Self::Overloaded
            | Self::BadResponseBody
            | Self::ResponseCut(_)
            | Self::ClientGone
            | Self::ClientTimeout
            | Self::BodyTooLarge
            | Self::BadBody(_) => Retry::Never,
        }
    }

    /// Whether nothing was done with the request: any method may be tried again.
    pub(crate) fn before_sending(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::ConnectTimeout | Self::Unprocessed(_))
    }

    /// Whether it says something about the endpoint. Want of descriptors, ports or memory is this machine's.
    pub(crate) fn blames_endpoint(&self) -> bool {
        use rustix::io::Errno;
        const OWN: [Errno; 5] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL];
        match self {
            Self::Connect(error) => Errno::from_io_error(error).is_none_or(|errno| !OWN.contains(&errno)),
            Self::ConnectTimeout
            | Self::SendTimeout
            | Self::NoResponse
            | Self::ResponseTimeout
            | Self::BadResponse(_)
            | Self::InterimFlood => true,
            // A connection ends when it is old, and no endpoint is worse for it; one that never answered is another matter.
            Self::Unprocessed(served) => *served == Served::Nothing,
            Self::NoEndpoint
            | Self::Overloaded
            | Self::BadResponseBody
            | Self::ResponseCut(_)
            | Self::ClientGone
            | Self::ClientTimeout
            | Self::BodyTooLarge
            | Self::BadBody(_) => false,
        }
    }

    /// An error of connecting to the upstream.
    pub(crate) fn connecting(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut { Self::ConnectTimeout } else { Self::Connect(error) }
    }

    /// An error of sending to the upstream.
    pub(crate) fn sending(error: &io::Error) -> Self {
        Self::lost(error, Self::SendTimeout)
    }

    /// An error of waiting for the upstream's response head.
    pub(crate) fn awaiting_response(error: &io::Error) -> Self {
        Self::lost(error, Self::ResponseTimeout)
    }

    fn lost(error: &io::Error, late: Self) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => late,
            _ => Unprocessed::of(error).map_or(Self::NoResponse, Self::Unprocessed),
        }
    }

    /// An error in the middle of the upstream's response.
    pub(crate) fn cut_by(error: &io::Error) -> Self {
        Self::ResponseCut(ResetReason::of(error))
    }

    /// An error of receiving the client's body.
    pub(crate) fn receiving_body(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut { Self::ClientTimeout } else { Self::ClientGone }
    }

    /// Whether a policy allows another attempt at a request that may (or may not) be repeated.
    pub(crate) fn allows_retry(&self, policy: &RetryPolicy, idempotent: bool) -> bool {
        let wanted = match self.retry() {
            Retry::OnError => policy.on_error,
            Retry::OnTimeout => policy.on_timeout,
            Retry::OnInvalid => policy.on_invalid,
            Retry::Never => false,
        };
        wanted && (idempotent || policy.non_idempotent || self.before_sending())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_repeated_only_when_nothing_was_sent() {
        let policy = RetryPolicy::default();
        let refused = Failure::Connect(io::ErrorKind::ConnectionRefused.into());
        assert!(refused.allows_retry(&policy, false));
        assert!(!Failure::NoResponse.allows_retry(&policy, false));
        assert!(Failure::NoResponse.allows_retry(&policy, true));
        assert!(Failure::NoResponse.allows_retry(&RetryPolicy { non_idempotent: true, ..policy }, false));
    }

    #[test]
    fn an_endpoint_is_not_blamed_for_the_client_or_for_this_machine() {
        let connect = |errno: rustix::io::Errno| Failure::Connect(errno.into());
        assert!(connect(rustix::io::Errno::CONNREFUSED).blames_endpoint());
        assert!(!connect(rustix::io::Errno::MFILE).blames_endpoint());
        assert!(Failure::NoResponse.blames_endpoint() && !Failure::ClientGone.blames_endpoint());
        assert!(Failure::Unprocessed(Served::Nothing).blames_endpoint(), "a fresh connection");
        for served in [Served::Some, Served::NothingAgain] {
            assert!(!Failure::Unprocessed(served).blames_endpoint(), "one failure of a connection at most");
        }
    }

    #[test]
    fn what_the_client_did_wrong_is_never_tried_again() {
        let policy = RetryPolicy { non_idempotent: true, ..RetryPolicy::default() };
        for failure in [Failure::BodyTooLarge, Failure::ClientGone, Failure::ClientTimeout] {
            assert!(!failure.allows_retry(&policy, true));
            assert_eq!(failure.refusal().is_some(), failure.status().is_some(), "answered, so counted");
        }
    }
}
