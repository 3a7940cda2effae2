use super::*;
use crate::annotation::NoObjects;
use crate::model::IngressRule;
use crate::testing::annotated;

struct Setting {
    options: Options,
    globals: Globals,
    classes: BTreeSet<Arc<str>>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { options: Options::default(), globals: Globals::default(), classes: ["public".into()].into() }
    }
}

impl Setting {
    fn translate(&self, ingress: &Ingress) -> Translation {
        let (options, globals, classes) = (&self.options, &self.globals, &self.classes);
        translate(ingress, Context { options, globals, classes, objects: &NoObjects })
    }

    fn verdict(&self, class: Option<&str>, pairs: &[(&str, &str)]) -> &'static str {
        let ingress = Ingress { class: class.map(Into::into), ..annotated(pairs) };
        match self.translate(&ingress).verdict {
            Verdict::Foreign => "foreign",
            Verdict::Refused => "refused",
            Verdict::Accepted(_) => "accepted",
        }
    }
}

const LEGACY: &str = "kubernetes.io/ingress.class";

#[test]
fn the_class_field_wins_over_the_annotation() {
    let mut setting = Setting::default();
    assert_eq!(setting.verdict(Some("public"), &[]), "accepted");
    assert_eq!(setting.verdict(Some("public"), &[(LEGACY, "other")]), "accepted");
    assert_eq!(setting.verdict(Some("other"), &[(LEGACY, "nginx")]), "foreign");
    assert_eq!(setting.verdict(None, &[(LEGACY, "nginx")]), "accepted");
    assert_eq!(setting.verdict(None, &[(LEGACY, "public")]), "foreign");
    assert_eq!(setting.verdict(None, &[]), "foreign");
    assert_eq!(setting.verdict(None, &[(LEGACY, "")]), "foreign");
    setting.options.watch_ingress_without_class = true;
    assert_eq!(setting.verdict(None, &[]), "accepted");
    assert_eq!(setting.verdict(None, &[(LEGACY, "other")]), "foreign");
}

#[test]
fn other_namespaces_are_foreign_when_one_is_watched() {
    let mut setting = Setting::default();
    setting.options.watch_namespace = Some("default".into());
    assert_eq!(setting.verdict(Some("public"), &[]), "accepted");
    setting.options.watch_namespace = Some("shop".into());
    assert_eq!(setting.verdict(Some("public"), &[]), "foreign");
}

#[test]
fn risk_words_and_snippets_keep_an_ingress_out() {
    let mut setting = Setting::default();
    let snippet = [("server-snippet", "return 200;")];
    assert_eq!(setting.verdict(Some("public"), &snippet), "refused");
    assert_eq!(setting.verdict(Some("public"), &[("server-snippet", " ")]), "accepted");
    setting.globals.risk_max = annotation::Risk::Critical;
    assert_eq!(setting.verdict(Some("public"), &snippet), "accepted");
    setting.globals.risk_max = annotation::Risk::Low;
    assert_eq!(setting.verdict(Some("public"), &[("proxy-body-size", "1m")]), "refused");
    setting.options.validate_annotations = false;
    assert_eq!(setting.verdict(Some("public"), &[("proxy-body-size", "1m")]), "accepted");
    setting.options.validate_annotations = true;
    assert_eq!(setting.verdict(Some("public"), &[("use-regex", "true")]), "accepted");
    setting.globals = Globals { blocked_words: ["lua".into()].into(), ..Globals::default() };
    assert_eq!(setting.verdict(Some("public"), &[("upstream-vhost", "xluax")]), "refused");
}

#[test]
fn another_prefix_makes_the_usual_annotations_strangers() {
    let mut setting = Setting::default();
    setting.options.annotations_prefix = "custom.example".into();
    assert_eq!(setting.verdict(Some("public"), &[("server-snippet", "return 200;")]), "accepted");
    assert_eq!(setting.verdict(Some("public"), &[("custom.example/server-snippet", "return 200;")]), "refused");
}

#[test]
fn dangerous_fragments_and_catch_alls_are_kept_out_by_option() {
    let mut setting = Setting::default();
    let with_path = |path: &str| Ingress {
        class: Some("public".into()),
        rules: vec![IngressRule {
            host: Some("a.test".into()),
            paths: vec![IngressPath {
                path: path.into(),
                kind: IngressPathKind::ImplementationSpecific,
                backend: IngressBackend::Missing,
            }],
        }],
        ..annotated(&[])
    };
    for path in ["/x; alias /y;", "/etc/passwd", "/content_BY_LUA"] {
        assert!(matches!(setting.translate(&with_path(path)).verdict, Verdict::Foreign), "{path}");
    }
    assert!(matches!(setting.translate(&with_path("/alias/root")).verdict, Verdict::Accepted(_)));
    setting.options.deep_inspect = false;
    assert!(matches!(setting.translate(&with_path("/etc/passwd")).verdict, Verdict::Accepted(_)));
    setting.options.disable_catch_all = true;
    let catch_all = Ingress { default_backend: Some(IngressBackend::Missing), ..with_path("/") };
    let translation = setting.translate(&catch_all);
    assert!(matches!(translation.verdict, Verdict::Foreign) && translation.findings.len() == 1);
}

#[test]
fn a_canary_has_paths_and_nothing_else() {
    let setting = Setting::default();
    let ingress = Ingress {
        class: Some("public".into()),
        rules: vec![IngressRule { host: Some("a.test".into()), paths: Vec::new() }],
        ..annotated(&[("canary", "true"), ("app-root", "/x"), ("server-alias", "b.test")])
    };
    let Verdict::Accepted(intent) = setting.translate(&ingress).verdict else { panic!("not accepted") };
    let [host] = &intent.hosts[..] else { panic!("one host") };
    assert!(matches!(host.role, HostRole::Canary(_)) && host.root.is_none() && host.tls == TlsIntent::None);
}

#[test]
fn path_limits_hold_at_the_limit_and_one_past_it() {
    let kind = IngressPathKind::Exact;
    assert_eq!(path_fault(&format!("/{}", "a".repeat(PATH_BYTES_MAX - 1)), kind), None);
    assert!(path_fault(&format!("/{}", "a".repeat(PATH_BYTES_MAX)), kind).is_some());
}
