//! The promise of `--state-dir` for a folder: what it served goes on after a restart, whatever has become of its files
//! since, and nothing that was removed comes back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringress_config::model::ObjectKey;
use ringress_config::options::{FileCertificate, Options};
use ringress_sync::testkit::fixtures::{certificate_secret, ingress_tls};
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::{eventually, within};
use ringress_sync::{SourceSettings, SyncSettings};
use serde_json::{Value, json};
use tempfile::TempDir;

const STATE: &str = "last-known-good.jsonl";

/// A folder of manifests with a state, and what is on the disk beside them.
struct Site {
    around: TempDir,
    certificates: Vec<FileCertificate>,
    ticket_secret: Option<ObjectKey>,
}

impl Site {
    fn new(files: &[(&str, Value)]) -> Self {
        let around = TempDir::new().unwrap();
        fs::create_dir(around.path().join("m")).unwrap();
        let site = Self { around, certificates: Vec::new(), ticket_secret: None };
        files.iter().for_each(|(name, object)| site.write(name, object));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.around.path().join(name)
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.path("m").join(name)
    }

    fn write(&self, name: &str, object: &Value) {
        fs::write(self.manifest(name), object.to_string()).unwrap();
    }

    fn settings(&self) -> SyncSettings {
        let options = Options {
            assume_class: true,
            certificates: self.certificates.clone().into(),
            ticket_secret: self.ticket_secret.clone(),
            ..Options::default()
        };
        let source = SourceSettings::Dir(self.path("m"));
        let state_dir = Some(self.path("state"));
        SyncSettings { source, options, state_dir, webhook: None, resolver: Default::default() }
    }

    fn start(&self) -> Rig {
        Rig::start(self.settings()).unwrap().ready()
    }

    fn saved(&self) -> Option<String> {
        fs::read_to_string(self.path("state").join(STATE)).ok()
    }
}

fn ingress(name: &str, host: &str) -> Value {
    ringress_sync::testkit::fixtures::ingress("default", name, host)
}

/// A version that is refused.
fn refused(name: &str, host: &str) -> Value {
    let mut object = ingress(name, host);
    object["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/server-snippet": "return 200;"});
    object
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn says(rig: &Rig, text: &str) -> bool {
    rig.handle.status().rejected.iter().any(|finding| finding.to_string().contains(text))
}

/// What a name is presented, if it is no default.
fn presented(rig: &Rig, host: &str) -> Option<String> {
    let snapshot = rig.workers.serving(0)?;
    let certificate = snapshot.certificates.present(Some(host));
    certificate.secret.as_ref().map(|_| certificate.fingerprint.clone())
}

#[test]
fn a_file_that_does_not_parse_keeps_its_objects_over_a_restart_and_a_file_that_is_gone_does_not() {
    let site = Site::new(&[("a.json", ingress("a", "a.test")), ("b.json", ingress("b", "b.test"))]);
    drop(site.start());
    fs::write(site.manifest("a.json"), "{bro").unwrap();
    fs::remove_file(site.manifest("b.json")).unwrap();
    let rig = site.start();
    assert!(rig.serves("a.test") && !rig.serves("b.test"));
    assert_eq!(rig.generation(), 1, "it was never without");
    assert!(rig.reports("File a.json"));
    drop(rig);
    let rig = site.start();
    assert!(rig.serves("a.test"), "nor after the next restart");
    site.write("a.json", &ingress("a", "a2.test"));
    rig.sync();
    assert!(rig.serves("a2.test") && !rig.serves("a.test"));
    fs::write(site.manifest("a.json"), "{bro").unwrap();
    rig.sync();
    fs::remove_file(site.manifest("a.json")).unwrap();
    rig.sync();
    assert!(!rig.serves("a2.test"));
}

#[test]
fn what_a_file_says_wins_over_what_it_said() {
    let site = Site::new(&[("a.json", list(&[ingress("a", "a.test"), ingress("b", "b.test")]))]);
    drop(site.start());
    site.write("a.json", &list(&[ingress("a", "a2.test")]));
    let rig = site.start();
    assert!(rig.serves("a2.test") && !rig.serves("a.test") && !rig.serves("b.test"));
}

#[test]
fn an_object_of_wrong_types_keeps_its_last_good_form_over_a_restart() {
    let site = Site::new(&[("a.json", list(&[ingress("a", "a.test"), ingress("b", "b.test")]))]);
    drop(site.start());
    let mut wrong = ingress("a", "x.test");
    wrong["spec"]["rules"] = json!("none");
    site.write("a.json", &list(&[wrong.clone(), ingress("b", "b2.test")]));
    let rig = site.start();
    assert!(rig.serves("a.test") && rig.serves("b2.test") && !rig.serves("b.test"));
    assert!(rig.reports("Ingress default/a"));
    drop(rig);
    site.write("a.json", &list(&[ingress("b", "b2.test")]));
    assert!(!site.start().serves("a.test"), "a removed object is gone");
}

