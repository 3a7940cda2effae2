//! The webhook's certificate without anybody who hands out certificates: the leader makes an authority and signs one
//! certificate with it, whose key it then forgets; certificate and key are in a Secret that every replica shows, the
//! authority in the `caBundle` of the configuration that the API server goes by.
//!
//! A new authority is in the bundle before its certificate is shown anywhere, and the one before stays beside it.

mod made;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringress_config::diagnostics::Finding;
use ringress_config::model::{Kind, ObjectKey, ObjectRef};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tracing::info;

use super::api::{Api, Failure, Resource};
use super::leader::Lead;
use super::notes::Notes;
use crate::settings::WebhookAuthority;
use crate::watch::kube::Backoff;
use made::Pair;

/// How often Secret and configuration are looked at without an occasion: a configuration that is made anew, as by a chart,
/// has no authority, and the API server calls nobody until it has one. No watch, which would ask for one right more.
const LOOK: Duration = Duration::from_secs(5);

/// The shortest time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(500);

/// Time for the API server to take a new authority in before replicas show its certificate.
const SPREAD: Duration = Duration::from_secs(3);

/// The values of the Secret.
const VALUES: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

/// Keeps Secret and configuration while this process leads, until the lead's sender is gone.
pub(crate) async fn run(
    api: Api,
    settings: WebhookAuthority,
    mut lead: watch::Receiver<Lead>,
    changed: Arc<Notify>,
    notes: Notes,
) {
    let object = ObjectRef { kind: Kind::Secret, key: settings.secret };
    let mut keeper = Keeper { api, object, configuration: settings.configuration, staged: None };
    let mut backoff = Backoff::default();
    loop {
        if lead.wait_for(|lead| lead.is_some_and(|until| Instant::now() < until)).await.is_err() {
            return;
        }
        let Some(until) = *lead.borrow() else { continue };
        let pause = match tokio::time::timeout_at(until.into(), keeper.turn()).await {
            Ok(Ok(pause)) => {
                backoff.reset();
                notes.set("webhook", None);
                pause
            }
            // The lead has ended, or somebody else has written.
            Err(_) | Ok(Err(Failure::Conflict)) => backoff.next(fastrand::f64()),
            Ok(Err(failure)) => {
                let message = format!("the webhook's certificate cannot be kept: {failure}");
                notes.set("webhook", Some(Finding::warning(&keeper.object, "", message)));
                let pause = backoff.next(fastrand::f64());
                if matches!(failure, Failure::Other(_)) { pause } else { LOOK }
            }
        };
        tokio::time::sleep(LOOK_MIN).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = changed.notified() => {}
        }
    }
}

struct Keeper {
    api: Api,
    object: ObjectRef,
    /// Name of the ValidatingWebhookConfiguration.
    configuration: String,
    /// A new pair whose authority is trusted, and which nobody shows yet.
    staged: Option<Staged>,
}

/// What goes into the Secret.
struct Staged {
    bundle: String,
    certificate: String,
    key: String,
    since: Instant,
}

