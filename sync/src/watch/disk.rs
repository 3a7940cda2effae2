//! Certificates on disk: read at the start, and again when their files differ.
//!
//! The files are read and compared instead of watched: they are small, and what renews them swaps links anywhere on the
//! way to them. A pair that does not fit, as between the two renames of a renewal, leaves the one before in place.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::diagnostics::Finding;
use ringress_config::model::{Age, Kind, Meta, Object, ObjectKey, ObjectRef, Secret};
use ringress_config::options::FileCertificate;
use ringress_config::snapshot::Certificate;

use super::Change;
use crate::regular;

/// How often the files are read.
const LOOK: Duration = Duration::from_secs(1);

/// Larger files are no certificates.
const MEBIBYTES_MAX: u64 = 1;

/// All certificates on disk.
pub(crate) struct Disk {
    pairs: Vec<Pair>,
    next_look: Instant,
    findings: Arc<[Finding]>,
}

/// One of them.
struct Pair {
    named: FileCertificate,
    /// What was read last, usable or not; nothing after it could not be read.
    read: Option<[Vec<u8>; 2]>,
    /// What is presented.
    good: Option<Arc<Secret>>,
    /// It is from the state, and nobody has been told of it.
    untold: bool,
    finding: Option<Finding>,
}

impl Disk {
    pub(crate) fn new(named: &[FileCertificate]) -> Self {
        Self { pairs: named.iter().map(Pair::new).collect(), next_look: Instant::now(), findings: Arc::default() }
    }

    /// Takes in what was presented when this was last run: for files that cannot be used now.
    pub(crate) fn seed(&mut self, certificates: &[Arc<Secret>]) {
        for pair in &mut self.pairs {
            let key = pair.named.secret();
            pair.good = certificates.iter().find(|secret| secret.meta.key == key).cloned();
            pair.untold = pair.good.is_some();
        }
    }

    /// What is presented.
    pub(crate) fn good(&self) -> impl Iterator<Item = &Arc<Secret>> {
        self.pairs.iter().filter_map(|pair| pair.good.as_ref())
    }

    /// Other certificates are named from now on; what goes with those that no longer are.
    pub(crate) fn set(&mut self, named: &[FileCertificate]) -> Vec<Change> {
        let mut known = std::mem::take(&mut self.pairs);
        self.pairs.extend(named.iter().map(|named| {
            let is_same = |pair: &Pair| (&pair.named.certificate, &pair.named.key) == (&named.certificate, &named.key);
            let known = known.iter().position(is_same).map(|at| known.swap_remove(at));
            Pair { named: named.clone(), ..known.unwrap_or_else(|| Pair::new(named)) }
        }));
        let gone = known.iter().map(|pair| pair.named.secret());
        let gone = gone.filter(|key| named.iter().all(|named| named.secret() != *key));
        gone.map(|key| Change::Remove(ObjectRef { kind: Kind::Secret, key })).collect()
    }

    /// Whether it is time to look.
    pub(crate) fn due(&self) -> bool {
        !self.pairs.is_empty() && Instant::now() >= self.next_look
    }

    /// Reads the files; what is new of them.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        let changes = self.pairs.iter_mut().filter_map(Pair::look).collect();
        let findings = self.pairs.iter().filter_map(|pair| pair.finding.as_ref());
        if !findings.clone().eq(self.findings.iter()) {
            self.findings = findings.cloned().collect();
        }
        self.next_look = Instant::now() + LOOK;
        changes
    }

    /// What cannot be presented.
    pub(crate) fn findings(&self) -> Arc<[Finding]> {
        Arc::clone(&self.findings)
    }
}

impl Pair {
    fn new(named: &FileCertificate) -> Self {
        Self { named: named.clone(), read: None, good: None, untold: false, finding: None }
    }

