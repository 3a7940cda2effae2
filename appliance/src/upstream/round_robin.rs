//! Each in turn; with unequal weights smoothly, so that no endpoint gets its share in a row.

use std::cell::Cell;

/// The first that is accepted from `next` on, which moves behind it.
#[inline]
pub(super) fn in_turn(next: &mut usize, count: usize, accepts: impl Fn(usize) -> bool) -> Option<usize> {
    // Without a division for each.
    let start = if *next < count { *next } else { 0 };
    let chosen = (start..count).chain(0..start).find(|at| accepts(*at))?;
    *next = if chosen + 1 < count { chosen + 1 } else { 0 };
    Some(chosen)
}

/// The accepted one with the most credit: all are given their weight, and the chosen one pays what all were given.
pub(super) fn smoothly<'a>(members: impl Iterator<Item = (usize, &'a Cell<i64>, u32)>) -> Option<usize> {
    let mut given = 0;
    let mut best: Option<(usize, &Cell<i64>)> = None;
    for (at, credit, weight) in members {
        given += i64::from(weight);
        credit.set(credit.get() + i64::from(weight));
        if best.is_none_or(|(_, most)| credit.get() > most.get()) {
            best = Some((at, credit));
        }
    }
    let (at, credit) = best?;
    credit.set(credit.get() - given);
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turn(weights: &[u32], credits: &[Cell<i64>]) -> Option<usize> {
        smoothly(weights.iter().zip(credits).enumerate().map(|(at, (weight, credit))| (at, credit, *weight)))
    }

    #[test]
    fn shares_are_not_served_in_a_row() {
        let (weights, credits) = ([5, 1, 1], [const { Cell::new(0) }; 3]);
        let turns: Vec<_> = (0..7).filter_map(|_| turn(&weights, &credits)).collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
    }

    proptest! {
        #[test]
        fn a_round_serves_each_as_often_as_its_weight(weights in proptest::collection::vec(1_u32..50, 1..12)) {
            let credits: Vec<_> = weights.iter().map(|_| Cell::new(0)).collect();
            let mut served = vec![0; weights.len()];
            for _ in 0..weights.iter().sum() {
                served[turn(&weights, &credits).unwrap()] += 1;
            }
            prop_assert_eq!(&served, &weights);
            prop_assert!(credits.iter().all(|credit| credit.get() == 0));
        }

        #[test]
        fn in_turn_serves_accepted_ones_evenly(
            accepted in proptest::collection::vec(any::<bool>(), 1..20),
            start in 0_usize..20,
        ) {
            let (count, mut next) = (accepted.len(), start % accepted.len());
            let left = accepted.iter().filter(|a| **a).count();
            let mut served = vec![0; count];
            for _ in 0..left * 3 {
                served[in_turn(&mut next, count, |at| accepted[at]).unwrap()] += 1;
            }
            prop_assert!(served.iter().zip(&accepted).all(|(n, accepted)| *n == 3 * i32::from(*accepted)));
            prop_assert_eq!(in_turn(&mut next, count, |_| false), None);
        }
    }
}
