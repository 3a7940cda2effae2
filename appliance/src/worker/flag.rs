//! A flag that one task of a core raises and another one awaits.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

#[derive(Default)]
struct State {
    raised: bool,
    waiting: Option<Waker>,
}

pub(super) struct Flag(Rc<RefCell<State>>);

pub(super) fn flag() -> (Flag, impl Future<Output = ()>) {
    let state = Rc::<RefCell<State>>::default();
    let seen = Rc::clone(&state);
    let raised = poll_fn(move |cx| {
        let mut state = seen.borrow_mut();
        if state.raised {
            return Poll::Ready(());
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    });
    (Flag(state), raised)
}

impl Flag {
    pub(super) fn raise(&self) {
        let mut state = self.0.borrow_mut();
        state.raised = true;
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }
}
