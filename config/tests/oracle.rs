//! The compiled tables against a plain matcher that is obviously right, and incremental compilation against
//! compilation from nothing, on random manifests.

#[path = "support/manifests.rs"]
mod manifests;
#[path = "support/print.rs"]
mod print;

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ringress_config::compile::Compiler;
use ringress_config::model::{
    Age, EndpointAddress, EndpointPort, Endpoints, Ingress, IngressBackend, IngressPath, IngressPathKind, IngressRule,
    IngressTls, Meta, Object, ObjectKey, ObjectRef, Secret, Service, ServicePort, Subset, TargetPort, Transport,
};
use ringress_config::snapshot::{Backend, PathMatch, PortKey, Route, Snapshot};

/// The built-in certificate and two more, made once: keys are slow to make.
static CERTIFICATES: LazyLock<[(String, String); 3]> =
    LazyLock::new(|| [&["ingress.local"][..], &["a.test"], &["*.b.test", "b.test"]].map(manifests::issue));

/// The same cases each time; `RINGRESS_SEED=7` takes others, `RINGRESS_SEED=random` new ones each time.
fn config(cases: u32) -> ProptestConfig {
    let seed = std::env::var("RINGRESS_SEED").unwrap_or_else(|_| "1".into());
    let rng_seed = seed.parse().unwrap_or(RngSeed::Random);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

fn compiler() -> Compiler {
    manifests::compiler(manifests::folder(), &CERTIFICATES[0])
}

// Random objects: few names, so that they meet.

const HOSTS: [&str; 6] = ["", "a.test", "b.test", "*.b.test", "x.b.test", "A.Test"];
const KINDS: [IngressPathKind; 3] =
    [IngressPathKind::Exact, IngressPathKind::Prefix, IngressPathKind::ImplementationSpecific];
const SEGMENTS: [&str; 4] = ["a", "B", "ab", "a.b"];

fn path() -> impl Strategy<Value = String> {
    (prop::collection::vec(prop::sample::select(&SEGMENTS[..]), 0..3), any::<bool>()).prop_map(|(segments, slash)| {
        let mut path: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
        if slash || path.is_empty() {
            path.push('/');
        }
        path
    })
}

fn rule() -> impl Strategy<Value = IngressRule> {
    let regex = prop_oneof![4 => path(), 1 => prop::sample::select(&["/a.*", "/a(/|$)(.*)", "/[ab]$", "/a|b", "/(?!a)"][..]).prop_map(String::from)];
    let one = (regex, prop::sample::select(&KINDS[..]), 0..3_u16).prop_map(|(path, kind, service)| IngressPath {
        path: path.into(),
        kind,
        backend: IngressBackend::Service { name: format!("s{service}").into(), port: Some(PortKey::Number(80)) },
    });
    (prop::sample::select(&HOSTS[..]), prop::collection::vec(one, 0..6))
        .prop_map(|(host, paths)| IngressRule { host: (!host.is_empty()).then(|| host.into()), paths })
}

fn ingress() -> impl Strategy<Value = Ingress> {
    let default = prop::option::weighted(
        0.2,
        Just(IngressBackend::Service { name: "s0".into(), port: Some(PortKey::Number(80)) }),
    );
    let annotation = prop_oneof![
        6 => Just(None),
        1 => Just(Some(("use-regex", "true"))),
        1 => Just(Some(("rewrite-target", "/a"))),
        1 => Just(Some(("force-ssl-redirect", "true"))),
        1 => Just(Some(("auth-type", "digest"))),
        1 => Just(Some(("canary", "true"))),
        1 => Just(Some(("auth-tls-secret", "default/ca"))),
    ];
    let tls = prop::collection::vec((prop::sample::select(&HOSTS[1..]), 0..4_u8), 0..2);
    (0..6_u8, 0..4_i64, prop::collection::vec(rule(), 0..3), default, annotation, tls, any::<bool>()).prop_map(
        |(name, age, rules, default_backend, annotation, tls, ours)| Ingress {
            meta: Meta { key: ObjectKey::new("default", format!("i{name}")), age: Age::Created(age) },
            annotations: annotation
                .map(|(name, value)| (format!("nginx.ingress.kubernetes.io/{name}").into(), value.into()))
                .into_iter()
                .collect(),
            class: Some(if ours || age > 0 { "nginx" } else { "other" }.into()),
            default_backend,
            tls: tls
                .into_iter()
                .map(|(host, secret)| IngressTls {
                    hosts: vec![host.into()],
                    secret: Some(format!("t{secret}").into()),
                })
                .collect(),
            rules,
        },
    )
}

// The plain matcher. It knows the objects only as they were written, and does everything anew for each question.

/// What is expected of a request.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Object, field and where requests go.
    Route(String),
    AddSlash(String),
    Nothing,
}

