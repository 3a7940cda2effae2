//! Frames looked at as they arrive: those that bring the application nothing are counted, and those whose size is wrong
//! end the connection with the code that RFC 9113 has for it, where the h2 crate says PROTOCOL_ERROR.
//!
//! Many connections may share a core: where all of them together send more than the core should look at, those that have
//! sent some lately are as good as floods. Who sends one now and then is not touched.
//!
//! The h2 crate bounds what floods of them hold in memory; what they cost the core's other clients in time is bounded
//! here (CVE-2019-9512, -9513, -9515, -9518). Streams are bounded by `keep-alive-requests`, those that are taken back in
//! [`super::resets`].

use std::cell::RefCell;
use std::rc::Rc;

use h2::Reason;

use super::frame::{ACK, DATA, END_STREAM, Frame, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE};

/// A window that is opened by less brings next to nothing. Clients add up what they have read, to kilobytes.
const GRANT_MIN: u32 = 256;
/// Such frames that may come at once: more than any client was seen to send in a burst.
const BURST: u64 = 1000;
/// And in each second after that. gRPC measures its path with a few PINGs for each round trip.
const PER_SECOND: u64 = 200;

/// Such frames of all connections of a core that may come at once…
const CORE_BURST: u64 = 10_000;
/// …and in each second after that.
const CORE_PER_SECOND: u64 = 10_000;
/// Streams of all connections of a core that may be taken back soon after they began…
const CORE_RESETS_BURST: u64 = 1000;
/// …and in each second after that.
const CORE_RESETS_PER_SECOND: u64 = 1000;
/// Of one connection's frames lately, what it may have when the core has had too many…
const CROWDED_BURST: u64 = 20;
/// …and in each second: a thousand that stay below their own bound would together be too many for the core for ever.
const CROWDED_PER_SECOND: u64 = 10;

/// Pieces of bodies that may lie in h2, each by itself, while more is received.
const CRUMBS_MIN: usize = 256;

/// Thousandths of frames that may come now; more with time, up to a burst.
#[derive(Debug)]
pub(super) struct Credit {
    left: u64,
    at_ms: u64,
    burst: u64,
    per_second: u64,
}

impl Credit {
    pub(super) fn new(burst: u64, per_second: u64, now_ms: u64) -> Self {
        Self { left: burst * 1000, at_ms: now_ms, burst, per_second }
    }

    pub(super) fn follow(&mut self, now_ms: u64) {
        let since = now_ms.saturating_sub(self.at_ms);
        self.left = (self.left + since.saturating_mul(self.per_second)).min(self.burst * 1000);
        self.at_ms = now_ms;
    }

    /// Takes one frame; false when none is left.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.left.checked_sub(1000);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

/// What all connections of a core do together.
#[derive(Debug)]
pub(crate) struct Crowd {
    frames: RefCell<Credit>,
    resets: RefCell<Credit>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            frames: RefCell::new(Credit::new(CORE_BURST, CORE_PER_SECOND, 0)),
            resets: RefCell::new(Credit::new(CORE_RESETS_BURST, CORE_RESETS_PER_SECOND, 0)),
        }
    }
}

impl Crowd {
    /// A stream was taken back soon after it began; false when there are too many of them.
    pub(super) fn bears_reset(&self, now_ms: u64) -> bool {
        let mut resets = self.resets.borrow_mut();
        resets.follow(now_ms);
        resets.spend()
    }
}

/// Looks at the frames of one connection, as [`super::sieve`] finds them.
pub(super) struct Meter {
    /// The first frame was seen.
    begun: bool,
    credit: Credit,
    /// What counts when the core has had too many.
    crowded: Credit,
    crowd: Rc<Crowd>,
    /// Pieces of bodies in what was taken last.
    pieces: usize,
}

impl Meter {
    /// For a connection that begins with a client's preface.
    pub(super) fn new(crowd: Rc<Crowd>, now_ms: u64) -> Self {
        let credit = Credit::new(BURST, PER_SECOND, now_ms);
        let crowded = Credit::new(CROWDED_BURST, CROWDED_PER_SECOND, now_ms);
        Self { begun: false, credit, crowded, crowd, pieces: 0 }
    }

    /// More was received; its frames follow.
    pub(super) fn follow(&mut self, now_ms: u64) {
        self.pieces = 0;
        self.credit.follow(now_ms);
        self.crowded.follow(now_ms);
        self.crowd.frames.borrow_mut().follow(now_ms);
    }

