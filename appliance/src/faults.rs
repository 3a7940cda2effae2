//! Faults for the tests of this crate: a request target that breaks what it names. Not in the program.

/// Panics in the connection's task.
pub(crate) const PANIC: &str = "/fault/panic";
/// Panics in a task of the core itself, which ends the worker's thread.
pub(crate) const KILL_WORKER: &str = "/fault/kill-worker";

/// Does what the target says.
pub(crate) fn inject(core: &crate::worker::Core, target: &[u8]) {
    if target == PANIC.as_bytes() {
        panic!("injected: {PANIC}");
    }
    if target == KILL_WORKER.as_bytes() {
        core.spawn(async { panic!("injected: {KILL_WORKER}") });
    }
}
