use super::*;
use crate::compile::Review;

/// A compiler that knows its classes and settings, and nothing else.
fn ready(options: Options) -> Compiler {
    let mut compiler = compiler(options);
    compiler.compile();
    compiler
}

fn read(text: &str) -> Arc<Ingress> {
    let content = manifest::parse("new.yaml", text.as_bytes());
    match content.objects.into_iter().next() {
        Some(Object::Ingress(ingress)) => ingress,
        other => panic!("{other:?}, {:?}", content.findings),
    }
}

fn review(compiler: &Compiler, text: &str) -> Review {
    compiler.review(&read(text), &[])
}

/// The one reason of a refusal.
#[track_caller]
fn refusal(compiler: &Compiler, text: &str) -> String {
    let review = review(compiler, text);
    assert_eq!(review.refused.len(), 1, "{review:?}");
    review.refused[0].to_string()
}

#[track_caller]
fn admitted(compiler: &Compiler, text: &str) {
    assert_eq!(review(compiler, text).refused, [], "{text}");
}

const CANARY: &str = "nginx.ingress.kubernetes.io/canary: 'true', nginx.ingress.kubernetes.io/canary-weight: '10'";

#[test]
fn a_path_of_another_ingress_is_refused_but_for_one_canary() {
    let mut compiler = ready(Options::default());
    compiler.apply(&ingress("first", "a.test", &["/p"], ""));
    let reason = refusal(&compiler, &ingress("second", "a.test", &["/p"], ""));
    assert!(reason.contains("a.test") && reason.contains("/p") && reason.contains("Ingress default/first"), "{reason}");
    admitted(&compiler, &ingress("second", "a.test", &["/q"], ""));
    admitted(&compiler, &ingress("second", "b.test", &["/p"], ""));
    refusal(&compiler, &ingress("second", "a.test", &["/p"], "").replace("Prefix", "Exact"));
    admitted(&compiler, &ingress("second", "a.test", &["/p"], "").replace("nginx\n", "other\n"));
    admitted(&compiler, &ingress("can1", "a.test", &["/p"], CANARY));
    compiler.apply(&ingress("can1", "a.test", &["/p"], CANARY));
    refusal(&compiler, &ingress("can2", "a.test", &["/p"], CANARY));
    admitted(&compiler, &ingress("can1", "a.test", &["/p"], CANARY));
}

#[test]
fn an_ingress_is_no_rival_of_itself_and_an_old_conflict_can_be_worked_on() {
    let mut compiler = ready(Options::default());
    compiler.apply(&ingress("first", "a.test", &["/p"], ""));
    compiler.apply(&ingress("late", "a.test", &["/p"], ""));
    admitted(&compiler, &ingress("late", "a.test", &["/p", "/new"], ""));
    admitted(&compiler, &ingress("first", "a.test", &["/p"], "x: y"));
    refusal(&compiler, &ingress("third", "a.test", &["/p"], ""));
    compiler.delete(Kind::Ingress, "first");
    compiler.delete(Kind::Ingress, "late");
    admitted(&compiler, &ingress("third", "a.test", &["/p"], ""));
}

#[test]
fn strict_path_types_are_for_literal_paths_and_can_be_switched_off() {
    let strict = ready(Options { configmap: Some(ObjectKey::new("default", "c")), ..Options::default() });
    for path in ["/a*b", "/x(y)"] {
        let text = ingress("i", "a.test", &[path], "");
        assert!(refusal(&strict, &text).contains("strict-validate-path-type"));
        refusal(&strict, &text.replace("Prefix", "Exact"));
        admitted(&strict, &text.replace("Prefix", "ImplementationSpecific"));
    }
    admitted(&strict, &ingress("i", "a.test", &["/ok", "/a.b_c-d/"], ""));
    let mut loose = strict;
    loose.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {strict-validate-path-type: 'false'}\n");
    admitted(&loose, &ingress("i", "a.test", &["/a*b"], ""));
}

