//! The allocator, beyond allocating.

/// Lets the allocator give back what the calling thread has freed since long enough (a second, mimalloc's `purge_delay`).
/// By itself it looks only when it is asked for memory, so that what a crowd has left would stay with an idle worker.
/// Takes time for each of the thread's pages that are not full.
pub(crate) fn give_back() {
    // SAFETY: no pointer goes in or comes out. What is given back is what the calling thread's own heap has free; blocks in
    // use do not move.
    unsafe { libmimalloc_sys::mi_collect(false) }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc as _, Layout};

    use super::*;

    #[test]
    fn what_is_in_use_stays() {
        let layout = Layout::array::<u64>(1000).expect("a layout");
        // SAFETY: the layout is not empty; each block is written and read within its size, and freed once.
        unsafe {
            let blocks: Vec<*mut u64> = (0..100).map(|_| mimalloc::MiMalloc.alloc(layout).cast()).collect();
            for (n, block) in (0..).zip(&blocks) {
                block.write(n);
            }
            for block in &blocks[..50] {
                mimalloc::MiMalloc.dealloc(block.cast(), layout);
            }
            give_back();
            for (n, block) in (50..).zip(&blocks[50..]) {
                assert_eq!(block.read(), n);
                mimalloc::MiMalloc.dealloc(block.cast(), layout);
            }
        }
        give_back();
    }
}
