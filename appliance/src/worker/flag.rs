//! A flag that any task of a core raises, once, and its main task awaits.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

struct State<T> {
    raised: Option<T>,
    waiting: Option<Waker>,
}

/// The raising side; the first value counts.
pub(crate) struct Flag<T>(Rc<RefCell<State<T>>>);

impl<T> Clone for Flag<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: Copy> Flag<T> {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(State { raised: None, waiting: None })))
    }

    /// Raises it, unless it is raised already.
    pub(crate) fn raise(&self, value: T) {
        let mut state = self.0.borrow_mut();
        state.raised.get_or_insert(value);
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }

    /// Its value, if it is raised.
    pub(crate) fn peek(&self) -> Option<T> {
        self.0.borrow().raised
    }

    /// Waits until it is raised.
    pub(crate) async fn raised(&self) -> T {
        poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            if let Some(value) = state.raised {
                return Poll::Ready(value);
            }
            state.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}
