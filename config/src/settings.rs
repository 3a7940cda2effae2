//! The global options ConfigMap, parsed once into typed settings and route defaults.

mod access_log;
mod blocks;
mod compression;
mod listen;
mod of_class;
mod read;
mod table;
mod tracing;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

pub(crate) use read::Globals;

use crate::annotation::{Priority, Support};
use crate::options::Options;

/// All that is known about one ConfigMap key.
#[derive(Debug)]
pub struct Row {
    /// The key.
    pub name: &'static str,
    /// What a value looks like.
    pub value: &'static str,
    /// What acts when it is absent; empty for nothing.
    pub default: &'static str,
    /// How common it is.
    pub priority: Priority,
    /// How far it is honoured.
    pub support: Support,
    /// What it does.
    pub doc: &'static str,
}

/// Every row.
pub fn rows() -> &'static [Row] {
    table::ROWS
}

/// The row of a key.
pub fn find(name: &str) -> Option<&'static Row> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Row>> =
        LazyLock::new(|| rows().iter().map(|row| (row.name, row)).collect());
    BY_NAME.get(name).copied()
}

/// The keys that the ConfigMap of a class may have.
pub fn keys_of_class() -> &'static [&'static str] {
    &of_class::KEYS
}

impl Globals {
    /// What holds while there is no ConfigMap.
    pub(crate) fn without_config_map(options: &Options) -> Self {
        let mut globals = Self::default();
        Arc::make_mut(&mut globals.balancing).address = options.upstream_address;
        let settings = Arc::make_mut(&mut globals.settings);
        settings.access_log.enabled = options.log_without_configmap;
        settings.stream_log.enabled = options.log_without_configmap;
        globals
    }
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            settings: Arc::default(),
            policy: crate::intent::RoutePolicy::default(),
            balancing: Arc::default(),
            risk_max: crate::annotation::Risk::High,
            blocked_words: Box::default(),
            snippets_admitted: false,
            strict_path_types: true,
            redirect_status: 308,
            no_redirect_paths: ["/.well-known/acme-challenge".into()].into(),
            missing: None,
            external_auth: None,
            no_auth_paths: ["/.well-known/acme-challenge".into()].into(),
            allowed_response_fields: Box::default(),
            cross_namespace: false,
            proxy_ssl_location_only: false,
            config_maps: Box::default(),
            ticket_key: None,
        }
    }
}

#[cfg(test)]
mod tests;
