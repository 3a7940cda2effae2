//! Objects and options in, routing snapshot and findings out.
//!
//! Everything here is a pure function of its arguments: no IO, no async, no clock. The sync thread, `ringress check`,
//! the webhook, the fuzzers and the tests therefore run the same code.
//!
//! The way of a manifest: [`manifest`] (text → values, guarded) → [`model`] (values → lean objects) →
//! `frontend` (objects → intents) → [`compile`] (intents → [`snapshot::Snapshot`]).
//! What was refused, changed or ignored on the way is a [`diagnostics::Finding`] that names object and field.

#![forbid(unsafe_code)]

pub mod annotation;
pub mod compile;
pub mod diagnostics;
mod frontend;
mod intent;
pub mod manifest;
pub mod model;
pub mod options;
pub mod places;
pub mod reference;
pub mod selector;
pub mod settings;
pub mod snapshot;
#[cfg(test)]
mod testing;
mod value;
