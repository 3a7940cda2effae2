//! By chance, or the better of two by chance: what many cores can do without a word between them, and without all of
//! them running to the same endpoint.

/// One that is accepted, by weight.
pub(super) fn one(
    count: usize,
    random: &mut fastrand::Rng,
    accepts: impl Fn(usize) -> bool,
    weight: impl Fn(usize) -> u32,
) -> Option<usize> {
    // Whoever comes takes the place of the one before with the probability of its share of all so far.
    let mut given = 0;
    (0..count).filter(|at| accepts(*at)).fold(None, |chosen, at| {
        let weight = weight(at).max(1);
        given += weight;
        if random.u32(..given) < weight { Some(at) } else { chosen }
    })
}

/// Of two that are accepted the one that costs less.
pub(super) fn better_of_two(
    count: usize,
    random: &mut fastrand::Rng,
    accepts: impl Fn(usize) -> bool,
    cost: impl Fn(usize) -> f64,
) -> Option<usize> {
    let (first, second) = two(count, random, accepts)?;
    Some(if cost(second) < cost(first) { second } else { first })
}

/// Of two that are accepted, drawn by weight, the one that costs less; the first one where both cost the same.
pub(super) fn better_by_weight(
    count: usize,
    random: &mut fastrand::Rng,
    accepts: impl Fn(usize) -> bool,
    weight: impl Fn(usize) -> u32,
    cost: impl Fn(usize) -> f64,
) -> Option<usize> {
    let first = one(count, random, &accepts, &weight)?;
    let second = one(count, random, |at| at != first && accepts(at), weight).unwrap_or(first);
    Some(if cost(second) < cost(first) { second } else { first })
}

/// Two different ones in any order, or the only one twice.
fn two(count: usize, random: &mut fastrand::Rng, accepts: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
    if count > 1 {
        let first = random.usize(..count);
        let second = (first + 1 + random.usize(..count - 1)) % count;
        if accepts(first) && accepts(second) {
            return Some((first, second));
        }
    }
    let first = one(count, random, &accepts, |_| 1)?;
    let second = one(count, random, |at| at != first && accepts(at), |_| 1);
    Some((first, second.unwrap_or(first)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chance_follows_the_weights() {
        let (weights, mut random) = ([1, 3, 6, 10], fastrand::Rng::with_seed(7));
        let mut served = [0_u32; 4];
        for _ in 0..20_000 {
            served[one(4, &mut random, |_| true, |at| weights[at]).unwrap()] += 1;
        }
        for (served, weight) in served.iter().zip(weights) {
            assert!(served.abs_diff(weight * 1000) < 60 * weight + 200, "{served} for {weight}");
        }
    }

    #[test]
    fn the_worst_is_never_chosen_while_others_are_left() {
        let mut random = fastrand::Rng::with_seed(7);
        let costs = [1.0, 2.0, 3.0];
        assert!((0..1000).all(|_| better_of_two(3, &mut random, |_| true, |at| costs[at]) != Some(2)));
        assert_eq!(better_of_two(3, &mut random, |at| at == 2, |at| costs[at]), Some(2));
    }

    proptest! {
        #[test]
        fn two_are_two_accepted_ones(accepted in proptest::collection::vec(any::<bool>(), 0..12), seed in any::<u64>()) {
            let mut random = fastrand::Rng::with_seed(seed);
            let left = accepted.iter().filter(|a| **a).count();
            match two(accepted.len(), &mut random, |at| accepted[at]) {
                Some((first, second)) => {
                    prop_assert!(accepted[first] && accepted[second]);
                    prop_assert_eq!(first != second, left > 1);
                }
                None => prop_assert_eq!(left, 0),
            }
        }
    }
}
