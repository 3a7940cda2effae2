//! Secrets to certificates, and the choice of one for each host (reference 3.8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::index::Index;
use super::report::Reports;
use super::store::Store;
use crate::diagnostics::Finding;
use crate::intent::{HostKind, HostName};
use crate::model::{Kind, Object, ObjectKey, ObjectRef, Secret};
use crate::options::{FileCertificate, Options};
use crate::snapshot::{Certificate, Certificates, ServerCertificate};

/// All certificates in use.
#[derive(Debug)]
pub(super) struct CertificateTable {
    /// Presented when nothing else is.
    built_in: Arc<Certificate>,
    /// The Secret of the default certificate.
    default: Option<ObjectKey>,
    /// Host → the certificate on disk that it presents where no Secret is for it.
    files: BTreeMap<HostName, ObjectKey>,
    /// What Ingresses say of the hosts that a certificate on disk is for, too.
    asked: BTreeMap<HostName, ServerCertificate>,
    /// Secrets that were looked up.
    read: BTreeMap<ObjectKey, Lookup>,
    /// What Secrets that are in use offered last that could be presented. It serves on while the Secret is there and is
    /// broken, as with ingress-nginx, and goes with the Secret.
    good: BTreeMap<ObjectKey, Good>,
    /// Secret → the hosts that looked it up.
    hosts_of: Index<ObjectKey, HostName>,
    /// Secrets that changed.
    stale: BTreeSet<ObjectKey>,
    /// Hosts whose certificate has to be chosen again.
    stale_hosts: BTreeSet<HostName>,
    /// Secrets whose findings have to be told again.
    unreported: BTreeSet<ObjectKey>,
    certificates: Certificates,
    changed: bool,
}