#[test]
fn the_accepted_version_of_a_refused_ingress_serves_on_after_a_restart() {
    let site = Site::new(&[("a.json", ingress("a", "a.test")), ("b.json", refused("b", "b.test"))]);
    let rig = site.start();
    site.write("a.json", &refused("a", "a2.test"));
    rig.sync();
    assert!(rig.serves("a.test") && says(&rig, "an accepted version of it goes on serving"));
    drop(rig);
    for _ in 0..2 {
        let rig = site.start();
        assert!(rig.serves("a.test") && !rig.serves("a2.test") && !rig.serves("b.test"));
        assert_eq!(rig.generation(), 1, "it was never without");
        let status = rig.handle.status();
        let of = |name: &str| {
            let found = status.rejected.iter().find(|finding| finding.object.to_string() == name);
            found.expect("it is reported").message.contains("goes on serving")
        };
        assert_eq!((of("Ingress default/a"), of("Ingress default/b")), (true, false));
    }
    fs::remove_file(site.manifest("a.json")).unwrap();
    assert!(!site.start().serves("a.test"), "it is gone");
    site.write("a2.json", &refused("a", "a2.test"));
    assert!(!site.start().serves("a.test"), "made anew, it inherits nothing");
}

/// A process that is killed leaves a state that is some seconds old.
#[test]
fn a_state_from_before_the_refused_version_and_the_broken_file_serves_as_well() {
    let site = Site::new(&[
        ("a.json", ingress("a", "a.test")),
        ("b.json", ingress("b", "b.test")),
        ("c.json", refused("c", "c.test")),
    ]);
    let rig = site.start();
    eventually("the state is written soon after the start", || site.saved().is_some());
    let saved = site.saved().unwrap();
    site.write("a.json", &refused("a", "a2.test"));
    fs::write(site.manifest("b.json"), "{bro").unwrap();
    // Not a version that was ever accepted.
    let mut other = refused("c", "c2.test");
    other["metadata"]["annotations"]["nginx.ingress.kubernetes.io/auth-type"] = json!("digestx");
    site.write("c.json", &other);
    rig.sync();
    drop(rig);
    fs::write(site.path("state").join(STATE), saved).unwrap();
    let rig = site.start();
    assert!(rig.serves("a.test") && rig.serves("b.test"));
    assert!(!rig.serves("c.test") && !rig.serves("c2.test"));
}

#[test]
fn a_version_that_was_refused_is_not_served_in_place_of_another_one_by_laxer_settings() {
    let risky = |host: &str, value: &str| {
        let mut object = ingress("a", host);
        object["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/auth-type": value});
        object
    };
    let site = Site::new(&[("a.json", refused("a", "a.test"))]);
    drop(site.start());
    let state = site.saved().unwrap();
    assert!(state.contains("\"accepted\":false"), "{state}");
    // As if this version had no fault any more.
    fs::write(site.path("state").join(STATE), state.replace("server-snippet", "x-unknown")).unwrap();
    site.write("a.json", &risky("a2.test", "digestx"));
    assert!(!site.start().serves("a.test"));
}

#[test]
fn what_was_gone_at_a_start_does_not_come_back_with_a_broken_file_of_its_name() {
    let site = Site::new(&[("a.json", ingress("a", "a.test"))]);
    drop(site.start());
    fs::remove_file(site.manifest("a.json")).unwrap();
    let rig = site.start();
    eventually("the state is written", || site.saved().is_some_and(|state| !state.contains("a.test")));
    drop(rig);
    fs::write(site.manifest("a.json"), "{bro").unwrap();
    assert!(!site.start().serves("a.test"));
}

#[test]
fn what_is_removed_leaves_the_state_without_a_rest_since_the_last_write() {
    let site = Site::new(&[("a.json", ingress("a", "a.test")), ("b.json", ingress("b", "b.test"))]);
    let rig = site.start();
    let has = |text: &str| site.saved().is_some_and(|state| state.contains(text));
    eventually("the state is written", || has("a.test"));
    site.write("b.json", &ingress("b", "b2.test"));
    rig.sync();
    fs::remove_file(site.manifest("a.json")).unwrap();
    rig.sync();
    within(Duration::from_secs(1), "the state is written again", || has("b2.test") && !has("a.test"));
}

