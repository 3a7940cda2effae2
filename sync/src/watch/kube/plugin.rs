//! Credential plugins: programs that a kubeconfig names (`users[].user.exec`) and that print a token or a certificate.
//!
//! Run here and not by kube's client, which waits for one without end: a plugin that hangs would be waited for by every
//! request, and started once more by the next.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, ExecConfig};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal};
use serde::Deserialize;
use serde_json::json;

/// The longest that a plugin may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// The longest answer: what a pipe holds, as nothing is read before the end.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

const NOTHING_GIVEN: &str = "gives no credentials";

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
    let fault = |why: String| format!("the credential plugin `{name}` {why}");
    let status = run(&plugin, LIMIT).map_err(fault)?;
    let fields = match (&status.client_certificate_data, &status.client_key_data, &status.token) {
        (Some(certificate), Some(key), _) => json!({
            "client-certificate-data": STANDARD.encode(certificate),
            "client-key-data": STANDARD.encode(key),
        }),
        (_, _, Some(token)) => json!({"token": token}),
        // Requests would be those of nobody.
        _ => return Err(fault(NOTHING_GIVEN.to_owned())),
    };
    let given: AuthInfo = serde_json::from_value(fields).map_err(|cause| cause.to_string())?;
    account.token = given.token;
    if given.client_certificate_data.is_some() {
        account.client_certificate_data = given.client_certificate_data;
        account.client_key_data = given.client_key_data;
    }
    let expires = status.expiration_timestamp.map(|text| text.parse::<jiff::Timestamp>()).transpose();
    let expires = expires.map_err(|cause| fault(format!("names no time of expiry: {cause}")))?;
    Ok(expires.map(SystemTime::from))
}

fn run(plugin: &ExecConfig, limit: Duration) -> Result<Status, String> {
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
    // A group of its own, so that it is ended with all that it has started.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|cause| format!("cannot be started: {cause}"))?;
    let ended = wait(&mut child, limit);
    let output = child.stdout.take();
    ended?;
    read(output.ok_or("has no output")?)
}

/// Reads what a plugin has printed that has ended. Nothing is waited for: what it started may hold the pipe open.
fn read(output: ChildStdout) -> Result<Status, String> {
    rustix::fs::fcntl_setfl(&output, OFlags::NONBLOCK).map_err(|cause| format!("cannot be read from: {cause}"))?;
    let mut output = serde_json::Deserializer::from_reader(output.take(ANSWER_BYTES_MAX));
    // Without text and cause: both may hold what is secret.
    let answer = Answer::deserialize(&mut output).map_err(|_| "prints no ExecCredential in JSON")?;
    answer.status.ok_or_else(|| NOTHING_GIVEN.to_owned())
}

/// Waits until it has ended well; one that takes too long is ended.
fn wait(child: &mut Child, limit: Duration) -> Result<(), String> {
    let until = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("has failed: {status}")),
            Ok(None) if Instant::now() < until => std::thread::sleep(POLL),
            Ok(None) => {
                // It may have ended in this moment.
                let _ended = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
                let _reaped = child.wait();
                return Err(format!("has not ended within {} s", limit.as_secs()));
            }
            Err(cause) => return Err(format!("cannot be waited for: {cause}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(script: &str) -> ExecConfig {
        serde_json::from_value(json!({"command": "sh", "args": ["-c", script]})).expect("a plugin")
    }

    fn account(answer: &str) -> AuthInfo {
        let exec = json!({"command": "printf", "args": ["%s", answer]});
        serde_json::from_value(json!({"exec": exec})).expect("an account")
    }

    #[test]
    fn an_answer_is_read_though_something_that_the_plugin_started_holds_the_pipe_open() {
        let begun = Instant::now();
        let status = run(&plugin(r#"sleep 20 & printf '{"status":{"token":"t"}}'"#), LIMIT).expect("a token");
        assert_eq!(status.token.as_deref(), Some("t"));
        let refused = run(&plugin(r#"sleep 20 & printf '{"status":'"#), LIMIT).err();
        assert_eq!(refused.as_deref(), Some("prints no ExecCredential in JSON"));
        assert!(begun.elapsed() < LIMIT, "nobody waits for it");
    }

    #[test]
    fn one_that_hangs_is_ended_with_what_it_has_started() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let id = folder.path().join("id");
        let script = format!("sleep 1000 & echo $! >{}; wait", id.display());
        let refused = run(&plugin(&script), Duration::from_millis(500)).err().expect("it hangs");
        assert!(refused.contains("has not ended"), "{refused}");
        let id = std::fs::read_to_string(id).expect("it has started another");
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
        // Whoever adopts it may take its time to reap it.
        let is_over = || state().is_empty() || state().contains(") Z ");
        let until = Instant::now() + LIMIT;
        while !is_over() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        assert!(is_over(), "{}", state());
    }

    #[test]
    fn one_that_gives_nothing_is_refused_and_no_request_is_made_by_nobody() {
        for answer in [r#"{"status":{}}"#, r#"{"status":{"clientCertificateData":"no key"}}"#, "{}"] {
            let refused = resolve(&mut account(answer)).expect_err("nothing is given");
            assert_eq!(refused, "the credential plugin `printf` gives no credentials", "{answer}");
        }
        let mut given = account(r#"{"status":{"token":"t","expirationTimestamp":"1970-01-01T00:01:00Z"}}"#);
        let expires = resolve(&mut given).expect("a token");
        assert_eq!(expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60)));
        assert!(given.token.is_some() && given.exec.is_none());
    }
}
