//! The messages of `grpc.health.v1.Health/Check`, of which two fields matter.

/// The method.
pub(super) const PATH: &str = "/grpc.health.v1.Health/Check";
/// `HealthCheckResponse.ServingStatus.SERVING`.
pub(super) const SERVING: u64 = 1;
/// Flag and length in front of a message.
const PREFIX_BYTES: usize = 5;
/// Key of a field 1 that holds a number.
const STATUS_KEY: u64 = 1 << 3;
/// Key of a field 1 that holds text.
const SERVICE_KEY: u8 = (1 << 3) | 2;

/// A `HealthCheckRequest` with its prefix.
pub(super) fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 4);
    if !service.is_empty() {
        message.push(SERVICE_KEY);
        write_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat()
}

/// The serving status that a `HealthCheckResponse` with its prefix names. `None` when it is no such message.
pub(super) fn serving_status(body: &[u8]) -> Option<u64> {
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || message.len() != usize::try_from(length).ok()? {
        return None;
    }
    let (mut rest, mut status) = (message, 0);
    while !rest.is_empty() {
        let key = read_varint(&mut rest)?;
        match key & 7 {
            0 => {
                let value = read_varint(&mut rest)?;
                status = if key == STATUS_KEY { value } else { status };
            }
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(read_varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// The `grpc-status` among lines of fields.
pub(super) fn status_of(lines: &[u8]) -> Option<u32> {
    lines.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
        let value = std::str::from_utf8(&value[1..]).ok()?;
        name.eq_ignore_ascii_case(b"grpc-status").then(|| value.trim().parse().ok()).flatten()
    })
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_names_its_service_and_none_for_the_server() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("a.B"), *b"\0\0\0\0\x05\x0a\x03a.B");
        assert_eq!(question(&"x".repeat(200))[..8], *b"\0\0\0\0\xcb\x0a\xc8\x01");
    }

    #[test]
    fn an_answer_says_its_status_and_unknown_fields_are_passed_over() {
        assert_eq!(serving_status(b"\0\0\0\0\x02\x08\x01"), Some(SERVING));
        assert_eq!(serving_status(b"\0\0\0\0\x02\x08\x02"), Some(2));
        assert_eq!(serving_status(b"\0\0\0\0\0"), Some(0), "a default is not sent");
        assert_eq!(serving_status(b"\0\0\0\0\x08\x12\x02ab\x18\x7f\x08\x01"), Some(SERVING));
        for bad in
            [&b""[..], b"\0\0\0\0\x02\x08", b"\x01\0\0\0\x02\x08\x01", b"\0\0\0\0\x01\x08", b"\0\0\0\0\x02\x0b\x01"]
        {
            assert_eq!(serving_status(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_status_of_a_call_is_found_in_any_case() {
        assert_eq!(status_of(b"x: 1\r\nGrpc-Status: 12\r\n"), Some(12));
        assert_eq!(status_of(b"grpc-status-details-bin: 1\r\n"), None);
        assert_eq!(status_of(b"grpc-status: x\r\n"), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _read = serving_status(&body);
            let _found = status_of(&body);
        }

        #[test]
        fn numbers_survive(value: u64) {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            prop_assert_eq!(read_varint(&mut &out[..]), Some(value));
        }
    }
}
