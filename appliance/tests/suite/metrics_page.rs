//! `docs/metrics.md` lists what `/metrics` serves, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use ringress_sync::testkit::api_server::ApiServer;
use ringress_sync::testkit::fixtures;
use serde_json::json;

use crate::cluster::with_webhook;
use crate::support::eventually;
use crate::support::origin::Origin;
use crate::support::process::{HeldPort, Ringress, on_each_driver, own_address};
use crate::support::web::cluster;

/// Of a name: its type, and its labels in order.
type Served = BTreeMap<String, (String, String)>;

/// What stands in every row of a kind and is no label of the metric itself.
const OF_THE_FORMAT: [&str; 2] = ["le", "quantile"];

/// What the page calls sets of labels, in the order in which they are replaced.
const SHORT: [(&str, &str); 2] = [
    ("`controller_class` `controller_namespace` `controller_pod`", "*controller*"),
    ("`canary` *controller* `host` `ingress` `method` `namespace` `path` `service` `status`", "*request*"),
];

/// What a page says, from its `# TYPE` lines and samples.
fn served(page: &str) -> Served {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let labels = |name: &str| {
        let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']));
        let sample = page.lines().find(|line| of_it(line)).unwrap_or_else(|| panic!("{name} has no sample"));
        let inside = sample.split_once('{').map_or("", |(_, rest)| rest);
        // No value in these tests holds a comma or an equals sign.
        let names = inside.split(',').filter_map(|pair| Some(pair.split_once("=\"")?.0));
        let mut names: Vec<_> = names.filter(|name| !OF_THE_FORMAT.contains(name)).collect();
        names.sort_unstable();
        let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        SHORT.iter().fold(names, |names, (long, short)| names.replace(long, short))
    };
    types.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), labels(name)))).collect()
}

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    std::fs::read_to_string(path).expect("docs/metrics.md")
}

/// The rows of the tables of metrics.
fn listed(text: &str) -> Served {
    let mut listed = Served::new();
    let is_metric = |line: &&str| line.starts_with("| `ringress_") || line.starts_with("| `nginx_");
    for line in text.lines().filter(is_metric) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else { panic!("four cells are expected: {line}") };
        assert!(!meaning.is_empty(), "{line}");
        let row = (kind.to_owned(), labels.to_owned());
        assert!(listed.insert(name.trim_matches('`').to_owned(), row).is_none(), "twice: {line}");
    }
    listed
}

/// All that makes a metric appear: the webhook, the lead, checks, an orphan, and each has been asked.
fn eventful(ringress: &Ringress, server: &ApiServer) -> String {
    for host in ["a.test", "lost.test"] {
        ringress.get(host, "/");
    }
    let all = ["nginx_ingress_controller_requests", "ringress_propagation_seconds", "ringress_checked_endpoints"];
    let (mut changes, mut page) = (0, String::new());
    eventually("what needs an occasion is there", || {
        changes += 1;
        server.put(fixtures::ingress("default", "again", &format!("again-{changes}.test")));
        page = ringress.metrics();
        all.iter().all(|name| page.contains(&format!("\n# TYPE {name} ")))
    });
    page
}

#[test]
fn every_metric_is_listed_and_every_listed_one_is_served() {
    on_each_driver(|driver| {
        let (origin, folder) = (Origin::named("origin"), tempfile::tempdir().expect("a folder"));
        let (server, port) = (cluster(&origin), HeldPort::of(own_address()));
        let mut checked = fixtures::ingress("default", "a", "a.test");
        checked["metadata"]["annotations"] = json!({"ringress.io/health-check": "tcp"});
        let mut lost = fixtures::ingress("default", "lost", "lost.test");
        lost["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("nobody");
        server.put_all([checked, lost]);
        let ringress = with_webhook(driver, &server, &folder, port.address);
        let (page, text) = (eventful(&ringress, &server), text());
        let (served, listed) = (served(&page), listed(&text));
        let row =
            |(name, (kind, labels)): (&String, &(String, String))| format!("| `{name}` | {kind} | {labels} | … |");
        let missing: Vec<_> = served.iter().filter(|(name, row)| listed.get(*name) != Some(row)).map(row).collect();
        assert!(missing.is_empty(), "docs/metrics.md lacks:\n{}", missing.join("\n"));
        let absent: Vec<_> = listed.keys().filter(|name| !served.contains_key(*name)).collect();
        assert!(absent.is_empty(), "listed and not served: {absent:?}");
        let reasons =
            page.lines().filter_map(|line| line.strip_prefix("ringress_refused_total{reason=\"")?.split_once('"'));
        let (_, explained) = text.split_once("## Reasons").expect("the table of reasons");
        let (explained, _) = explained.split_once("\n## ").expect("and what follows it");
        let rows = explained.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let mut explained: Vec<_> = rows.map(|(reason, _)| reason).collect();
        let mut reasons: Vec<_> = reasons.map(|(reason, _)| reason).collect();
        reasons.sort_unstable();
        explained.sort_unstable();
        assert_eq!(explained, reasons, "in the table of reasons");
    });
}
