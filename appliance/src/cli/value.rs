//! Values of flags, as Go's flag package and ingress-nginx read them, so that existing command lines keep working.

use std::net::IpAddr;
use std::time::Duration;

use ringress_config::model::ObjectKey;

/// What a flag holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// Go's `ParseBool`: `1 t T TRUE true True` and the opposites.
    Bool,
    /// A whole number.
    Int,
    /// A port; 0 turns the listener off.
    Port,
    /// A decimal number.
    Float,
    /// Comma-separated decimal numbers, rising.
    Buckets,
    /// Go's `ParseDuration` (`1m30s`), or a plain number of seconds.
    Duration,
    /// Whole seconds.
    Seconds,
    /// Any text.
    Text,
    /// A name as objects and domains have it, or empty.
    Name,
    /// Comma-separated texts.
    List,
    /// May be given several times.
    Repeated,
    /// An address without port, or empty for all.
    Address,
    /// `namespace/name`, or empty.
    Object,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    Port(u16),
    Float(f64),
    Buckets(Vec<f64>),
    Duration(Duration),
    Text(String),
    List(Vec<String>),
    Address(Option<IpAddr>),
    Object(Option<ObjectKey>),
    Choice(&'static str),
}

impl ValueType {
    /// The word used in help and reference.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Port => "port",
            Self::Float => "float",
            Self::Buckets => "float list",
            Self::Duration => "duration",
            Self::Seconds => "seconds",
            Self::Text => "text",
            Self::Name => "name",
            Self::List => "list",
            Self::Repeated => "text, repeatable",
            Self::Address => "address",
            Self::Object => "namespace/name",
            Self::Choice(_) => "choice",
        }
    }

    /// Reads one value; the error is a sentence without the flag's name.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Bool => bool(text).map(Value::Bool),
            Self::Int => number(text, "a whole number").map(Value::Int),
            Self::Port => number(text, "a port from 0 to 65535").map(Value::Port),
            Self::Float => number(text, "a number").and_then(finite).map(Value::Float),
            Self::Buckets => buckets(text).map(Value::Buckets),
            Self::Duration => duration(text).map(Value::Duration),
            Self::Seconds => number(text, "a whole number of seconds").map(|s| Value::Duration(Duration::from_secs(s))),
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Name => name(text).map(Value::Text),
            Self::List | Self::Repeated => Ok(Value::List(list(text))),
            Self::Address => address(text).map(Value::Address),
            Self::Object => object(text).map(Value::Object),
            Self::Choice(words) => choice(words, text).map(Value::Choice),
        }
    }
}

fn bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected {what}"))
}

fn finite(value: f64) -> Result<f64, String> {
    if value.is_finite() { Ok(value) } else { Err("expected a finite number".into()) }
}

/// More buckets than this would make every series of a histogram that much larger.
const BUCKETS_MAX: usize = 64;

fn buckets(text: &str) -> Result<Vec<f64>, String> {
    let bounds = list(text)
        .iter()
        .map(|item| number(item, "numbers separated by commas").and_then(finite))
        .collect::<Result<Vec<f64>, _>>()?;
    if bounds.is_empty() || bounds.len() > BUCKETS_MAX {
        return Err(format!("expected 1 to {BUCKETS_MAX} numbers"));
    }
    if bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err("expected rising numbers".into());
    }
    Ok(bounds)
}

fn name(text: &str) -> Result<String, String> {
    let is_name = text.len() <= 253 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if is_name { Ok(text.to_owned()) } else { Err("expected a name of letters, digits, - . and _".into()) }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn address(text: &str) -> Result<Option<IpAddr>, String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if bare.is_empty() {
        return Ok(None);
    }
    bare.parse().map(Some).map_err(|_| "expected an IPv4 or IPv6 address".into())
}

fn object(text: &str) -> Result<Option<ObjectKey>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(Some(ObjectKey::new(namespace, name)))
        }
        _ => Err("expected namespace/name".into()),
    }
}

fn choice(words: &'static [&'static str], text: &str) -> Result<&'static str, String> {
    words.iter().find(|word| **word == text).copied().ok_or_else(|| format!("expected one of {}", words.join(", ")))
}

/// Go's units; `µs` comes in two spellings.
const UNITS: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("μs", 1e-6), ("ms", 1e-3), ("m", 60.0), ("h", 3600.0)];

/// Longest duration that a flag may name: a year, so that adding it to a point in time cannot overflow.
const DURATION_SECONDS_MAX: f64 = 366.0 * 86_400.0;

fn duration(text: &str) -> Result<Duration, String> {
    const WHAT: &str = "expected a duration such as 30s, 1m30s or 500ms";
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(WHAT.into());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let value: f64 = rest[..digits].parse().map_err(|_| WHAT)?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += value * unit(&rest[..letters], digits == text.len()).ok_or(WHAT)?;
        rest = &rest[letters..];
    }
    if seconds > DURATION_SECONDS_MAX {
        return Err("expected at most a year".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn unit(name: &str, alone: bool) -> Option<f64> {
    match name {
        "s" => Some(1.0),
        "" if alone => Some(1.0),
        _ => UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, seconds)| *seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_those_of_go() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(ValueType::Bool.parse(text), Ok(Value::Bool(true)), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(ValueType::Bool.parse(text), Ok(Value::Bool(false)), "{text}");
        }
        for text in ["", "yes", "on", "tRUE"] {
            assert!(ValueType::Bool.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_those_of_go_and_plain_seconds() {
        let of = |text: &str| ValueType::Duration.parse(text);
        assert_eq!(of("1m30s"), Ok(Value::Duration(Duration::from_secs(90))));
        assert_eq!(of("1.5h"), Ok(Value::Duration(Duration::from_secs(5400))));
        assert_eq!(of("250ms"), Ok(Value::Duration(Duration::from_millis(250))));
        assert_eq!(of("0"), Ok(Value::Duration(Duration::ZERO)));
        assert_eq!(of("45"), Ok(Value::Duration(Duration::from_secs(45))));
        for text in ["", "s", "1x", "1m30", "-1s", "1e3s", "10000h", "."] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn objects_name_a_namespace() {
        let of = |text: &str| ValueType::Object.parse(text);
        assert_eq!(of("a/b"), Ok(Value::Object(Some(ObjectKey::new("a", "b")))));
        assert_eq!(of(""), Ok(Value::Object(None)));
        for text in ["b", "/b", "a/", "a/b/c"] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn buckets_rise_and_are_few() {
        let of = |text: &str| ValueType::Buckets.parse(text);
        assert_eq!(of("0.1, 1,10"), Ok(Value::Buckets(vec![0.1, 1.0, 10.0])));
        let many = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        for text in ["", "1,1", "2,1", "a", "1,inf", &many] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_may_stand_in_brackets_or_be_empty() {
        let of = |text: &str| ValueType::Address.parse(text);
        assert_eq!(of("[::1]"), Ok(Value::Address(Some("::1".parse().unwrap()))));
        assert_eq!(of(""), Ok(Value::Address(None)));
        assert!(of("localhost").is_err());
    }
}