struct Location {
    text: String,
    /// The path that it is a place of, as the Ingress has it.
    written: String,
    is_exact: bool,
    owner: String,
    wants_regex: bool,
    is_broken: bool,
}

fn annotation<'a>(ingress: &'a Ingress, name: &str) -> Option<&'a str> {
    ingress.annotations.get(&format!("nginx.ingress.kubernetes.io/{name}")).map(|value| &**value)
}

fn wants_regex(ingress: &Ingress, path: &str) -> bool {
    annotation(ingress, "use-regex") == Some("true")
        || annotation(ingress, "rewrite-target").is_some_and(|target| target != path)
}

fn served(objects: &[Ingress]) -> Vec<&Ingress> {
    let mut served: Vec<_> =
        objects.iter().filter(|i| i.class.as_deref() == Some("nginx") && annotation(i, "canary").is_none()).collect();
    served.sort_by(|a, b| a.meta.age.cmp(&b.meta.age).then(b.meta.key.cmp(&a.meta.key)));
    served
}

/// The host that a request's host belongs to.
fn host_of(objects: &[Ingress], host: &str) -> String {
    let named = |name: &str| {
        served(objects)
            .iter()
            .any(|i| i.rules.iter().any(|r| r.host.as_deref().unwrap_or_default().eq_ignore_ascii_case(name)))
    };
    let below = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
    if !host.is_empty() && named(host) {
        return host.into();
    }
    below.filter(|below| named(below)).unwrap_or_default()
}

/// The locations of a host in the words of nginx, before they are ordered.
fn locations(objects: &[Ingress], host: &str) -> Vec<Location> {
    let mut won: Vec<(String, bool, String, &Ingress)> = Vec::new();
    let served = served(objects);
    if host.is_empty() {
        let catch_all = served.iter().find(|i| i.rules.is_empty() && i.default_backend.is_some());
        won.extend(catch_all.map(|i| ("/".into(), false, format!("{} spec.defaultBackend", i.meta.key), *i)));
    }
    for ingress in &served {
        for (r, rule) in ingress.rules.iter().enumerate() {
            if !rule.host.as_deref().unwrap_or_default().eq_ignore_ascii_case(host) {
                continue;
            }
            for (p, path) in rule.paths.iter().enumerate() {
                let is_exact = path.kind == IngressPathKind::Exact;
                if !won.iter().any(|(text, exact, ..)| *text == *path.path && *exact == is_exact) {
                    let owner = format!("{} spec.rules[{r}].http.paths[{p}]", ingress.meta.key);
                    won.push((path.path.to_string(), is_exact, owner, ingress));
                }
            }
        }
    }
    if !won.iter().any(|(text, exact, ..)| text == "/" && !exact) {
        let of_host =
            |i: &&&Ingress| i.rules.iter().any(|r| r.host.as_deref().unwrap_or_default().eq_ignore_ascii_case(host));
        let fallback = served.iter().filter(of_host).find(|i| !host.is_empty() || i.default_backend.is_some());
        if let Some(i) = fallback {
            let rule = i.rules.iter().position(|r| r.host.as_deref().unwrap_or_default().eq_ignore_ascii_case(host));
            won.push(("/".into(), false, format!("{} spec.rules[{}]", i.meta.key, rule.unwrap()), i));
        }
    }
    let exact: Vec<String> = won.iter().filter(|w| w.1).map(|w| w.0.clone()).collect();
    let mut locations: Vec<Location> = Vec::new();
    for (text, is_exact, owner, ingress) in won {
        let is_catch_all = owner.ends_with("defaultBackend");
        let wants_regex = !is_catch_all && wants_regex(ingress, &text);
        let is_broken = text.contains("(?!");
        let owner = format!("{owner} {}", target(&served, host, ingress, &owner));
        let written = text.clone();
        let mut add = |text: String, is_exact: bool| {
            let (written, owner) = (written.clone(), owner.clone());
            locations.push(Location { text, written, is_exact, owner, wants_regex, is_broken });
        };
        // In regex mode a text that is no pattern stands for its literal part, once.
        if is_exact || text == "/" || wants_regex || is_broken {
            add(text, is_exact);
        } else if text.ends_with('/') {
            add(text, false);
        } else {
            add(format!("{text}/"), false);
            if !exact.contains(&text) {
                add(text, true);
            }
        }
    }
    locations
}

