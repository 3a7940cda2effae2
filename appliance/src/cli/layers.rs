//! Where a setting was said: command line over environment over file over default.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringress_config::model::ObjectKey;

use super::CliError;
use super::file::{self, NamedCertificate};
use super::flag::Flag;
use super::nginx_flags::{KLOG_FLAGS, NGINX_FLAGS};
use super::own_flags::OWN_FLAGS;
use super::value::{Value, ValueType};

/// Looks for a file when `--config` is not given.
pub(crate) const CONFIG_PATH: &str = "/etc/ringress/ringress.yaml";

/// The key of the file that is no flag.
pub(crate) const CERTIFICATES: &str = "certificates";

/// Every flag of `run`.
pub(crate) fn all_flags() -> impl Iterator<Item = &'static Flag> {
    OWN_FLAGS.iter().chain(NGINX_FLAGS).chain(KLOG_FLAGS)
}

/// The flag of a name.
pub(crate) fn find_flag(name: &str) -> Option<&'static Flag> {
    all_flags().find(|flag| flag.name == name)
}

/// Values by flag name.
pub(crate) type Values = BTreeMap<&'static str, Value>;

/// The world outside the command line, as values, so that everything here can be tested without touching it.
#[derive(Default)]
pub struct Surroundings {
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// The `--config` file that is read when none is named, if it exists.
    pub default_config: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        // Names and values that are not UTF-8 cannot be ours.
        let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let path = Path::new(CONFIG_PATH);
        Self { env: env.collect(), default_config: path.exists().then(|| path.to_path_buf()) }
    }

    /// A variable that is set and not empty.
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// All settings of a run, by flag name, with what has to be said about them.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    values: Values,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    /// `certificates` of the file.
    pub(crate) certificates: Vec<NamedCertificate>,
    /// Remarks for the log, in the order of the tables.
    pub(crate) warnings: Vec<String>,
}

impl Layers {
    /// Merges command line, environment and file.
    pub(crate) fn merge(flags: Values, surroundings: &Surroundings) -> Result<Self, CliError> {
        let mut layers = Self::default();
        let mut values = layers.read_env(surroundings)?;
        values.extend(flags);
        let named = match values.get("config") {
            Some(Value::Text(path)) if !path.is_empty() => Some(PathBuf::from(path)),
            _ => None,
        };
        if let Some(path) = named.or_else(|| surroundings.default_config.clone()) {
            let read = file::read(&path)?;
            (layers.values, layers.certificates, layers.file) = (read.values, read.certificates, Some(path));
        }
        layers.values.extend(values);
        for flag in all_flags() {
            layers.warnings.extend(layers.values.get(flag.name).and_then(|value| flag.warning(value)));
        }
        Ok(layers)
    }

    /// Kubernetes sets `RINGRESS_HTTP_PORT=tcp://…` in pods beside a Service `ringress-http`; that is not meant for us.
    fn read_env(&mut self, surroundings: &Surroundings) -> Result<Values, CliError> {
        let mut values = Values::new();
        for flag in all_flags() {
            let Some(name) = flag.env_name() else { continue };
            let Some(text) = surroundings.var(&name) else { continue };
            if flag.value == ValueType::Port && (text.starts_with("tcp://") || text.starts_with("udp://")) {
                self.warnings.push(format!("{name} is ignored: it was set by Kubernetes for a Service"));
                continue;
            }
            let value = flag.value.parse(text).map_err(|message| CliError::Environment { name, message })?;
            values.insert(flag.name, value);
        }
        Ok(values)
    }

    /// Whether a flag was given anywhere.
    pub(crate) fn given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    fn get(&self, name: &str) -> Option<Value> {
        let flag = find_flag(name).unwrap_or_else(|| panic!("no flag {name} in the tables"));
        self.values.get(name).cloned().or_else(|| flag.default_value())
    }

