//! The sockets that a service manager passed (`LISTEN_FDS`), as owned descriptors.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Taken once: two owners of a descriptor would close it twice.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The passed descriptors and their names; none at a second call, or when they were meant for another process.
///
/// # Errors
/// When the variables do not say what is there.
pub(crate) fn take() -> io::Result<Vec<(OwnedFd, String)>> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    sd_notify::listen_fds_with_names()?.map(|(number, name)| own(number).map(|socket| (socket, name))).collect()
}

fn own(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the number is borrowed for one call, which fails when nothing is open there.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) })?;
    // SAFETY: the descriptor is open. By sd_listen_fds(3) it was opened for this process by who started it, so no other
    // part of the program owns it, and `TAKEN` lets it be taken once only.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd as _;

    use super::*;

    #[test]
    fn a_number_without_a_descriptor_is_an_error_and_an_open_one_is_owned() {
        assert!(own(RawFd::MAX).is_err());
        let (a, mut b) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(own(a.into_raw_fd()).unwrap());
        assert_eq!(io::Read::read(&mut b, &mut [0; 1]).unwrap(), 0, "its owner closed it");
    }
}
