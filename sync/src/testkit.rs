//! What tests and the scale harness need around the control thread. Not part of the product.

pub mod api_server;
pub mod fixtures;
pub mod rig;
pub mod rollout;
pub mod workers;
