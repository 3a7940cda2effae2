//! Objects to snapshot, incrementally: a change costs what it touches, not what exists.
//!
//! The compiler keeps every object and, for each, what follows from it. Reverse indexes lead from a changed object to
//! what has to be made again: Ingress → its hosts, Service and EndpointSlice → clusters, Secret → hosts,
//! IngressClass → the Ingresses that name it, ConfigMap → all Ingresses, Namespace → its Ingresses. Everything else is shared with the last
//! snapshot.
//!
//! [`Compiler::compile`] runs in this order: globals, classes, Ingresses to intents, clusters, hosts with
//! their certificates, findings.

mod certificates;
mod claims;
mod class_settings;
mod clusters;
mod endpoints;
mod external;
mod few;
mod handshake;
mod held;
mod hosts;
mod ids;
mod index;
mod migration;
mod node_ports;
mod outlook;
mod paths;
mod report;
mod review;
mod store;
mod streams;
mod tickets;
mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::diagnostics::Finding;
use crate::frontend::ingress::{self, Context};
use crate::intent::{Intent, Verdict};
use crate::model::{Ingress, Kind, Object, ObjectKey, ObjectRef};
use crate::options::{FileCertificate, Options};
use crate::settings::Globals;
use crate::snapshot::{Certificate, Certificates, Hosts, Snapshot};

use certificates::CertificateTable;
use class_settings::ClassSettings;
use clusters::ClusterTable;
use endpoints::Known;
use hosts::HostTable;
use index::Index;
pub use migration::{Entry, Migrated, Migration, Parity, Remark};
use report::Reports;
pub use review::Review;
use store::{Change, Store};
use streams::StreamTable;
use tickets::TicketTable;
pub use tickets::{Read, TICKET_KEY_PREFIX, read_ticket_keys};
use topology::Here;

/// Turns objects into snapshots. One lives as long as the control thread.
pub struct Compiler {
    options: Options,
    store: Store,
    globals: Globals,
    /// Names of the IngressClasses that are served here.
    classes: BTreeSet<Arc<str>>,
    class_settings: ClassSettings,
    ingresses: BTreeMap<ObjectKey, Translated>,
    clusters: ClusterTable,
    certificates: CertificateTable,
    hosts: HostTable,
    streams: StreamTable,
    tickets: TicketTable,
    here: Here,
    reports: Reports,
    dirty: Dirty,
    /// Secret or ConfigMap → the Ingresses whose annotations name it.
    readers: Index<ObjectRef, ObjectKey>,
    /// For [`Compiled::served`].
    served: Vec<(ObjectKey, Tenure)>,
    snapshot: Arc<Snapshot>,
}

/// What [`Compiler::compile`] made.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The newest snapshot; the same `Arc` as before when nothing in it changed.
    pub snapshot: Arc<Snapshot>,
    /// Whether it is a new one.
    pub changed: bool,
    /// All findings, ordered by object; the same `Arc` as before when none changed.
    pub findings: Arc<[Finding]>,
    /// How many objects of each kind are known, served or not.
    pub objects: BTreeMap<Kind, usize>,
    /// The Ingresses that have begun or ceased to be served since the last call.
    pub served: Vec<(ObjectKey, Tenure)>,
}

/// What has become of an Ingress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// It is served from now on.
    Begun,
    /// It belongs to somebody else now, or to nobody: its class or its namespace says so.
    Left,
    /// It is not served, though it may be again as it is: it is refused, or its class is gone.
    Lapsed,
}

/// What follows from an Ingress.
#[derive(Default)]
struct Translated {
    intent: Option<Arc<Intent>>,
    /// The last version that was accepted: it goes on serving while a newer one is refused.
    accepted: Option<Arc<Ingress>>,
    findings: Vec<Finding>,
    /// Secrets and ConfigMaps that were looked at.
    references: BTreeSet<ObjectRef>,
}

/// What has to be made again.
#[derive(Default)]
struct Dirty {
    globals: bool,
    classes: bool,
    ingresses: BTreeSet<ObjectKey>,
    /// Ingresses whose findings have to be put together again.
    reports: BTreeSet<ObjectKey>,
}

