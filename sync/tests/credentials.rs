//! The promises about what the API server knows this process by, and is known by: both are replaced while it runs, by
//! others, as files; nothing that is served suffers, and nobody has to restart anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ringress_sync::testkit::api_server::{ApiServer, Authority};
use ringress_sync::testkit::fixtures::{ingress, ingress_class, service};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::{eventually, within};
use ringress_sync::{KubeSettings, PodIdentity, SourceSettings, SyncSettings, WriteSettings};
use serde_json::json;
use tempfile::TempDir;

const TTL: Duration = Duration::from_secs(1);

fn fill(server: &ApiServer) {
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put(ingress("n", "a", "a.test"));
}

/// The files of an account as a Pod has them, and a kubeconfig that names them.
struct Account {
    folder: TempDir,
}

impl Account {
    fn new(server: &ApiServer, authority: Option<&Authority>, token: Option<&str>) -> Self {
        let account = Self { folder: TempDir::new().expect("a folder") };
        let (mut cluster, mut user) = (json!({"server": server.url()}), json!({}));
        if let Some(authority) = authority {
            account.trust(authority);
            cluster["certificate-authority"] = json!(account.file("ca.crt"));
        }
        if let Some(token) = token {
            account.set_token(token);
            user["tokenFile"] = json!(account.file("token"));
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        write(&account.file("config"), &config.to_string());
        account
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trust(&self, authority: &Authority) {
        write(&self.file("ca.crt"), authority.pem());
    }

    fn set_token(&self, token: &str) {
        write(&self.file("token"), token);
    }

    fn start(&self) -> Rig {
        let write = WriteSettings {
            pod: Some(PodIdentity { namespace: "ingress".to_owned(), name: "one".to_owned() }),
            lease: "leader".to_owned(),
            ttl: TTL,
            status: None,
            webhook: None,
            tickets: None,
        };
        let kubeconfig = Some(self.file("config"));
        let kube = KubeSettings { kubeconfig, write: Some(Box::new(write)), ..KubeSettings::default() };
        let source = SourceSettings::Kube(kube);
        Rig::start(SyncSettings {
            source,
            options: Default::default(),
            state_dir: None,
            webhook: None,
            resolver: Default::default(),
        })
        .expect("the settings are right")
        .ready()
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a folder of our own");
}

/// Reads and writes work.
fn is_healed(server: &ApiServer, rig: &Rig) {
    server.put(ingress("n", "b", "b.test"));
    eventually("a change is served", || rig.serves("b.test") && rig.handle.status().source_reachable);
    eventually("it leads", || rig.handle.status().leads == Some(true));
    assert!(rig.serves("a.test") && rig.handle.status().ready);
}

#[test]
fn an_expired_token_is_read_again_and_nothing_is_lost_meanwhile() {
    let server = ApiServer::start();
    fill(&server);
    server.require_token("first");
    let account = Account::new(&server, None, Some("first"));
    let rig = account.start();
    eventually("it leads", || rig.handle.status().leads == Some(true));
    server.require_token("second");
    server.cut();
    eventually("it is told", || rig.reports("Ingress *"));
    let told = rig.handle.status().rejected.iter().any(|finding| finding.message.contains("401"));
    assert!(told, "{:?}", rig.handle.status().rejected);
    eventually("the lead is lost", || rig.handle.status().leads == Some(false));
    assert!(rig.serves("a.test") && rig.handle.status().ready);
    account.set_token("second");
    is_healed(&server, &rig);
    eventually("nothing is left to tell", || !rig.reports("Ingress *"));
}

#[test]
fn another_authority_is_believed_once_it_is_in_the_file_and_not_before() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let mut server = ApiServer::start_secure(&old);
    fill(&server);
    let account = Account::new(&server, Some(&old), None);
    let rig = account.start();
    server.down();
    server.certify(&new);
    server.up();
    eventually("the outage is shown", || !rig.handle.status().source_reachable);
    assert!(rig.serves("a.test") && rig.handle.status().ready);
    account.trust(&new);
    is_healed(&server, &rig);
}

#[test]
fn another_certificate_of_the_same_authority_is_believed_at_once() {
    let authority = Authority::new("one");
    let mut server = ApiServer::start_secure(&authority);
    fill(&server);
    let rig = Account::new(&server, Some(&authority), None).start();
    server.down();
    server.certify(&authority);
    server.up();
    is_healed(&server, &rig);
}

#[test]
fn a_credential_plugin_that_hangs_is_given_up_and_run_again() {
    let server = ApiServer::start();
    fill(&server);
    server.require_token("first");
    let account = Account::new(&server, None, None);
    account.set_token("first");
    // Prints what is in the file, or hangs where there is none.
    let script = format!(
        "test -e {0} || {{ touch {0}-hangs; exec sleep 1000; }}; test -n \"$KUBERNETES_EXEC_INFO\" && printf '{{\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"%s\"}}}}' \"$(cat {0})\"",
        account.file("token").display()
    );
    let text = std::fs::read_to_string(account.file("config")).expect("it was written");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    config["users"][0]["user"] = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh", "args": ["-c", script], "interactiveMode": "Never"}});
    write(&account.file("config"), &config.to_string());
    let rig = account.start();
    std::fs::remove_file(account.file("token")).expect("it is there");
    server.require_token("second");
    server.cut();
    eventually("it is told", || rig.reports("Ingress *"));
    eventually("the plugin hangs", || account.file("token-hangs").exists());
    assert!(rig.serves("a.test") && rig.handle.status().ready);
    account.set_token("second");
    within(Duration::from_secs(25), "the plugin is run again", || rig.handle.status().source_reachable);
    is_healed(&server, &rig);
}