    /// Whether what was taken last is so many pieces that whoever they are for should read them before more comes.
    pub(super) fn is_crumbs(&self) -> bool {
        self.pieces > CRUMBS_MIN
    }

    /// A frame begins.
    ///
    /// # Errors
    /// When it is wrong or one too many.
    pub(super) fn frame(&mut self, frame: &Frame) -> Result<(), Reason> {
        // RFC 9113 3.4.
        if !std::mem::replace(&mut self.begun, true) && (frame.kind != SETTINGS || frame.has(ACK)) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        self.pieces += usize::from(frame.kind == DATA);
        if has_wrong_size(frame) {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        if self.bears(frame) { Ok(()) } else { Err(Reason::ENHANCE_YOUR_CALM) }
    }

    /// Whether it is not one too many.
    fn bears(&mut self, frame: &Frame) -> bool {
        let brings_something = match frame.kind {
            DATA => frame.length > 0 || frame.has(END_STREAM),
            HEADERS | RST_STREAM => true,
            WINDOW_UPDATE => frame.grant >= GRANT_MIN,
            _ => false,
        };
        if brings_something {
            return true;
        }
        let (crowd_bears_it, is_among_few) = (self.crowd.frames.borrow_mut().spend(), self.crowded.spend());
        self.credit.spend() && (crowd_bears_it || is_among_few)
    }
}

/// Whether a frame's length is none of its kind's (RFC 9113 6); what depends on more than the header is left to h2.
fn has_wrong_size(frame: &Frame) -> bool {
    let length = frame.length;
    match frame.kind {
        PRIORITY => length != 5,
        RST_STREAM | WINDOW_UPDATE => length != 4,
        SETTINGS if frame.has(ACK) => length != 0,
        SETTINGS => !length.is_multiple_of(6),
        PING => length != 8,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sieve::Sieve;
    use super::*;

    const PREFACE: &[u8] = super::super::PREFACE;

    /// A meter with what finds frames for it.
    struct Metered {
        meter: Meter,
        sieve: Sieve,
    }

    impl Metered {
        fn new(crowd: &Rc<Crowd>) -> Self {
            Self { meter: Meter::new(Rc::clone(crowd), 0), sieve: Sieve::behind(PREFACE.len(), 0) }
        }

        /// Bytes that pass before a frame that is refused, and why it is.
        fn pass(&mut self, bytes: &[u8], now_ms: u64) -> (usize, Result<(), Reason>) {
            let mut received = bytes.to_vec();
            let taken = self.sieve.take(&mut received, Some(&mut self.meter), now_ms);
            (received.len(), taken)
        }

        fn take(&mut self, bytes: &[u8], now_ms: u64) -> Result<(), Reason> {
            self.pass(bytes, now_ms).1
        }
    }

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let [_, _, high, middle, low] = (payload as u64).to_be_bytes()[3..] else { unreachable!() };
        [&[high, middle, low, kind, flags, 0, 0, 0, 1], &vec![kind; payload][..]].concat()
    }

    fn spent(metered: &Metered) -> u64 {
        BURST - metered.meter.credit.left / 1000
    }

    fn begun() -> Metered {
        begun_among(&Rc::default())
    }

    fn begun_among(crowd: &Rc<Crowd>) -> Metered {
        let mut meter = Metered::new(crowd);
        let settings = frame(SETTINGS, 0, 0);
        meter.take(&[PREFACE, &settings[..]].concat(), 0).unwrap();
        meter
    }

    #[test]
    fn frames_are_found_however_their_bytes_are_split() {
        let stream = [frame(4, 0, 6), frame(1, 4, 300), frame(0, 0, 0), frame(0, 1, 0), frame(6, 0, 8)].concat();
        for size in 1..stream.len() {
            let mut meter = begun();
            assert!(stream.chunks(size).all(|piece| meter.take(piece, 0).is_ok()));
            assert_eq!(spent(&meter), 4, "pieces of {size}");
        }
    }

    #[test]
    fn a_burst_passes_and_time_gives_more() {
        let mut meter = begun();
        let ping = frame(6, 0, 8);
        assert!((1..BURST).all(|_| meter.take(&ping, 0).is_ok()));
        assert!((0..PER_SECOND).all(|_| meter.take(&ping, 1000).is_ok()));
        assert_eq!(meter.take(&ping, 1000), Err(Reason::ENHANCE_YOUR_CALM));
    }

    #[test]
    fn requests_and_their_bodies_are_not_counted() {
        let mut meter = begun();
        for kind in [DATA, HEADERS, RST_STREAM, WINDOW_UPDATE] {
            assert!((0..10 * BURST).all(|_| meter.take(&frame(kind, 0, 4), 0).is_ok()));
        }
        assert_eq!(spent(&meter), 1, "the SETTINGS of the beginning");
    }

    #[test]
    fn a_crowd_is_bounded_together_and_who_sends_few_is_not_touched() {
        let (crowd, ping) = (Rc::default(), frame(6, 0, 8));
        let mut quiet = begun_among(&crowd);
        let mut many: Vec<Metered> = (0..1000).map(|_| begun_among(&crowd)).collect();
        let mut passed = 0;
        while !many.is_empty() {
            many.retain_mut(|meter| meter.take(&ping, 0).is_ok());
            passed += many.len() as u64;
        }
        assert_eq!(passed, 1000 * (CROWDED_BURST - 1), "each is ended beyond this");
        assert!((1..CROWDED_BURST).all(|_| quiet.take(&ping, 0).is_ok()));
        assert!(
            begun_among(&crowd).take(&ping.repeat(BURST as usize - 1), 1000).is_ok(),
            "a second later one alone may send its burst"
        );
    }

    #[test]
    fn a_crowd_whose_every_connection_stays_below_its_own_bound_does_not_go_on() {
        let (crowd, ping) = (Rc::default(), frame(6, 0, 8));
        let mut quiet = begun_among(&crowd);
        let mut many: Vec<Metered> = (0..1000).map(|_| begun_among(&crowd)).collect();
        // 50 a second each, 50,000 in all; beside them one that sends five.
        for now_ms in (0..3000).step_by(20) {
            many.retain_mut(|meter| meter.take(&ping, now_ms).is_ok());
            assert!(!now_ms.is_multiple_of(200) || quiet.take(&ping, now_ms).is_ok(), "{now_ms}");
        }
        assert!(
            many.len() as u64 * 50 <= CORE_PER_SECOND,
            "what is left is no more than the core bears: {}",
            many.len()
        );
        let mut alone = begun();
        assert!((0..3000).step_by(20).all(|now_ms| alone.take(&ping, now_ms).is_ok()));
    }

    #[test]
    fn windows_that_are_opened_by_next_to_nothing_are_counted() {
        let update = |grant: u32| [&[0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 1][..], &grant.to_be_bytes()].concat();
        let mut meter = begun();
        assert!((0..10 * BURST).all(|_| meter.take(&update(GRANT_MIN), 0).is_ok()));
        let taken = (0..10 * BURST).take_while(|_| meter.take(&update(1 | 1 << 31), 0).is_ok()).count();
        assert_eq!(taken as u64, BURST - 1, "the SETTINGS of the beginning was one");
        // However it is cut to pieces, and whatever follows it.
        let bytes = [update(1), update(GRANT_MIN), frame(PING, 0, 8), update(7)].concat();
        for size in 1..bytes.len() {
            let mut meter = begun();
            assert!(bytes.chunks(size).all(|piece| meter.take(piece, 0).is_ok()));
            assert_eq!(spent(&meter), 4, "pieces of {size}");
        }
    }

    #[test]
    fn a_frame_of_the_wrong_size_is_named_as_such_and_those_before_it_pass() {
        let ping = frame(PING, 0, 8);
        for wrong in [
            frame(PING, 0, 7),
            frame(SETTINGS, 0, 5),
            frame(SETTINGS, ACK, 6),
            frame(WINDOW_UPDATE, 0, 3),
            frame(RST_STREAM, 0, 5),
            frame(PRIORITY, 0, 4),
        ] {
            let taken = begun().pass(&[&ping[..], &wrong, &ping].concat(), 0);
            assert_eq!(taken, (ping.len(), Err(Reason::FRAME_SIZE_ERROR)), "{wrong:?}");
        }
    }

    #[test]
    fn a_connection_begins_with_settings() {
        for first in [frame(PING, 0, 8), frame(SETTINGS, ACK, 0), frame(HEADERS, 0, 4)] {
            let taken = Metered::new(&Rc::default()).pass(&[PREFACE, &first].concat(), 0);
            assert_eq!(taken, (PREFACE.len(), Err(Reason::PROTOCOL_ERROR)));
        }
    }
}
