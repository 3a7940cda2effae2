use ringress_config::model::{ObjectKey, Transport};
use ringress_config::snapshot::{
    Affinity, Balancer, Balancing, CheckKind, ClusterId, ClusterKey, Endpoint, HashBy, HealthCheck, PortKey,
    Resilience, Template,
};

use super::*;

fn balanced(identity: u64, ports: &[u16], balancing: Balancing) -> Arc<Cluster> {
    let key =
        ClusterKey { service: ObjectKey::new("default", "web"), port: PortKey::Number(80), transport: Transport::Tcp };
    let endpoints = ports.iter().map(|port| Endpoint { address: address(*port) }).collect();
    Arc::new(Cluster::new(ClusterId(0), identity, key, endpoints, balancing))
}

fn cluster(identity: u64, ports: &[u16]) -> Arc<Cluster> {
    balanced(identity, ports, Balancing::default())
}

fn by(balancer: Balancer, ports: &[u16]) -> Arc<Cluster> {
    balanced(1, ports, Balancing { balancer, ..Balancing::default() })
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn tried(ports: &[u16]) -> Tried {
    let mut tried = Tried::default();
    ports.iter().for_each(|port| tried.add(address(*port)));
    tried
}

/// Balancers as they are at a time, with chance that repeats.
struct World {
    upstreams: Upstreams,
    random: fastrand::Rng,
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        Self { upstreams: Upstreams::default(), random: fastrand::Rng::with_seed(7), now_ms: 1000 }
    }

    fn pick(&mut self, cluster: &Arc<Cluster>, hint: &Hint<'_>, tried: &Tried) -> Option<Rc<Member>> {
        let state = self.upstreams.state(cluster, self.now_ms);
        let picked = state.pick(&mut Attempt { hint, tried, now_ms: self.now_ms, random: &mut self.random })?;
        Some(Rc::clone(&picked.member))
    }

    fn port(&mut self, cluster: &Arc<Cluster>, tried: &Tried) -> Option<u16> {
        self.pick(cluster, &Hint::default(), tried).map(|member| member.address.port())
    }

    /// The port of each of so many requests that are not over.
    fn ports(&mut self, cluster: &Arc<Cluster>, count: usize) -> Vec<u16> {
        (0..count).filter_map(|_| self.port(cluster, &Tried::default())).collect()
    }

    fn keyed(&mut self, cluster: &Arc<Cluster>, key: &str, tried: &Tried) -> u16 {
        self.pick(cluster, &Hint::new(Some(key.as_bytes()), None), tried).unwrap().address.port()
    }

    fn adopt(&mut self, cluster: &Arc<Cluster>) {
        let mut clusters = Clusters::default();
        clusters.set(ClusterId(0), Some(Arc::clone(cluster)));
        self.upstreams.adopt(&clusters, self.now_ms);
    }

    /// Ejects an endpoint for ten seconds.
    fn eject(&mut self, cluster: &Arc<Cluster>, port: u16) {
        let state = self.upstreams.state(cluster, self.now_ms);
        let endpoint = state.endpoints.iter().find(|endpoint| endpoint.member.address.port() == port).unwrap();
        let until = (0..3).find_map(|_| endpoint.member.health.failed(self.now_ms, &Resilience::default()));
        state.shared.ejected_until_ms.set(until.unwrap());
    }
}

fn counts(ports: &[u16]) -> Vec<usize> {
    let last = ports.iter().copied().max().unwrap_or_default();
    (1..=last).map(|port| ports.iter().filter(|p| **p == port).count()).collect()
}

fn hashed(subset_size: Option<u32>) -> Balancer {
    let subset_size = subset_size.and_then(std::num::NonZeroU32::new);
    Balancer::Hash(Arc::new(HashBy { key: Template::parse("$uri").unwrap(), subset_size, load_percent: None }))
}

#[test]
fn every_endpoint_has_its_turn() {
    let (mut world, cluster) = (World::new(), cluster(1, &[1, 2, 3]));
    assert_eq!(counts(&world.ports(&cluster, 6)), [2, 2, 2]);
}

