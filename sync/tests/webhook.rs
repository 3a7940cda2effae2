//! The promises of the validating webhook, asked over TLS as the API server asks.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringress_config::options::Options;
use ringress_sync::testkit::api_server::{ApiServer, Asked, Fault, Rule, Verb};
use ringress_sync::testkit::fixtures::{certificate_secret, ingress, ingress_class, ingress_tls, service};
use ringress_sync::testkit::rig::{Rig, own_address};
use ringress_sync::testkit::workers::eventually;
use ringress_sync::{SourceSettings, SyncError, SyncSettings, WebhookCertificate, WebhookSettings, WebhookSocket};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A certificate on disk, and who trusts it.
struct Asker {
    folder: TempDir,
    settings: WebhookSettings,
    tls: Arc<ClientConfig>,
}

impl Asker {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let made = rcgen::generate_simple_self_signed(["webhook.test".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(tls.with_root_certificates(roots).with_no_client_auth());
        let address = own_address();
        Self {
            folder,
            settings: WebhookSettings {
                address,
                socket: WebhookSocket::Own,
                certificate: WebhookCertificate::Files { chain: certificate, key },
            },
            tls,
        }
    }

    fn settings(&self, settings: SyncSettings) -> SyncSettings {
        SyncSettings { webhook: Some(self.settings.clone()), ..settings }
    }

    fn address(&self) -> SocketAddr {
        self.settings.address
    }

    /// Status and body of the answer to a request.
    fn post(&self, body: &str) -> (u16, String) {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let name = ServerName::try_from("webhook.test").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(&self.tls), name).unwrap(), socket);
        let head = "POST /networking/v1/ingresses HTTP/1.1\r\nHost: webhook.test\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = Vec::new();
        // The end may come without a TLS farewell.
        let _end = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// Whether an Ingress is allowed, and the whole response.
    fn ask(&self, object: &Value) -> (bool, Value) {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "1", "operation": "CREATE", "dryRun": true, "namespace": object["metadata"]["namespace"],
            "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"}, "object": object}});
        let (status, body) = self.post(&review.to_string());
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["response"]["uid"], "1");
        (answer["response"]["allowed"] == true, answer["response"].clone())
    }
}

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.put(ingress_class());
    for namespace in ["n", "other"] {
        server.put(service(namespace, "web"));
    }
    server.put(ingress("n", "first", "a.test"));
    server
}

#[test]
fn what_is_served_decides_and_asking_changes_nothing() {
    let (server, asker) = (server(), Asker::new());
    let rig = Rig::start(asker.settings(Rig::server_settings(&server))).unwrap().ready();
    let (allowed, response) = asker.ask(&ingress("other", "second", "a.test"));
    let message = response["status"]["message"].as_str().unwrap();
    assert!(!allowed && message.contains("a.test") && message.contains("path /"), "{message}");
    assert!(message.contains("Ingress n/first"), "{message}");
    assert!(asker.ask(&ingress("other", "second", "b.test")).0);
    let mut warned = ingress("other", "second", "b.test");
    warned["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/no-such-thing": "x"});
    let (allowed, response) = asker.ask(&warned);
    assert!(allowed && response["warnings"].as_array().is_some_and(|warnings| warnings.len() == 1), "{response}");
    let asked = rig.handle.status().reviews;
    assert_eq!((asked.accepted, asked.refused, asked.took.is_zero()), (2, 1, false));
    assert!(!rig.serves("b.test"));
    assert_eq!((rig.sync(), server.requests(Verb::Write, "ingresses")), (1, 0));
    // What has changed since counts at once.
    server.delete("Ingress", "n", "first");
    eventually("the path is free", || asker.ask(&ingress("other", "second", "a.test")).0);
}

/// An Ingress with password authentication by a Secret that nobody else names.
fn guarded() -> Value {
    let mut guarded = ingress("n", "guarded", "b.test");
    guarded["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/auth-type": "basic",
        "nginx.ingress.kubernetes.io/auth-secret": "users"});
    guarded
}

fn users(data: &Value) -> Value {
    json!({"kind": "Secret", "type": "Opaque", "metadata": {"namespace": "n", "name": "users"}, "data": data})
}

/// The warnings of an answer that allows, one after the other.
fn warnings(asker: &Asker, object: &Value) -> String {
    let (allowed, response) = asker.ask(object);
    assert!(allowed, "{response}");
    response["warnings"].to_string()
}

