//! The words of an upgrade, one packet each, over a Unix socket that keeps packets apart.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use socket2::{Domain, Socket, Type};

use super::sockets::{Given, Keeper};
use crate::worker::ListenerKind;

/// Bytes of a packet; longer reasons are cut.
const PACKET_BYTES_MAX: usize = 4096;

/// What the processes say to each other.
#[derive(Debug)]
pub(super) enum Message {
    /// The new process is one that takes sockets; the version of its program.
    Hello(String),
    /// The version of what follows.
    Form(u8),
    /// A listening socket.
    Socket(Given),
    /// There are no more sockets.
    Complete,
    /// Every worker has a snapshot.
    Ready,
    /// Accept.
    Go,
    /// Clients are accepted.
    Serving,
    /// Why there will be no upgrade.
    Refused(String),
}

/// Both ends.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (a, b) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
    Ok((a.into(), b.into()))
}

/// Sends a packet.
pub(super) fn send(to: impl AsFd, message: &Message) -> io::Result<()> {
    let (mut packet, mut descriptor) = (vec![tag(message)], None);
    match message {
        Message::Form(version) => packet.push(*version),
        Message::Socket(given) => {
            packet.push(keeper_byte(given.keeper));
            descriptor = Some(given.socket.as_fd());
        }
        Message::Refused(text) | Message::Hello(text) => packet.extend(text.bytes().take(PACKET_BYTES_MAX - 1)),
        Message::Complete | Message::Ready | Message::Go | Message::Serving => {}
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: &[BorrowedFd<'_>] = descriptor.as_slice();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(to, &[IoSlice::new(&packet)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next packet; `None` when the other side is gone.
pub(super) fn receive(from: impl AsFd) -> io::Result<Option<Message>> {
    let mut packet = [0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut packet)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match &packet[..received.bytes] {
        [] => Ok(None),
        [tag, rest @ ..] => decode(*tag, rest, descriptor).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into()),
    }
}

fn tag(message: &Message) -> u8 {
    match message {
        Message::Hello(_) => b'H',
        Message::Form(_) => b'V',
        Message::Socket(_) => b'S',
        Message::Complete => b'C',
        Message::Ready => b'R',
        Message::Go => b'G',
        Message::Serving => b'A',
        Message::Refused(_) => b'X',
    }
}

fn decode(tag: u8, rest: &[u8], descriptor: Option<OwnedFd>) -> Option<Message> {
    Some(match (tag, rest, descriptor) {
        (b'H', version, None) => Message::Hello(String::from_utf8_lossy(version).into_owned()),
        (b'V', [version, ..], None) => Message::Form(*version),
        (b'S', [keeper, ..], Some(socket)) => {
            Message::Socket(Given { socket: socket.into(), keeper: keeper_of(*keeper)? })
        }
        (b'C', [], None) => Message::Complete,
        (b'R', [], None) => Message::Ready,
        (b'G', [], None) => Message::Go,
        (b'A', [], None) => Message::Serving,
        (b'X', reason, None) => Message::Refused(String::from_utf8_lossy(reason).into_owned()),
        _ => return None,
    })
}

fn keeper_byte(keeper: Keeper) -> u8 {
    match keeper {
        Keeper::Process => 0,
        Keeper::Manager(ListenerKind::Http) => 1,
        Keeper::Manager(ListenerKind::Https) => 2,
    }
}

fn keeper_of(byte: u8) -> Option<Keeper> {
    match byte {
        0 => Some(Keeper::Process),
        1 => Some(Keeper::Manager(ListenerKind::Http)),
        2 => Some(Keeper::Manager(ListenerKind::Https)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listening_socket_arrives_with_its_queue_and_its_keeper() {
        let (a, b) = pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let given = Given { socket: listener.into(), keeper: Keeper::Manager(ListenerKind::Https) };
        send(&a, &Message::Socket(given)).unwrap();
        let Some(Message::Socket(Given { socket, keeper })) = receive(&b).unwrap() else { panic!("no socket") };
        assert_eq!(keeper, Keeper::Manager(ListenerKind::Https));
        let waited = TcpListener::from(socket).accept().unwrap().1;
        assert_eq!(waited, client.local_addr().unwrap());
    }

    #[test]
    fn the_end_of_the_other_side_is_no_message_and_nonsense_is_an_error() {
        let (a, b) = pair().unwrap();
        send(&a, &Message::Refused("x".repeat(10_000))).unwrap();
        rustix::net::send(&a, b"?", SendFlags::empty()).unwrap();
        rustix::net::send(&a, b"S\0", SendFlags::empty()).unwrap();
        drop(a);
        let Some(Message::Refused(reason)) = receive(&b).unwrap() else { panic!("no reason") };
        assert_eq!(reason.len(), PACKET_BYTES_MAX - 1);
        assert!(receive(&b).is_err(), "an unknown word");
        assert!(receive(&b).is_err(), "a socket that is none");
        assert!(receive(&b).unwrap().is_none());
    }
}
