//! From the settings to a client of the API server.

use std::time::{Duration, SystemTime};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::plugin;
use crate::{KubeSettings, SyncError};

/// Longest wait for a TCP connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client.
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// The server's address.
    pub(crate) url: String,
    /// When its credentials expire, if they say so.
    pub(crate) expires: Option<SystemTime>,
}

/// Makes a client. Does not talk to the server yet: it may be away.
///
/// To be called inside the runtime that the client is used in. Blocks while a credential plugin runs.
pub(crate) async fn connect(settings: &KubeSettings) -> Result<Connected, SyncError> {
    let mut config = config(settings).await?;
    let expires = plugin::resolve(&mut config.auth_info).map_err(SyncError::KubeSettings)?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // Every request has its own limit and its own way to be tried again.
    config.default_retry = false;
    let url = config.cluster_url.to_string();
    // kube's client would panic.
    if !matches!(config.cluster_url.scheme_str(), Some("http" | "https")) || config.cluster_url.host().is_none() {
        return Err(SyncError::KubeSettings(format!("{url} is no http or https URL (--apiserver-host, --kubeconfig)")));
    }
    let authority = settings.certificate_authority.as_deref().filter(|_| settings.apiserver_host.is_some());
    let named = |cause| match authority {
        Some(path) => format!("--certificate-authority={}: {}", path.display(), describe(&cause)),
        None => describe(&cause),
    };
    let client = Client::try_from(config).map_err(|cause| SyncError::KubeSettings(named(cause)))?;
    Ok(Connected { client, url, expires })
}

async fn config(settings: &KubeSettings) -> Result<Config, SyncError> {
    let failed = |cause: String| SyncError::KubeSettings(cause);
    if let Some(host) = &settings.apiserver_host {
        let url = host.parse().map_err(|cause| failed(format!("--apiserver-host={host}: {cause}")))?;
        let mut config = Config::new(url);
        config.root_cert_file.clone_from(&settings.certificate_authority);
        return Ok(config);
    }
    let options = KubeConfigOptions::default();
    if let Some(path) = &settings.kubeconfig {
        let named = |cause| failed(format!("--kubeconfig={}: {}", path.display(), describe(&cause)));
        let kubeconfig = Kubeconfig::read_from(path).map_err(named)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(named);
    }
    if std::env::var_os("KUBECONFIG").is_some() {
        let named = |cause| failed(format!("KUBECONFIG: {}", describe(&cause)));
        return Config::from_kubeconfig(&options).await.map_err(named);
    }
    Config::incluster().map_err(|cause| {
        failed(format!(
            "this is not a pod with a service account ({}), and neither --kubeconfig, KUBECONFIG nor \
             --apiserver-host is set",
            describe(&cause)
        ))
    })
}

/// An error with its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_to(settings: &KubeSettings) -> Result<Connected, SyncError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(connect(settings))
    }

    fn refusal(settings: &KubeSettings) -> String {
        connect_to(settings).err().expect("these settings lead nowhere").to_string()
    }

    #[test]
    fn a_client_speaks_tls_with_an_authority_of_its_own() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let authority = folder.path().join("ca.crt");
        let made = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).expect("a certificate");
        std::fs::write(&authority, made.cert.pem()).expect("writable");
        let settings = KubeSettings {
            apiserver_host: Some("https://127.0.0.1:1".to_owned()),
            certificate_authority: Some(authority),
            ..KubeSettings::default()
        };
        let Connected { url, .. } = connect_to(&settings).expect("a client, whether or not the server is there");
        assert_eq!(url, "https://127.0.0.1:1/");
    }

    #[test]
    fn settings_that_lead_nowhere_are_refused_with_the_flag_at_fault() {
        let host = KubeSettings { apiserver_host: Some("not a url".to_owned()), ..KubeSettings::default() };
        assert!(refusal(&host).contains("--apiserver-host=not a url"));
        for url in ["nowhere", "ftp://a.test/", "/path"] {
            let host = KubeSettings { apiserver_host: Some(url.to_owned()), ..KubeSettings::default() };
            assert!(refusal(&host).contains("is no http or https URL (--apiserver-host"), "{url}");
        }
        let authority = KubeSettings {
            apiserver_host: Some("https://127.0.0.1:1".to_owned()),
            certificate_authority: Some("/nonexistent/ca.crt".into()),
            ..KubeSettings::default()
        };
        assert!(refusal(&authority).contains("--certificate-authority=/nonexistent/ca.crt"));
        let missing = KubeSettings { kubeconfig: Some("/nonexistent/config".into()), ..KubeSettings::default() };
        assert!(refusal(&missing).contains("--kubeconfig=/nonexistent/config"));
    }
}
