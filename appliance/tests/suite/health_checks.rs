//! Active health checks: an endpoint that fails them gets no requests, whatever its port and its readiness say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::{self, Connection};
use crate::support::eventually;
use crate::support::frame_origin::FrameOrigin;
use crate::support::frames::{DATA, END_STREAM, frame, headers};
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin, refusing_address};
use crate::support::process::{Driver, Ringress, on_each_driver};

/// Answers 200 to requests, and to `/healthz` as it is told; neither when it is to hang there.
struct Patient {
    origin: Origin,
    ill: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
}

impl Patient {
    fn new(name: &'static str, hangs: bool) -> Self {
        let (ill, checks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (flag, counter) = (Arc::clone(&ill), Arc::clone(&checks));
        let origin = Origin::with(move |request, peer| {
            if request.target != "/healthz" {
                peer.answer(200, &[], name.as_bytes())?;
                return Ok(Next::Keep);
            }
            counter.fetch_add(1, Ordering::SeqCst);
            if !flag.load(Ordering::SeqCst) {
                peer.answer(200, &[], b"")?;
            } else if hangs {
                let _until_the_proxy_gives_up = peer.receive(&mut [0; 16]);
            } else {
                peer.answer(503, &[], b"")?;
            }
            Ok(Next::Close)
        });
        Self { origin, ill, checks }
    }

    fn set_ill(&self, ill: bool) {
        self.ill.store(ill, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        self.origin.address
    }
}

/// Quick checks of this kind, and more annotations.
fn manifest(endpoints: &[SocketAddr], kind: &str, own: &[(&str, &str)]) -> String {
    let mut objects = service("web", endpoints);
    let mut rule = ingress("a").prefix("a.test", "/", "web").build();
    let quick = [("", kind), ("-interval", "1"), ("-timeout", "5"), ("-healthy-threshold", "1")];
    let quick = quick.into_iter().chain([("-unhealthy-threshold", "1")]);
    for (name, value) in quick {
        rule["metadata"]["annotations"][format!("ringress.io/health-check{name}")] = json!(value);
    }
    for (name, value) in own {
        rule["metadata"]["annotations"][*name] = json!(value);
    }
    objects.push(rule);
    file(objects)
}

const HEALTHZ: (&str, &str) = ("ringress.io/health-check-path", "/healthz");

fn serving(driver: Driver, endpoints: &[SocketAddr], kind: &str, own: &[(&str, &str)]) -> Ringress {
    Ringress::on(driver).workers(2).manifest("all.json", manifest(endpoints, kind, own)).start()
}

/// The endpoints that the API calls failing.
fn failing(ringress: &Ringress) -> Vec<String> {
    let clusters = ringress.api("/api/clusters");
    let list = clusters["clusters"][0]["failing"].as_array().expect("a list").clone();
    list.iter().map(|address| address.as_str().expect("an address").to_owned()).collect()
}

fn fails(ringress: &Ringress, addresses: &[SocketAddr]) {
    let mut expected: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    let found = || {
        let mut found = failing(ringress);
        found.sort_unstable();
        found
    };
    eventually(&format!("{expected:?} fail"), || found() == expected);
}

/// On connections of their own, so that both workers are asked; all are answered.
fn served(ringress: &Ringress, count: usize) -> Vec<String> {
    let ask = || {
        let mut client = Connection::plain(ringress.http).expect("connect");
        let answer = client.get("a.test", "/").expect("an answer");
        assert_eq!(answer.status, 200);
        answer.text()
    };
    (0..count).map(|_| ask()).collect()
}

#[test]
fn an_endpoint_that_fails_its_check_gets_no_request_until_it_passes_again() {
    on_each_driver(|driver| {
        let (good, other) = (Patient::new("good", false), Patient::new("other", false));
        let ringress = serving(driver, &[good.address(), other.address()], "http", &[HEALTHZ]);
        eventually("both serve", || served(&ringress, 10).contains(&"other".to_owned()));
        other.set_ill(true);
        fails(&ringress, &[other.address()]);
        assert!(served(&ringress, 40).iter().all(|name| name == "good"));
        let text = ringress.metrics();
        for line in [
            r#"ringress_checked_endpoints{cluster="default-web-80",state="healthy"} 1"#,
            r#"ringress_checked_endpoints{cluster="default-web-80",state="failing"} 1"#,
            r#"ringress_health_checks_total{cluster="default-web-80",result="failed"}"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        ringress.wait_logged("endpoint fails its health check");
        ringress.wait_logged("status 503");
        // Another snapshot changes nothing about it.
        let third = Patient::new("third", false);
        let all = [good.address(), other.address(), third.address()];
        ringress.apply("all.json", manifest(&all, "http", &[HEALTHZ]));
        let names = served(&ringress, 40);
        assert!(!names.contains(&"other".to_owned()) && names.contains(&"third".to_owned()), "{names:?}");
        other.set_ill(false);
        fails(&ringress, &[]);
        eventually("it serves again", || served(&ringress, 10).contains(&"other".to_owned()));
        ringress.wait_logged("endpoint passes its health check again");
    });
}

#[test]
fn after_an_upgrade_no_request_goes_to_what_failed_before() {
    on_each_driver(|driver| {
        let patients = ["good", "one", "two"].map(|name| Patient::new(name, false));
        let addresses = patients.each_ref().map(Patient::address);
        patients[1..].iter().for_each(|patient| patient.set_ill(true));
        // By the threshold alone it would take minutes.
        let slow = [
            HEALTHZ,
            ("ringress.io/health-check-interval", "60"),
            ("ringress.io/health-check-unhealthy-threshold", "3"),
            ("ringress.io/health-check-healthy-threshold", "3"),
        ];
        let ringress = serving(driver, &addresses, "http", &slow);
        // Ready means that the first checks have come in.
        for _ in 0..3 {
            assert_eq!(served(&ringress, 20), ["good"; 20]);
            ringress.upgrade().expect("an upgrade");
        }
        assert_eq!(served(&ringress, 20), ["good"; 20]);
    });
}

#[test]
fn first_checks_that_hang_hold_the_start_up_for_a_bounded_time() {
    on_each_driver(|driver| {
        let (good, hanging) = (Patient::new("good", false), Patient::new("hanging", true));
        hanging.set_ill(true);
        let own = [HEALTHZ, ("ringress.io/health-check-timeout", "3600")];
        let instance =
            Ringress::on(driver).manifest("all.json", manifest(&[good.address(), hanging.address()], "http", &own));
        let ringress = instance.launch();
        let why = || client::try_once(ringress.health, "GET", "localhost", "/readyz").map(|answer| answer.text());
        let waits = || why().is_ok_and(|text| text.contains("the first health checks of 1 endpoints are under way"));
        eventually("it says what it waits for", waits);
        let began = Instant::now();
        ringress.wait_ready();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
}

#[test]
fn with_all_endpoints_failing_all_are_used() {
    on_each_driver(|driver| {
        let patients = [Patient::new("one", false), Patient::new("two", false)];
        let addresses = patients.each_ref().map(Patient::address);
        patients.iter().for_each(|patient| patient.set_ill(true));
        let ringress = serving(driver, &addresses, "http", &[HEALTHZ]);
        fails(&ringress, &addresses);
        let names = served(&ringress, 20);
        assert!(names.contains(&"one".to_owned()) && names.contains(&"two".to_owned()), "{names:?}");
        let text = ringress.metrics();
        let panics: f64 = (text.lines().filter(|line| line.starts_with("ringress_endpoint_panics_total{")))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        assert!(panics >= 20.0, "{panics}");
    });
}

#[test]
fn a_check_that_hangs_fails_after_its_time() {
    on_each_driver(|driver| {
        let (good, hanging) = (Patient::new("good", false), Patient::new("hanging", true));
        hanging.set_ill(true);
        let own = [HEALTHZ, ("ringress.io/health-check-timeout", "1")];
        let ringress = serving(driver, &[good.address(), hanging.address()], "http", &own);
        fails(&ringress, &[hanging.address()]);
        assert!(served(&ringress, 20).iter().all(|name| name == "good"));
        ringress.wait_logged("the upstream sent no response in time");
    });
}

#[test]
fn an_endpoint_is_asked_once_for_all_workers() {
    on_each_driver(|driver| {
        let patient = Patient::new("one", false);
        let ringress = serving(driver, &[patient.address()], "http", &[HEALTHZ]);
        let asked = || patient.checks.load(Ordering::SeqCst);
        eventually("it is asked", || asked() >= 1);
        let (began, first) = (Instant::now(), asked());
        eventually("it is asked again", || asked() >= first + 4);
        // Each worker for itself would have asked twice as often.
        assert!(began.elapsed() >= Duration::from_millis(2500), "{:?}", began.elapsed());
        drop(ringress);
    });
}

#[test]
fn a_connection_is_enough_for_tcp_and_a_refused_one_is_not() {
    on_each_driver(|driver| {
        let (good, dead) = (Origin::named("good"), refusing_address());
        let ringress = serving(driver, &[good.address, dead], "tcp", &[("ringress.io/max-fails", "0")]);
        fails(&ringress, &[dead]);
        let retries = |text: String| -> Vec<String> {
            text.lines().filter(|line| line.starts_with("ringress_retries_total{")).map(str::to_owned).collect()
        };
        let before = retries(ringress.metrics());
        assert_eq!(served(&ringress, 20), ["good"; 20]);
        assert_eq!(retries(ringress.metrics()), before, "the dead one is not even tried");
    });
}

/// Says of its health what it is told, and calls itself `name` in every answer.
fn grpc_origin(name: &'static str, status: &Arc<AtomicU8>) -> FrameOrigin {
    let status = Arc::clone(status);
    FrameOrigin::with(move |peer, stream| {
        let fields = [(":status", "200"), ("content-type", "application/grpc"), ("x-name", name)];
        peer.send(&headers(stream, 0, &fields))?;
        peer.send(&frame(DATA, 0, stream, &[0, 0, 0, 0, 2, 8, status.load(Ordering::SeqCst)]))?;
        peer.send(&headers(stream, END_STREAM, &[("grpc-status", "0")]))
    })
}

#[test]
fn a_grpc_server_that_is_not_serving_gets_no_request() {
    const SERVING: u8 = 1;
    const NOT_SERVING: u8 = 2;
    on_each_driver(|driver| {
        let statuses = [Arc::new(AtomicU8::new(SERVING)), Arc::new(AtomicU8::new(NOT_SERVING))];
        let origins = [grpc_origin("one", &statuses[0]), grpc_origin("two", &statuses[1])];
        let own = [
            ("nginx.ingress.kubernetes.io/backend-protocol", "GRPC"),
            ("ringress.io/health-check-service", "shop.Cart"),
        ];
        let ringress = serving(driver, &origins.each_ref().map(|origin| origin.address), "grpc", &own);
        let names = || -> Vec<_> {
            let mut client = Connection::plain(ringress.http).expect("connect");
            let mut ask = || client.get("a.test", "/").expect("an answer").header("x-name").map(str::to_owned);
            (0..10).map(|_| ask().expect("a name")).collect()
        };
        fails(&ringress, &[origins[1].address]);
        assert_eq!(names(), ["one"; 10]);
        ringress.wait_logged("serving status 2, not SERVING");
        statuses[0].store(NOT_SERVING, Ordering::SeqCst);
        statuses[1].store(SERVING, Ordering::SeqCst);
        fails(&ringress, &[origins[0].address]);
        assert_eq!(names(), ["two"; 10]);
    });
}

#[test]
fn checks_speak_tls_where_requests_do() {
    on_each_driver(|driver| {
        let patient = Patient::new("inside", false);
        let mut objects = service("pod", &[patient.address()]);
        objects.push(ingress("pod").without_redirect().prefix("inside.test", "/", "pod").build());
        // A second proxy ends the TLS of the first, for one name only.
        let inside = Ringress::on(driver).manifest("all.json", file(objects)).start();
        let own = [
            ("nginx.ingress.kubernetes.io/backend-protocol", "HTTPS"),
            ("nginx.ingress.kubernetes.io/upstream-vhost", "inside.test"),
            ("ringress.io/health-check-host", "inside.test"),
            ("ringress.io/health-check-status", "200"),
            HEALTHZ,
        ];
        let in_the_clear = patient.address();
        let ringress = serving(driver, &[inside.https, in_the_clear], "http", &own);
        fails(&ringress, &[in_the_clear]);
        assert_eq!(served(&ringress, 10), ["inside"; 10]);
        patient.set_ill(true);
        fails(&ringress, &[inside.https, in_the_clear]);
    });
}