    fn look(&mut self) -> Option<Change> {
        let FileCertificate { certificate, key, .. } = &self.named;
        let pair = match (read(certificate), read(key)) {
            (Ok(chain), Ok(key)) => [chain, key],
            (Err(cause), _) => return self.unreadable(false, &cause),
            (_, Err(cause)) => return self.unreadable(true, &cause),
        };
        if self.read.as_ref() == Some(&pair) {
            return None;
        }
        let secret = self.named.secret();
        let usable = Certificate::from_pem(&pair[0], &pair[1], Some(secret.clone()));
        let [chain, key] = self.read.insert(pair);
        if let Err(error) = usable {
            return self.refuse(error.concerns_key(), &error.to_string());
        }
        self.finding = None;
        let data = [("tls.crt", &chain[..]), ("tls.key", &key[..])];
        let data = data.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let meta = Meta { key: secret, age: Age::default() };
        let secret = Arc::new(Secret { meta, kind: "kubernetes.io/tls".into(), data });
        self.untold = false;
        Some(Change::Upsert(Object::Secret(Arc::clone(self.good.insert(secret)))))
    }

    fn unreadable(&mut self, key: bool, cause: &io::Error) -> Option<Change> {
        self.read = None;
        self.refuse(key, &format!("cannot be read: {cause}"))
    }

    fn refuse(&mut self, key: bool, message: &str) -> Option<Change> {
        let path = if key { &self.named.key } else { &self.named.certificate };
        let object = ObjectRef { kind: Kind::File, key: ObjectKey::new("", &*path.to_string_lossy()) };
        let effect = match self.good {
            Some(_) => "what was presented before it stays",
            None => "it is not presented",
        };
        self.finding = Some(Finding::error(&object, "", format!("{message}; {effect}")));
        let good = self.good.clone().filter(|_| std::mem::take(&mut self.untold))?;
        Some(Change::Upsert(Object::Secret(good)))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    regular::read(&mut regular::open(path)?, MEBIBYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_away_for_a_while_is_no_fault_once_it_is_back() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let [chain, key] = ["crt", "key"].map(|name| folder.path().join(name));
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("a certificate");
        std::fs::write(&chain, made.cert.pem()).expect("a file");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        let named = FileCertificate::new(chain, key.clone(), &["a.test".to_owned()]).expect("a host");
        let mut disk = Disk::new(&[named]);
        assert_eq!((disk.take().len(), disk.findings().len()), (1, 0));
        let away = folder.path().join("away");
        std::fs::rename(&key, &away).expect("a move");
        assert_eq!((disk.take().len(), disk.findings().len()), (0, 1));
        std::fs::rename(&away, &key).expect("a move");
        disk.take();
        assert_eq!(disk.findings().len(), 0);
        assert!(disk.take().is_empty(), "nothing new");
    }

    #[test]
    fn other_files_are_named_and_what_is_still_named_is_not_read_as_new() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let named = ["a", "b"].map(|name| {
            let [chain, key] = ["crt", "key"].map(|kind| folder.path().join(format!("{name}.{kind}")));
            let made = rcgen::generate_simple_self_signed([format!("{name}.test")]).expect("a certificate");
            std::fs::write(&chain, made.cert.pem()).expect("a file");
            std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
            FileCertificate::new(chain, key, &[format!("{name}.test")]).expect("a host")
        });
        let mut disk = Disk::new(&named[..1]);
        assert_eq!(disk.take().len(), 1);
        assert!(disk.set(&named).is_empty(), "nothing is gone");
        assert_eq!(disk.take().len(), 1, "b is new, a is not");
        std::fs::remove_file(&named[0].certificate).expect("it was there");
        disk.take();
        assert_eq!(disk.findings().len(), 1);
        let gone = disk.set(&named[1..]);
        assert!(matches!(&gone[..], [Change::Remove(object)] if object.key == named[0].secret()), "{gone:?}");
        assert_eq!((disk.take().len(), disk.findings().len()), (0, 0), "its fault goes with it");
    }
}
