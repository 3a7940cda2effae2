//! The only `unsafe` of the appliance: one file per need, each with its argument and a test.

#![expect(unsafe_code, reason = "raw descriptors of monoio's streams have no safe borrow")]

pub(crate) mod fd;