#[test]
fn what_would_be_refused_is_refused_and_what_would_be_ignored_is_a_warning() {
    let mut compiler = ready(Options::default());
    compiler.apply(&service("i", &["10.0.0.1"]));
    let with = |annotation: &str| ingress("i", "a.test", &["/"], &format!("nginx.ingress.kubernetes.io/{annotation}"));
    refusal(&compiler, &with("server-snippet: 'return 200;'"));
    refusal(&compiler, &with("server-alias: 'a b'"));
    let ignored = review(&compiler, &with("proxy-connect-timeout: 'soon'"));
    assert_eq!((ignored.refused.len(), ignored.warnings.len()), (0, 1), "{ignored:?}");
    let unknown = review(&compiler, &with("no-such-thing: 'x'"));
    assert_eq!((unknown.refused.len(), unknown.warnings.len()), (0, 1), "{unknown:?}");
    let later = with("auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: comes-later");
    assert_eq!(review(&compiler, &later).refused, [], "a Secret may come after its Ingress");
    assert!(!review(&compiler, &later).warnings.is_empty());
    refusal(&compiler, &ingress("i", "a.test", &["/etc/nginx/x"], ""));
    refusal(
        &compiler,
        &with("use-regex: 'true'").replace("path: '/'", "path: '/(?=x)'").replace("Prefix", "ImplementationSpecific"),
    );
}

#[test]
fn snippets_stay_refused_at_any_risk_level_unless_they_are_admitted() {
    let mut compiler = ready(Options { configmap: Some(ObjectKey::new("default", "c")), ..Options::default() });
    let snippet = ingress("i", "a.test", &["/"], "nginx.ingress.kubernetes.io/server-snippet: 'return 200;'");
    let data = |more: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{annotations-risk-level: Critical{more}}}\n"
        )
    };
    compiler.apply(&data(""));
    refusal(&compiler, &snippet);
    compiler.apply(&data(", allow-snippet-annotations: 'true'"));
    admitted(&compiler, &snippet);
    assert!(!review(&compiler, &snippet).warnings.is_empty());
}

#[test]
fn annotations_of_the_usual_prefix_are_a_mistake_under_another() {
    let compiler = ready(Options { annotations_prefix: "custom.example".into(), ..Options::default() });
    let reason = refusal(&compiler, &ingress("i", "a.test", &["/"], "nginx.ingress.kubernetes.io/use-regex: 'true'"));
    assert!(reason.contains("custom.example"), "{reason}");
}

#[test]
fn canaries_that_have_an_order_stand_beside_each_other() {
    let mut compiler = ready(Options::default());
    let canary = |name: &str, order: &str| {
        let order = format!("{CANARY}{order}");
        ingress(name, "a.test", &["/"], &order)
    };
    compiler.apply(&(ingress("a", "a.test", &["/"], "") + &canary("b", "")));
    assert!(refusal(&compiler, &canary("c", "")).contains("already a canary of"));
    admitted(&compiler, &canary("c", ", ringress.io/canary-order: '1'"));
    let compiled = compiler
        .apply(&(canary("c", ", ringress.io/canary-order: '2'") + &canary("d", ", ringress.io/canary-order: '1'")));
    let route = route(&compiled, "a.test", "/");
    let names = route
        .policies
        .as_ref()
        .unwrap()
        .canaries
        .iter()
        .map(|canary| compiled.snapshot.clusters.get(canary.cluster).unwrap().key.service.name.to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["b", "d", "c"]);
}

#[test]
fn canaries_whose_weights_leave_less_than_is_asked_for_are_named() {
    let mut compiler = ready(Options::default());
    let canary = |name: &str, weight: u32, more: &str| {
        let all = format!(
            "nginx.ingress.kubernetes.io/canary: 'true', nginx.ingress.kubernetes.io/canary-weight: '{weight}'{more}"
        );
        ingress(name, "a.test", &["/"], &all)
    };
    let order = |order: u32| format!(", ringress.io/canary-order: '{order}'");
    let texts = ingress("a", "a.test", &["/"], "")
        + &canary("b", 60, &order(3))
        + &canary("c", 50, &order(2))
        + &canary("d", 40, &order(2))
        + &canary("e", 100, &(order(1) + ", ringress.io/match-method: POST"))
        + &canary("f", 0, &(order(4) + ", nginx.ingress.kubernetes.io/canary-by-header: X-F"));
    let compiled = compiler.apply(&texts);
    let crowded: Vec<_> = findings(&compiled).into_iter().filter(|f| f.contains("gets less than its weight")).collect();
    assert!(matches!(&crowded[..], [one] if one.contains("default/b")), "{crowded:?}");
    let alone = ready(Options::default()).apply(&(ingress("a", "a.test", &["/"], "") + &canary("b", 150, "")));
    assert!(!findings(&alone).iter().any(|finding| finding.contains("gets less")), "{:?}", findings(&alone));
}

