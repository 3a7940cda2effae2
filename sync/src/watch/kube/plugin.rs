//! Credential plugins: programs that a kubeconfig names (`users[].user.exec`) and that print a token or a certificate.
//!
//! Run here and not by kube's client, which waits for one without end: a plugin that hangs would be waited for by every
//! request, and started once more by the next.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, ExecConfig};
use serde::Deserialize;
use serde_json::json;

/// The longest that a plugin may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// The longest answer: what a pipe holds, as nothing is read before the end.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// The part of an `ExecCredential` that is used.
#[derive(Deserialize)]
struct Answer {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs the plugin, if there is one, and puts what it says in its place; when that expires. Blocks.
pub(super) fn resolve(account: &mut AuthInfo) -> Result<Option<SystemTime>, String> {
    // As kube has it, a token or a file of one wins.
    if account.token.is_some() || account.token_file.is_some() {
        return Ok(None);
    }
    let Some(plugin) = account.exec.take() else { return Ok(None) };
    let name = plugin.command.clone().unwrap_or_default();
    let status = run(&plugin).map_err(|why| format!("the credential plugin `{name}` {why}"))?;
    let mut fields = json!({});
    if let (Some(certificate), Some(key)) = (&status.client_certificate_data, &status.client_key_data) {
        fields["client-certificate-data"] = json!(STANDARD.encode(certificate));
        fields["client-key-data"] = json!(STANDARD.encode(key));
    } else if let Some(token) = &status.token {
        fields["token"] = json!(token);
    }
    let given: AuthInfo = serde_json::from_value(fields).map_err(|cause| cause.to_string())?;
    account.token = given.token;
    if given.client_certificate_data.is_some() {
        account.client_certificate_data = given.client_certificate_data;
        account.client_key_data = given.client_key_data;
    }
    let expires = status.expiration_timestamp.map(|text| text.parse::<jiff::Timestamp>()).transpose();
    let expires =
        expires.map_err(|cause| format!("the credential plugin `{name}` names no time of expiry: {cause}"))?;
    Ok(expires.map(SystemTime::from))
}

fn run(plugin: &ExecConfig) -> Result<Status, String> {
    let mut command = Command::new(plugin.command.as_deref().ok_or("has no command")?);
    command.args(plugin.args.iter().flatten());
    let pairs = plugin.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, pair.get("value")?)));
    command.envs(pairs);
    let cluster = plugin.cluster.as_ref().filter(|_| plugin.provide_cluster_info);
    let mut asked = json!({"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": {"interactive": false}});
    if let Some(cluster) = cluster {
        asked["spec"]["cluster"] = serde_json::to_value(cluster).map_err(|cause| cause.to_string())?;
    }
    command.env("KUBERNETES_EXEC_INFO", asked.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|cause| format!("cannot be started: {cause}"))?;
    let ended = wait(&mut child);
    let output = child.stdout.take();
    ended?;
    // Not to its end, which a child of the plugin may hold open.
    let mut output = serde_json::Deserializer::from_reader(output.ok_or("has no output")?.take(ANSWER_BYTES_MAX));
    // Without text and cause: both may hold what is secret.
    let answer = Answer::deserialize(&mut output).map_err(|_| "prints no ExecCredential in JSON")?;
    answer.status.ok_or_else(|| "gives no credentials".to_owned())
}

/// Waits until it has ended well; one that takes too long is ended.
fn wait(child: &mut Child) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("has failed: {status}")),
            Ok(None) if Instant::now() < until => std::thread::sleep(POLL),
            Ok(None) => {
                // It may have ended in this moment.
                let _ended = child.kill();
                let _reaped = child.wait();
                return Err(format!("has not ended within {} s", LIMIT.as_secs()));
            }
            Err(cause) => return Err(format!("cannot be waited for: {cause}")),
        }
    }
}
