//! What there is to begin with: the source, and what is known of it from the time before.

use std::collections::BTreeSet;

use ringress_config::model::{Object, ObjectKey};
use tracing::{info, warn};

use crate::state::{Good, Loaded, Saver, StateFile};
use crate::watch::Source;
use crate::watch::disk::Disk;
use crate::watch::folder::Folder;
use crate::watch::kube::Kube;
use crate::write::Writing;
use crate::{KubeSettings, SourceSettings, SyncError, SyncSettings, WebhookCertificate};

/// What there is to begin with.
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) disk: Disk,
    pub(super) saver: Option<Saver>,
    /// Earlier versions that may act in place of refused and broken ones.
    pub(super) held: Vec<Object>,
    pub(super) writing: Option<Writing>,
}

/// Opens the source, with the state on disk where there is one.
pub(super) async fn open(settings: &SyncSettings) -> Result<Opened, SyncError> {
    match &settings.source {
        SourceSettings::Dir(path) => {
            let mut folder = Folder::open(path)?;
            private(settings).for_each(|key| folder.keep_private(key));
            let (saver, loaded) = load(settings, folder.identity(), Saver::of_folder);
            let good = loaded.map(|loaded| loaded.good).unwrap_or_default();
            folder.seed(&good.filed);
            if saver.is_none() {
                info!("no state folder: after a restart, files that do not parse and refused versions leave nothing");
            }
            let held = held_of_folder(&good);
            Ok(opened(settings, Source::Folder(Box::new(folder)), saver, (held, &good), None))
        }
        SourceSettings::Kube(kube) => open_kube(settings, kube).await,
    }
}

async fn open_kube(settings: &SyncSettings, kube_settings: &KubeSettings) -> Result<Opened, SyncError> {
    let mut kube = Kube::connect(kube_settings, &settings.options).await?;
    // Keys that are to be on no disk.
    for key in private(settings) {
        kube.watch_private(key);
    }
    let (saver, loaded) = load(settings, kube.identity(), Saver::of_cluster);
    let mut good = Good::default();
    if let Some(mut loaded) = loaded {
        good.certificates = std::mem::take(&mut loaded.good.certificates);
        good.held.clone_from(&loaded.good.held);
        kube.seed(loaded);
    }
    let writing = kube_settings.write.clone().map(|write| Writing::start(kube.link(), *write));
    let held = std::mem::take(&mut good.held);
    Ok(opened(settings, Source::Kube(Box::new(kube)), saver, (held, &good), writing))
}

fn opened(
    settings: &SyncSettings,
    source: Source,
    saver: Option<Saver>,
    (held, good): (Vec<Object>, &Good),
    writing: Option<Writing>,
) -> Opened {
    let mut disk = Disk::new(&settings.options.certificates);
    disk.seed(&good.certificates);
    Opened { source, disk, saver, held, writing }
}

/// The Secrets that are kept on no disk.
fn private(settings: &SyncSettings) -> impl Iterator<Item = &ObjectKey> {
    let webhook = match settings.webhook.as_ref().map(|webhook| &webhook.certificate) {
        Some(WebhookCertificate::Secret(key)) => Some(key),
        _ => None,
    };
    webhook.into_iter().chain(&settings.options.ticket_secret)
}

/// The state of a source, and who writes it.
fn load(settings: &SyncSettings, source: String, saver: fn(StateFile) -> Saver) -> (Option<Saver>, Option<Loaded>) {
    let Some(folder) = &settings.state_dir else { return (None, None) };
    let file = StateFile::new(folder.clone(), source);
    let loaded = file.load().unwrap_or_else(|cause| {
        warn!(folder = %folder.display(), "the last known good objects are not used: {cause}");
        None
    });
    (Some(saver(file)), loaded)
}

/// What may act where a newer version is refused or broken: what did so already, else what the files defined. The state may
/// be from before the newer version came.
fn held_of_folder(good: &Good) -> Vec<Object> {
    let mut known: BTreeSet<_> = good.held.iter().map(Object::reference).collect();
    let mut held = good.held.clone();
    for filed in &good.filed {
        // Only the first definition of an object is one that was served.
        let is_served = known.insert(filed.object.reference());
        if is_served && filed.accepted && matches!(filed.object, Object::Ingress(_) | Object::Secret(_)) {
            held.push(filed.object.clone());
        }
    }
    held
}
