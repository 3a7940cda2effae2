//! How many further attempts a core makes for a cluster, so that an outage is not made worse by repeating what fails.

use std::cell::Cell;

/// One further attempt, in the unit of both accounts: a hundredth.
const ATTEMPT: u32 = 100;
/// What requests can save up: a thousand attempts.
const SAVED_MAX: u32 = 1000 * ATTEMPT;
/// What is there without any request: ten attempts at once. A hundredth comes back each millisecond, which makes ten
/// attempts a second: at no time is there more than one second's worth of them.
const RESERVE_MAX: u32 = 10 * ATTEMPT;
/// Savings are kept by the second in which they were made, and for so many of them. What quiet hours saved would pay
/// for repeating every request of an outage, for as long as it lasts.
const SECONDS: usize = 10;

/// Two accounts: what requests saved in the last ten seconds, and a reserve that fills by itself.
#[derive(Debug)]
pub(super) struct Budget {
    /// In this second.
    saving: Cell<u32>,
    /// In those before, the last one first.
    saved: Cell<[u32; SECONDS - 1]>,
    /// All of that.
    sum: Cell<u32>,
    /// When this second is over.
    turns_ms: Cell<u64>,
    reserve: Cell<u32>,
    filled_ms: Cell<u64>,
}

impl Budget {
    /// A full reserve.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            saving: Cell::new(0),
            saved: Cell::default(),
            sum: Cell::new(0),
            turns_ms: Cell::new(now_ms + 1000),
            reserve: Cell::new(RESERVE_MAX),
            filled_ms: Cell::new(now_ms),
        }
    }

    /// A request began: `percent` of an attempt is saved.
    #[inline]
    pub(super) fn save(&self, percent: u8, now_ms: u64) {
        if now_ms >= self.turns_ms.get() {
            self.turn(now_ms);
        }
        let more = u32::from(percent).min(SAVED_MAX - self.sum.get());
        self.saving.set(self.saving.get() + more);
        self.sum.set(self.sum.get() + more);
    }

    /// Pays for a further attempt, if that can be paid.
    pub(super) fn spend(&self, now_ms: u64) -> bool {
        if now_ms >= self.turns_ms.get() {
            self.turn(now_ms);
        }
        if self.sum.get() >= ATTEMPT {
            self.take_oldest();
            return true;
        }
        let passed = u32::try_from(now_ms.saturating_sub(self.filled_ms.get())).unwrap_or(RESERVE_MAX);
        let reserve = self.reserve.get().saturating_add(passed).min(RESERVE_MAX);
        self.filled_ms.set(now_ms);
        self.reserve.set(reserve.checked_sub(ATTEMPT).unwrap_or(reserve));
        reserve >= ATTEMPT
    }

    /// Another second begins: the savings of what is too long ago are gone.
    #[cold]
    fn turn(&self, now_ms: u64) {
        let over = (now_ms - self.turns_ms.get()) / 1000 + 1;
        self.turns_ms.set(self.turns_ms.get() + over * 1000);
        let mut saved = self.saved.get();
        let over = usize::try_from(over).map_or(SECONDS, |over| over.min(SECONDS));
        if over == SECONDS {
            saved.fill(0);
        } else {
            saved.rotate_right(over);
            saved[..over].fill(0);
            saved[over - 1] = self.saving.get();
        }
        self.saving.set(0);
        self.sum.set(saved.iter().sum());
        self.saved.set(saved);
    }

    /// Takes an attempt from what would be gone first.
    fn take_oldest(&self) {
        let (mut saved, mut left) = (self.saved.get(), ATTEMPT);
        for second in saved.iter_mut().rev() {
            let taken = left.min(*second);
            *second -= taken;
            left -= taken;
        }
        self.saved.set(saved);
        self.saving.set(self.saving.get() - left);
        self.sum.set(self.sum.get() - ATTEMPT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spent(budget: &Budget, now_ms: u64) -> usize {
        (0..2000).filter(|_| budget.spend(now_ms)).count()
    }

    #[test]
    fn a_reserve_of_one_second_is_there_at_once_and_comes_back_with_time() {
        let budget = Budget::new(5);
        assert_eq!(spent(&budget, 5), 10);
        assert_eq!(spent(&budget, 505), 5);
        assert_eq!(spent(&budget, 1505), 10);
        assert_eq!(spent(&budget, 1_000_000), 10, "no more than the reserve");
    }

    #[test]
    fn requests_save_their_share_up_to_a_bound() {
        let budget = Budget::new(0);
        spent(&budget, 0);
        (0..100).for_each(|_| budget.save(20, 0));
        assert_eq!(spent(&budget, 0), 20);
        (0..100).for_each(|_| budget.save(0, 0));
        assert_eq!(spent(&budget, 0), 0);
        (0..1_000_000).for_each(|_| budget.save(100, 0));
        assert_eq!(spent(&budget, 0), 1000);
    }

    #[test]
    fn what_was_saved_is_gone_after_ten_seconds() {
        for (later, left) in [(0, 40), (8_999, 40), (9_000, 20), (9_999, 20), (10_000, 0), (3_600_000, 0)] {
            let budget = Budget::new(7);
            (0..100).for_each(|_| budget.save(20, 7));
            (0..100).for_each(|_| budget.save(20, 1007));
            assert_eq!(spent(&budget, 1007 + later), left + 10, "{later} ms later, and the reserve");
        }
    }

    #[test]
    fn what_would_be_gone_first_is_spent_first() {
        let budget = Budget::new(0);
        (0..10).for_each(|_| budget.save(20, 0));
        (0..10).for_each(|_| budget.save(20, 5000));
        assert!(budget.spend(5000) && budget.spend(5000));
        assert_eq!(spent(&budget, 10_000), 2 + 10, "those of the first second were taken");
    }

    proptest! {
        /// Whatever comes when: in ten seconds there are no more attempts than their requests pay for and the reserve has.
        #[test]
        fn an_outage_is_bounded(steps in proptest::collection::vec((0_u64..3000, 0_u32..300, 0_u32..300), 1..60)) {
            let (budget, mut now) = (Budget::new(0), 0);
            let (mut saved, mut spent) = (Vec::new(), Vec::new());
            for (passed, requests, tries) in steps {
                now += passed;
                (0..requests).for_each(|_| budget.save(20, now));
                let paid = (0..tries).filter(|_| budget.spend(now)).count() as u64;
                saved.push((now, u64::from(requests) * 20));
                spent.push((now, paid * 100));
                let since = |all: &[(u64, u64)], from: u64| -> u64 {
                    all.iter().filter(|(at, _)| *at >= from).map(|(_, amount)| amount).sum()
                };
                for (began, _) in &spent {
                    let most = since(&saved, began.saturating_sub(10_000)) + 1000 + (now - began);
                    prop_assert!(since(&spent, *began) <= most);
                }
                prop_assert_eq!(budget.sum.get(), budget.saving.get() + budget.saved.get().iter().sum::<u32>());
            }
        }
    }
}
