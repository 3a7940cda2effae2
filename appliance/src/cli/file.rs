//! The `--config` file: the flags as YAML, with line and column in every complaint.

#![expect(clippy::disallowed_types, reason = "read at the start, before there are workers")]

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ringress_config::options::FileCertificate;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::CliError;
use super::flag::Flag;
use super::layers::{CERTIFICATES, Values, find_flag};
use super::value::{Value, ValueType};

/// The YAML scanner takes quadratic time on nested flow maps, so a larger file is not even looked at.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Of flags.
    pub(crate) values: Values,
    /// What no flag can say.
    pub(crate) certificates: Vec<NamedCertificate>,
}

/// An entry of `certificates`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedCertificate {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) hosts: Vec<String>,
}

/// Reads and parses a file.
pub(crate) fn read(path: &Path) -> Result<Options, CliError> {
    let error = |message: String| CliError::File { path: path.to_path_buf(), message };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|e| error(e.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(error(format!("larger than {} KiB", FILE_BYTES_MAX >> 10)));
    }
    parse(&text).map_err(error)
}

/// The certificates of a file as the compiler takes them.
pub(crate) fn certificates(named: &[NamedCertificate]) -> Result<Box<[FileCertificate]>, CliError> {
    let mut hosts = BTreeSet::new();
    let mut check = |named: &NamedCertificate| {
        if let Some(host) = named.hosts.iter().find(|host| !hosts.insert(host.to_ascii_lowercase())) {
            return Err(format!("host {host:?} has two"));
        }
        FileCertificate::new(named.cert.clone(), named.key.clone(), &named.hosts)
    };
    named.iter().map(|named| check(named).map_err(|fault| CliError::setting("certificates", fault))).collect()
}

/// Parses a file's text; the error holds line and column.
fn parse(text: &str) -> Result<Options, String> {
    if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Options::default());
    }
    let document = serde_yaml::Deserializer::from_str(text);
    document.deserialize_map(OptionsVisitor).map_err(|e| e.to_string())
}

/// A key of the file.
enum Key {
    Flag(&'static Flag),
    Certificates,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Refusing a key while it is read gives the error the key's place.
struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an option")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Key, E> {
        match find_flag(name) {
            Some(flag) if !matches!(flag.name, "config" | "version") => Ok(Key::Flag(flag)),
            None if name == CERTIFICATES => Ok(Key::Certificates),
            _ => Err(E::custom(format!("unknown option {name:?}"))),
        }
    }
}

struct OptionsVisitor;

impl<'de> Visitor<'de> for OptionsVisitor {
    type Value = Options;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("options as `name: value`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Options, A::Error> {
        let (mut values, mut certificates) = (Values::new(), None);
        while let Some(key) = map.next_key()? {
            let flag = match key {
                Key::Flag(flag) => flag,
                Key::Certificates if certificates.is_none() => {
                    certificates = Some(map.next_value()?);
                    continue;
                }
                Key::Certificates => return Err(A::Error::custom("option \"certificates\" is given twice")),
            };
            let value = map.next_value_seed(FlagValue(flag))?;
            if values.insert(flag.name, value).is_some() {
                return Err(A::Error::custom(format!("option {:?} is given twice", flag.name)));
            }
        }
        Ok(Options { values, certificates: certificates.unwrap_or_default() })
    }
}

