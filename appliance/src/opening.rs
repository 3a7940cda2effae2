//! What is read of a connection before there is a session or a request, under public names: the fuzz targets and their
//! tests call it without sockets.

pub use crate::accept::proxy_protocol::{Proxied, parse as proxy_header, write as write_proxy_header};
pub use crate::tls::hello::{HELLO_BYTES_MAX, Hello, look as look_at_hello};
