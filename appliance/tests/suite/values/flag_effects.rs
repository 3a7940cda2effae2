//! What flags of ingress-nginx do, seen from outside.

use std::time::{Duration, Instant};

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::certificates::Certificate;
use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{self, Builder, Driver, Ringress, on_each_driver};

fn serving(driver: Driver, objects: Vec<Value>, flags: &[&str]) -> Ringress {
    let builder = Ringress::on(driver).workers(1).manifest("all.json", file(objects));
    flags.iter().fold(builder, |builder, &flag| builder.flag(flag)).start()
}

#[test]
fn flags_of_what_is_served_act() {
    on_each_driver(|driver| {
        let origins = [Origin::named("main"), Origin::named("other")];
        let certificate = Certificate::for_names(&["any.test"]);
        let mut all = [service("main", &[origins[0].address]), service("other", &[origins[1].address])].concat();
        let web = |name: &str| ingress(name).prefix(&format!("{name}.test"), "/", "main");
        let mut elsewhere = web("elsewhere").build();
        elsewhere["metadata"]["namespace"] = "elsewhere".into();
        let outside = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "outside"},
            "spec": {"type": "ExternalName", "externalName": "outside.test", "ports": [{"port": 80}]}});
        all.extend([
            web("mine").annotation("my.test/permanent-redirect", "https://w.test/").build(),
            web("theirs").annotation("permanent-redirect", "https://w.test/").build(),
            ingress("odd").path("odd.test", "ImplementationSpecific", "/etc/passwd", "main").build(),
            web("all").default_backend("other").build(),
            ingress("out").prefix("out.test", "/", "outside").build(),
            web("more").annotation("permanent-redirect", "https://w.test$request_uri").build(),
            certificate.secret("cert"),
            outside,
            elsewhere,
        ]);
        let status = |ringress: &Ringress, host: &str, target: &str| ringress.get(host, target).status;
        let presents = |ringress: &Ringress| {
            let connection = Connection::tls(ringress.https, Some("unknown.test")).expect("a handshake");
            connection.peer_certificate() == certificate.der
        };
        let plain = serving(driver, all.clone(), &[]);
        let named = |ringress: &Ringress| ringress.status()["rejected"].to_string();
        assert_eq!([status(&plain, "mine.test", "/"), status(&plain, "theirs.test", "/")], [200, 301]);
        assert_eq!([status(&plain, "odd.test", "/etc/passwd"), status(&plain, "all.test", "/")], [404, 200]);
        assert_eq!(status(&plain, "more.test", "/"), 404);
        let lax = serving(driver, all.clone(), &["--enable-annotation-validation=false"]);
        let told = lax.get("more.test", "/x?y=1");
        assert_eq!((told.status, told.header("location")), (301, Some("https://w.test/x?y=1")));
        assert!(!presents(&plain) && !named(&plain).contains("disable-svc-external-name"));
        let flags = [
            "--annotations-prefix=my.test",
            "--deep-inspect=false",
            "--disable-catch-all",
            "--disable-svc-external-name",
            "--default-backend-service=default/other",
            "--default-ssl-certificate=default/cert",
            "--watch-namespace=default",
        ];
        let told = serving(driver, all, &flags);
        assert_eq!([status(&told, "mine.test", "/"), status(&told, "theirs.test", "/")], [301, 200]);
        assert_eq!(status(&told, "odd.test", "/etc/passwd"), 200);
        assert_eq!(told.get("all.test", "/").text(), "other", "the whole Ingress with a default backend is ignored");
        assert_eq!(told.get("elsewhere.test", "/").text(), "other", "another namespace");
        assert_eq!(status(&told, "out.test", "/"), 503);
        assert!(presents(&told) && named(&told).contains("ExternalName"), "{}", named(&told));
    });
}

