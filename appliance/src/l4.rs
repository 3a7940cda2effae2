//! TCP and UDP services: a port of this machine that leads to a Service as it is. The ports come from the adopted
//! snapshot; who listens on them is decided in `worker/streams.rs`.

pub(crate) mod tcp;
pub(crate) mod udp;