impl Compiler {
    /// A compiler that knows no object. `default_certificate` is presented where nothing else is.
    pub fn new(options: Options, default_certificate: Arc<Certificate>) -> Self {
        let mut clusters = ClusterTable::default();
        if let Some(service) = &options.default_backend_service {
            clusters.pin_default(service.clone());
        }
        let snapshot = Arc::new(Snapshot {
            generation: 0,
            hosts: Hosts::default(),
            certificates: Certificates::new(Arc::clone(&default_certificate)),
            clusters: Default::default(),
            streams: Default::default(),
            settings: Arc::default(),
            tickets: None,
        });
        Self {
            store: Store::default(),
            globals: Globals::without_config_map(&options),
            classes: BTreeSet::new(),
            class_settings: ClassSettings::default(),
            ingresses: BTreeMap::new(),
            clusters,
            certificates: CertificateTable::new(default_certificate, &options),
            hosts: HostTable::new(),
            streams: StreamTable::new(),
            tickets: TicketTable::new(options.ticket_secret.clone()),
            here: Here::new(options.topology.clone()),
            reports: Reports::default(),
            dirty: Dirty { classes: true, ..Dirty::default() },
            options,
            readers: Index::default(),
            served: Vec::new(),
            snapshot,
        }
    }

    /// Adds an object, or replaces the one with the same kind and key.
    pub fn upsert(&mut self, object: Object) {
        let reference = object.reference();
        let change = self.store.upsert(object);
        self.note(&reference, change);
    }

    /// Removes an object, if it is known.
    pub fn remove(&mut self, object: &ObjectRef) {
        if object.kind == Kind::Secret {
            self.certificates.forget(&object.key);
        }
        let change = self.store.remove(object);
        self.note(object, change);
    }

    /// Other certificates are on disk from now on; what is in their files comes as objects.
    pub fn set_certificates(&mut self, named: &[FileCertificate]) {
        if *self.options.certificates != *named {
            self.options.certificates = named.into();
            self.certificates.set_files(named, &self.store);
            self.hosts.mark_all();
        }
    }

