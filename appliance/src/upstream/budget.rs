//! How many further attempts a core makes for a cluster, so that an outage is not made worse by repeating what fails.

use std::cell::Cell;

/// One further attempt, in the unit of both accounts: a hundredth.
const ATTEMPT: u32 = 100;
/// What requests can save up: a thousand attempts.
const SAVED_MAX: u32 = 1000 * ATTEMPT;
/// What is there without any request: a hundred attempts at once. A hundredth comes back each millisecond, which makes
/// ten attempts a second.
const RESERVE_MAX: u32 = 100 * ATTEMPT;

/// Two accounts: what requests saved, and a reserve that fills by itself.
#[derive(Debug)]
pub(super) struct Budget {
    saved: Cell<u32>,
    reserve: Cell<u32>,
    filled_ms: Cell<u64>,
}

impl Budget {
    /// A full reserve.
    pub(super) fn new(now_ms: u64) -> Self {
        Self { saved: Cell::new(0), reserve: Cell::new(RESERVE_MAX), filled_ms: Cell::new(now_ms) }
    }

    /// A request began: `percent` of an attempt is saved.
    #[inline]
    pub(super) fn save(&self, percent: u8) {
        self.saved.set((self.saved.get() + u32::from(percent)).min(SAVED_MAX));
    }

    /// Pays for a further attempt, if that can be paid.
    pub(super) fn spend(&self, now_ms: u64) -> bool {
        let passed = u32::try_from(now_ms.saturating_sub(self.filled_ms.get())).unwrap_or(RESERVE_MAX);
        self.filled_ms.set(now_ms);
        self.reserve.set(self.reserve.get().saturating_add(passed).min(RESERVE_MAX));
        let pays = [&self.saved, &self.reserve].into_iter().find(|account| account.get() >= ATTEMPT);
        if let Some(account) = pays {
            account.set(account.get() - ATTEMPT);
        }
        pays.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &Budget, now_ms: u64) -> usize {
        (0..2000).filter(|_| budget.spend(now_ms)).count()
    }

    #[test]
    fn a_reserve_is_there_at_once_and_comes_back_with_time() {
        let budget = Budget::new(5);
        assert_eq!(spent(&budget, 5), 100);
        assert_eq!(spent(&budget, 1005), 10);
        assert_eq!(spent(&budget, 1_000_000), 100, "no more than the reserve");
    }

    #[test]
    fn requests_save_their_share_up_to_a_bound() {
        let budget = Budget::new(0);
        spent(&budget, 0);
        (0..100).for_each(|_| budget.save(20));
        assert_eq!(spent(&budget, 0), 20);
        (0..100).for_each(|_| budget.save(0));
        assert_eq!(spent(&budget, 0), 0);
        (0..1_000_000).for_each(|_| budget.save(100));
        assert_eq!(spent(&budget, 0), 1000);
    }
}
