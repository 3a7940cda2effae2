//! Messages of the DNS (RFC 1035 4.1): a question for addresses, and what an answer to it holds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Bytes of a message before its question.
const HEADER_BYTES: usize = 12;

/// Addresses that are taken from one answer.
const ADDRESSES_MAX: usize = 256;

const CLASS_IN: u16 = 1;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordType {
    A = 1,
    Aaaa = 28,
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Addresses, none if the name has none of the type, and how long they hold.
    Addresses(Vec<IpAddr>, Duration),
    /// There is no such name.
    NoName,
    /// The server cannot say; its code.
    Refused(u8),
    /// The answer is longer than a datagram.
    Truncated,
}

/// The question for one name; `None` for a name that no message can hold.
pub(super) fn question(id: u16, name: &str, record: RecordType) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    message.extend_from_slice(&id.to_be_bytes());
    // Recursion desired; one question, nothing else.
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&(record as u16).to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    (message.len() <= HEADER_BYTES + 255 + 4).then_some(message)
}

/// Reads the answer to a question; `None` for anything else.
pub(super) fn reply(question: &[u8], message: &[u8]) -> Option<Reply> {
    let (id, asked) = (question.get(..2)?, question.get(HEADER_BYTES..)?);
    let rest = message.get(HEADER_BYTES..)?;
    let is_answer = message[2] & 0x80 != 0 && message[..2] == *id && number(message, 4)? == 1;
    let echoed = rest.get(..asked.len())?;
    if !is_answer || !echoed.eq_ignore_ascii_case(asked) {
        return None;
    }
    match message[3] & 0x0f {
        0 if message[2] & 2 != 0 => Some(Reply::Truncated),
        0 => addresses(message, HEADER_BYTES + asked.len(), number(asked, asked.len() - 4)?),
        3 => Some(Reply::NoName),
        code => Some(Reply::Refused(code)),
    }
}

/// The addresses of the wanted type, under whatever name: aliases lead to them.
fn addresses(message: &[u8], mut at: usize, wanted: u16) -> Option<Reply> {
    let mut found = Vec::new();
    let mut seconds = u32::MAX;
    for _ in 0..number(message, 6)? {
        at = after_name(message, at)?;
        let (record, class) = (number(message, at)?, number(message, at + 2)?);
        let ttl = u32::from_be_bytes(message.get(at + 4..at + 8)?.try_into().ok()?);
        let length = usize::from(number(message, at + 8)?);
        let data = message.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        seconds = seconds.min(ttl);
        if (record, class) == (wanted, CLASS_IN) && found.len() < ADDRESSES_MAX {
            found.extend(address(data));
        }
    }
    Some(Reply::Addresses(found, Duration::from_secs(seconds.into())))
}

fn address(data: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(data).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(data).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

/// Where a name ends: at its empty label, or behind a pointer to the rest of it.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Vec<u8> {
        question(0x1234, "db.test", RecordType::A).unwrap()
    }

    /// An answer with an alias in front of its addresses.
    fn answer(code: u8, flags: u8) -> Vec<u8> {
        let mut message = asked();
        (message[2], message[3]) = (0x81 | flags, 0x80 | code);
        message[7] = 3;
        message.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01x\xc0\x0f");
        message.extend_from_slice(b"\x01x\xc0\x0f\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x07");
        message.extend_from_slice(b"\x01x\xc0\x0f\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x08");
        message
    }

    #[test]
    fn addresses_come_with_the_shortest_time_of_the_way_to_them() {
        let found = ["192.0.2.7", "192.0.2.8"].map(|address| address.parse().unwrap()).to_vec();
        let wanted = Reply::Addresses(found, Duration::from_secs(30));
        assert_eq!(reply(&asked(), &answer(0, 0)), Some(wanted));
        assert_eq!(reply(&asked(), &answer(3, 0)), Some(Reply::NoName));
        assert_eq!(reply(&asked(), &answer(2, 0)), Some(Reply::Refused(2)));
        assert_eq!(reply(&asked(), &answer(0, 2)), Some(Reply::Truncated));
    }

    #[test]
    fn an_answer_to_something_else_is_none() {
        let change = |at: usize| {
            let mut message = answer(0, 0);
            message[at] ^= 0x7f;
            message
        };
        for at in [0, 1, HEADER_BYTES + 1, asked().len() - 1] {
            assert_eq!(reply(&asked(), &change(at)), None, "byte {at}");
        }
        assert_eq!(reply(&asked(), &asked()), None, "a question is no answer");
    }

    #[test]
    fn names_that_fit_in_no_message_are_not_asked_for() {
        for name in ["", ".", "a..b", &"a".repeat(64), &vec!["abcdefg"; 40].join(".")] {
            assert_eq!(question(1, name, RecordType::Aaaa), None, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(cut in 0usize..80, changes in proptest::collection::vec((0usize..80, 0u8..), 0..6)) {
            let mut message = answer(0, 0);
            for (at, value) in changes {
                if let Some(byte) = message.get_mut(at) {
                    *byte = value;
                }
            }
            message.truncate(cut);
            reply(&asked(), &message);
        }
    }
}
