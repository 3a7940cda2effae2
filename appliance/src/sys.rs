//! The only `unsafe` of the appliance: one file per need, each with its argument and a test.

#![expect(
    unsafe_code,
    reason = "raw descriptors, of monoio's streams and at the borders of the process; the allocator"
)]

pub(crate) mod allocator;
pub(crate) mod fd;
pub(crate) mod passed;
pub(crate) mod spawn;
