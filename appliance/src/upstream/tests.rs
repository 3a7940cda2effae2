use ringress_config::model::{ObjectKey, Transport};
use ringress_config::snapshot::{Balancer, ClusterId, ClusterKey, Endpoint, PortKey};

use super::*;

fn cluster(identity: u64, ports: &[u16]) -> Arc<Cluster> {
    let key =
        ClusterKey { service: ObjectKey::new("default", "web"), port: PortKey::Number(80), transport: Transport::Tcp };
    Arc::new(Cluster {
        id: ClusterId(0),
        identity,
        name: key.to_string().into(),
        key,
        endpoints: ports.iter().map(|p| Endpoint { address: ([127, 0, 0, 1], *p).into() }).collect(),
        balancer: Balancer::RoundRobin,
    })
}

fn pick(upstreams: &mut Upstreams, cluster: &Arc<Cluster>, tried: &Tried) -> Option<u16> {
    upstreams.pick(cluster, tried, &mut fastrand::Rng::with_seed(7)).map(|a| a.port())
}

#[test]
fn every_endpoint_has_its_turn() {
    let (mut upstreams, cluster) = (Upstreams::default(), cluster(1, &[1, 2, 3]));
    let mut ports: Vec<_> = (0..6).filter_map(|_| pick(&mut upstreams, &cluster, &Tried::default())).collect();
    ports.sort_unstable();
    assert_eq!(ports, [1, 1, 2, 2, 3, 3]);
}

#[test]
fn a_tried_endpoint_is_passed_over_while_others_are_left() {
    let (mut upstreams, cluster) = (Upstreams::default(), cluster(1, &[1, 2]));
    let mut tried = Tried::default();
    tried.add(([127, 0, 0, 1], 1).into());
    assert_eq!((0..4).map(|_| pick(&mut upstreams, &cluster, &tried)).collect::<Vec<_>>(), [Some(2); 4]);
    tried.add(([127, 0, 0, 1], 2).into());
    assert!(pick(&mut upstreams, &cluster, &tried).is_some(), "with none left it starts over");
}

#[test]
fn a_cluster_without_endpoints_gives_none() {
    assert_eq!(pick(&mut Upstreams::default(), &cluster(1, &[]), &Tried::default()), None);
}

#[test]
fn an_adopted_change_of_endpoints_is_used_at_once() {
    let (mut upstreams, before) = (Upstreams::default(), cluster(1, &[1]));
    pick(&mut upstreams, &before, &Tried::default());
    let (mut clusters, after) = (Clusters::default(), cluster(1, &[2]));
    clusters.set(ClusterId(0), Some(Arc::clone(&after)));
    upstreams.adopt(&clusters);
    assert_eq!(pick(&mut upstreams, &after, &Tried::default()), Some(2));
    assert_eq!(pick(&mut upstreams, &before, &Tried::default()), Some(2), "a request on the old snapshot as well");
}