#[test]
fn cores_begin_at_equal_distances_so_that_few_requests_meet_different_endpoints() {
    let (none, cluster) = (cluster(1, &[]), cluster(1, &[1, 2, 3, 4]));
    for (cores, each, from_nothing) in [(1, 4, false), (2, 2, false), (4, 1, false), (4, 1, true)] {
        let mut ports: Vec<u16> = (0..cores)
            .flat_map(|index| {
                let mut world = World { upstreams: Upstreams::of_core(index, cores), ..World::new() };
                if from_nothing {
                    assert!(world.ports(&none, 1).is_empty());
                    world.adopt(&cluster);
                }
                world.ports(&cluster, each)
            })
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, [1, 2, 3, 4], "{cores} cores");
    }
}

#[test]
fn a_tried_endpoint_is_passed_over_while_others_are_left() {
    for balancer in [Balancer::RoundRobin, Balancer::Ewma, Balancer::LeastRequest, Balancer::Random, hashed(None)] {
        let (mut world, cluster) = (World::new(), by(balancer, &[1, 2]));
        let one = tried(&[1]);
        assert_eq!((0..4).map(|_| world.port(&cluster, &one)).collect::<Vec<_>>(), [Some(2); 4]);
        assert_eq!(world.keyed(&cluster, "k", &one), 2);
        assert!(world.port(&cluster, &tried(&[1, 2])).is_some(), "with none left it starts over");
    }
}

#[test]
fn a_cluster_without_endpoints_gives_none() {
    for balancer in [Balancer::RoundRobin, Balancer::Ewma, Balancer::Random, hashed(None), hashed(Some(3))] {
        assert_eq!(World::new().port(&by(balancer, &[]), &Tried::default()), None);
    }
}

#[test]
fn an_adopted_change_of_endpoints_is_used_at_once() {
    let (mut world, before, after) = (World::new(), cluster(1, &[1]), cluster(1, &[2]));
    world.ports(&before, 1);
    world.adopt(&after);
    assert_eq!(world.port(&after, &Tried::default()), Some(2));
    assert_eq!(world.port(&before, &Tried::default()), Some(2), "a request on the old snapshot as well");
}

#[test]
fn least_request_avoids_who_has_most_in_flight() {
    let (mut world, cluster) = (World::new(), by(Balancer::LeastRequest, &[1, 2]));
    let busy: Vec<_> =
        (0..5).filter_map(|_| world.pick(&cluster, &Hint::default(), &tried(&[2]))).map(Lease::new).collect();
    assert_eq!(counts(&world.ports(&cluster, 20)), [0, 20]);
    drop(busy);
    assert!(counts(&world.ports(&cluster, 20))[0] > 0);
}

#[test]
fn ewma_prefers_the_quick_and_asks_the_slow_again_some_day() {
    let (mut world, cluster) = (World::new(), by(Balancer::Ewma, &[1, 2]));
    for (other, ms) in [(2, 500), (1, 5)] {
        let member = world.pick(&cluster, &Hint::default(), &tried(&[other])).unwrap();
        (0..100).for_each(|_| member.average.add(std::time::Duration::from_millis(ms), 1000));
    }
    assert_eq!(counts(&world.ports(&cluster, 20)), [0, 20]);
    world.now_ms += 200_000;
    let quick = world.pick(&cluster, &Hint::default(), &tried(&[1])).unwrap();
    quick.average.add(std::time::Duration::from_millis(5), world.now_ms);
    assert_eq!(world.ports(&cluster, 1), [1]);
}

#[test]
fn a_key_stays_and_moves_on_only_from_an_endpoint_that_cannot_be_used() {
    let (mut world, cluster) = (World::new(), by(hashed(None), &[1, 2, 3]));
    let keys: Vec<_> = (0..60).map(|n| format!("/{n}")).collect();
    let before: Vec<_> = keys.iter().map(|key| world.keyed(&cluster, key, &Tried::default())).collect();
    assert!(counts(&before).iter().all(|n| *n > 5), "{before:?}");
    world.eject(&cluster, 1);
    for (key, before) in keys.iter().zip(&before) {
        let now = world.keyed(&cluster, key, &Tried::default());
        assert!(now == *before || (*before == 1 && now != 1), "{key}");
    }
}