/// What a Secret has to offer.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    Usable(Arc<Certificate>),
    /// What it offered before it was broken; then as [`Broken`](Self::Broken).
    Kept(Arc<Certificate>, &'static str, String),
    Missing,
    /// The field at fault and what is wrong.
    Broken(&'static str, String),
}

impl Lookup {
    /// What can be presented.
    fn certificate(self) -> Option<Arc<Certificate>> {
        match self {
            Self::Usable(certificate) | Self::Kept(certificate, ..) => Some(certificate),
            Self::Missing | Self::Broken(..) => None,
        }
    }
}

/// A version of a Secret that can be presented.
#[derive(Debug)]
struct Good {
    secret: Arc<Secret>,
    certificate: Arc<Certificate>,
}

fn by_host(files: &[FileCertificate]) -> BTreeMap<HostName, ObjectKey> {
    files.iter().flat_map(|file| file.hosts.iter().map(|host| (host.clone(), file.secret()))).collect()
}

impl CertificateTable {
    pub(super) fn new(built_in: Arc<Certificate>, options: &Options) -> Self {
        let default = options.default_ssl_certificate.clone();
        Self {
            certificates: Certificates::new(Arc::clone(&built_in)),
            built_in,
            files: by_host(&options.certificates),
            asked: BTreeMap::new(),
            stale: default.iter().cloned().collect(),
            default,
            read: BTreeMap::new(),
            good: BTreeMap::new(),
            hosts_of: Index::default(),
            stale_hosts: BTreeSet::new(),
            unreported: BTreeSet::new(),
            changed: false,
        }
    }

    /// Other certificates are on disk from now on. Hosts with Ingresses have to be built again.
    pub(super) fn set_files(&mut self, files: &[FileCertificate], store: &Store) {
        let old = std::mem::replace(&mut self.files, by_host(files));
        self.stale.extend(old.values().chain(self.files.values()).cloned());
        for host in old.into_keys().filter(|host| !self.files.contains_key(host)).collect::<Vec<_>>() {
            let asked = self.asked.remove(&host);
            self.set_host(&host, asked, store);
        }
        let mut asked = std::mem::take(&mut self.asked);
        asked.retain(|host, _| self.file_of(host).is_some());
        self.asked = asked;
    }

    /// What is known of some Secrets, and what was read beside them.
    pub(super) fn with_read<'a>(&self, secrets: impl Iterator<Item = &'a ObjectKey>, beside: &[Object]) -> Self {
        let mut table = Self::new(Arc::clone(&self.built_in), &Options::default());
        table.read.extend(secrets.filter_map(|secret| Some((secret.clone(), self.read.get(secret)?.clone()))));
        for object in beside {
            if let Object::Secret(secret) = object {
                table.read.entry(secret.meta.key.clone()).or_insert_with(|| read(secret));
            }
        }
        table
    }

    /// Notes that a Secret changed.
    pub(super) fn mark(&mut self, secret: ObjectKey) {
        self.stale.insert(secret);
    }

    /// Forgets what a Secret offered before: it is gone, and one that comes in its place inherits nothing.
    pub(super) fn forget(&mut self, secret: &ObjectKey) {
        self.good.remove(secret);
    }

    /// The versions that are presented in place of a newer one that is broken.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Arc<Secret>> {
        let is_kept = |key: &ObjectKey| matches!(self.read.get(key), Some(Lookup::Kept(..)));
        self.good.iter().filter(move |(key, _)| is_kept(key)).map(|(_, good)| &good.secret)
    }

    /// Takes in a version of a Secret that could be presented before. It counts only if the newest one is broken.
    pub(super) fn restore(&mut self, secret: Arc<Secret>) {
        if let Lookup::Usable(certificate) = read(&secret) {
            let key = secret.meta.key.clone();
            self.stale.insert(key.clone());
            self.good.entry(key).or_insert(Good { secret, certificate });
        }
    }

    /// Forgets what is stale and looks the default certificate up again.
    pub(super) fn refresh(&mut self, store: &Store) {
        for secret in std::mem::take(&mut self.stale) {
            self.read.remove(&secret);
            self.unreported.insert(secret.clone());
            self.stale_hosts.extend(self.hosts_of.users(&secret).cloned());
            if self.default.as_ref() == Some(&secret) {
                let found = self.look_up(&secret, store).certificate();
                let default = found.unwrap_or_else(|| Arc::clone(&self.built_in));
                self.changed |= !Arc::ptr_eq(&default, &self.certificates.default);
                self.certificates.default = default;
            }
            self.refresh_file(&secret, store);
        }
    }

    /// Presents a certificate on disk that changed.
    fn refresh_file(&mut self, file: &ObjectKey, store: &Store) {
        let named = self.files.iter().filter(|(_, of)| *of == file).map(|(host, _)| host);
        if named.clone().next().is_none() {
            return;
        }
        let below = self.asked.keys().filter(|host| self.file_of(host) == Some(file));
        let hosts: BTreeSet<_> = named.chain(below).cloned().collect();
        for host in hosts {
            let asked = self.asked.get(&host).cloned();
            self.set_host(&host, asked, store);
        }
    }

    /// The certificate on disk for a host: by its name, else by a wildcard above it.
    fn file_of(&self, host: &HostName) -> Option<&ObjectKey> {
        self.files.get(host).or_else(|| match host.kind() {
            HostKind::Exact => self.files.get(&HostName::parse(&format!("*.{}", host.text().split_once('.')?.1)).ok()?),
            HostKind::Below(_) | HostKind::Above(_) | HostKind::Pattern(_) | HostKind::CatchAll => None,
        })
    }

    /// What a host presents, where a certificate on disk may be for it: its Secrets come first, then the file.
    fn with_file(
        &mut self,
        host: &HostName,
        asked: Option<ServerCertificate>,
        store: &Store,
    ) -> Option<ServerCertificate> {
        let Some(file) = self.file_of(host).cloned() else { return asked };
        match &asked {
            Some(asked) => drop(self.asked.insert(host.clone(), asked.clone())),
            None => drop(self.asked.remove(host)),
        }
        let has_own = matches!(asked, Some(ServerCertificate::Own(_) | ServerCertificate::Both { .. }));
        // A host of which nothing is said is found under the wildcard itself.
        if has_own || (asked.is_none() && !self.files.contains_key(host)) {
            return asked;
        }
        self.look_up(&file, store).certificate().map(ServerCertificate::Own).or(asked)
    }

    pub(super) fn take_stale_hosts(&mut self) -> BTreeSet<HostName> {
        std::mem::take(&mut self.stale_hosts)
    }

    /// What a Secret has to offer. It is read once.
    pub(super) fn look_up(&mut self, secret: &ObjectKey, store: &Store) -> Lookup {
        if let Some(known) = self.read.get(secret) {
            return known.clone();
        }
        let newest = store.secrets.get(secret);
        let mut found = newest.map_or(Lookup::Missing, |newest| read(newest));
        match (&found, newest) {
            (Lookup::Usable(certificate), Some(newest)) => {
                let good = Good { secret: Arc::clone(newest), certificate: Arc::clone(certificate) };
                self.good.insert(secret.clone(), good);
            }
            (Lookup::Broken(field, message), _) => {
                if let Some(good) = self.good.get(secret) {
                    found = Lookup::Kept(Arc::clone(&good.certificate), field, message.clone());
                }
            }
            (Lookup::Usable(_) | Lookup::Kept(..) | Lookup::Missing, _) => {}
        }
        self.unreported.insert(secret.clone());
        self.read.insert(secret.clone(), found.clone());
        found
    }

    /// Notes which Secrets a host looked up, in place of those before.
    pub(super) fn set_secrets(&mut self, host: &HostName, old: &BTreeSet<ObjectKey>, new: &BTreeSet<ObjectKey>) {
        for secret in new.difference(old) {
            self.hosts_of.insert(secret.clone(), host.clone());
        }
        for secret in old.difference(new) {
            self.hosts_of.remove(secret, host);
            if !self.hosts_of.is_used(secret) && self.default.as_ref() != Some(secret) {
                self.read.remove(secret);
                // Nobody follows it any more, so that it may be an old one when somebody asks again.
                self.good.remove(secret);
                self.unreported.insert(secret.clone());
            }
        }
    }

    /// Sets what a host presents.
    pub(super) fn set_host(&mut self, host: &HostName, new: Option<ServerCertificate>, store: &Store) {
        let new = self.with_file(host, new, store);
        let (map, name) = match host.kind() {
            HostKind::Exact => (&mut self.certificates.exact, &**host.text()),
            HostKind::Below(name) => (&mut self.certificates.wildcard, name),
            // No server name is found under these.
            HostKind::Above(_) | HostKind::Pattern(_) | HostKind::CatchAll => return,
        };
        if map.get(name) == new.as_ref() {
            return;
        }
        self.changed = true;
        match new {
            Some(new) => drop(map.insert(name.into(), new)),
            None => drop(map.remove(name)),
        }
    }

    /// Tells the findings of the Secrets that changed.
    pub(super) fn report(&mut self, reports: &mut Reports) {
        for secret in std::mem::take(&mut self.unreported) {
            let object = ObjectRef { kind: Kind::Secret, key: secret };
            let is_default = self.default.as_ref() == Some(&object.key);
            let finding = match self.read.get(&object.key) {
                Some(Lookup::Broken(field, message)) => Some(Finding::error(
                    &object,
                    *field,
                    format!("{message}; the default certificate is presented instead"),
                )),
                Some(Lookup::Kept(_, field, message)) => {
                    let effect = "the pair before it is presented until this one is mended or the Secret is gone";
                    Some(Finding::error(&object, *field, format!("{message}; {effect}")))
                }
                Some(Lookup::Missing) if is_default => {
                    let message = "is the --default-ssl-certificate and does not exist; a self-signed certificate is \
                                   presented instead";
                    Some(Finding::error(&object, "", message))
                }
                Some(Lookup::Missing | Lookup::Usable(_)) | None => None,
            };
            reports.set(object, finding.into_iter().collect());
        }
    }

    pub(super) fn snapshot(&self) -> &Certificates {
        &self.certificates
    }

    /// Whether the snapshot changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

fn read(secret: &Secret) -> Lookup {
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| secret.data.get(name));
    let (Some(certificate), Some(key)) = (certificate, key) else {
        let field = if certificate.is_none() { "data.tls.crt" } else { "data.tls.key" };
        return Lookup::Broken(field, "missing".to_owned());
    };
    match Certificate::from_pem(certificate, key, Some(secret.meta.key.clone())) {
        Ok(certificate) => Lookup::Usable(Arc::new(certificate)),
        Err(error) => {
            let field = if error.concerns_key() { "data.tls.key" } else { "data.tls.crt" };
            Lookup::Broken(field, error.to_string())
        }
    }
}