#[test]
fn flags_of_classes_act() {
    on_each_driver(|driver| {
        let origin = Origin::named("main");
        let class = |name: &str, controller: &str| {
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
                "spec": {"controller": controller}})
        };
        let mut all = service("main", &[origin.address]);
        all.extend([
            class("nginx", "k8s.io/ingress-nginx"),
            class("own", "example.test/own"),
            class("named", "x.test/y"),
        ]);
        let of_class = |name: &str, class: Option<&str>, annotation: Option<&str>| {
            let built = ingress(name).prefix(&format!("{name}.test"), "/", "main");
            let built = annotation.map_or_else(
                || ingress(name).prefix(&format!("{name}.test"), "/", "main"),
                |value| built.annotation("kubernetes.io/ingress.class", value),
            );
            let mut built = built.build();
            built["spec"]["ingressClassName"] = class.map_or(Value::Null, Value::from);
            built
        };
        all.extend([
            of_class("a", Some("nginx"), None),
            of_class("b", Some("own"), None),
            of_class("c", Some("named"), None),
            of_class("d", None, Some("nginx")),
            of_class("e", None, Some("named")),
            of_class("f", Some("nginx"), Some("named")),
        ]);
        let served = |flags: &[&str]| {
            let ringress = serving(driver, all.clone(), flags);
            ["a", "b", "c", "d", "e", "f"].map(|name| ringress.get(&format!("{name}.test"), "/").status == 200)
        };
        assert_eq!(served(&[]), [true, false, false, true, false, true]);
        assert_eq!(served(&["--controller-class=example.test/own"]), [false, true, false, true, false, false]);
        assert_eq!(served(&["--ingress-class=named"]), [true, false, false, false, true, true]);
        let by_name = ["--ingress-class=named", "--ingress-class-by-name"];
        assert_eq!(served(&by_name), [true, false, true, false, true, true]);
    });
}

#[test]
fn flags_of_metrics_act() {
    on_each_driver(|driver| {
        let origin = Origin::named("main");
        let mut all = service("main", &[origin.address]);
        all.push(ingress("a").prefix("a.test", "/", "main").build());
        const REQUESTS: &str = "nginx_ingress_controller_requests{";
        let counted =
            |page: &str| page.lines().filter(|line| line.starts_with(REQUESTS)).map(str::to_owned).collect::<Vec<_>>();
        // A request is counted behind its answer.
        let settled = |ringress: &Ringress, lines: usize| {
            let mut page = String::new();
            eventually("what was answered is counted", || {
                page = ringress.metrics();
                counted(&page).len() >= lines
            });
            page
        };
        let page = |flags: &[&str], lines: usize| {
            let ringress = serving(driver, all.clone(), flags);
            assert_eq!((ringress.get("a.test", "/").status, ringress.get("b.test", "/").status), (200, 404));
            settled(&ringress, lines)
        };
        let plain = page(&[], 1);
        let [line] = &counted(&plain)[..] else { panic!("{plain}") };
        assert!(line.contains("host=\"a.test\"") && line.contains("status=\"200\""), "{line}");
        assert!(counted(&page(&["--enable-metrics=false"], 0)).is_empty());
        let flags = [
            "--metrics-per-host=false",
            "--report-status-classes",
            "--exclude-socket-metrics=nginx_ingress_controller_connect_duration_seconds",
            "--time-buckets=0.25,7.5",
            "--length-buckets=77",
            "--size-buckets=88",
        ];
        let told = page(&flags, 1);
        let [line] = &counted(&told)[..] else { panic!("{told}") };
        assert!(!line.contains("a.test") && line.contains("status=\"2xx\""), "{line}");
        let catch_all = "--default-backend-service=default/main";
        let undefined = |flags: &[&str], lines: usize| {
            let ringress = serving(driver, all.clone(), flags);
            assert_eq!((ringress.get("a.test", "/").status, ringress.get("b.test", "/").status), (200, 200));
            counted(&settled(&ringress, lines))
        };
        assert_eq!(undefined(&[catch_all], 1).len(), 1);
        let undefined = undefined(&[catch_all, "--metrics-per-undefined-host"], 2);
        assert!(undefined.len() == 2 && undefined.iter().any(|line| line.contains("host=\"_\"")), "{undefined:?}");
        assert!(
            plain.contains("_connect_duration_seconds_count{") && !told.contains("_connect_duration_seconds_count{")
        );
        for bound in ["le=\"7.5\"", "le=\"77\"", "le=\"88\""] {
            assert!(told.contains(bound) && !plain.contains(bound), "{bound}");
        }
        let alive = |flags: &[&str]| {
            let ringress = serving(driver, all.clone(), flags);
            client::once(ringress.health, "GET", "localhost", "/alive").status
        };
        assert_eq!((alive(&[]), alive(&["--health-check-path=/alive"])), (404, 200));
    });
    let (code, output, _) = process::run(["run", "--version"]);
    assert!(code == Some(0) && output.contains(env!("CARGO_PKG_VERSION")), "{code:?} {output}");
}

