//! Whether an endpoint can be trusted, by what became of its last requests (passive ejection).
//!
//! After some failures in a row it is passed over for a time, then one request tries it. When that fails too, the time
//! doubles; a success makes everything forgotten.

use std::cell::Cell;

use ringress_config::snapshot::Resilience;

/// The time doubles so often at most.
const DOUBLED_MAX: u32 = 3;

/// What a core has seen of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Health(Cell<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// In a row.
    fails: u32,
    failed_ms: u64,
    /// In a row; while there are any, only a request that tries the endpoint can add one.
    ejections: u32,
    /// Passed over before.
    until_ms: u64,
    is_tried: bool,
    /// Times that another endpoint answered first, in a row.
    outruns: u32,
    /// Also while there are `outruns`.
    is_doubted: bool,
}

impl Health {
    /// Whether requests may be sent.
    #[inline]
    pub(super) fn is_available(&self, now_ms: u64) -> bool {
        self.0.get().until_ms <= now_ms
    }

    /// Whether it was ejected and has not been seen well since.
    pub(super) fn is_ejected(&self) -> bool {
        self.0.get().ejections > 0
    }

    /// Whether nothing failed since it was last seen well: where a request goes that has failed elsewhere.
    pub(super) fn is_beyond_doubt(&self) -> bool {
        let state = self.0.get();
        !state.is_doubted && state.fails == 0 && state.ejections == 0
    }

    /// A kept connection ended without an answer, which may mean much or nothing.
    pub(super) fn doubt(&self) {
        self.0.set(State { is_doubted: true, ..self.0.get() });
    }

    /// Another endpoint, which was asked later, answered first. Whether that counts as a failure: the request that tries
    /// an ejected endpoint at once, others once in as many times in a row as failures eject it.
    pub(super) fn outrun(&self, policy: &Resilience) -> bool {
        let state = self.0.get();
        let outruns = state.outruns + 1;
        let is_failure = state.is_tried || outruns >= policy.max_fails;
        self.0.set(State { outruns: if is_failure { 0 } else { outruns }, is_doubted: true, ..state });
        is_failure
    }

    /// A request is sent. If the endpoint was ejected it is the one that tries it, and others wait for what becomes
    /// of it.
    #[inline]
    pub(super) fn picked(&self, now_ms: u64, policy: &Resilience) {
        let state = self.0.get();
        if state.ejections > 0 && state.until_ms <= now_ms {
            self.0.set(State { is_tried: true, until_ms: now_ms + milliseconds(policy), ..state });
        }
    }

    /// What is asked for has changed: an endpoint that is passed over is so for no longer than it would be by now.
    pub(super) fn follow(&self, now_ms: u64, policy: &Resilience) {
        let state = self.0.get();
        if policy.max_fails == 0 {
            self.0.set(State { is_doubted: state.is_doubted, ..State::default() });
        } else if state.until_ms > now_ms {
            let times = if state.is_tried { 0 } else { state.ejections.saturating_sub(1).min(DOUBLED_MAX) };
            let until_ms = state.until_ms.min(now_ms + (milliseconds(policy) << times));
            self.0.set(State { until_ms, ..state });
        }
    }

    /// It answered.
    #[inline]
    pub(super) fn succeeded(&self) {
        let state = self.0.get();
        if state.fails > 0 || state.ejections > 0 || state.is_doubted {
            self.0.set(State::default());
        }
    }

    /// It failed. If that ejects it: until when.
    pub(super) fn failed(&self, now_ms: u64, policy: &Resilience) -> Option<u64> {
        let mut state = self.0.get();
        if policy.max_fails == 0 || (state.ejections > 0 && !state.is_tried) {
            return None;
        }
        let is_late = now_ms.saturating_sub(state.failed_ms) > milliseconds(policy);
        state.fails = if is_late { 1 } else { state.fails + 1 };
        state.failed_ms = now_ms;
        let is_ejected = state.is_tried || state.fails >= policy.max_fails;
        if is_ejected {
            let time = milliseconds(policy) << state.ejections.min(DOUBLED_MAX);
            state =
                State { fails: 0, ejections: state.ejections + 1, until_ms: now_ms + time, is_tried: false, ..state };
        }
        self.0.set(state);
        is_ejected.then_some(state.until_ms)
    }
}