#[test]
fn of_two_definitions_the_first_is_served_after_a_restart_too() {
    let site = Site::new(&[("a.json", ingress("same", "a.test")), ("b.json", ingress("same", "b.test"))]);
    drop(site.start());
    fs::write(site.manifest("b.json"), "{bro").unwrap();
    let rig = site.start();
    assert!(rig.serves("a.test") && !rig.serves("b.test") && says(&rig, "defined again in b.json"));
    fs::remove_file(site.manifest("a.json")).unwrap();
    rig.sync();
    assert!(rig.serves("b.test"), "the other takes over");
}

#[test]
fn the_state_of_another_folder_is_not_used() {
    let site = Site::new(&[("a.json", ingress("a", "a.test"))]);
    drop(site.start());
    fs::rename(site.path("m"), site.path("other")).unwrap();
    fs::write(site.path("other").join("a.json"), "{bro").unwrap();
    let source = SourceSettings::Dir(site.path("other"));
    let rig = Rig::start(SyncSettings { source, ..site.settings() }).unwrap().ready();
    assert!(!rig.serves("a.test"));
}

#[test]
fn a_state_folder_that_cannot_be_written_holds_nothing_up() {
    let site = Site::new(&[("a.json", ingress("a", "a.test"))]);
    fs::write(site.path("state"), "a file").unwrap();
    let rig = site.start();
    site.write("b.json", &ingress("b", "b.test"));
    rig.sync();
    assert!(rig.serves("a.test") && rig.serves("b.test"));
}

#[test]
fn the_state_is_for_its_owner_alone_and_without_the_keys_of_tickets() {
    let mut site = Site::new(&[("a.json", ingress("a", "a.test"))]);
    let secret = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"},
            "stringData": {"key-1": format!("the content of {name}")}})
    };
    site.write("s.json", &list(&[secret("tickets"), secret("others")]));
    site.ticket_secret = Some(ObjectKey::new("default", "tickets"));
    drop(site.start());
    let state = site.saved().unwrap();
    assert!(state.contains("others") && !state.contains("tickets"), "{state}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&site.path("state")), mode(&site.path("state").join(STATE))), (0o700, 0o600));
}

#[test]
fn certificates_on_disk_that_cannot_be_used_are_presented_as_they_were() {
    let mut site = Site::new(&[("a.json", ingress("a", "a.test"))]);
    for name in ["broken", "gone", "kept"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.test")]).unwrap();
        let [chain, key] = ["crt", "key"].map(|kind| site.path(&format!("{name}.{kind}")));
        fs::write(&chain, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        site.certificates.push(FileCertificate::new(chain, key, &[format!("{name}.test")]).unwrap());
    }
    let hosts = ["broken.test", "gone.test", "kept.test"];
    let rig = site.start();
    let before = hosts.map(|host| presented(&rig, host).expect(host));
    drop(rig);
    fs::write(site.path("broken.crt"), "rubbish").unwrap();
    fs::remove_file(site.path("gone.key")).unwrap();
    for _ in 0..2 {
        let rig = site.start();
        assert_eq!(hosts.map(|host| presented(&rig, host).expect(host)), before);
        assert!(says(&rig, "what was presented before it stays"));
    }
    // One that is named no more is not presented, and one that was never read is not said to be.
    site.certificates.remove(0);
    drop(site.start());
    assert!(!site.saved().unwrap().contains("broken.crt"));
    fs::remove_dir_all(site.path("state")).unwrap();
    let rig = site.start();
    assert!(presented(&rig, "gone.test").is_none() && says(&rig, "it is not presented"));
}

#[test]
fn a_secret_that_was_broken_is_presented_as_it_was_after_a_restart() {
    let secret = certificate_secret("default", "t", "kubernetes.io/tls", "a.test");
    let site = Site::new(&[("a.json", ingress_tls("default", "a", "a.test", "t")), ("t.json", secret.clone())]);
    let rig = site.start();
    let before = presented(&rig, "a.test").expect("its certificate");
    let mut broken = secret;
    broken["data"]["tls.crt"] = json!("cnViYmlzaA==");
    site.write("t.json", &broken);
    rig.sync();
    assert_eq!(presented(&rig, "a.test"), Some(before.clone()));
    drop(rig);
    for _ in 0..2 {
        let rig = site.start();
        assert_eq!(presented(&rig, "a.test"), Some(before.clone()));
        assert!(says(&rig, "the pair before it is presented"));
    }
    fs::remove_file(site.manifest("t.json")).unwrap();
    assert!(presented(&site.start(), "a.test").is_none(), "it is gone");
}