#[test]
fn a_secret_that_is_named_for_the_first_time_is_read_before_the_answer() {
    let (server, asker) = (server(), Asker::new());
    let rig = Rig::start(asker.settings(Rig::server_settings(&server))).unwrap().ready();
    assert!(warnings(&asker, &guarded()).contains("Secret n/users does not exist"));
    server.put(users(&json!({"other": "eA=="})));
    let broken = warnings(&asker, &guarded());
    assert!(broken.contains("auth") && !broken.contains("does not exist"), "{broken}");
    // user:{SHA}…
    server.put(users(&json!({"auth": "dXNlcjp7U0hBfTBEUGlLdU5JcnJWbUQ4SVVDdXcxaFF4TnFaYz0K"})));
    assert_eq!(warnings(&asker, &guarded()), "null");
    let mut headed = ingress("n", "headed", "c.test");
    headed["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/custom-headers": "headers"});
    assert!(warnings(&asker, &headed).contains("ConfigMap n/headers does not exist"));
    server.put(json!({"kind": "ConfigMap", "metadata": {"namespace": "n", "name": "headers"}, "data": {}}));
    assert_eq!(warnings(&asker, &headed), "null");
    let of_one = |resource: &str, name: &str| {
        let is_it = |asked: &Asked| (&*asked.resource, asked.name.as_deref()) == (resource, Some(name));
        server.asked().into_keys().filter(is_it).map(|asked| asked.verb).collect::<Vec<_>>()
    };
    assert_eq!((of_one("secrets", "users"), of_one("configmaps", "headers")), (vec!["list"], vec!["list"]));
    // Of another namespace it is not even asked for.
    let mut foreign = guarded();
    foreign["metadata"]["annotations"]["nginx.ingress.kubernetes.io/auth-secret"] = json!("other/users");
    let before = server.requests(Verb::List, "secrets");
    assert!(warnings(&asker, &foreign).contains("another namespace"));
    assert_eq!(server.requests(Verb::List, "secrets"), before);
    assert_eq!(rig.sync(), 1, "nothing that was read is kept");
}

#[test]
fn what_would_be_found_later_is_a_warning_now() {
    let (server, asker) = (server(), Asker::new());
    let rig = Rig::start(asker.settings(Rig::server_settings(&server))).unwrap().ready();
    let with = |annotations: &Value| {
        let mut object = ingress("n", "second", "b.test");
        object["metadata"]["annotations"] = annotations.clone();
        object
    };
    let alias = with(&json!({"nginx.ingress.kubernetes.io/server-alias": "a.test"}));
    let canary =
        with(&json!({"nginx.ingress.kubernetes.io/canary": "true", "nginx.ingress.kubernetes.io/canary-weight": "10"}));
    let backend = |what: &str, value: &Value| {
        let mut object = ingress("n", "second", "b.test");
        let service = &mut object["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
        *service.pointer_mut(what).unwrap() = value.clone();
        object
    };
    let cases = [
        (alias, "a.test is a host of its own and stays that"),
        (canary, "the canary has no effect, because no Ingress that is no canary has it"),
        (backend("/name", &json!("gone")), "Service n/gone does not exist"),
        (backend("/port/number", &json!(81)), "Service n/web has no port 81"),
        (ingress_tls("n", "second", "b.test", "cert"), "Secret n/cert does not exist"),
    ];
    for (object, message) in &cases {
        let warned = warnings(&asker, object);
        assert!(warned.contains(message), "{message}: {warned}");
    }
    // They may come after it: a certificate that nobody else names is read for the answer.
    server.put(service("n", "gone"));
    server.put(certificate_secret("n", "cert", "kubernetes.io/tls", "b.test"));
    eventually("the Service is known", || warnings(&asker, &cases[2].0) == "null");
    assert_eq!(warnings(&asker, &cases[4].0), "null");
    assert!(!rig.serves("b.test"));
}

#[test]
fn a_secret_that_cannot_be_read_in_time_is_warned_of() {
    let (mut server, asker) = (server(), Asker::new());
    let _rig = Rig::start(asker.settings(Rig::server_settings(&server))).unwrap().ready();
    server.put(users(&json!({"auth": "dXNlcjp7U0hBfTBEUGlLdU5JcnJWbUQ4SVVDdXcxaFF4TnFaYz0K"})));
    server.fault(Rule::on(Verb::List, Fault::Hang).of("secrets"));
    let (began, before) = (Instant::now(), server.requests(Verb::List, "secrets"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| warnings(&asker, &guarded()));
        eventually("it is being read", || server.requests(Verb::List, "secrets") > before);
        // Whoever names nothing new does not wait for it.
        assert!(asker.ask(&ingress("n", "second", "c.test")).0);
        assert!(!waiting.is_finished());
        assert!(waiting.join().expect("an answer").contains("does not exist"));
    });
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    server.down();
    assert!(warnings(&asker, &guarded()).contains("does not exist"));
}

