//! W3C Trace Context (Recommendation, level 1): what a client says in `traceparent` and `tracestate`, and what an upstream
//! is told. What is not exactly as it says there is as if it were absent.

/// Bytes of a `traceparent` of version 00.
pub(super) const TRACEPARENT_BYTES: usize = 55;
/// Entries of a `tracestate`.
const STATE_ENTRIES_MAX: usize = 32;
/// Bytes of a `tracestate` with all its lines; at least 512 have to go on.
const STATE_BYTES_MAX: usize = 2 << 10;
/// Bytes of the value of an entry.
const STATE_VALUE_BYTES_MAX: usize = 256;

/// The client's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) sampled: bool,
}

impl Parent {
    /// Reads the values of all `traceparent` fields: there has to be one.
    pub(super) fn read<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let value = values.next()?;
        if values.next().is_some() { None } else { Self::parse(value) }
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(TRACEPARENT_BYTES)?;
        let [version, trace_id, span_id, flags] =
            <[&[u8]; 4]>::try_from(known.split(|byte| *byte == b'-').collect::<Vec<_>>()).ok()?;
        let [version] = bytes_of(version)?;
        // Later versions may have more behind; what is in front stays as it is.
        let is_whole = if version == 0 { rest.is_empty() } else { rest.is_empty() || rest.starts_with(b"-") };
        let (trace_id, span_id) = (bytes_of::<16>(trace_id)?, bytes_of::<8>(span_id)?);
        let [flags] = bytes_of(flags)?;
        let is_valid = version != 0xff && is_whole && trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// `N` bytes from twice as many digits, in lower case.
fn bytes_of<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// A `traceparent`.
pub(super) fn traceparent(trace_id: [u8; 16], span_id: [u8; 8], sampled: bool) -> [u8; TRACEPARENT_BYTES] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex(&trace_id, &mut text[3..35]);
    hex(&span_id, &mut text[36..52]);
    hex(&[u8::from(sampled)], &mut text[53..]);
    text
}

fn hex(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

/// The lines of `tracestate` as one; `None` when there is nothing to be passed on.
pub(super) fn state<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        if !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend_from_slice(line);
        if joined.len() > STATE_BYTES_MAX {
            return None;
        }
    }
    let entries = || joined.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty());
    let number = entries().count();
    ((1..=STATE_ENTRIES_MAX).contains(&number) && entries().all(is_entry)).then_some(joined)
}

/// `key=value`.
fn is_entry(entry: &[u8]) -> bool {
    let Some(equals) = entry.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (&entry[..equals], &entry[equals + 1..]);
    let is_value = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    is_key(key) && (1..=STATE_VALUE_BYTES_MAX).contains(&value.len()) && value.iter().all(is_value)
}

/// A name, or `tenant@system`.
fn is_key(key: &[u8]) -> bool {
    let is_inner =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/');
    let is_name = |name: &[u8], bytes_max: usize| {
        (1..=bytes_max).contains(&name.len()) && name[0].is_ascii_lowercase() && name.iter().all(is_inner)
    };
    match key.iter().position(|byte| *byte == b'@') {
        None => is_name(key, 256),
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            let is_tenant = (1..=241).contains(&tenant.len()) && !matches!(tenant[0], b'_' | b'-' | b'*' | b'/');
            is_tenant && tenant.iter().all(is_inner) && is_name(system, 14)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(values: &[&str]) -> Option<Parent> {
        Parent::read(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn a_traceparent_is_read_and_written() {
        let parent = read(&[VALUE]).unwrap();
        assert_eq!((parent.trace_id[0], parent.span_id[7], parent.sampled), (0x0a, 0x31, true));
        assert_eq!(&traceparent(parent.trace_id, parent.span_id, true), VALUE.as_bytes());
        // Flags that are not known do not matter.
        assert!(!read(&[&VALUE.replace("-01", "-fe")]).unwrap().sampled);
        assert!(read(&[&VALUE.replace("-01", "-03")]).unwrap().sampled);
        // A later version, with more behind or without.
        let later = VALUE.replacen("00", "cc", 1);
        assert_eq!(read(&[&later]), Some(parent));
        assert_eq!(read(&[&format!("{later}-what comes")]), Some(parent));
    }

    #[test]
    fn what_is_no_traceparent_is_as_if_it_were_absent() {
        let later = VALUE.replacen("00", "cc", 1);
        for bad in [
            "",
            "00",
            &VALUE[..54],
            &format!("{VALUE}-"),
            &format!("{VALUE}0"),
            &format!("{VALUE}-00"),
            &format!("{later}.what"),
            &VALUE.replacen("00", "ff", 1),
            &VALUE.replacen("00", "0x", 1),
            &VALUE.to_uppercase(),
            &VALUE.replace('-', "_"),
            &VALUE.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
            &VALUE.replace("b7ad6b7169203331", "0000000000000000"),
            &VALUE.replace("-01", "-0g"),
            &VALUE.replace("1c80319c-b7", "1c80319cb-7"),
            &format!(" {}", &VALUE[..54]),
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
        assert_eq!((read(&[]), read(&[VALUE, VALUE])), (None, None));
    }

    fn joined(lines: &[&str]) -> Option<String> {
        state(lines.iter().map(|line| line.as_bytes())).map(|state| String::from_utf8(state).unwrap())
    }

    #[test]
    fn a_tracestate_goes_on_as_it_came() {
        assert_eq!(
            joined(&["rojo=00f067aa0ba902b7, congo=t61 x"]).as_deref(),
            Some("rojo=00f067aa0ba902b7, congo=t61 x")
        );
        assert_eq!(joined(&["a=1", "", "fw529a3039@dt=b ,,"]).as_deref(), Some("a=1,fw529a3039@dt=b ,,"));
        let most = (0..32).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(joined(&[&most]), Some(most.clone()));
        assert_eq!(joined(&[&most, "more=v"]), None);
    }

    #[test]
    fn what_is_no_tracestate_does_not_go_on() {
        let (long_key, long_value) = (format!("{}=v", "k".repeat(257)), format!("k={}", "v".repeat(257)));
        for bad in [
            "",
            " ",
            "a",
            "=1",
            "a=",
            "A=1",
            "1a=1",
            "a=b=c",
            "a=\u{e9}",
            "a@=1",
            "@a=1",
            "a@1=1",
            "a@b@c=1",
            "a@fifteenletters1=1",
            &long_key,
            &long_value,
            &format!("a={}", "x=".repeat(2000)),
        ] {
            assert_eq!(joined(&[bad]), None, "{bad}");
        }
        let many = (0..20).map(|n| format!("k{n}={}", "v".repeat(200))).collect::<Vec<_>>().join(",");
        assert_eq!(joined(&[&many]), None, "too long");
    }
}
