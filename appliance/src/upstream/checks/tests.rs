use ringress_config::model::{ObjectKey, Transport};
use ringress_config::snapshot::{Balancing, CheckKind, ClusterId, ClusterKey, Endpoint, PortKey};

use super::*;

const INTERVAL_MS: u64 = 10_000;

fn check() -> HealthCheck {
    HealthCheck {
        kind: CheckKind::Tcp,
        host: None,
        port: None,
        protocol: None,
        tls: None,
        interval: Duration::from_millis(INTERVAL_MS),
        timeout: Duration::from_secs(1),
        healthy_after: 2,
        unhealthy_after: 3,
    }
}

fn cluster(ports: &[u16], before: Option<&Cluster>) -> Arc<Cluster> {
    let key =
        ClusterKey { service: ObjectKey::new("default", "web"), port: PortKey::Number(80), transport: Transport::Tcp };
    let endpoints = ports.iter().map(|port| Endpoint { address: ([127, 0, 0, 1], *port).into() }).collect();
    let balancing = Balancing { health_check: Some(Arc::new(check())), ..Balancing::default() };
    Arc::new(Cluster::new(ClusterId(0), 1, key, endpoints, balancing).with_vitals(before))
}

fn planned(cluster: &Arc<Cluster>) -> Plan {
    let mut plan = Plan::default();
    plan.follow(1, [cluster].into_iter(), 0, &mut fastrand::Rng::with_seed(7));
    plan
}

fn ports(due: &[(&Arc<Cluster>, &Rc<Probed>)]) -> Vec<u16> {
    due.iter().map(|(_, probed)| probed.address.port()).collect()
}

#[test]
fn an_endpoint_changes_sides_after_its_thresholds_and_not_before() {
    let (plan, check) = (planned(&cluster(&[1], None)), check());
    let probed = &plan.clusters[0].endpoints[0];
    let noted = |results: &[bool]| results.iter().filter_map(|passed| probed.note(*passed, &check)).collect::<Vec<_>>();
    assert_eq!(noted(&[true, false, false, true, false, false]), [false; 0], "a pass between begins anew");
    assert_eq!(noted(&[false]), [true]);
    assert!(probed.vital.is_failing());
    assert_eq!(noted(&[false, true, false, true]), [false; 0]);
    assert_eq!(noted(&[true]), [false]);
    assert!(!probed.vital.is_failing());
}

#[test]
fn the_first_check_decides_at_once() {
    let (plan, check) = (planned(&cluster(&[1, 2], None)), check());
    let [well, ill] = [&plan.clusters[0].endpoints[0], &plan.clusters[0].endpoints[1]];
    assert_eq!((well.note(true, &check), ill.note(false, &check)), (None, Some(true)));
    assert_eq!((well.vital.is_failing(), ill.vital.is_failing()), (false, true));
    assert_eq!((ill.note(true, &check), ill.note(true, &check)), (None, Some(false)), "and then the thresholds do");
}

#[test]
fn checks_come_at_once_at_the_start_and_are_spread_over_the_interval_then() {
    let all: Vec<u16> = (1..=100).collect();
    let before = cluster(&all[..50], None);
    let mut plan = planned(&before);
    assert_eq!(plan.due(0).len(), 50);
    let (mut random, interval) = (fastrand::Rng::with_seed(7), Duration::from_millis(INTERVAL_MS));
    let first = Rc::clone(&plan.clusters[0].endpoints[0]);
    let early = (0..100).filter(|_| first.pause(interval, &mut random) <= INTERVAL_MS / 2).count();
    assert!((30..=70).contains(&early), "{early} of 100 in the first half");
    first.vital.set_failing(false);
    let later: Vec<_> = (0..100).map(|_| first.pause(interval, &mut random)).collect();
    assert!(later.iter().all(|ms| (9000..=11_000).contains(ms)), "{later:?}");
    plan.clusters[0].endpoints.iter().for_each(|probed| probed.busy.set(true));
    plan.follow(2, [&cluster(&all, Some(&before))].into_iter(), 0, &mut random);
    let early = plan.due(500).len();
    assert!((10..=40).contains(&early), "{early} of 50 newcomers in the first half of a second");
    assert_eq!(plan.due(1000).len(), 50);
}

#[test]
fn the_longest_due_comes_first_and_a_busy_one_does_not() {
    let plan = planned(&cluster(&[1, 2, 3], None));
    for (probed, due_ms) in plan.clusters[0].endpoints.iter().zip([300, 100, 200]) {
        probed.due_ms.set(due_ms);
    }
    assert_eq!(ports(&plan.due(250)), [2, 3]);
    plan.clusters[0].endpoints[1].busy.set(true);
    assert_eq!(ports(&plan.due(300)), [3, 1]);
}

#[test]
fn a_snapshot_keeps_what_is_under_way_and_forgets_what_left() {
    let before = cluster(&[1, 2], None);
    let mut plan = planned(&before);
    let probed = Rc::clone(&plan.clusters[0].endpoints[1]);
    probed.busy.set(true);
    assert_eq!(probed.note(true, &check()), None);
    (0..2).for_each(|_| assert_eq!(probed.note(false, &check()), None));
    let after = cluster(&[2, 3], Some(&before));
    plan.follow(2, [&after].into_iter(), 0, &mut fastrand::Rng::with_seed(7));
    let endpoints = &plan.clusters[0].endpoints;
    assert!(Rc::ptr_eq(&endpoints[0], &probed) && !endpoints[1].busy.get());
    assert_eq!(probed.note(false, &check()), Some(true), "the third in a row");
    assert!(after.vitals().unwrap().endpoint(0).is_failing());
    plan.follow(3, [].into_iter(), 0, &mut fastrand::Rng::with_seed(7));
    assert!(plan.due(u64::MAX).is_empty());
}
