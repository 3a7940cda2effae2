//! What the kernel does with the process's memory.

/// A huge page is resident as a whole once one byte of it is touched, and buffers are larger than what most of them hold: an
/// idle HTTP/2 connection took 47 KiB instead of 28, an idle process twice its memory. No worker touches enough for larger
/// pages to save it time. The allocator asks for none (`no_thp`); this is for kernels that give them unasked.
pub fn without_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::info!(%error, "the kernel may use huge pages");
    }
}