/// Reads a value as the flag's type; a list stands for commas.
struct FlagValue(&'static Flag);

impl FlagValue {
    fn parse<E: de::Error>(&self, text: &str) -> Result<Value, E> {
        self.0.value.parse(text).map_err(|message| E::custom(format!("{}: {message}", self.0.name)))
    }
}

impl<'de> DeserializeSeed<'de> for FlagValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FlagValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} for {}", self.0.value.name(), self.0.name)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.parse(if value { "true" } else { "false" })
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.parse(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.parse(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.parse(&value.to_string())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.parse(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        if !matches!(self.0.value, ValueType::List | ValueType::Repeated | ValueType::Buckets) {
            return Err(A::Error::custom(format!("{}: expected one value, not a list", self.0.name)));
        }
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Scalar>()? {
            items.push(item.0);
        }
        self.parse(&items.join(","))
    }
}

/// A list item as text.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_yaml::Value::deserialize(deserializer)? {
            serde_yaml::Value::String(text) => Ok(Self(text)),
            serde_yaml::Value::Number(number) => Ok(Self(number.to_string())),
            _ => Err(D::Error::custom("expected text or a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_kind_of_value_is_read() {
        let text = "http-port: 8080\nmetrics-per-host: false\ndrain-timeout: 1m\nadmin-address: 'off'\n\
                    listen-address: [127.0.0.1, '::1']\ntime-buckets: [0.5, 1]\nsync-rate-limit: 0.5\n";
        let expected = Values::from([
            ("http-port", Value::Port(8080)),
            ("metrics-per-host", Value::Bool(false)),
            ("drain-timeout", Value::Duration(Duration::from_secs(60))),
            ("admin-address", Value::Text("off".into())),
            ("listen-address", Value::List(vec!["127.0.0.1".into(), "::1".into()])),
            ("time-buckets", Value::Buckets(vec![0.5, 1.0])),
            ("sync-rate-limit", Value::Float(0.5)),
        ]);
        assert_eq!(parse(text).unwrap().values, expected);
    }

    #[test]
    fn every_option_in_the_comments_of_the_shipped_file_is_taken() {
        let shipped = include_str!("../../../packaging/etc/ringress.yaml");
        let is_option =
            |line: &&str| line.strip_prefix('#').is_some_and(|rest| !rest.starts_with(' ') && !rest.is_empty());
        let count = shipped.lines().filter(is_option).count();
        let lines = shipped.lines().map(|line| if is_option(&line) { &line[1..] } else { line });
        let options = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        // One entry of certificates is a line of its own, beside the name and the source that is no comment.
        assert_eq!(options.values.len(), count - 1);
        assert_eq!(certificates(&options.certificates).unwrap().len(), 1);
    }

    #[test]
    fn certificates_are_checked_as_a_whole() {
        let refused = |text: &str| certificates(&parse(text).unwrap().certificates).unwrap_err().to_string();
        let twice = refused("certificates: [{cert: a, key: b, hosts: [x.test]}, {cert: c, key: d, hosts: [X.test]}]");
        assert!(twice.contains("certificates") && twice.contains("\"X.test\" has two"), "{twice}");
        assert!(refused("certificates: [{cert: a, key: b, hosts: []}]").contains("at least one is expected"));
        assert!(refused("certificates: [{cert: a, key: b, hosts: ['a b']}]").contains("is not a host name"));
    }

    #[test]
    fn unknown_keys_are_errors_with_line_and_column() {
        let error = parse("http-port: 80\n\n  \nworker: 3\n").unwrap_err();
        assert!(error.contains("unknown option \"worker\"") && error.contains("line 4 column 1"), "{error}");
        let error = parse("workers: 1\ncertificates:\n- {cert: a, kee: b, hosts: []}\n").unwrap_err();
        assert!(error.contains("`kee`") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn values_of_the_wrong_type_are_errors_with_line_and_column() {
        let error = parse("workers: 2\nhttp-port: 70000\n").unwrap_err();
        assert!(error.contains("http-port: expected a port") && error.contains("line 2 column 12"), "{error}");
        for text in ["workers: [1]", "workers: {a: b}", "- a", "workers: 1\nworkers: 2", "workers: ~"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_file_is_no_error() {
        assert!(parse("").unwrap().values.is_empty());
        assert!(parse("# nothing\n\n").unwrap().values.is_empty());
    }

    #[test]
    fn a_file_over_the_limit_is_refused_before_it_is_parsed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let limit = FILE_BYTES_MAX as usize;
        std::fs::write(file.path(), "#".repeat(limit)).unwrap();
        read(file.path()).unwrap();
        std::fs::write(file.path(), "#".repeat(limit + 1)).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().ends_with("larger than 64 KiB"));
    }
}
