//! Values of annotations and ConfigMap keys, by the rules of Go and nginx (reference section 1).
//!
//! All parsers take the trimmed, non-empty text. An error is the end of a sentence: what the text should have been.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::snapshot::{LogShare, Template};

/// Why a value is refused: what it should have been.
pub(crate) type Expected = &'static str;

/// Says that a text is not what was expected, and names the variable that is not known, where it is that.
pub(crate) fn is_not(text: &str, expected: Expected) -> String {
    let unknown = expected.contains("variables").then(|| Template::parse(text).err()).flatten();
    let why = unknown.map(|unknown| format!(" ({unknown})")).unwrap_or_default();
    format!("`{text}` is not {expected}{why}")
}

/// Where options come from: the annotations of an Ingress, or the ConfigMap.
pub(crate) trait Source {
    /// The trimmed text of an option; `None` when absent or empty.
    fn text(&self, name: &str) -> Option<&str>;

    /// Reports a warning on an option.
    fn warn(&mut self, name: &str, message: String);

    /// Reports an option of access control that cannot be had; what it would guard is refused.
    fn deny(&mut self, name: &str, message: String);

    /// The value of an option. A value that cannot be read is reported and counts as absent.
    fn get<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Expected>) -> Option<T> {
        let text = self.text(name)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(expected) => {
                let message = format!("{}; the default is used", is_not(text, expected));
                self.warn(name, message);
                None
            }
        }
    }

    /// The parts of a list. One that cannot be read is reported and left out, and costs the others nothing.
    fn parts<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Expected>) -> Option<Box<[T]>> {
        let text = self.text(name)?.to_owned();
        let mut parts = Vec::new();
        for part in list(&text) {
            match parse(part) {
                Ok(value) => parts.push(value),
                Err(expected) => self.warn(name, format!("{}; it is left out", is_not(part, expected))),
            }
        }
        Some(parts.into())
    }
}

/// Go's `ParseBool`.
pub(crate) fn bool(text: &str) -> Result<bool, Expected> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("true or false"),
    }
}

/// nginx's `on` and `off`.
pub(crate) fn on_off(text: &str) -> Result<bool, Expected> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off"),
    }
}

/// Go's `Atoi` for numbers from 0: an optional sign and digits, no units.
pub(crate) fn natural(text: &str) -> Result<u32, Expected> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number).ok_or("a number from 0 up, without unit")
}

/// Seconds without unit.
pub(crate) fn seconds(text: &str) -> Result<Duration, Expected> {
    natural(text).map(|n| Duration::from_secs(n.into())).map_err(|_| "a number of seconds, without unit")
}

/// nginx's times: seconds, or numbers with the units ms, s, m, h, d, w, largest first, such as `1h 30m`.
pub(crate) fn time(text: &str) -> Result<Duration, Expected> {
    const EXPECTED: Expected = "a time, such as 240s";
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| EXPECTED)?;
        let unit: String = rest[digits..].chars().take_while(char::is_ascii_alphabetic).collect();
        let part = match &*unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" | "" => Some(Duration::from_secs(number)),
            "m" => number.checked_mul(60).map(Duration::from_secs),
            "h" => number.checked_mul(3600).map(Duration::from_secs),
            "d" => number.checked_mul(86_400).map(Duration::from_secs),
            "w" => number.checked_mul(604_800).map(Duration::from_secs),
            _ => None,
        };
        total = part.and_then(|part| total.checked_add(part)).ok_or(EXPECTED)?;
        rest = rest[digits + unit.len()..].trim_start_matches(' ');
    }
    // nginx keeps times in milliseconds of 31 bits; a century is beyond every use and safe to add to any clock.
    if total > Duration::from_secs(100 * 365 * 86_400) { Err(EXPECTED) } else { Ok(total) }
}

/// Bytes: digits and an optional b, k, m or g.
pub(crate) fn size(text: &str) -> Result<u64, Expected> {
    const EXPECTED: Expected = "a size, such as 8m";
    let (digits, unit) = match text.as_bytes().last().map(u8::to_ascii_lowercase) {
        Some(b'b') => (&text[..text.len() - 1], 1),
        Some(b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1_u64),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number: Option<u64> = digits.parse().ok().filter(|_| is_number);
    number.and_then(|n| n.checked_mul(unit)).ok_or(EXPECTED)
}

/// A number and a size, such as `4 8k`.
pub(crate) fn buffers(text: &str) -> Result<(u32, u64), Expected> {
    const EXPECTED: Expected = "a number and a size, such as 4 8k";
    let (number, bytes) = text.split_once(' ').ok_or(EXPECTED)?;
    let number = natural(number).map_err(|_| EXPECTED)?;
    let bytes = size(bytes.trim()).map_err(|_| EXPECTED)?;
    if number == 0 || bytes == 0 { Err(EXPECTED) } else { Ok((number, bytes)) }
}

/// Go's `Atoi` where numbers below 0 mean nothing: they count as 0.
pub(crate) fn number_or_none(text: &str) -> Result<u32, Expected> {
    match text.strip_prefix('-') {
        Some(digits) => natural(digits).map(|_| 0).map_err(|_| "a number, without unit"),
        None => natural(text),
    }
}

/// The name of a header field.
pub(crate) fn field_name(text: &str) -> Result<Box<str>, Expected> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(is_token) { Ok(text.into()) } else { Err("the name of a header field") }
}