#[test]
fn a_key_has_a_group_of_endpoints() {
    let (mut world, cluster) = (World::new(), by(hashed(Some(3)), &[1, 2, 3, 4, 5, 6, 7]));
    for key in 0..30 {
        let key = format!("/{key}");
        let mut served: Vec<_> = (0..60).map(|_| world.keyed(&cluster, &key, &Tried::default())).collect();
        served.sort_unstable();
        served.dedup();
        assert!([&[1, 2, 3][..], &[4, 5, 6], &[1, 2, 7]].contains(&&*served), "{served:?}");
    }
}

#[test]
fn an_ejected_endpoint_is_passed_over_for_its_time_and_then_tried_by_one() {
    let (mut world, cluster) = (World::new(), cluster(1, &[1, 2, 3]));
    world.eject(&cluster, 2);
    assert_eq!(counts(&world.ports(&cluster, 30))[1], 0);
    world.now_ms += 10_000;
    assert!(counts(&world.ports(&cluster, 3))[1] == 1);
}

#[test]
fn with_too_few_left_all_are_used() {
    let balancing =
        Balancing { resilience: Resilience { panic_percent: 50, ..Resilience::default() }, ..Balancing::default() };
    let (mut world, cluster) = (World::new(), balanced(1, &[1, 2, 3, 4], balancing));
    world.eject(&cluster, 1);
    world.eject(&cluster, 2);
    assert_eq!(counts(&world.ports(&cluster, 8)), [0, 0, 4, 4], "half of them are enough");
    world.eject(&cluster, 3);
    assert_eq!(counts(&world.ports(&cluster, 8)), [2, 2, 2, 2]);
}

#[test]
fn with_none_left_all_are_used_whatever_the_threshold() {
    let balancing =
        Balancing { resilience: Resilience { panic_percent: 0, ..Resilience::default() }, ..Balancing::default() };
    let (mut world, cluster) = (World::new(), balanced(1, &[1, 2], balancing));
    world.eject(&cluster, 1);
    world.eject(&cluster, 2);
    assert_eq!(counts(&world.ports(&cluster, 8)), [4, 4]);
}

#[test]
fn a_new_endpoint_starts_slowly_where_that_is_asked_for() {
    let slow = |ports: &[u16]| {
        let slow_start = std::time::Duration::from_secs(100);
        let resilience = Resilience { slow_start, ..Resilience::default() };
        balanced(1, ports, Balancing { resilience, ..Balancing::default() })
    };
    let (mut world, before, after) = (World::new(), slow(&[1, 2]), slow(&[1, 2, 3]));
    assert_eq!(counts(&world.ports(&before, 4)), [2, 2]);
    world.adopt(&after);
    assert_eq!(counts(&world.ports(&after, 21)), [10, 10, 1]);
    world.now_ms += 50_000;
    assert_eq!(counts(&world.ports(&after, 25)), [10, 10, 5]);
    world.now_ms += 50_000;
    assert_eq!(counts(&world.ports(&after, 30)), [10, 10, 10]);
}

#[test]
fn the_better_of_two_starts_slowly_as_well_whether_others_are_idle_or_busy() {
    for (balancer, held) in [Balancer::LeastRequest, Balancer::Ewma]
        .into_iter()
        .flat_map(|balancer| [(balancer.clone(), 0), (balancer, 24)])
    {
        let slow = |ports: &[u16]| {
            let slow_start = std::time::Duration::from_secs(100);
            let resilience = Resilience { slow_start, ..Resilience::default() };
            balanced(1, ports, Balancing { balancer: balancer.clone(), resilience, ..Balancing::default() })
        };
        let (mut world, before, after) = (World::new(), slow(&[1, 2, 3]), slow(&[1, 2, 3, 4]));
        world.ports(&before, 3);
        world.adopt(&after);
        // So many are in flight, and the oldest ends with each new one.
        let mut in_flight = VecDeque::new();
        let shares: Vec<_> = (0..5)
            .map(|_| {
                let newest = (0..2000).filter(|_| {
                    let member = world.pick(&after, &Hint::default(), &Tried::default()).unwrap();
                    let is_newest = member.address.port() == 4;
                    in_flight.push_back(Lease::new(member));
                    in_flight.drain(..in_flight.len().saturating_sub(held));
                    is_newest
                });
                let share = newest.count() / 20;
                world.now_ms += 25_000;
                share
            })
            .collect();
        assert!((1..=8).contains(&shares[0]), "{shares:?} % of {balancer:?}, {held} held");
        assert!(shares.is_sorted() && shares[2] < 22, "{shares:?} % of {balancer:?}, {held} held");
        assert!((22..=28).contains(&shares[4]), "{shares:?} % of {balancer:?}, {held} held");
    }
}

