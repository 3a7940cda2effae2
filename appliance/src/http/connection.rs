//! The Connection field: what it says of the connection, and the fields it takes out of the message (RFC 9110 7.6.1).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::field::{Field, FieldId, is_token};
use super::head::{HeadError, Version};
use super::scan::elements;

/// Options of one message that name fields. Nobody needs more; each costs a look at every field.
const NOMINATIONS_MAX: usize = 32;

/// What the Connection lines of a head say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionOptions {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    nominations: usize,
}

impl ConnectionOptions {
    /// One Connection line. What is no token in it is no option.
    #[inline]
    pub(super) fn add(&mut self, value: &[u8]) -> Result<(), HeadError> {
        // What nearly everybody sends.
        match value {
            b"keep-alive" => self.keep_alive = true,
            b"close" => self.close = true,
            list => return self.add_list(list),
        }
        Ok(())
    }

    fn add_list(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for option in options(value) {
            if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.nominations += 1;
                if self.nominations > NOMINATIONS_MAX {
                    return Err(HeadError::ConnectionOptions);
                }
            }
        }
        Ok(())
    }

    /// Whether the connection lives on after the message.
    pub(super) fn keeps_alive(self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }

    /// Marks the fields that Connection names.
    #[inline]
    pub(super) fn nominate(self, buf: &[u8], fields: &mut [Field]) {
        if self.nominations > 0 {
            nominate(buf, fields);
        }
    }
}

#[cold]
fn nominate(buf: &[u8], fields: &mut [Field]) {
    for line in 0..fields.len() {
        if fields[line].id != FieldId::Connection {
            continue;
        }
        for option in options(fields[line].value.of(buf)) {
            for field in fields.iter_mut().filter(|field| field.name.of(buf).eq_ignore_ascii_case(option)) {
                field.nominate();
            }
        }
    }
}

fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    elements(value).filter(|option| is_token(option))
}

/// Whether an Upgrade value may go upstream: protocol names only, and never `h2c`, which would carry requests past the
/// proxy (RFC 9113 3.1).
pub(super) fn is_forwardable_upgrade(value: &[u8]) -> bool {
    let mut protocols = elements(value).peekable();
    let is_protocol = |protocol: &[u8]| {
        let (name, version) = match protocol.iter().position(|&byte| byte == b'/') {
            Some(slash) => (&protocol[..slash], Some(&protocol[slash + 1..])),
            None => (protocol, None),
        };
        is_token(name) && version.is_none_or(is_token) && !name.eq_ignore_ascii_case(b"h2c")
    };
    protocols.peek().is_some() && protocols.all(is_protocol)
}

/// Whether a 101 switches to what was asked for (RFC 9110 7.8). One that does not say to what is believed.
pub(super) fn switches_as_asked(asked: &[u8], switched: &[u8]) -> bool {
    switched.is_empty() || elements(switched).all(|to| elements(asked).any(|one| one.eq_ignore_ascii_case(to)))
}

/// Whether a `Sec-WebSocket-Accept` answers the `Sec-WebSocket-Key` that was sent (RFC 6455 4.2.2).
pub(super) fn proves_handshake(key: &[u8], accept: &[u8]) -> bool {
    const OF_WEBSOCKET: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, OF_WEBSOCKET].concat());
    accept == STANDARD.encode(proof).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options_of(lines: &[&str]) -> Result<ConnectionOptions, HeadError> {
        let mut options = ConnectionOptions::default();
        lines.iter().try_for_each(|line| options.add(line.as_bytes()))?;
        Ok(options)
    }

    #[test]
    fn close_wins_and_each_version_has_its_default() {
        let keeps = |lines: &[&str], version| options_of(lines).unwrap().keeps_alive(version);
        assert!(keeps(&[], Version::Http11));
        assert!(!keeps(&[], Version::Http10));
        assert!(keeps(&["Keep-Alive"], Version::Http10));
        assert!(!keeps(&["keep-alive, CLOSE"], Version::Http11));
        assert!(!keeps(&["x", " ,close,"], Version::Http11));
        assert!(!keeps(&["keep-alive", "close"], Version::Http10));
    }

    #[test]
    fn the_number_of_named_fields_is_bounded() {
        let names = |count| vec!["x"; count].join(",");
        assert!(options_of(&[&names(NOMINATIONS_MAX)]).is_ok());
        assert!(options_of(&[&names(NOMINATIONS_MAX + 1)]).is_err());
        assert!(options_of(&[&names(NOMINATIONS_MAX), "y"]).is_err());
    }

    #[test]
    fn a_switch_is_to_what_was_asked_for() {
        for (asked, switched, as_asked) in [
            ("websocket", "WebSocket", true),
            ("foo/2, websocket", "websocket", true),
            ("websocket", "", true),
            ("websocket", "h2c", false),
            ("websocket", "websocket, h2c", false),
            ("foo/2", "foo", false),
        ] {
            assert_eq!(switches_as_asked(asked.as_bytes(), switched.as_bytes()), as_asked, "{asked} {switched}");
        }
    }

    #[test]
    fn a_handshake_is_proved_as_in_the_example_of_its_rfc() {
        let proves = |accept: &[u8]| proves_handshake(b"dGhlIHNhbXBsZSBub25jZQ==", accept);
        assert!(proves(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(!proves(b"S3pPLMBiTxaQ9kYGzzhZRbK+xOO=") && !proves(b""));
    }

    #[test]
    fn h2c_never_goes_upstream() {
        for (value, forwardable) in [
            ("websocket", true),
            ("WebSocket", true),
            ("foo/2, websocket", true),
            ("h2c", false),
            ("H2C", false),
            ("websocket, h2c", false),
            ("h2c/1", false),
            ("", false),
            ("web socket", false),
            ("websocket,", false),
        ] {
            assert_eq!(is_forwardable_upgrade(value.as_bytes()), forwardable, "{value:?}");
        }
    }
}