    pub(crate) fn bool(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(value)) => value,
            other => wrong(name, other),
        }
    }

    pub(crate) fn port(&self, name: &str) -> Option<u16> {
        match self.get(name) {
            Some(Value::Port(port)) => Some(port).filter(|port| *port != 0),
            other => wrong(name, other),
        }
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Int(value)) => Some(value),
            None => None,
            other => wrong(name, other),
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name) {
            Some(Value::Duration(value)) => Some(value),
            None => None,
            other => wrong(name, other),
        }
    }

    /// Text that is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Some(Value::Text(value)) => Some(value).filter(|text| !text.is_empty()),
            None => None,
            other => wrong(name, other),
        }
    }

    pub(crate) fn choice(&self, name: &str) -> Option<&'static str> {
        match self.get(name) {
            Some(Value::Choice(word)) => Some(word),
            None => None,
            other => wrong(name, other),
        }
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::List(items)) => items,
            None => Vec::new(),
            other => wrong(name, other),
        }
    }

    pub(crate) fn buckets(&self, name: &str) -> Vec<f64> {
        match self.get(name) {
            Some(Value::Buckets(bounds)) => bounds,
            other => wrong(name, other),
        }
    }

    pub(crate) fn address(&self, name: &str) -> Option<IpAddr> {
        match self.get(name) {
            Some(Value::Address(address)) => address,
            None => None,
            other => wrong(name, other),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Option<ObjectKey> {
        match self.get(name) {
            Some(Value::Object(key)) => key,
            None => None,
            other => wrong(name, other),
        }
    }
}

/// What was said, to be held against what is said later.
#[derive(Clone, Debug, Default)]
pub struct Said {
    values: Values,
    certificates: Vec<NamedCertificate>,
    file: Option<PathBuf>,
}

impl Said {
    pub(crate) fn of(layers: &Layers) -> Self {
        let (values, certificates) = (layers.values.clone(), layers.certificates.clone());
        Self { values, certificates, file: layers.file.clone() }
    }

    /// The `--config` file that was read.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The keys that have another meaning in `new`.
    pub(crate) fn changes(&self, new: &Self) -> Vec<&'static str> {
        let value = |said: &Self, flag: &Flag| said.values.get(flag.name).cloned().or_else(|| flag.default_value());
        let changed = all_flags().filter(|flag| value(self, flag) != value(new, flag)).map(|flag| flag.name);
        let certificates = (self.certificates != new.certificates).then_some(CERTIFICATES);
        changed.chain(certificates).collect()
    }

    /// Takes some keys over from `new`.
    pub(crate) fn adopt(&mut self, keys: &[&'static str], new: &Self) {
        for key in keys {
            match new.values.get(key) {
                _ if *key == CERTIFICATES => self.certificates.clone_from(&new.certificates),
                Some(value) => drop(self.values.insert(key, value.clone())),
                None => drop(self.values.remove(key)),
            }
        }
        self.file.clone_from(&new.file);
    }
}

/// The tables say which type a flag has, and `settings.rs` asks for that one; a test asks for all.
fn wrong(name: &str, value: Option<Value>) -> ! {
    panic!("flag {name} holds {value:?}, which is not what settings.rs expects")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(env: &[(&str, &str)]) -> Surroundings {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Surroundings { env, default_config: None }
    }

    #[test]
    fn names_are_unique_and_defaults_parse() {
        let mut names: Vec<_> = all_flags().map(|flag| flag.name).collect();
        for flag in all_flags() {
            flag.default_value();
            assert!(flag.doc.ends_with('.'), "{}", flag.name);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(NGINX_FLAGS.len() + 1, 73, "the reference lists 73, with klog's v");
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "workers: 1\ndriver: epoll\nhttp-port: 81\n").unwrap();
        let env = surroundings(&[
            ("RINGRESS_WORKERS", "2"),
            ("RINGRESS_DRIVER", "io_uring"),
            ("RINGRESS_CONFIG", file.path().to_str().unwrap()),
        ]);
        let layers = Layers::merge(Values::from([("workers", Value::Int(3))]), &env).unwrap();
        assert_eq!(layers.int("workers"), Some(3));
        assert_eq!(layers.choice("driver"), Some("io_uring"));
        assert_eq!(layers.port("http-port"), Some(81));
        assert_eq!(layers.port("https-port"), Some(443));
    }

    #[test]
    fn a_bad_environment_variable_is_an_error_that_names_it() {
        let error = Layers::merge(Values::new(), &surroundings(&[("RINGRESS_WORKERS", "many")])).unwrap_err();
        assert_eq!(error.to_string(), "RINGRESS_WORKERS: expected a whole number");
    }

    #[test]
    fn service_variables_of_kubernetes_are_not_taken_for_ports() {
        let layers =
            Layers::merge(Values::new(), &surroundings(&[("RINGRESS_HTTP_PORT", "tcp://10.0.0.1:80")])).unwrap();
        assert_eq!(layers.port("http-port"), Some(80));
        assert_eq!(layers.warnings, ["RINGRESS_HTTP_PORT is ignored: it was set by Kubernetes for a Service"]);
    }

    #[test]
    fn flags_without_meaning_are_accepted_with_a_warning() {
        let flags = Values::from([("status-port", Value::Int(10246)), ("update-status", Value::Bool(true))]);
        let layers = Layers::merge(flags, &Surroundings::default()).unwrap();
        assert_eq!(layers.warnings, ["--status-port has no meaning here: there is no Lua layer to be controlled"]);
    }
}
