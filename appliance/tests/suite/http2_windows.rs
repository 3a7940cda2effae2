//! What an HTTP/2 client grants is kept to the byte (RFC 9113 6.9), and what it asks is acknowledged (6.5.3, 6.7).

use crate::support::frames::{
    ACK, DATA, END_STREAM, Frames, GOAWAY, PING, SETTINGS, Seen, frame, get, settings, window_update,
};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Ringress, on_each_driver};

const INITIAL_WINDOW: u16 = 4;

/// An instance whose origin answers with six bytes, and a connection with that window.
fn with_window(window: u32, test: impl Fn(&mut Frames)) {
    on_each_driver(|driver| {
        let origin = Origin::with(|request, peer| {
            peer.read_body(request)?;
            peer.answer(200, &[], b"origin")?;
            Ok(Next::Keep)
        });
        let mut objects = service("origin", &[origin.address]);
        objects.push(ingress("a").prefix("a.test", "/", "origin").build());
        let ringress = Ringress::on(driver).workers(1).manifest("all.json", file(objects)).start();
        test(&mut Frames::with(ringress.https, &[(INITIAL_WINDOW, window)]).expect("an HTTP/2 connection"));
    });
}

fn piece(frames: &mut Frames) -> Vec<u8> {
    frames.wait(|frame| frame.kind == DATA).expect("DATA").payload
}

/// No DATA came before the answer to a PING.
fn assert_waits(frames: &mut Frames) {
    frames.send(&frame(PING, 0, 0, b"are you?")).expect("send");
    let next = frames.wait(|frame| frame.kind == DATA || (frame.kind == PING && frame.has(ACK))).expect("an answer");
    assert_eq!(next.kind, PING, "beyond the window: {next:?}");
}

#[test]
fn a_window_of_one_byte_lets_one_byte_through() {
    with_window(1, |frames| {
        frames.send(&get(1)).expect("send");
        assert_eq!(piece(frames), b"o");
        assert_waits(frames);
        frames.send(&window_update(1, 2)).expect("send");
        assert_eq!(piece(frames), b"ri");
        assert_waits(frames);
        frames.send(&window_update(1, 100)).expect("send");
        assert!(matches!(frames.outcome(1), Seen::Answer(_)));
    });
}

#[test]
fn settings_change_the_windows_of_streams_that_run() {
    with_window(0, |frames| {
        frames.send(&get(1)).expect("send");
        assert_waits(frames);
        frames.send(&settings(&[(INITIAL_WINDOW, 3)])).expect("send");
        assert_eq!(piece(frames), b"ori");
        assert_waits(frames);
        // Three were sent: the window is 1 - 3 now, and then one.
        frames.send(&[settings(&[(INITIAL_WINDOW, 1)]), window_update(1, 3)].concat()).expect("send");
        assert_eq!(piece(frames), b"g");
        assert_waits(frames);
    });
}

#[test]
fn settings_and_pings_are_acknowledged() {
    with_window(65_535, |frames| {
        frames.send(&[settings(&[(INITIAL_WINDOW, 100)]), frame(PING, 0, 0, b"8 octets")].concat()).expect("send");
        let acknowledged = frames.wait(|frame| frame.kind == SETTINGS && frame.has(ACK)).expect("an acknowledgement");
        assert!(acknowledged.payload.is_empty());
        let answer = frames.wait(|frame| frame.kind == PING && frame.has(ACK)).expect("an answer");
        assert_eq!((answer.payload.as_slice(), answer.stream), (&b"8 octets"[..], 0));
    });
}

#[test]
fn a_client_that_says_goodbye_gets_the_answers_it_waits_for() {
    with_window(0, |frames| {
        frames.send(&get(1)).expect("send");
        frames.send(&frame(GOAWAY, 0, 0, &[0; 8])).expect("send");
        frames.send(&window_update(1, 100)).expect("send");
        let last = frames.wait(|frame| frame.kind == DATA && frame.has(END_STREAM)).expect("the end of the body");
        assert_eq!(last.payload, b"origin");
    });
}