/// The one warning about an Ingress that may be written.
#[track_caller]
fn warning(compiler: &Compiler, text: &str) -> String {
    let review = review(compiler, text);
    assert_eq!((review.refused.len(), review.warnings.len()), (0, 1), "{review:?}");
    review.warnings[0].to_string()
}

#[test]
fn what_an_ingress_names_and_is_not_there_is_a_warning_and_no_refusal() {
    let mut compiler = ready(Options::default());
    let plain = ingress("i", "a.test", &["/"], "");
    assert!(warning(&compiler, &plain).contains("Service default/i does not exist"));
    compiler.apply(&service("i", &["10.0.0.1"]));
    assert_eq!(review(&compiler, &plain), Review::default());
    assert!(
        warning(&compiler, &plain.replace("number: 80", "number: 81")).contains("Service default/i has no port 81")
    );
    assert!(
        warning(&compiler, &plain.replace("number: 80", "name: web")).contains("Service default/i has no port web")
    );
    let with_tls = plain.replace("  rules:", "  tls: [{hosts: [a.test], secretName: cert}]\n  rules:");
    assert!(warning(&compiler, &with_tls).contains("Secret default/cert does not exist"));
    let Some(Object::Secret(found)) =
        manifest::parse("s.yaml", secret("cert", &pem(&["a.test"])).as_bytes()).objects.pop()
    else {
        panic!("a Secret")
    };
    let named = ObjectRef { kind: Kind::Secret, key: ObjectKey::new("default", "cert") };
    assert_eq!(compiler.unread(&read(&with_tls)), [named]);
    assert_eq!(compiler.review(&read(&with_tls), &[Object::Secret(found)]), Review::default(), "it was read");
    compiler.apply(&secret("cert", &pem(&["other.test"])));
    assert!(warning(&compiler, &with_tls).contains("not valid for host a.test"));
}

#[test]
fn an_alias_that_is_a_host_and_a_canary_without_a_main_are_warnings() {
    let mut compiler = ready(Options::default());
    compiler.apply(&(service("first", &["10.0.0.1"]) + &service("i", &["10.0.0.2"])));
    compiler.apply(&ingress("first", "taken.test", &["/"], ""));
    let alias = ingress("i", "a.test", &["/"], "nginx.ingress.kubernetes.io/server-alias: taken.test");
    assert!(warning(&compiler, &alias).contains("taken.test is a host of its own"));
    let canary = ingress("i", "a.test", &["/"], CANARY);
    assert!(warning(&compiler, &canary).contains("no Ingress that is no canary has it"));
    compiler.apply(&ingress("first", "a.test", &["/"], ""));
    assert_eq!(review(&compiler, &canary), Review::default());
    // Its own old version is no rival of the new one.
    compiler.apply(&ingress("first", "b.test", &["/"], "nginx.ingress.kubernetes.io/server-alias: c.test"));
    let moved = ingress("first", "c.test", &["/"], "nginx.ingress.kubernetes.io/server-alias: b.test");
    assert_eq!(review(&compiler, &moved), Review::default());
}

#[test]
fn expressions_beyond_the_limit_are_a_warning_unless_the_old_ones_go() {
    let mut compiler = ready(Options::default());
    let aliases = |range: std::ops::Range<usize>| {
        let all: Vec<_> = range.map(|number| format!("~^x{number}$")).collect();
        format!("nginx.ingress.kubernetes.io/server-alias: '{}'", all.join(","))
    };
    compiler.apply(&(service("i", &["10.0.0.1"]) + &service("j", &["10.0.0.1"])));
    compiler.apply(&ingress("i", "a.test", &["/"], &aliases(0..256)));
    assert!(warning(&compiler, &ingress("j", "b.test", &["/"], &aliases(256..257))).contains("256 expressions"));
    assert_eq!(review(&compiler, &ingress("i", "a.test", &["/"], &aliases(1..257))), Review::default());
}

#[test]
fn who_decides_about_a_shared_service_is_told() {
    let mut compiler = ready(Options::default());
    let shares = |name: &str, by: &str| {
        let balance = format!("nginx.ingress.kubernetes.io/load-balance: {by}");
        ingress(name, &format!("{name}.test"), &["/"], &balance)
            .replace(&format!("service: {{name: {name}"), "service: {name: web")
    };
    compiler.apply(&(service("web", &["10.0.0.1"]) + &shares("z", "ewma")));
    let late = shares("a", "round_robin");
    assert!(warning(&compiler, &late.replace("2026-01", "2026-02")).contains("Ingress default/z is older"));
    assert_eq!(review(&compiler, &shares("z", "round_robin")), Review::default());
}