#[test]
fn another_policy_releases_an_endpoint_that_is_passed_over() {
    let after = |max_fails, seconds| {
        let fail_timeout = std::time::Duration::from_secs(seconds);
        let resilience = Resilience { max_fails, fail_timeout, ..Resilience::default() };
        balanced(1, &[1, 2], Balancing { resilience, ..Balancing::default() })
    };
    for (max_fails, seconds, later_ms) in [(0, 10, 0), (3, 1, 1000)] {
        let (mut world, before, after) = (World::new(), cluster(1, &[1, 2]), after(max_fails, seconds));
        world.eject(&before, 1);
        assert_eq!(counts(&world.ports(&before, 4)), [0, 4]);
        world.adopt(&after);
        world.now_ms += later_ms;
        assert!(world.ports(&after, 2).contains(&1), "{max_fails} {seconds}");
    }
}

fn affinity(persistent: bool, change_on_failure: bool) -> Affinity {
    Affinity {
        cookie: "C".into(),
        persistent,
        path: None,
        domain: None,
        max_age: None,
        expires: None,
        same_site: None,
        conditional_same_site_none: false,
        secure: false,
        change_on_failure,
    }
}

/// The port for a client, and the value of the cookie that it gets.
fn visit(
    world: &mut World,
    cluster: &Arc<Cluster>,
    affinity: &Affinity,
    cookie: Option<&str>,
    tried: &Tried,
) -> (u16, Option<String>) {
    let session = Session::new(affinity, cookie.map(str::as_bytes)).issuing(cluster, "/", false, None);
    let hint = Hint::new(None, Some(session));
    let port = world.pick(cluster, &hint, tried).unwrap().address.port();
    let field = hint.session().unwrap().set_cookie();
    let value = field.map(|field| field["C=".len()..].split(';').next().unwrap().to_owned());
    (port, value)
}

fn with_sessions(ports: &[u16]) -> Arc<Cluster> {
    balanced(1, ports, Balancing { has_sessions: true, ..Balancing::default() })
}

#[test]
fn a_cookie_holds_a_client_and_is_not_issued_again() {
    for persistent in [false, true] {
        let (mut world, cluster) = (World::new(), with_sessions(&[1, 2, 3]));
        let affinity = affinity(persistent, false);
        let (port, cookie) = visit(&mut world, &cluster, &affinity, None, &Tried::default());
        for _ in 0..10 {
            let again = visit(&mut world, &cluster, &affinity, cookie.as_deref(), &Tried::default());
            assert_eq!(again, (port, None));
        }
        let new: Vec<_> = (0..30).map(|_| visit(&mut world, &cluster, &affinity, None, &Tried::default()).0).collect();
        assert!(counts(&new).iter().all(|n| *n > 0), "{new:?}");
    }
}

#[test]
fn a_persistent_cookie_outlives_other_endpoints_and_is_replaced_with_its_own() {
    let (mut world, affinity) = (World::new(), affinity(true, false));
    let before = with_sessions(&[1, 2, 3]);
    let (port, cookie) = visit(&mut world, &before, &affinity, None, &Tried::default());
    let all: Vec<u16> = (1..=9).collect();
    let more = with_sessions(&all);
    world.adopt(&more);
    assert_eq!(visit(&mut world, &more, &affinity, cookie.as_deref(), &Tried::default()), (port, None));
    let others: Vec<_> = all.into_iter().filter(|p| *p != port).collect();
    let gone = with_sessions(&others);
    world.adopt(&gone);
    let (moved, cookie) = visit(&mut world, &gone, &affinity, cookie.as_deref(), &Tried::default());
    assert!(moved != port && cookie.is_some());
    assert_eq!(visit(&mut world, &gone, &affinity, cookie.as_deref(), &Tried::default()), (moved, None));
}