/// Where requests of a location go, but for what regex mode makes of it.
fn target(served: &[&Ingress], host: &str, ingress: &Ingress, owner: &str) -> String {
    let of_host = |i: &&&Ingress| {
        let by_rule = i.rules.iter().any(|r| r.host.as_deref().unwrap_or_default().eq_ignore_ascii_case(host));
        by_rule || (host.is_empty() && i.rules.is_empty() && i.default_backend.is_some())
    };
    if served.iter().filter(of_host).any(|i| annotation(i, "auth-tls-secret").is_some()) {
        return "status 403".into();
    }
    if annotation(ingress, "auth-type").is_some() {
        return "status 503".into();
    }
    let number = |text: &str| text.split(']').next().unwrap().parse::<usize>().unwrap();
    let mut numbers = owner.split('[').skip(1).map(number);
    let backend = match (numbers.next(), numbers.next()) {
        (Some(rule), Some(path)) => Some(&ingress.rules[rule].paths[path].backend),
        _ => ingress.default_backend.as_ref(),
    };
    match backend {
        Some(IngressBackend::Service { name, .. }) => format!("default-{name}-80"),
        _ => "status 404".into(),
    }
}

fn answer(objects: &[Ingress], host: &str, path: &str) -> Answer {
    let host = host_of(objects, host);
    let mut locations = locations(objects, &host);
    if locations.iter().any(|l| l.wants_regex) {
        locations.sort_by(|a, b| {
            let rank = |l: &Location| (l.text == "/", l.is_broken, std::cmp::Reverse(l.written.len()));
            rank(a).cmp(&rank(b)).then_with(|| b.written.cmp(&a.written)).then_with(|| b.text.len().cmp(&a.text.len()))
        });
        let matches = |l: &&Location| match l.is_broken {
            true => path.to_lowercase().starts_with(&l.text.split('(').next().unwrap().to_lowercase()),
            false => regex::Regex::new(&format!("(?i)^{}", l.text)).unwrap().is_match(path),
        };
        return locations.iter().find(matches).map_or(Answer::Nothing, |l| match l.is_broken {
            true if !l.owner.ends_with("403") => {
                Answer::Route(format!("{} status 503", l.owner.rsplit_once(' ').unwrap().0.trim_end_matches(" status")))
            }
            _ => Answer::Route(l.owner.clone()),
        });
    }
    // A place that is taken keeps its owner.
    let mut taken = std::collections::HashSet::new();
    locations.retain(|l| taken.insert((l.text.clone(), l.is_exact)));
    if let Some(exact) = locations.iter().find(|l| l.is_exact && l.text == path) {
        return Answer::Route(exact.owner.clone());
    }
    let slashed = format!("{path}/");
    let slash = locations.iter().filter(|l| l.text == slashed).max_by_key(|l| l.is_exact);
    if let Some(location) = slash {
        return Answer::AddSlash(location.owner.clone());
    }
    let prefixes = locations.iter().filter(|l| !l.is_exact && path.starts_with(&l.text));
    prefixes.max_by_key(|l| l.text.len()).map_or(Answer::Nothing, |l| Answer::Route(l.owner.clone()))
}

fn compiled_answer(snapshot: &Snapshot, host: &str, path: &str) -> Answer {
    let owner = |route: &Route| {
        let target = match &route.backend {
            Backend::Cluster(id) => snapshot.clusters.get(*id).unwrap().name.to_string(),
            Backend::Status(status) => format!("status {status}"),
            Backend::Weighted(_) => unreachable!("no Ingress makes weights yet"),
        };
        format!("{} {} {target}", route.source.key, route.field)
    };
    match snapshot.hosts.find(host).paths.find(path.as_bytes()) {
        PathMatch::Route(route) => Answer::Route(owner(route)),
        PathMatch::AddSlash(route) => Answer::AddSlash(owner(route)),
        PathMatch::None => Answer::Nothing,
    }
}

