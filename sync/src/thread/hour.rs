//! An API server that is away for an hour, on a clock that need not be waited for: what is served goes on, the server is
//! asked no more often than the backoff lets it be, and once it is back it is read at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::testkit::api_server::ApiServer;
use crate::testkit::fixtures::{certificate_secret, ingress, ingress_class, ingress_tls, service};
use crate::testkit::rig::Rig;
use crate::testkit::workers::Workers;

const HOUR: Duration = Duration::from_secs(3600);
/// The shortest pause after the first failures: half of the longest one.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Requests before the pauses are that long.
const FIRST_REQUESTS: usize = 8;
/// Of an outage, until all is read again.
const BACK_WITHIN: Duration = Duration::from_secs(3);

/// Counts the requests that failed: each says so.
#[derive(Clone, Default)]
struct Failures(Arc<AtomicUsize>);

impl Subscriber for Failures {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ringress_sync::watch::kube::feed"
    }

    fn event(&self, event: &Event<'_>) {
        let has_verb = event.metadata().fields().field("verb").is_some();
        self.0.fetch_add(usize::from(has_verb), Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// How many lists are watched.
fn watched(server: &ApiServer) -> usize {
    server.asked().keys().filter(|asked| asked.verb == "watch").count()
}

/// Polls on the runtime of the thread itself, by the clock of the machine.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn serve(workers: &Workers, host: &str) -> bool {
    (0..2).all(|worker| workers.serving(worker).is_some_and(|snapshot| snapshot.hosts.exact.get(host).is_some()))
}

#[tokio::test]
async fn an_hour_without_the_server_loses_no_route_and_the_server_is_not_run_against() {
    let failures = Failures::default();
    let _counting = tracing::subscriber::set_default(failures.clone());
    let mut server = ApiServer::start();
    server.put(ingress_class());
    server.put(service("n", "web"));
    server.put(ingress("n", "a", "a.test"));
    server.put(certificate_secret("n", "cert", "kubernetes.io/tls", "t.test"));
    server.put(ingress_tls("n", "t", "t.test", "cert"));
    let settings = Rig::server_settings(&server);
    let (workers, publisher) = Workers::start(2);
    let Opened { source, .. } = open::open(&settings).await.expect("the settings are right");
    let compiler = Compiler::new(settings.options.clone(), default_certificate::make().expect("a certificate"));
    let shared = Arc::new(Shared::new(SyncStatus::default()));
    let (handle, ends) = SyncHandle::new(Arc::clone(&shared));
    let control = Control::new(source, None, compiler, Publishing::new(publisher), shared);
    let outage = async {
        eventually("ready", || handle.status().ready).await;
        let (generation, feeds) = (handle.status().generation, watched(&server));
        server.down();
        eventually("the outage is shown", || !handle.status().source_reachable).await;
        let before = failures.0.load(Ordering::Relaxed);
        // From here on time passes as soon as everybody waits for it.
        tokio::time::pause();
        tokio::time::sleep(HOUR).await;
        tokio::time::resume();
        let asked = failures.0.load(Ordering::Relaxed) - before;
        let most = feeds * (FIRST_REQUESTS + (HOUR.as_millis() / PAUSE_MIN.as_millis()) as usize);
        let least = feeds * HOUR.as_secs() as usize;
        println!("{feeds} feeds asked {asked} times in an hour");
        assert!((least..=most).contains(&asked), "{asked} requests of {feeds} feeds");
        let status = handle.status();
        assert!(status.ready && !status.source_reachable && status.generation == generation, "{status:?}");
        assert!(serve(&workers, "a.test") && serve(&workers, "t.test"));
        server.put(ingress("n", "b", "b.test"));
        server.up();
        let back = Instant::now();
        eventually("what has changed is served", || handle.status().source_reachable && serve(&workers, "b.test"))
            .await;
        assert!(back.elapsed() < BACK_WITHIN, "{:?}", back.elapsed());
        assert!(serve(&workers, "a.test") && serve(&workers, "t.test"));
        assert_eq!(handle.status().generation, generation + 1, "only the difference is published");
        handle.commands.send(Command::Stop).await.expect("it runs");
    };
    tokio::join!(control.run(ends), outage);
}