#[test]
fn a_failure_changes_the_endpoint_and_the_cookie_only_where_that_is_asked_for() {
    for persistent in [false, true] {
        let (mut world, cluster) = (World::new(), with_sessions(&[1, 2, 3]));
        let stays = affinity(persistent, false);
        let (port, cookie) = visit(&mut world, &cluster, &stays, None, &Tried::default());
        let cookie = cookie.as_deref();
        assert_eq!(visit(&mut world, &cluster, &stays, cookie, &tried(&[port])), (port, None));
        let changes = affinity(persistent, true);
        let (moved, new) = visit(&mut world, &cluster, &changes, cookie, &tried(&[port]));
        assert!(moved != port && new.is_some());
        assert_eq!(visit(&mut world, &cluster, &changes, new.as_deref(), &Tried::default()), (moved, None));
    }
}

#[test]
fn sessions_keep_their_endpoints_while_all_fail_their_checks_or_most_are_ejected() {
    for (persistent, changes, panic_percent) in [
        (false, false, 10),
        (true, false, 10),
        (false, true, 10),
        (true, true, 10),
        (false, false, 0),
        (true, false, 0),
    ] {
        let (mut world, affinity) = (World::new(), affinity(persistent, changes));
        let cluster = checked(&[1, 2, 3], Balancer::RoundRobin, panic_percent, None);
        let visit =
            |world: &mut World, cookie: Option<&str>| visit(world, &cluster, &affinity, cookie, &Tried::default());
        let clients: Vec<_> = (0..9).map(|_| visit(&mut world, None)).collect();
        fail(&cluster, &[0, 1, 2]);
        for (port, cookie) in &clients {
            assert_eq!(visit(&mut world, cookie.as_deref()), (*port, None), "{persistent} {changes} {panic_percent}");
        }
    }
    for persistent in [false, true] {
        let (mut world, affinity) = (World::new(), affinity(persistent, true));
        let cluster = checked(&[1, 2, 3], Balancer::RoundRobin, 50, None);
        let (port, cookie) = visit(&mut world, &cluster, &affinity, None, &Tried::default());
        [port, port % 3 + 1].iter().for_each(|port| world.eject(&cluster, *port));
        let again = visit(&mut world, &cluster, &affinity, cookie.as_deref(), &Tried::default());
        assert_eq!(again, (port, None), "a third of them left is too few");
    }
}

fn checked(ports: &[u16], balancer: Balancer, panic_percent: u8, before: Option<&Cluster>) -> Arc<Cluster> {
    let check = HealthCheck {
        kind: CheckKind::Tcp,
        host: None,
        port: None,
        protocol: None,
        tls: None,
        interval: std::time::Duration::from_secs(1),
        timeout: std::time::Duration::from_secs(1),
        healthy_after: 1,
        unhealthy_after: 1,
    };
    let resilience = Resilience { panic_percent, ..Resilience::default() };
    let health_check = Some(Arc::new(check));
    let balancing = Balancing { balancer, resilience, health_check, has_sessions: true, ..Balancing::default() };
    Arc::new(Arc::unwrap_or_clone(balanced(1, ports, balancing)).with_vitals(before))
}

fn fail(cluster: &Cluster, indexes: &[usize]) {
    let vitals = cluster.vitals().unwrap();
    indexes.iter().for_each(|at| vitals.endpoint(*at).set_failing(true));
    vitals.recount();
}