fn check_lookups(objects: &[Ingress], requests: &[(&str, String)]) -> Result<(), TestCaseError> {
    let mut compiler = compiler();
    objects.iter().for_each(|i| compiler.upsert(Object::Ingress(Arc::new(i.clone()))));
    let snapshot = compiler.compile().snapshot;
    for (host, path) in requests {
        prop_assert_eq!(compiled_answer(&snapshot, host, path), answer(objects, host, path), "{} {}", host, path);
    }
    Ok(())
}

fn one_path(path: &str, kind: IngressPathKind, service: u16) -> IngressPath {
    let name = format!("s{service}").into();
    IngressPath { path: path.into(), kind, backend: IngressBackend::Service { name, port: Some(PortKey::Number(80)) } }
}

fn plain_ingress(name: &str, annotation: Option<(&str, &str)>, rule: IngressRule) -> Ingress {
    Ingress {
        meta: Meta { key: ObjectKey::new("default", name), age: Age::Created(1) },
        annotations: annotation
            .map(|(name, value)| (format!("nginx.ingress.kubernetes.io/{name}").into(), value.into()))
            .into_iter()
            .collect(),
        class: Some("nginx".into()),
        default_backend: None,
        tls: Vec::new(),
        rules: vec![rule],
    }
}

/// The last version of each name, as a folder has it.
fn distinct(mut objects: Vec<Ingress>) -> Vec<Ingress> {
    objects.reverse();
    let mut seen = std::collections::HashSet::new();
    objects.retain(|i| seen.insert(i.meta.key.clone()));
    objects
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn lookups_agree_with_the_plain_matcher(
        objects in prop::collection::vec(ingress(), 1..6),
        requests in prop::collection::vec((prop::sample::select(&["a.test", "b.test", "x.b.test", "y.b.test", "z.y.b.test", "other"][..]), path()), 1..40),
    ) {
        check_lookups(&distinct(objects), &requests)?;
    }
}

/// Found by the property above once: a path that is no pattern, as Exact and as Prefix, in a host of regex mode.
#[test]
fn a_broken_pattern_takes_one_place_whatever_its_type() {
    let rule = |paths: &[(&str, IngressPathKind)]| IngressRule {
        host: Some("a.test".into()),
        paths: paths.iter().map(|(path, kind)| one_path(path, *kind, 0)).collect(),
    };
    let broken = rule(&[("/(?!a)", IngressPathKind::Exact), ("/(?!a)", IngressPathKind::Prefix)]);
    let regex = rule(&[("/b.*", IngressPathKind::Prefix)]);
    let objects = [plain_ingress("i0", None, broken), plain_ingress("i1", Some(("use-regex", "true")), regex)];
    check_lookups(&objects, &[("a.test", "/".into()), ("a.test", "/ax".into()), ("a.test", "/bx".into())]).unwrap();
}

// Edits.

#[derive(Clone, Debug)]
enum Edit {
    Upsert(Object),
    Remove(ObjectRef),
    Compile,
}

fn service() -> impl Strategy<Value = Object> {
    (0..3_u8, prop::sample::select(&[80_u16, 81][..])).prop_map(|(name, port)| {
        let meta = Meta { key: ObjectKey::new("default", format!("s{name}")), age: Age::Unknown };
        let ports = vec![ServicePort {
            name: "".into(),
            port,
            target: TargetPort::Number(port),
            transport: Transport::Tcp,
            app_protocol: None,
            node_port: None,
        }];
        let (local_traffic, families) = (false, Vec::new());
        Object::Service(Arc::new(Service {
            meta,
            ports,
            cluster_ip: None,
            external_name: None,
            local_traffic,
            families,
        }))
    })
}

fn endpoints() -> impl Strategy<Value = Object> {
    (0..3_u8, prop::collection::vec(0..4_u8, 0..3)).prop_map(|(name, addresses)| {
        let meta = Meta { key: ObjectKey::new("default", format!("s{name}")), age: Age::Unknown };
        let address = |n| EndpointAddress { address: [10, 0, 0, n].into(), ready: true, draining: false };
        let addresses = addresses.into_iter().map(address).collect();
        let subsets = vec![Subset {
            ports: vec![EndpointPort { name: "".into(), port: 80, transport: Transport::Tcp }],
            addresses,
            places: Vec::new(),
        }];
        Object::Endpoints(Arc::new(Endpoints { meta, subsets }))
    })
}

