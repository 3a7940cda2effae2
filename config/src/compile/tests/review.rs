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
    let compiler = ready(Options::default());
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
