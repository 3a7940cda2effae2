//! START OF THE CONTROL THREAD'S WORK: where objects come from.
//!
//! Both sources say the same thing, [`Change`]s of single objects, and only true ones: what was read again and is
//! equal to what is served leads to nothing.

pub(crate) mod disk;
pub(crate) mod folder;
pub(crate) mod kube;

use std::sync::Arc;

use ringress_config::compile::Compiler;
use ringress_config::diagnostics::Finding;
use ringress_config::model::{Object, ObjectRef};

use self::kube::{Kube, Link};
use folder::Folder;

use crate::state::{Filed, Good};
use crate::write::Seen;

/// A difference between what the source holds now and what it held before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// The object is new or differs.
    Upsert(Object),
    /// The object is gone.
    Remove(ObjectRef),
}

impl Change {
    /// The object.
    pub(crate) fn reference(&self) -> ObjectRef {
        match self {
            Self::Upsert(object) => object.reference(),
            Self::Remove(object) => object.clone(),
        }
    }
}

/// One of the two sources.
pub(crate) enum Source {
    /// A folder of manifests.
    Folder(Box<Folder>),
    /// An API server.
    Kube(Box<Kube>),
}

impl Source {
    /// Waits until [`take`](Self::take) may have something. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        match self {
            Self::Folder(folder) => folder.changed().await,
            Self::Kube(kube) => kube.changed().await,
        }
    }

    /// What has changed since the last call.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        match self {
            Self::Folder(folder) => folder.take(),
            Self::Kube(kube) => kube.take(),
        }
    }

    /// What has changed, with everything that is visible at the source now.
    pub(crate) async fn catch_up(&mut self) -> Vec<Change> {
        match self {
            Self::Folder(folder) => folder.catch_up().await,
            Self::Kube(kube) => kube.catch_up().await,
        }
    }

    /// Whether what has been told so far makes a complete snapshot.
    pub(crate) fn complete(&self) -> bool {
        self.listed() || self.serves_last_good()
    }

    /// Whether objects from the state folder stand in for a source that has not been read yet.
    pub(crate) fn serves_last_good(&self) -> bool {
        match self {
            Self::Folder(_) => false,
            Self::Kube(kube) => kube.serves_last_good(),
        }
    }

    /// What is worth keeping for the next start. Certificates on disk come besides.
    pub(crate) fn good(&self, compiler: &Compiler) -> Good {
        let ingresses = compiler.held().map(|held| Object::Ingress(Arc::clone(held)));
        let secrets = compiler.held_secrets().map(|held| Object::Secret(Arc::clone(held)));
        let held = ingresses.chain(secrets).filter(|object| !self.is_private(object)).collect();
        let mut good = Good { held, ..Good::default() };
        match self {
            Self::Folder(folder) => {
                good.filed.extend(folder.kept().map(|(file, object)| {
                    let accepted = !matches!(object, Object::Ingress(ingress) if !compiler.accepts(ingress));
                    Filed { file: Arc::clone(file), object: object.clone(), accepted }
                }));
            }
            Self::Kube(kube) => good.objects.extend(kube.objects().cloned()),
        }
        good
    }

    /// Whether an object is not for the state folder.
    fn is_private(&self, object: &Object) -> bool {
        match self {
            Self::Folder(folder) => folder.is_private(object),
            Self::Kube(kube) => kube.is_private(object),
        }
    }

    /// Whether everything that a complete snapshot needs has been read once.
    pub(crate) fn listed(&self) -> bool {
        match self {
            Self::Folder(folder) => folder.listed(),
            Self::Kube(kube) => kube.listed(),
        }
    }

    /// Whether the source could be read the last time that it was tried.
    pub(crate) fn reachable(&self) -> bool {
        match self {
            Self::Folder(folder) => folder.reachable(),
            Self::Kube(kube) => kube.reachable(),
        }
    }

    /// Takes in which earlier versions of Ingresses serve on; true when [`take`](Self::take) has something then.
    pub(crate) fn settle(&mut self, compiler: &Compiler) -> bool {
        match self {
            Self::Folder(_) => false,
            Self::Kube(kube) => kube.settle(|key| compiler.held_of(key)),
        }
    }

    /// The way to the API server, if there is one.
    pub(crate) fn link(&self) -> Option<Link> {
        match self {
            Self::Folder(_) => None,
            Self::Kube(kube) => Some(kube.link()),
        }
    }

    /// What has been seen of the status of Ingresses.
    pub(crate) fn take_seen(&mut self) -> Seen {
        match self {
            Self::Folder(_) => Seen::new(),
            Self::Kube(kube) => kube.take_seen(),
        }
    }

    /// What is wrong with the source's content before it even gets to the compiler.
    pub(crate) fn findings(&mut self) -> Arc<[Finding]> {
        match self {
            Self::Folder(folder) => folder.findings(),
            Self::Kube(kube) => kube.findings(),
        }
    }
}