#[test]
fn the_process_ends_when_the_flags_say() {
    on_each_driver(|driver| {
        let origin = Origin::named("main");
        let mut all = service("main", &[origin.address]);
        all.push(ingress("a").prefix("a.test", "/", "main").build());
        let mut ringress = serving(driver, all, &["--shutdown-grace-period=2", "--post-shutdown-grace-period=1"]);
        let start = Instant::now();
        ringress.signal(Signal::TERM);
        eventually("it says that it is going", || {
            client::try_once(ringress.health, "GET", "localhost", "/readyz").is_ok_and(|answer| answer.status != 200)
        });
        assert_eq!(ringress.get("a.test", "/").status, 200, "served meanwhile");
        assert!(start.elapsed() < Duration::from_secs(2), "too slow a machine to tell");
        eventually("the process ends", || ringress.ended().is_some());
        assert!(start.elapsed() >= Duration::from_secs(3), "after {:?}", start.elapsed());
    });
}

/// The addresses that an Ingress shows.
fn addresses(server: &ApiServer) -> String {
    let object = server.get("Ingress", "n", "web").expect("it is there");
    let entries = object["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["ip"].as_str().unwrap_or_default()).collect::<Vec<_>>().join(",")
}

#[test]
fn a_leader_writes_what_the_flags_say() {
    on_each_driver(|driver| {
        let server = ApiServer::start();
        server.put(fixtures::ingress_class());
        server.put(fixtures::service("n", "web"));
        server.put(fixtures::ingress("n", "web", "a.test"));
        let mut front = fixtures::service("n", "front");
        front["spec"]["type"] = "LoadBalancer".into();
        front["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}]}});
        server.put(front);
        server.put(
            json!({"kind": "Pod", "metadata": {"namespace": "ingress", "name": "p", "labels": {"app": "ringress"}},
            "spec": {"nodeName": "n"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
        );
        server.put(json!({"kind": "Node", "metadata": {"name": "n"}, "status": {"addresses": [
            {"type": "ExternalIP", "address": "192.0.2.3"}, {"type": "InternalIP", "address": "10.0.0.3"}]}}));
        let replica = || -> Builder {
            let builder = Ringress::on(driver).workers(1).kube(&server.url()).env("POD_NAMESPACE", "ingress");
            builder.env("POD_NAME", "p").flag("--election-id=mine").flag("--post-shutdown-grace-period=0")
        };
        let quiet = replica().flag("--update-status=false").flag("--publish-status-address=192.0.2.9").start();
        eventually("the Lease has the name", || server.get("Lease", "ingress", "mine").is_some());
        assert_eq!(addresses(&server), "");
        drop(quiet);
        let fixed = replica().flag("--publish-status-address=192.0.2.1").flag("--publish-service=n/front");
        let fixed = fixed.flag("--update-status-on-shutdown=false").start();
        eventually("the fixed address is shown", || addresses(&server) == "192.0.2.1");
        drop(fixed);
        assert_eq!(addresses(&server), "192.0.2.1");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: '{}'}}}}]\nusers: [{{name: u, user: {{}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n",
            server.url()
        );
        std::fs::write(&path, text).expect("a configuration");
        let away = replica().kube("").flag(format!("--kubeconfig={}", path.display()));
        let mut last = away.flag("--publish-service=n/front").start();
        eventually("the Service's address is shown", || addresses(&server) == "192.0.2.2");
        last.signal(Signal::TERM);
        eventually("the last replica clears the status", || addresses(&server).is_empty());
        eventually("it ends", || last.ended().is_some());
        let outside = replica().start();
        eventually("the address of the Node is shown", || addresses(&server) == "192.0.2.3");
        drop(outside);
        let mut inside = replica().flag("--report-node-internal-ip-address").start();
        eventually("its inner address is shown", || addresses(&server) == "10.0.0.3");
        inside.signal(Signal::TERM);
        eventually("it ends", || inside.ended().is_some());
        assert_eq!(addresses(&server), "");
        let none = replica().flag("--disable-leader-election").flag("--publish-status-address=192.0.2.7").start();
        assert_eq!((none.get("a.test", "/").status, addresses(&server)), (503, String::new()));
    });
}
