//! What the kernel does with the process's memory.

/// Buffers are larger than what most of them hold, and with huge pages all of each is resident: an idle HTTP/2 connection
/// took 47 KiB instead of 28. No worker touches enough for larger pages to save it time.
pub fn without_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::info!(%error, "the kernel may use huge pages");
    }
}