impl Keeper {
    /// Looks once and does what there is to do; how long until the next look.
    async fn turn(&mut self) -> Result<Duration, Failure> {
        let ObjectKey { namespace, name } = &self.object.key;
        let of = |failure| about(&format!("ValidatingWebhookConfiguration {}", self.configuration), failure);
        let configuration = self.api.get(Resource::WebhookConfiguration, "", &self.configuration).await.map_err(of)?;
        let names = names(&configuration);
        if names.is_empty() {
            let message = format!("ValidatingWebhookConfiguration {} names no service and no url", self.configuration);
            return Err(Failure::Other(message));
        }
        let secret = match self.api.get(Resource::Secret, namespace, name).await {
            Ok(secret) => Some(secret),
            Err(Failure::NotFound) => None,
            Err(failure) => return Err(about("the Secret", failure)),
        };
        let data = secret.as_ref().map_or(&Value::Null, |secret| &secret["data"]);
        if data.as_object().is_some_and(|data| data.keys().any(|name| !VALUES.contains(&name.as_str()))) {
            return Err(Failure::Refused("it holds something else; it is left alone".to_owned()));
        }
        let [bundle, certificate, key] = VALUES.map(|name| value(data, name));
        let now = SystemTime::now();
        if made::is_good(&certificate, &key, &bundle, &names, now) {
            self.staged = None;
            return self.trust(&configuration, &bundle).await.map(|()| LOOK);
        }
        let mut before = made::unexpired(&bundle, now);
        if before.is_empty() {
            // The Secret is lost, and replicas go on showing a certificate of those that are trusted.
            before = made::unexpired(&trusted(&configuration), now);
        }
        let staged = match self.staged.take() {
            Some(staged) => staged,
            None => {
                let Pair { authority, certificate, key } =
                    made::make(&names, now).map_err(|cause| Failure::Other(cause.to_string()))?;
                Staged { bundle: [authority, before.clone()].concat(), certificate, key, since: Instant::now() }
            }
        };
        self.trust(&configuration, staged.bundle.as_bytes()).await?;
        if !before.is_empty() && staged.since.elapsed() < SPREAD {
            self.staged = Some(staged);
            return Ok(SPREAD);
        }
        let Staged { bundle, certificate, key, .. } = staged;
        let texts = [bundle.as_bytes(), certificate.as_bytes(), key.as_bytes()];
        let data: Value =
            VALUES.iter().zip(texts).map(|(name, text)| ((*name).to_owned(), json!(STANDARD.encode(text)))).collect();
        match secret {
            Some(mut secret) => {
                secret["data"] = data;
                self.api.replace(Resource::Secret, namespace, name, &secret).await
            }
            None => {
                let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                    "metadata": {"name": &**name, "namespace": &**namespace}, "data": data});
                self.api.create(Resource::Secret, namespace, &secret).await
            }
        }
        .map_err(|failure| about("the Secret", failure))?;
        info!(secret = %self.object.key, "the webhook has a new certificate");
        Ok(LOOK)
    }

    /// Writes the bundle where it is not what it should be.
    async fn trust(&self, configuration: &Value, bundle: &[u8]) -> Result<(), Failure> {
        let wanted = STANDARD.encode(bundle);
        let others = webhooks(configuration).filter(|webhook| webhook["clientConfig"]["caBundle"] != *wanted);
        let changes: Vec<Value> =
            others.map(|webhook| json!({"name": webhook["name"], "clientConfig": {"caBundle": wanted}})).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let version = &configuration["metadata"]["resourceVersion"];
        let patch = json!({"metadata": {"resourceVersion": version}, "webhooks": changes});
        let patched = self.api.patch(Resource::WebhookConfiguration, "", &self.configuration, &patch).await;
        patched
            .map(drop)
            .map_err(|failure| about(&format!("ValidatingWebhookConfiguration {}", self.configuration), failure))
    }
}

/// The failure with what it is about; a conflict stays one.
fn about(what: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Conflict => Failure::Conflict,
        Failure::Ending => Failure::Ending,
        Failure::NotFound => Failure::Refused(format!("{what} does not exist")),
        Failure::Refused(message) => Failure::Refused(format!("{what}: {message}")),
        Failure::Other(message) => Failure::Other(format!("{what}: {message}")),
    }
}

fn webhooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

/// The authorities that the API server trusts, each bundle once.
fn trusted(configuration: &Value) -> Vec<u8> {
    let bundles: BTreeSet<_> =
        webhooks(configuration).map(|webhook| value(&webhook["clientConfig"], "caBundle")).collect();
    bundles.into_iter().collect::<Vec<_>>().join(&b'\n')
}

/// The names by which the API server calls.
fn names(configuration: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for webhook in webhooks(configuration) {
        let client = &webhook["clientConfig"];
        if let (Some(name), Some(namespace)) =
            (client["service"]["name"].as_str(), client["service"]["namespace"].as_str())
        {
            names.insert(format!("{name}.{namespace}.svc"));
        }
        let uri = client["url"].as_str().and_then(|url| url.parse::<hyper::Uri>().ok());
        names.extend(uri.and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_ascii_lowercase())));
    }
    names
}

fn value(data: &Value, name: &str) -> Vec<u8> {
    data[name].as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default()
}
