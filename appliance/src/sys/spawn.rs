//! A child process that gets standard input, output and error and nothing else.
//!
//! Sockets that io_uring accepts carry no close-on-exec: without this, a child would hold the connections of clients.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The first descriptor after the standard ones.
const FIRST: libc::c_uint = 3;

/// Marks every other descriptor of the child for closing when its program starts (Linux 5.11 and later).
pub(crate) fn keep_standard_descriptors_only(command: &mut Command) {
    let mark = || {
        // SAFETY: a single system call with plain numbers. It changes flags in the child's own table only.
        let result = unsafe {
            libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_uint)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec only calls that are safe in a signal handler may be made. `mark` makes one system
    // call, allocates nothing, takes no lock, and an error made of a number is a plain value.
    unsafe { command.pre_exec(mark) };
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_child_holds_no_descriptor_of_its_parent() {
        let (kept, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty()).unwrap();
        let number = kept.as_raw_fd();
        let script = format!("test ! -e /proc/self/fd/{number}");
        let mut leaking = Command::new("sh");
        assert!(!leaking.args(["-c", &script]).status().unwrap().success(), "without it the child has the descriptor");
        let mut command = Command::new("sh");
        keep_standard_descriptors_only(command.args(["-c", &script]));
        assert!(command.status().unwrap().success());
    }
}
