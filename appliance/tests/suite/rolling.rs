//! Twenty Deployments of a cluster that are rolled at once, under load: no request fails, though no second try is made.
//! Two Pods of each; all are replaced once, with `RINGRESS_LONG` ten times.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures;
use serde_json::json;

use crate::support::client::Connection;
use crate::support::eventually;
use crate::support::origin::Origin;
use crate::support::process::{Ringress, on_each_driver};

const DEPLOYMENTS: usize = 20;
const PODS: usize = 2;
const CLIENTS: usize = 4;

/// Laps of all clients without a request to a Pod that ends: on each core it would have had its turn.
const QUIET_LAPS: usize = 3;

fn rounds() -> usize {
    if std::env::var_os("RINGRESS_LONG").is_some() { 10 * PODS } else { PODS }
}

/// Answers until it is killed; then it ends every connection without a word.
struct Pod {
    origin: Origin,
    killed: Arc<AtomicBool>,
    slice: String,
}

impl Pod {
    fn start(number: usize) -> Self {
        let (origin, killed) = Origin::mortal();
        Self { origin, killed, slice: format!("web-{number}") }
    }

    fn requests(&self) -> usize {
        self.origin.received().len()
    }
}

/// One in a namespace of its own.
struct Deployment<'a> {
    server: &'a ApiServer,
    namespace: String,
    /// Oldest first.
    pods: VecDeque<Pod>,
    made: usize,
}

impl<'a> Deployment<'a> {
    fn new(server: &'a ApiServer, number: usize) -> Self {
        let namespace = format!("d{number}");
        server.put(fixtures::service(&namespace, "web"));
        let mut ingress = fixtures::ingress(&namespace, "web", &host(number));
        ingress["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/proxy-next-upstream": "off"});
        server.put(ingress);
        let mut deployment = Self { server, namespace, pods: VecDeque::new(), made: 0 };
        for _ in 0..PODS {
            deployment.start();
            deployment.tell_newest(true);
        }
        deployment
    }

    fn start(&mut self) {
        self.made += 1;
        self.pods.push_back(Pod::start(self.made));
        self.tell_newest(false);
    }

    fn tell_newest(&self, ready: bool) {
        let newest = self.pods.back().expect("one was started");
        self.tell(newest, json!({"ready": ready, "serving": ready, "terminating": false}));
    }

    fn end_oldest(&self) {
        self.tell(&self.pods[0], json!({"ready": false, "serving": true, "terminating": true}));
    }

    /// What the kubelet does when the time of grace is over.
    fn kill_oldest(&mut self) {
        let oldest = self.pods.pop_front().expect("one was ended");
        oldest.killed.store(true, Ordering::SeqCst);
        self.server.delete("EndpointSlice", &self.namespace, &oldest.slice);
    }

    /// What is known of a Pod. The address of each has a port of its own, hence a slice.
    fn tell(&self, pod: &Pod, conditions: serde_json::Value) {
        let (address, port) = (pod.origin.address.ip().to_string(), pod.origin.address.port());
        let mut slice = fixtures::endpoint_slice(&self.namespace, "web", &pod.slice, &[&address], port);
        slice["endpoints"][0]["conditions"] = conditions;
        self.server.put(slice);
    }
}

fn host(number: usize) -> String {
    format!("d{number}.test")
}

/// Ask all hosts in turn until they are stopped.
struct Clients {
    stop: Arc<AtomicBool>,
    running: Vec<(Arc<AtomicUsize>, JoinHandle<Vec<String>>)>,
}

impl Clients {
    fn start(http: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stop, laps) = (Arc::clone(&stop), Arc::new(AtomicUsize::new(0)));
            let counted = Arc::clone(&laps);
            (laps, std::thread::spawn(move || ask(http, &stop, &counted)))
        };
        Self { running: (0..CLIENTS).map(client).collect(), stop }
    }

    /// Waits until each has asked every host so many times, from after now on.
    fn wait(&self, laps: usize) {
        for (count, _) in &self.running {
            let goal = count.load(Ordering::SeqCst) + laps + 1;
            eventually("clients go on", || count.load(Ordering::SeqCst) >= goal);
        }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for (laps, client) in self.running {
            let failures = client.join().expect("a client");
            assert!(failures.is_empty(), "{} laps: {failures:?}", laps.load(Ordering::SeqCst));
        }
    }
}

fn ask(http: SocketAddr, stop: &AtomicBool, laps: &AtomicUsize) -> Vec<String> {
    let (mut failures, mut connection) = (Vec::new(), Connection::plain(http).expect("connect"));
    while !stop.load(Ordering::SeqCst) {
        for number in 0..DEPLOYMENTS {
            let answer = connection.get(&host(number), "/");
            // So many requests, then the server ends a connection, in order.
            let lasts = answer.as_ref().is_ok_and(|answer| !answer.closes());
            match answer.map(|answer| answer.status) {
                Ok(200) => {}
                other => failures.push(format!("{}: {other:?}", host(number))),
            }
            if !lasts {
                connection = Connection::plain(http).expect("connect");
            }
        }
        laps.fetch_add(1, Ordering::SeqCst);
    }
    failures
}

#[test]
fn deployments_that_roll_at_once_fail_no_request() {
    on_each_driver(|driver| {
        let server = ApiServer::start();
        server.put(fixtures::ingress_class());
        let mut deployments: Vec<_> = (0..DEPLOYMENTS).map(|number| Deployment::new(&server, number)).collect();
        let ringress = Ringress::on(driver).workers(2).kube(&server.url()).start();
        let clients = Clients::start(ringress.http);
        for _ in 0..rounds() {
            deployments.iter_mut().for_each(Deployment::start);
            deployments.iter().for_each(|deployment| deployment.tell_newest(true));
            deployments.iter().for_each(Deployment::end_oldest);
            eventually("Pods that end are left alone", || {
                let asked = || deployments.iter().map(|deployment| deployment.pods[0].requests()).sum::<usize>();
                let before = asked();
                clients.wait(QUIET_LAPS);
                asked() == before
            });
            deployments.iter_mut().for_each(Deployment::kill_oldest);
        }
        clients.wait(1);
        let newest = |deployment: &Deployment<'_>| deployment.pods.iter().all(|pod| pod.requests() > 0);
        eventually("every Pod is asked", || deployments.iter().all(newest));
        clients.stop();
    });
}