fn milliseconds(policy: &Resilience) -> u64 {
    // Seconds of 32 bits: the shift above stays far from the end.
    u64::try_from(policy.fail_timeout.as_millis()).unwrap_or(u64::MAX >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Resilience {
        Resilience { max_fails: 3, ..Resilience::default() }
    }

    fn fail(health: &Health, now_ms: u64) -> Option<u64> {
        health.failed(now_ms, &policy())
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_does_not_count() {
        let health = Health::default();
        assert_eq!((fail(&health, 0), fail(&health, 1)), (None, None));
        health.succeeded();
        assert_eq!((fail(&health, 2), fail(&health, 3)), (None, None));
        assert_eq!(fail(&health, 4), Some(10_004));
        assert!(!health.is_available(10_003) && health.is_available(10_004));
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let health = Health::default();
        assert!((0..10).all(|turn| fail(&health, turn * 10_001).is_none()));
    }

    #[test]
    fn one_request_tries_it_and_the_time_doubles_up_to_a_bound() {
        let health = Health::default();
        assert_eq!((0..3).filter_map(|_| fail(&health, 0)).collect::<Vec<_>>(), [10_000]);
        assert_eq!(fail(&health, 5), None, "sent before it was ejected");
        let (mut now, mut times) = (10_000, Vec::new());
        for _ in 0..5 {
            health.picked(now, &policy());
            assert!(!health.is_available(now), "others wait");
            let until = fail(&health, now + 1).unwrap();
            times.push(until - now - 1);
            now = until;
        }
        assert_eq!(times, [20_000, 40_000, 80_000, 80_000, 80_000]);
        health.picked(now, &policy());
        health.succeeded();
        assert!(health.is_available(now) && !health.is_ejected());
        assert_eq!(fail(&health, now), None, "it begins anew");
    }

    #[test]
    fn a_doubt_ejects_nobody_and_is_forgotten_with_a_success() {
        let health = Health::default();
        assert!(health.is_beyond_doubt());
        (0..9).for_each(|_| health.doubt());
        assert!(health.is_available(0) && !health.is_ejected() && !health.is_beyond_doubt());
        health.succeeded();
        assert!(health.is_beyond_doubt());
        fail(&health, 0);
        assert!(!health.is_beyond_doubt());
    }

    #[test]
    fn one_that_is_outrun_again_and_again_without_an_answer_is_ejected() {
        let outrun = |health: &Health, now_ms| match health.outrun(&policy()) {
            true => fail(health, now_ms),
            false => None,
        };
        let health = Health::default();
        assert!((0..8).all(|now| outrun(&health, now).is_none()) && !health.is_beyond_doubt());
        health.succeeded();
        assert!(health.is_beyond_doubt());
        assert!((0..8).all(|now| outrun(&health, now).is_none()), "an answer between makes it forgotten");
        assert_eq!(outrun(&health, 8), Some(10_008));
        health.picked(10_008, &policy());
        assert_eq!(outrun(&health, 10_009), Some(30_009), "the request that tries it counts at once");
        let (health, never) = (Health::default(), Resilience { max_fails: 0, ..policy() });
        assert!((0..9).all(|now| !health.outrun(&never) || health.failed(now, &never).is_none()));
    }

    #[test]
    fn another_policy_holds_for_an_endpoint_that_is_passed_over() {
        let ejected = |times: u32| {
            let (health, mut now) = (Health::default(), 0);
            assert_eq!((0..3).filter_map(|_| fail(&health, now)).count(), 1);
            for _ in 1..times {
                now = health.0.get().until_ms;
                health.picked(now, &policy());
                fail(&health, now).unwrap();
            }
            (health, now)
        };
        let after = |seconds| Resilience { fail_timeout: std::time::Duration::from_secs(seconds), ..policy() };
        for (times, seconds, left_ms) in [(1, 1, 1000), (1, 10, 10_000), (1, 60, 10_000), (2, 1, 2000), (9, 1, 8000)] {
            let (health, now) = ejected(times);
            health.follow(now, &after(seconds));
            assert!(!health.is_available(now + left_ms - 1) && health.is_available(now + left_ms), "{times} {seconds}");
            assert!(health.is_ejected(), "one request tries it");
        }
        let (health, now) = ejected(2);
        health.follow(now, &Resilience { max_fails: 0, ..policy() });
        assert!(health.is_available(now) && !health.is_ejected());
        health.follow(now, &policy());
        assert!(health.is_available(now), "what was forgiven stays so");
    }

    #[test]
    fn zero_never_ejects() {
        let (health, policy) = (Health::default(), Resilience { max_fails: 0, ..policy() });
        assert!((0..100).all(|now| health.failed(now, &policy).is_none()));
    }
}
