//! Where io_uring is refused, as container runtimes do by seccomp: the epoll driver serves, and says so.

use serde_json::json;

use crate::nginx::Nginx;
use crate::support::manifests::{file, ingress, service};
use crate::support::process::{Driver, Ringress};

/// Refuses io_uring_setup (system call 425 on every architecture) with EPERM, then becomes the program.
const LAUNCHER: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
instructions = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("HBBI", *one) for one in instructions)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxQ", len(instructions), ctypes.addressof(buffer))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn a_sandbox_that_refuses_io_uring_gets_epoll() {
    let nginx = Nginx::start(1);
    let mut objects = service("origin", &nginx.servers);
    objects.push(ingress("a").prefix("a.test", "/", "origin").build());
    let ringress = Ringress::on(Driver::Epoll)
        .driver("auto")
        .through(&["python3", "-c", LAUNCHER])
        .manifest("all.json", file(objects))
        .start();
    assert_eq!(ringress.status()["driver"], json!("epoll"));
    assert_eq!(ringress.get("a.test", "/").status, 200);
    let log = ringress.log();
    assert!(log.contains("io_uring") && log.contains("epoll"), "one clear line in the log:\n{log}");
}
