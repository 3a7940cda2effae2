//! A consistent-hash ring: a key has the same owner as long as the owner is there, and few keys move when others come
//! or go.
//!
//! Points, hash and search are those of the ring that ingress-nginx uses (lua-resty-balancer's chash: 160 points for
//! each name, a chain of CRC-32), so that a key has the same owner there and here. A ring is a pure function of the
//! names: every core and every machine finds the same.

/// Points of each owner.
const POINTS: usize = 160;

/// The ring of some owners, who are known by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// By hash.
    points: Box<[Point]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    hash: u32,
    owner: u32,
}

impl Ring {
    /// The ring of owners with these names.
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        let mut points = Vec::new();
        for (owner, name) in (0..).zip(names) {
            let base = Self::hash(name.as_bytes());
            let mut last = 0_u32;
            points.extend((0..POINTS).map(|_| {
                last = !update(base, &last.to_le_bytes());
                Point { hash: last, owner }
            }));
        }
        points.sort_unstable();
        Self { points: points.into() }
    }

    /// The hash of a key: CRC-32.
    #[inline]
    pub fn hash(key: &[u8]) -> u32 {
        !update(!0, key)
    }

    /// The owner of a key's [`Ring::hash`]; passing over those that are not accepted, the one who would own it without them.
    #[inline]
    pub fn owner(&self, key: u32, mut accepts: impl FnMut(usize) -> bool) -> Option<usize> {
        let at = self.points.partition_point(|point| point.hash <= key).saturating_sub(1);
        // The owner is at the nearest point below, and for what is below all points at the lowest one.
        let below = self.points.get(..=at)?.iter().rev();
        let mut owners = below.chain(&self.points[at + 1..]).map(|point| point.owner as usize);
        owners.find(|owner| accepts(*owner))
    }
}

#[inline]
fn update(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8))
}

static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at: usize = 0;
    let mut seed: u32 = 0;
    while at < 256 {
        let mut crc = seed;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
        seed += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST_POINTS: [(u32, u32); 3] = [(0x002f_18e2, 1), (0x0100_89f9, 2), (0x010f_09dd, 2)];
    const OWNERS: [Option<usize>; 5] = [Some(0), Some(0), Some(2), Some(2), Some(0)];

    fn name(number: u16) -> String {
        let [high, low] = number.to_be_bytes();
        format!("10.0.{high}.{low}:8080")
    }

    fn ring(numbers: &[u16]) -> Ring {
        Ring::new(numbers.iter().map(|number| name(*number)))
    }

    fn all(_: usize) -> bool {
        true
    }

    #[test]
    fn the_hash_is_crc_32() {
        assert_eq!((Ring::hash(b"123456789"), Ring::hash(b"")), (0xcbf4_3926, 0));
    }

    /// Computed by a second implementation of the same rules, in another language.
    #[test]
    fn points_and_owners_are_those_of_ingress_nginx() {
        let ring = ring(&[1, 2, 3]);
        let first: Vec<_> = ring.points[..3].iter().map(|p| (p.hash, p.owner)).collect();
        assert_eq!(first, FIRST_POINTS);
        let owners = ["/", "/u1?q=7", "1732478458.123.45.678901", "alice", "bob"]
            .map(|k| ring.owner(Ring::hash(k.as_bytes()), all));
        assert_eq!(owners, OWNERS);
        assert_eq!(ring.owner(0, all), Some(FIRST_POINTS[0].1 as usize), "below all points: the lowest one");
    }

    #[test]
    fn a_ring_of_nobody_has_no_owner() {
        assert_eq!(ring(&[]).owner(7, all), None);
        assert_eq!(ring(&[1]).owner(7, |_| false), None);
    }

    proptest! {
        #[test]
        fn keys_move_only_to_the_owner_that_was_added(
            numbers in proptest::collection::btree_set(0_u16..2000, 2..20),
            keys in proptest::collection::vec(any::<u32>(), 1..200),
        ) {
            let after: Vec<_> = numbers.into_iter().collect();
            let (added, before) = after.split_last().unwrap();
            let (old, new) = (ring(before), ring(&after));
            for key in keys {
                let (was, is) = (before[old.owner(key, all).unwrap()], after[new.owner(key, all).unwrap()]);
                prop_assert!(was == is || is == *added, "{key}: from {was} to {is}");
            }
        }

        #[test]
        fn passing_over_an_owner_is_as_if_it_were_gone(
            numbers in proptest::collection::btree_set(0_u16..2000, 2..10),
            key in any::<u32>(),
        ) {
            let all_of_them: Vec<_> = numbers.into_iter().collect();
            let (gone, left) = all_of_them.split_last().unwrap();
            let passed = ring(&all_of_them).owner(key, |owner| all_of_them[owner] != *gone).unwrap();
            prop_assert_eq!(all_of_them[passed], left[ring(left).owner(key, all).unwrap()]);
        }
    }

    /// 160 points leave a spread of some ten percent; the seed of the keys is fixed.
    #[test]
    fn keys_are_spread_and_a_tenth_moves_to_the_tenth_owner() {
        let (nine, ten): (Vec<u16>, Vec<u16>) = ((1..10).collect(), (1..11).collect());
        let (old, new) = (ring(&nine), ring(&ten));
        let (mut served, mut moved) = ([0; 10], 0);
        for key in 0..20_000_u32 {
            let key = Ring::hash(format!("key-{key}").as_bytes());
            let (was, is) = (old.owner(key, all).unwrap(), new.owner(key, all).unwrap());
            served[is] += 1;
            moved += u32::from(was != is);
        }
        assert!(served.iter().all(|n| (1200..2900).contains(n)), "{served:?}");
        assert!((1200..2900).contains(&moved), "{moved} of 20000 moved");
    }
}
