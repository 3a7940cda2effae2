//! An upstream's response that has not begun: promised when the request left, written as HTTP/1.1 when it comes.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use h2::client::ResponseFuture;
use http::StatusCode;
use std::future::Future;

use super::inflow::Inflow;
use super::{Unprocessed, io_error, translate};

#[derive(Default)]
struct Promised {
    response: Option<ResponseFuture>,
    /// The request did not leave.
    unsent: Option<io::Error>,
    waiting: Option<Waker>,
    asked_head: bool,
}

impl Promised {
    fn wake(&mut self) {
        self.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// The sending side's word.
#[derive(Clone, Default)]
pub(super) struct Promise(Rc<RefCell<Promised>>);

impl Promise {
    /// The request left, and this is its response.
    pub(super) fn keep(&self, response: ResponseFuture, asked_head: bool) {
        let mut promised = self.0.borrow_mut();
        promised.response = Some(response);
        promised.asked_head = asked_head;
        promised.wake();
    }

    /// The request did not leave, and there will be no response: what the sending side is told of it.
    pub(super) fn give_up(&self, error: h2::Error) -> io::Error {
        let mut promised = self.0.borrow_mut();
        promised.unsent = Some(Unprocessed::error(error.to_string()));
        promised.wake();
        io_error(error)
    }
}

/// The receiving side.
pub(super) struct AwaitedResponse(pub(super) Promise);

impl AwaitedResponse {
    /// Appends the next head: that of an interim response, or the final one, and gives the rest then.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<io::Result<Option<Inflow>>> {
        let mut promised = self.0.0.borrow_mut();
        if let Some(error) = promised.unsent.take() {
            return Poll::Ready(Err(error));
        }
        let Some(response) = &mut promised.response else {
            promised.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
            let (parts, ()) = interim.map_err(io_error)?.into_parts();
            // HTTP/2 switches no protocols (RFC 9113 8.6).
            if parts.status == StatusCode::SWITCHING_PROTOCOLS {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            translate::write_response(out, &parts, true, promised.asked_head);
            return Poll::Ready(Ok(None));
        }
        let response = ready!(Pin::new(response).poll(cx)).map_err(io_error)?;
        let (parts, body) = response.into_parts();
        let chunked = translate::write_response(out, &parts, body.is_end_stream(), promised.asked_head);
        Poll::Ready(Ok(Some(Inflow::new(body, chunked))))
    }
}
