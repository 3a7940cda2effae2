//! Host and authority: validated once, kept in the form that routing compares.

/// Host part of an authority in lower case without its final dot; one small buffer per connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// The name or address (`[::1]` with its brackets); empty when an HTTP/1.0 request had none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, when the authority named one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}