#[test]
fn an_endpoint_that_fails_its_checks_is_passed_over_even_by_further_attempts() {
    for balancer in [Balancer::RoundRobin, Balancer::Ewma, Balancer::LeastRequest, Balancer::Random, hashed(None)] {
        let (mut world, cluster) = (World::new(), checked(&[1, 2, 3], balancer, 10, None));
        world.ports(&cluster, 3);
        fail(&cluster, &[1]);
        assert!(!world.ports(&cluster, 30).contains(&2));
        assert!((0..30).all(|key| world.keyed(&cluster, &key.to_string(), &Tried::default()) != 2));
        assert_ne!(world.port(&cluster, &tried(&[1, 3])), Some(2), "one that was tried is better");
    }
}

#[test]
fn what_checks_found_is_kept_by_a_snapshot() {
    let before = checked(&[1, 2], Balancer::RoundRobin, 10, None);
    let mut world = World::new();
    world.ports(&before, 2);
    fail(&before, &[1]);
    let after = checked(&[2, 3], Balancer::RoundRobin, 10, Some(&before));
    world.adopt(&after);
    assert_eq!(counts(&world.ports(&after, 10)), [0, 0, 10]);
    let unchecked = cluster(1, &[2, 3]);
    world.adopt(&unchecked);
    assert_eq!(counts(&world.ports(&unchecked, 10)), [0, 5, 5], "without checks nothing fails them");
}

#[test]
fn endpoints_that_fail_checks_and_ejected_ones_count_together_for_panic() {
    let (mut world, cluster) = (World::new(), checked(&[1, 2, 3, 4], Balancer::RoundRobin, 50, None));
    world.eject(&cluster, 1);
    fail(&cluster, &[1]);
    assert_eq!(counts(&world.ports(&cluster, 8)), [0, 0, 4, 4], "half of them are enough");
    fail(&cluster, &[2]);
    assert_eq!(counts(&world.ports(&cluster, 8)), [2, 2, 2, 2]);
    let (mut world, cluster) = (World::new(), checked(&[1, 2], Balancer::RoundRobin, 0, None));
    fail(&cluster, &[0, 1]);
    assert_eq!(counts(&world.ports(&cluster, 8)), [4, 4], "with none left all are used");
}

#[test]
fn a_further_attempt_takes_nobodys_turn() {
    let (mut world, cluster) = (World::new(), cluster(1, &[1, 2]));
    let firsts: Vec<_> = (0..10)
        .map(|_| {
            let first = world.port(&cluster, &Tried::default()).unwrap();
            assert_eq!(world.port(&cluster, &tried(&[first])), Some(3 - first));
            first
        })
        .collect();
    assert_eq!(counts(&firsts), [5, 5]);
}

#[test]
fn a_hot_key_spills_over_when_its_endpoint_has_more_than_its_bound() {
    let by = |load_percent| {
        let load_percent = std::num::NonZeroU32::new(load_percent);
        Balancer::Hash(Arc::new(HashBy { key: Template::parse("$uri").unwrap(), subset_size: None, load_percent }))
    };
    let spread = |load_percent| {
        let (mut world, cluster) = (World::new(), self::by(by(load_percent), &[1, 2, 3, 4]));
        let hint = Hint::new(Some(b"/hot"), None);
        let held: Vec<_> =
            (0..100).filter_map(|_| world.pick(&cluster, &hint, &Tried::default())).map(Lease::new).collect();
        let ports: Vec<_> = held.iter().map(|lease| lease.address().port()).collect();
        counts(&ports).into_iter().max().unwrap_or_default()
    };
    assert_eq!(spread(0), 100, "without a bound it stays");
    assert!((26..=32).contains(&spread(125)), "{} of 100", spread(125));
}

#[test]
fn a_bound_is_shared_by_many_small_heaps_as_by_few_large_ones() {
    let kept = |heaps: &[usize], max| {
        let mut part = parts(max, heaps.iter().sum());
        heaps.iter().map(|count| part(*count)).collect::<Vec<_>>()
    };
    assert_eq!(kept(&[100, 0, 300], 200), [50, 0, 150]);
    for (heaps, max) in [([1; 400], 320), ([3; 400], 399), ([1; 400], 0)] {
        let parts = kept(&heaps, max);
        assert_eq!(parts.iter().sum::<usize>(), max, "as many as the bound allows");
        assert!(parts.iter().zip(heaps).all(|(part, heap)| *part <= heap));
    }
}