fn secret() -> impl Strategy<Value = Object> {
    (0..4_u8, 0..3_usize, any::<bool>()).prop_map(|(name, pair, broken)| {
        let (certificate, key) = &CERTIFICATES[pair];
        let key = if broken { "no key" } else { key };
        let data = [("tls.crt", certificate.as_str()), ("tls.key", key)];
        let data = data.map(|(name, text)| (name.into(), text.as_bytes().into())).into();
        let meta = Meta { key: ObjectKey::new("default", format!("t{name}")), age: Age::Unknown };
        Object::Secret(Arc::new(Secret { meta, kind: "kubernetes.io/tls".into(), data }))
    })
}

fn config_map() -> impl Strategy<Value = Object> {
    let pair = prop::sample::select(
        &[("ssl-redirect", "false"), ("proxy-body-size", "2m"), ("http-redirect-code", "301"), ("block-cidrs", "::/0")]
            [..],
    );
    pair.prop_map(|(key, value)| {
        let meta = Meta { key: ObjectKey::new("ingress-nginx", "controller"), age: Age::Unknown };
        let data = [(key.into(), value.into())].into();
        Object::ConfigMap(Arc::new(ringress_config::model::ConfigMap { meta, data }))
    })
}

fn class() -> impl Strategy<Value = Object> {
    (prop::sample::select(&["nginx", "other"][..]), any::<bool>()).prop_map(|(name, ours)| {
        let controller = if ours { "k8s.io/ingress-nginx" } else { "example.com/other" };
        let meta = Meta { key: ObjectKey::new("", name), age: Age::Unknown };
        Object::IngressClass(Arc::new(ringress_config::model::IngressClass {
            meta,
            controller: controller.into(),
            parameters: None,
        }))
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    let object = prop_oneof![
        6 => ingress().prop_map(|i| Object::Ingress(Arc::new(i))),
        2 => service(),
        2 => endpoints(),
        2 => secret(),
        1 => config_map(),
        1 => class(),
    ]
    .boxed();
    prop_oneof![
        6 => object.clone().prop_map(Edit::Upsert),
        3 => object.prop_map(|o| Edit::Remove(o.reference())),
        3 => Just(Edit::Compile),
    ]
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn any_order_of_edits_ends_in_the_snapshot_of_the_last_state(edits in prop::collection::vec(edit(), 1..40)) {
        let mut incremental = compiler();
        let mut state = std::collections::BTreeMap::new();
        for edit in &edits {
            match edit {
                Edit::Upsert(object) => {
                    incremental.upsert(object.clone());
                    state.insert(object.reference(), object.clone());
                }
                Edit::Remove(object) => {
                    incremental.remove(object);
                    state.remove(object);
                }
                Edit::Compile => check_ids(&incremental.compile().snapshot)?,
            }
        }
        let mut fresh = compiler();
        state.values().for_each(|object| fresh.upsert(object.clone()));
        let (incremental_state, fresh_state) = (incremental.compile(), fresh.compile());
        prop_assert_eq!(text(&incremental_state), text(&fresh_state));
        let again = incremental.compile();
        prop_assert!(!again.changed && Arc::ptr_eq(&again.snapshot, &incremental_state.snapshot));
        prop_assert!(Arc::ptr_eq(&again.findings, &incremental_state.findings));
        check_ids(&again.snapshot)?;
    }
}

fn text(compiled: &ringress_config::compile::Compiled) -> String {
    let mut text = print::snapshot(&compiled.snapshot);
    compiled.findings.iter().for_each(|finding| text.push_str(&format!("{finding}\n")));
    text.push_str(&format!("{:?}\n", compiled.objects));
    text
}

/// Route ids are given to one route at a time, and clusters are where their ids say.
fn check_ids(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let mut ids = std::collections::HashMap::new();
    let named = snapshot.hosts.exact.iter().chain(snapshot.hosts.wildcard.iter()).map(|(_, host)| host);
    for host in named.chain([&snapshot.hosts.catch_all]) {
        for route in host.paths.routes() {
            let other = ids.insert(route.id, Arc::clone(route));
            prop_assert!(other.is_none_or(|other| Arc::ptr_eq(&other, route)), "{:?} is given twice", route.id);
        }
    }
    let mut identities = std::collections::HashSet::new();
    for cluster in snapshot.clusters.iter() {
        prop_assert!(snapshot.clusters.get(cluster.id).is_some_and(|at| Arc::ptr_eq(at, cluster)));
        prop_assert!(identities.insert(cluster.identity));
    }
    Ok(())
}
