//! Reading a cluster once, for commands that report on it and serve nothing.

use std::sync::Arc;
use std::time::Duration;

use ringress_config::diagnostics::Finding;
use ringress_config::model::Object;
use ringress_config::options::Options;

use crate::watch::kube::Kube;
use crate::{KubeSettings, SyncError};

/// What a cluster holds.
#[derive(Clone, Debug)]
pub struct ClusterObjects {
    /// Those that the appliance would read, and no others.
    pub objects: Vec<Object>,
    /// What is wrong with them before they get to a compiler.
    pub findings: Arc<[Finding]>,
}

/// Reads what an appliance with these settings would read, within `patience`. Nothing is written.
///
/// # Errors
/// When the settings lead to no API server, it refuses something that is needed, or it is not read in time.
pub fn read_cluster(
    settings: &KubeSettings,
    options: &Options,
    patience: Duration,
) -> Result<ClusterObjects, SyncError> {
    let settings = KubeSettings { write: None, ..settings.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SyncError::Thread)?;
    runtime.block_on(async {
        let mut kube = Kube::connect(&settings, options).await?;
        let waited = tokio::time::timeout(patience, listed(&mut kube)).await;
        let unread = |why| SyncError::Unread { server: kube.identity(), why };
        match waited {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => return Err(unread(refusal)),
            Err(_) => return Err(unread(format!("no complete answer within {} s", patience.as_secs()))),
        }
        Ok(ClusterObjects { objects: kube.objects().cloned().collect(), findings: kube.findings() })
    })
}

async fn listed(kube: &mut Kube) -> Result<(), String> {
    while !kube.listed() {
        if let Some(refusal) = kube.refusal() {
            return Err(refusal);
        }
        kube.changed().await;
    }
    Ok(())
}