#[test]
fn before_the_cluster_has_been_read_the_failure_policy_decides() {
    let (mut server, asker) = (server(), Asker::new());
    server.down();
    let _rig = Rig::start(asker.settings(Rig::server_settings(&server))).unwrap();
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "namespace": "n",
        "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"},
        "object": ingress("n", "a", "a.test")}});
    assert_eq!(asker.post(&review.to_string()).0, 503);
    assert_eq!(asker.post("nonsense").0, 400);
    server.up();
    eventually("it answers", || asker.post(&review.to_string()).0 == 200);
}

#[test]
fn a_successor_takes_no_call_before_it_can_answer() {
    let asker = Asker::new();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.json"), ingress("n", "first", "a.test").to_string()).unwrap();
    let source = SourceSettings::Dir(folder.path().to_owned());
    let options = Options { assume_class: true, ..Options::default() };
    let old = Rig::start(asker.settings(SyncSettings {
        source,
        options,
        state_dir: None,
        webhook: None,
        resolver: Default::default(),
    }));
    let old = old.unwrap().ready();
    let mut server = ApiServer::start();
    server.put(ingress_class());
    server.put(ingress("n", "first", "a.test"));
    server.down();
    let mut settings = asker.settings(Rig::server_settings(&server));
    settings.webhook.as_mut().unwrap().socket = WebhookSocket::Beside;
    let successor = Rig::start(settings).unwrap();
    let refused = || !asker.ask(&ingress("n", "second", "a.test")).0;
    assert!((0..20).all(|_| refused()));
    server.up();
    let successor = successor.ready();
    assert!((0..20).all(|_| refused()));
    drop(old);
    assert!((0..8).all(|_| refused()));
    drop(successor);
}

#[test]
fn a_successor_takes_the_socket_over_and_answers_what_waited_meanwhile() {
    let (server, asker) = (server(), Asker::new());
    let old = Rig::start(asker.settings(Rig::server_settings(&server))).unwrap().ready();
    let listener = old.handle.webhook_socket().unwrap().expect("it listens");
    let mut away = ApiServer::start();
    away.put(ingress_class());
    away.put(ingress("n", "first", "a.test"));
    away.down();
    let mut settings = asker.settings(Rig::server_settings(&away));
    settings.webhook.as_mut().unwrap().socket = WebhookSocket::Inherited(Arc::new(listener));
    let successor = Rig::start(settings).unwrap();
    assert!((0..20).all(|_| !asker.ask(&ingress("n", "second", "a.test")).0), "the one before answers");
    drop(old);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| asker.ask(&ingress("n", "second", "a.test")).0);
        away.up();
        let _successor = successor.ready();
        assert!(!waiting.join().expect("an answer"));
    });
}

#[test]
fn a_folder_is_reviewed_for_too_and_bad_settings_are_told_at_the_start() {
    let asker = Asker::new();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.json"), ingress("n", "first", "a.test").to_string()).unwrap();
    let source = SourceSettings::Dir(folder.path().to_owned());
    let options = Options { assume_class: true, ..Options::default() };
    let settings =
        asker.settings(SyncSettings { source, options, state_dir: None, webhook: None, resolver: Default::default() });
    let rig = Rig::start(settings.clone()).unwrap().ready();
    assert!(!asker.ask(&ingress("n", "second", "a.test")).0);
    let Err(SyncError::Webhook { address, .. }) = Rig::start(settings.clone()) else { panic!("the address is taken") };
    assert_eq!(address, asker.address());
    // A process that replaces the other listens beside it until that one is gone.
    let mut taking_over = settings.clone();
    taking_over.webhook.as_mut().unwrap().socket = WebhookSocket::Beside;
    let successor = Rig::start(taking_over).unwrap().ready();
    (0..20).for_each(|_| assert!(!asker.ask(&ingress("n", "second", "a.test")).0));
    drop(rig);
    (0..8).for_each(|_| assert!(!asker.ask(&ingress("n", "second", "a.test")).0));
    drop(successor);
    std::fs::write(asker.folder.path().join("tls.key"), "no key").unwrap();
    assert!(matches!(Rig::start(settings), Err(SyncError::Webhook { .. })));
}