    /// The names of Services of type ExternalName that somebody needs the addresses of. They change only with
    /// [`compile`](Self::compile).
    pub fn external_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.clusters.names()
    }

    /// Takes in what such a name has: its addresses, or why there are none. Names that are not asked for are left out.
    pub fn set_addresses(&mut self, name: &Arc<str>, found: Result<Arc<[IpAddr]>, Arc<str>>) {
        if self.clusters.is_asked_for(name) && self.store.names.get(name) != Some(&found) {
            self.store.names.insert(Arc::clone(name), found);
            self.clusters.mark_named(name);
        }
    }

    /// Makes the snapshot of all objects as they are now. Costs next to nothing when nothing changed.
    pub fn compile(&mut self) -> Compiled {
        self.read_globals();
        self.read_classes();
        self.read_class_settings();
        self.translate();
        self.streams.read(&self.store, &self.options, &mut self.clusters);
        if self.here.refresh(&self.store, &mut self.reports) {
            self.clusters.mark_all();
        }
        let known = Known { store: &self.store, options: &self.options, here: &self.here };
        let touched = self.clusters.refresh(known, &self.globals.balancing, &mut self.reports);
        self.store.names.retain(|name, _| self.clusters.is_asked_for(name));
        self.dirty.reports.extend(touched.into_iter().filter(|user| user.kind == Kind::Ingress).map(|user| user.key));
        self.certificates.refresh(&self.store);
        self.tickets.refresh(&self.store, self.globals.ticket_key.as_ref());
        self.hosts.mark(self.certificates.take_stale_hosts());
        self.build_hosts();
        self.report();
        let changed = self.publish();
        Compiled {
            snapshot: Arc::clone(&self.snapshot),
            changed,
            findings: self.reports.all(),
            objects: self.store.counts(),
            served: std::mem::take(&mut self.served),
        }
    }

    fn note(&mut self, object: &ObjectRef, change: Change) {
        if matches!(change, Change::Secret | Change::ConfigMap) {
            self.dirty.ingresses.extend(self.readers.users(object).cloned());
        }
        if matches!(change, Change::ConfigMap) {
            self.streams.mark(&object.key, &self.options);
            self.class_settings.mark(&object.key);
        }
        match change {
            Change::None => {}
            Change::Ingress => drop(self.dirty.ingresses.insert(object.key.clone())),
            Change::Class => self.dirty.classes = true,
            Change::Namespace if self.options.namespace_selector.is_some() => {
                self.dirty.ingresses.extend(self.store.ingresses_in(&object.key.name).cloned());
            }
            Change::Namespace => {}
            Change::Node => {
                self.here.mark();
                self.clusters.mark_on_nodes();
            }
            Change::Service(service) => self.clusters.mark(service),
            Change::Secret => {
                self.tickets.mark(&object.key);
                self.certificates.mark(object.key.clone());
            }
            Change::ConfigMap if self.options.configmap.as_ref() == Some(&object.key) => self.dirty.globals = true,
            Change::ConfigMap => self.dirty.globals |= self.globals.config_maps.contains(&object.key),
        }
    }

    fn read_globals(&mut self) {
        if !std::mem::take(&mut self.dirty.globals) {
            return;
        }
        let Some(key) = &self.options.configmap else { return };
        let (globals, findings) = match self.store.config_maps.get(key) {
            Some(config_map) => Globals::read(config_map, &self.options, &self.store),
            None => (Globals::without_config_map(&self.options), Vec::new()),
        };
        let object = ObjectRef { kind: Kind::ConfigMap, key: key.clone() };
        self.reports.set(object, findings);
        // A key may act only together with those of a class.
        self.class_settings.mark_all();
        if globals != self.globals {
            self.globals = globals;
            self.dirty.ingresses.extend(self.store.ingresses.keys().cloned());
            self.hosts.mark_all();
            self.clusters.mark_default();
        }
    }

    fn read_classes(&mut self) {
        if !std::mem::take(&mut self.dirty.classes) {
            return;
        }
        let classes = self.store.served_classes(&self.options);
        for class in self.classes.symmetric_difference(&classes) {
            self.dirty.ingresses.extend(self.store.ingresses_of_class(class).cloned());
        }
        self.classes = classes;
        self.class_settings.mark_all();
    }

    fn read_class_settings(&mut self) {
        let around = (&self.store, &self.options, &self.globals);
        for class in self.class_settings.refresh(&self.classes, around, &mut self.reports) {
            self.dirty.ingresses.extend(self.store.ingresses_of_class(&class).cloned());
        }
    }

    /// The settings that an Ingress starts from: those of its class, if it names one that has any.
    fn globals_of(&self, ingress: &Ingress) -> &Globals {
        let own = ingress.class.as_ref().and_then(|class| self.class_settings.of(class));
        own.unwrap_or(&self.globals)
    }

    fn translate(&mut self) {
        for key in std::mem::take(&mut self.dirty.ingresses) {
            let old = self.ingresses.remove(&key).unwrap_or_default();
            let new = self.translate_one(&key, &old);
            for unread in old.references.difference(&new.references) {
                self.readers.remove(unread, &key);
            }
            for read in new.references.difference(&old.references) {
                self.readers.insert(read.clone(), key.clone());
            }
            self.relink(&key, old.intent.as_ref(), new.intent.as_ref());
            if old.intent.is_some() != new.intent.is_some() {
                let tenure = if new.intent.is_some() { Tenure::Begun } else { self.ended(&key) };
                self.served.push((key.clone(), tenure));
            }
            self.dirty.reports.insert(key.clone());
            if self.store.ingresses.contains_key(&key) {
                self.ingresses.insert(key, new);
            }
        }
    }

    /// How an Ingress has ceased to be served. A class that is gone may be on its way back: a chart replaces it so.
    fn ended(&self, key: &ObjectKey) -> Tenure {
        let Some(ingress) = self.store.ingresses.get(key) else { return Tenure::Left };
        let class_is_gone = ingress.class.as_ref().is_some_and(|class| self.store.class(class).is_none());
        let is_foreign = ingress::is_foreign(ingress, self.context(ingress));
        if is_foreign && !class_is_gone { Tenure::Left } else { Tenure::Lapsed }
    }

    fn context<'a>(&'a self, ingress: &Ingress) -> Context<'a> {
        let (options, classes) = (&self.options, &self.classes);
        Context { options, globals: self.globals_of(ingress), classes, objects: &self.store }
    }

    fn translate_one(&self, key: &ObjectKey, old: &Translated) -> Translated {
        let Some(object) = self.store.ingresses.get(key) else { return Translated::default() };
        let context = self.context(object);
        let translation = ingress::translate(object, context);
        let (mut references, mut findings) = (translation.references, translation.findings);
        let (accepted, intent) = match translation.verdict {
            Verdict::Foreign => (None, None),
            Verdict::Accepted(intent) => (Some(Arc::clone(object)), Some(intent)),
            Verdict::Refused => match old.accepted.as_ref().map(|accepted| ingress::translate(accepted, context)) {
                Some(held) => {
                    references.extend(held.references);
                    match held.verdict {
                        Verdict::Accepted(intent) => {
                            held::say_kept(&mut findings);
                            (old.accepted.clone(), Some(intent))
                        }
                        Verdict::Foreign | Verdict::Refused => (None, None),
                    }
                }
                None => (None, None),
            },
        };
        // An intent that says the same keeps its identity, and with it everything that was made from it.
        let intent = intent.map(|new| old.intent.clone().filter(|old| **old == *new).unwrap_or(new));
        Translated { intent, accepted, findings, references }
    }

    /// Moves an Ingress's claims from its old intent to the new one. New ones are taken first, so that ids stay.
    fn relink(&mut self, key: &ObjectKey, old: Option<&Arc<Intent>>, new: Option<&Arc<Intent>>) {
        if let (Some(old), Some(new)) = (old, new)
            && Arc::ptr_eq(old, new)
        {
            return;
        }
        let wanted: BTreeSet<_> = new.iter().flat_map(|i| i.clusters().map(|(_, cluster)| cluster.clone())).collect();
        let unwanted: BTreeSet<_> = old.iter().flat_map(|i| i.clusters().map(|(_, cluster)| cluster.clone())).collect();
        if let Some(new) = new {
            wanted.iter().for_each(|cluster| self.clusters.acquire_for(cluster, new));
        }
        let user = ObjectRef { kind: Kind::Ingress, key: key.clone() };
        unwanted.difference(&wanted).for_each(|cluster| self.clusters.release(cluster, &user));
        if let Some(old) = old {
            self.hosts.withdraw(old);
        }
        if let Some(new) = new {
            self.hosts.claim(new);
        }
    }

    fn build_hosts(&mut self) {
        let around = hosts::Surroundings { globals: &self.globals, options: &self.options, clusters: &self.clusters };
        let owners = self.hosts.build(&around, &mut self.certificates, &self.store);
        self.dirty.reports.extend(owners);
    }

    fn report(&mut self) {
        self.certificates.report(&mut self.reports);
        self.tickets.report(&mut self.reports);
        self.streams.report(&self.clusters, &mut self.reports);
        for key in std::mem::take(&mut self.dirty.reports) {
            let mut findings = Vec::new();
            if let Some(translated) = self.ingresses.get(&key) {
                findings.extend(translated.findings.iter().cloned());
                if let Some(intent) = &translated.intent {
                    findings.extend(outlook::findings(intent, &self.clusters, &self.hosts));
                }
            }
            outlook::each_once(&mut findings);
            self.reports.set(ObjectRef { kind: Kind::Ingress, key }, findings);
        }
    }

    /// Puts the parts together, if one of them changed.
    fn publish(&mut self) -> bool {
        let [hosts, clusters, certificates] =
            [self.hosts.take_changed(), self.clusters.take_changed(), self.certificates.take_changed()];
        let streams = self.streams.take_changed();
        let settings = self.globals.settings != self.snapshot.settings;
        let tickets = self.tickets.keys() != self.snapshot.tickets.as_ref();
        let first = self.snapshot.generation == 0;
        if !(hosts || clusters || certificates || streams || settings || tickets || first) {
            return false;
        }
        self.snapshot = Arc::new(Snapshot {
            generation: self.snapshot.generation + 1,
            hosts: self.hosts.snapshot().clone(),
            certificates: self.certificates.snapshot().clone(),
            clusters: self.clusters.snapshot().clone(),
            streams: self.streams.snapshot().clone(),
            settings: if settings { Arc::clone(&self.globals.settings) } else { Arc::clone(&self.snapshot.settings) },
            tickets: self.tickets.keys().cloned(),
        });
        true
    }
}

#[cfg(test)]
mod tests;