/// Names of header fields between commas.
pub(crate) fn field_names(text: &str) -> Result<Box<[Box<str>]>, Expected> {
    list(text).map(field_name).collect::<Result<_, _>>().map_err(|_| "a list of names of header fields")
}

/// Text that may stand in a header field, with variables.
pub(crate) fn template(text: &str) -> Result<Template, Expected> {
    const EXPECTED: Expected = "visible text with variables of the supported list";
    if text.bytes().any(|b| b.is_ascii_control()) {
        return Err(EXPECTED);
    }
    Template::parse(text).map_err(|_| EXPECTED)
}

/// How many of the requests are logged.
pub(crate) fn log_share(text: &str) -> Result<LogShare, Expected> {
    LogShare::of_percent(text).ok_or("a percentage from 0 to 100 with up to four decimals, such as 0.5")
}

/// Parts between commas, trimmed, without the empty ones.
pub(crate) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Addresses and networks between commas.
pub(crate) fn networks(text: &str) -> Result<Box<[IpNet]>, Expected> {
    let all: Result<_, Expected> = list(text).map(network).collect();
    all.map_err(|_| "a list of addresses and networks, such as 10.0.0.0/8, ::1")
}

/// A network; an address is the network of itself.
pub(crate) fn network(text: &str) -> Result<IpNet, Expected> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address).ok_or("an address or a network, such as 10.0.0.0/8 or ::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bool_is_go_s() {
        for text in ["1", "t", "T", "true", "TRUE", "True"] {
            assert_eq!(bool(text), Ok(true), "{text}");
        }
        for text in ["0", "f", "F", "false", "FALSE", "False"] {
            assert_eq!(bool(text), Ok(false), "{text}");
        }
        for text in ["yes", "on", "tRue", "2", "true "] {
            assert!(bool(text).is_err(), "{text}");
        }
        assert_eq!((on_off("on"), on_off("off")), (Ok(true), Ok(false)));
        assert!(on_off("true").is_err() && on_off("On").is_err());
    }

    #[test]
    fn numbers_take_no_unit() {
        assert_eq!((natural("0"), natural("+7"), natural("007")), (Ok(0), Ok(7), Ok(7)));
        for text in ["-1", "5s", "1.5", "+", "++1", "4294967296", "", " 1"] {
            assert!(natural(text).is_err(), "{text}");
        }
        assert_eq!(seconds("60"), Ok(Duration::from_secs(60)));
        assert!(seconds("60s").is_err());
    }

    #[test]
    fn sizes_take_units_in_any_case() {
        for (text, bytes) in [("0", 0), ("1", 1), ("2b", 2), ("8k", 8192), ("8M", 8 << 20), ("1G", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "-1", "1kb", "1 k", "1t", "18446744073709551615k", "m8", "8é"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_nginx_s() {
        for (text, ms) in [("240s", 240_000), ("60", 60_000), ("1h 30m", 5_400_000), ("1h30m", 5_400_000), ("50ms", 50)]
        {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["s", "1x", "-1s", "1h h", "99999999999999999999s", "18446744073709551615w", "5000w5000w", "é"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn buffers_are_a_number_and_a_size() {
        assert_eq!(buffers("4 8k"), Ok((4, 8192)));
        for text in ["4", "4 ", "0 8k", "4 0", "8k 4", "4  x"] {
            assert!(buffers(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_may_be_single_addresses() {
        let nets = networks("10.0.0.0/8, 192.0.2.1,::1").unwrap();
        assert_eq!(nets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.1/32", "::1/128"]);
        assert!(networks("10.0.0.0/33").is_err() && networks("all").is_err());
    }

    #[test]
    fn lists_lose_blanks_and_empty_parts() {
        assert_eq!(list(" a , ,b,").collect::<Vec<_>>(), ["a", "b"]);
    }
}
