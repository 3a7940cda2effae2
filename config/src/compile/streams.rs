//! TCP and UDP services from their ConfigMaps (reference: `--tcp-services-configmap`, `--udp-services-configmap`).
//!
//! An entry is `port: namespace/service:port`, for TCP with `:PROXY` behind it when connections arrive with a PROXY
//! header, and with another one when upstreams want one: `ns/svc:9000:PROXY:PROXY`, or `ns/svc:9000::PROXY` for the
//! second alone.

use std::collections::btree_map as map;
use std::collections::{BTreeMap, BTreeSet};

use super::clusters::ClusterTable;
use super::report::Reports;
use super::store::Store;
use crate::diagnostics::Finding;
use crate::model::{ConfigMap, Kind, ObjectKey, ObjectRef, Transport};
use crate::options::Options;
use crate::snapshot::{ClusterKey, PortKey, StreamService, StreamServices};

/// What the ConfigMaps say.
#[derive(Debug)]
pub(super) struct StreamTable {
    entries: BTreeMap<(Transport, u16), Entry>,
    /// What is wrong with the ConfigMaps themselves, by ConfigMap.
    findings: BTreeMap<ObjectRef, Vec<Finding>>,
    services: StreamServices,
    stale: bool,
    changed: bool,
}

/// One entry that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    source: ObjectRef,
    field: String,
    cluster: ClusterKey,
    receives_proxy: bool,
    sends_proxy: bool,
}

impl StreamTable {
    pub(super) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            findings: BTreeMap::new(),
            services: StreamServices::default(),
            stale: true,
            changed: false,
        }
    }

    /// Notes a change of a ConfigMap.
    pub(super) fn mark(&mut self, config_map: &ObjectKey, options: &Options) {
        self.stale |= [&options.tcp_services, &options.udp_services].contains(&&Some(config_map.clone()));
    }

    /// Reads the ConfigMaps anew, if one has changed. Clusters that are wanted now are taken before those that are not
    /// are given back, so that ids stay.
    pub(super) fn read(&mut self, store: &Store, options: &Options, clusters: &mut ClusterTable) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let (mut entries, mut findings) = (BTreeMap::new(), BTreeMap::<ObjectRef, Vec<Finding>>::new());
        for (transport, key) in [(Transport::Tcp, &options.tcp_services), (Transport::Udp, &options.udp_services)] {
            let Some(key) = key else { continue };
            let source = ObjectRef { kind: Kind::ConfigMap, key: key.clone() };
            let found = findings.entry(source.clone()).or_default();
            match store.config_maps.get(key) {
                Some(config_map) => Reader { transport, source, options, found }.read(config_map, &mut entries),
                None => found.push(Finding::warning(
                    &source,
                    "",
                    format!("does not exist; it would list the {transport} services, so none is served"),
                )),
            }
        }
        let uses = |entries: &BTreeMap<_, Entry>| -> BTreeSet<(ClusterKey, ObjectRef)> {
            entries.values().map(|entry| (entry.cluster.clone(), entry.source.clone())).collect()
        };
        let (wanted, unwanted) = (uses(&entries), uses(&self.entries));
        wanted.iter().for_each(|(cluster, user)| clusters.acquire(cluster, user));
        unwanted.difference(&wanted).for_each(|(cluster, user)| clusters.release(cluster, user));
        let services = entries.iter().filter_map(|(&(transport, port), entry)| {
            let Entry { receives_proxy, sends_proxy, .. } = *entry;
            let cluster = clusters.id(&entry.cluster)?;
            Some(StreamService { transport, port, cluster, receives_proxy, sends_proxy })
        });
        let services = StreamServices::new(services.collect());
        self.changed |= services != self.services;
        (self.services, self.entries) = (services, entries);
        // A ConfigMap without remarks stays listed, so that its old ones are taken back.
        self.findings.values_mut().for_each(Vec::clear);
        self.findings.extend(findings);
    }

    /// Puts the findings together. To be called once the clusters are resolved.
    pub(super) fn report(&self, clusters: &ClusterTable, reports: &mut Reports) {
        for (source, findings) in &self.findings {
            let mut findings = findings.clone();
            findings.extend(self.entries.values().filter(|entry| entry.source == *source).filter_map(|entry| {
                let problem = clusters.problem(&entry.cluster)?;
                let message = format!("{problem}; the port is not listened on until it has endpoints");
                Some(Finding::warning(source, entry.field.as_str(), message))
            }));
            reports.set(source.clone(), findings);
        }
    }

    pub(super) fn snapshot(&self) -> &StreamServices {
        &self.services
    }

    /// Whether the snapshot changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

/// Reads one ConfigMap.
struct Reader<'a> {
    transport: Transport,
    source: ObjectRef,
    options: &'a Options,
    found: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    fn read(mut self, config_map: &ConfigMap, entries: &mut BTreeMap<(Transport, u16), Entry>) {
        for (port, value) in &config_map.data {
            let field = format!("data.{port}");
            match self.entry(port, value, &field) {
                Ok((port, entry)) => {
                    // `80` and `080` are one port; the first in order keeps it.
                    match entries.entry((self.transport, port)) {
                        map::Entry::Vacant(place) => {
                            place.insert(entry);
                        }
                        map::Entry::Occupied(_) => self.refuse(&field, format!("port {port} is listed before")),
                    }
                }
                Err(why) => self.refuse(&field, why),
            }
        }
    }

    fn refuse(&mut self, field: &str, why: String) {
        self.found.push(Finding::error(
            &self.source,
            field,
            format!("{why}; this {} service is not served", self.transport),
        ));
    }

    fn entry(&mut self, port: &str, value: &str, field: &str) -> Result<(u16, Entry), String> {
        let number = port.parse().ok().filter(|port| *port != 0);
        let port = number.ok_or_else(|| format!("`{port}` is not a port from 1 to 65535"))?;
        if self.options.reserved_ports.contains(&port) {
            return Err(format!("port {port} is taken by this controller itself"));
        }
        let mut parts = value.trim().split(':').map(str::trim);
        let named = parts.next().and_then(|name| name.split_once('/'));
        let named = named.filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains('/'));
        let service_port = parts.next().filter(|port| !port.is_empty());
        let (Some((namespace, name)), Some(service_port)) = (named, service_port) else {
            return Err(format!("`{value}` is not namespace/service:port"));
        };
        let [receives_proxy, sends_proxy] = [parts.next(), parts.next()].map(|word| self.proxy(word, field));
        if parts.next().is_some() {
            self.warn(field, format!("`{value}` goes on behind its second PROXY, which has no effect"));
        }
        let port_key = service_port.parse().map_or_else(|_| PortKey::Name(service_port.into()), PortKey::Number);
        let cluster =
            ClusterKey { service: ObjectKey::new(namespace, name), port: port_key, transport: self.transport };
        let (source, field) = (self.source.clone(), field.to_owned());
        Ok((port, Entry { source, field, cluster, receives_proxy, sends_proxy }))
    }

    /// One of the two words behind the port.
    fn proxy(&mut self, word: Option<&str>, field: &str) -> bool {
        let Some(word) = word.filter(|word| !word.is_empty()) else { return false };
        if !word.eq_ignore_ascii_case("PROXY") {
            self.warn(field, format!("`{word}` is not PROXY and has no effect"));
            return false;
        }
        if self.transport == Transport::Udp {
            self.warn(field, "PROXY has no effect on UDP".into());
            return false;
        }
        true
    }

    fn warn(&mut self, field: &str, message: String) {
        self.found.push(Finding::warning(&self.source, field, message));
    }
}

#[cfg(test)]
mod tests;
