//! Settings by class: what `spec.parameters` of an IngressClass names acts on the Ingresses of that class alone.

use super::*;
use crate::settings;

fn class(name: &str, parameters: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}}}\nspec: {{controller: \
         k8s.io/ingress-nginx{parameters}}}\n"
    )
}

const PARAMETERS: &str = ", parameters: {kind: ConfigMap, scope: Namespace, namespace: ops, name: inside}";

fn config_map(name: &str, data: &str) -> String {
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{namespace: ops, name: {name}}}\ndata: {{{data}}}\n")
}

/// Two classes, `nginx` and `inside`, with an Ingress each; the second has parameters.
fn two_classes(all: &str) -> Compiler {
    let configmap = Some(ObjectKey::new("ops", "all"));
    let mut compiler = compiler(Options { configmap, ..Options::default() });
    let inside = ingress("b", "b.test", &["/"], "").replace("ingressClassName: nginx", "ingressClassName: inside");
    let classes = class("nginx", "") + &class("inside", PARAMETERS);
    let services = service("a", &["10.0.0.1"]) + &service("b", &["10.0.0.2"]);
    compiler.apply(&(classes + &services + &ingress("a", "a.test", &["/"], "") + &inside + &config_map("all", all)));
    compiler
}

fn body_limits(compiled: &Compiled) -> [Option<u64>; 2] {
    ["a.test", "b.test"].map(|host| route(compiled, host, "/").body.bytes_max)
}

fn refused(compiled: &Compiled, host: &str) -> Option<u16> {
    route(compiled, host, "/").policies.as_ref().and_then(|policies| policies.refuse)
}

#[test]
fn keys_of_a_class_override_those_of_all_and_follow_changes() {
    let mut compiler = two_classes("proxy-body-size: 2k, proxy-read-timeout: '7'");
    let compiled = compiler.apply(&config_map("inside", "proxy-body-size: 4k"));
    assert_eq!(body_limits(&compiled), [Some(2 << 10), Some(4 << 10)]);
    let seconds = |host: &str| route(&compiled, host, "/").timeouts.read.as_secs();
    assert_eq!([seconds("a.test"), seconds("b.test")], [7, 7], "what the class does not say is as for all");
    assert!(compiled.findings.is_empty(), "{:?}", findings(&compiled));
    let compiled = compiler.apply(&config_map("inside", "proxy-body-size: 5k"));
    assert_eq!(body_limits(&compiled), [Some(2 << 10), Some(5 << 10)]);
    let compiled = compiler.apply(&config_map("all", "proxy-body-size: 3k"));
    assert_eq!(body_limits(&compiled), [Some(3 << 10), Some(5 << 10)]);
    let compiled = compiler.apply(&class("inside", ""));
    assert_eq!(body_limits(&compiled), [Some(3 << 10), Some(3 << 10)]);
}

#[test]
fn a_key_of_all_that_acts_in_a_class_alone_is_followed_too() {
    let mut compiler = two_classes("global-auth-method: POST");
    let url = "global-auth-url: 'http://auth.test/'";
    let method = |compiled: &Compiled| {
        let policies = route(compiled, "b.test", "/").policies.clone().unwrap();
        policies.access.as_ref().unwrap().external.as_ref().unwrap().method.clone()
    };
    let posted = method(&compiler.apply(&config_map("inside", url)));
    let compiled = compiler.apply(&config_map("all", "global-auth-method: PUT"));
    assert_ne!(method(&compiled), posted);
}

#[test]
fn keys_for_all_classes_have_no_effect_in_that_of_one_and_are_named() {
    let mut compiler = two_classes("server-tokens: 'false'");
    let before = Arc::clone(&compiler.compile().snapshot.settings);
    let data =
        "server-tokens: 'true', allow-cross-namespace-resources: 'true', no-such-key: x, proxy-read-timeout: soon";
    let compiled = compiler.apply(&config_map("inside", data));
    assert_eq!(*compiled.snapshot.settings, *before);
    let said = findings(&compiled);
    let has = |field: &str, text: &str| said.iter().any(|finding| finding.contains(field) && finding.contains(text));
    assert!(said.iter().all(|finding| finding.contains("ConfigMap ops/inside")), "{said:?}");
    for key in ["server-tokens", "allow-cross-namespace-resources"] {
        assert!(has(key, "it is for all of them"), "{said:?}");
    }
    assert!(
        has("data.no-such-key", "is no option") && has("data.proxy-read-timeout", "the default is used"),
        "{said:?}"
    );
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(compiler.apply(&config_map("inside", "")).findings.is_empty());
}

#[test]
fn a_class_without_its_config_map_is_closed_and_the_others_serve() {
    let mut compiler = two_classes("");
    let compiled = compiler.compile();
    assert_eq!([refused(&compiled, "a.test"), refused(&compiled, "b.test")], [None, Some(503)]);
    let said = findings(&compiled);
    assert!(said[0].contains("IngressClass inside") && said[0].contains("spec.parameters.name"), "{said:?}");
    let compiled = compiler.apply(&config_map("inside", "whitelist-source-range: 10.0.0.0/8"));
    assert_eq!((refused(&compiled, "b.test"), compiled.findings.len()), (None, 0));
    let access = |host: &str| route(&compiled, host, "/").policies.as_ref().is_some_and(|p| p.access.is_some());
    assert_eq!([access("a.test"), access("b.test")], [false, true]);
    let compiled = compiler.apply(&config_map("inside", "whitelist-source-range: nowhere"));
    assert_eq!([refused(&compiled, "a.test"), refused(&compiled, "b.test")], [None, Some(503)]);
    compiler.remove(&ObjectRef { kind: Kind::ConfigMap, key: ObjectKey::new("ops", "inside") });
    assert_eq!(refused(&compiler.compile(), "b.test"), Some(503));
}

#[test]
fn parameters_of_another_kind_have_no_effect_and_are_named() {
    let mut compiler = two_classes("proxy-body-size: 2k");
    for parameters in [
        ", parameters: {apiGroup: k8s.example.com, kind: IngressParameters, name: inside}",
        ", parameters: {kind: ConfigMap, name: inside}",
    ] {
        let compiled = compiler.apply(&class("inside", parameters));
        assert_eq!((body_limits(&compiled), refused(&compiled, "b.test")), ([Some(2 << 10); 2], None));
        assert!(findings(&compiled)[0].contains("spec.parameters: is no ConfigMap"), "{:?}", findings(&compiled));
    }
    // A class of another controller is nobody's business.
    let foreign = class("inside", PARAMETERS).replace("k8s.io/ingress-nginx", "example.com/other");
    assert!(compiler.apply(&foreign).findings.is_empty());
}

#[test]
fn fields_that_a_class_names_by_config_map_are_set_and_follow_it() {
    let mut compiler = two_classes("");
    compiler.apply(&config_map("inside", "add-headers: ops/fields"));
    let compiled = compiler.apply(&config_map("fields", "X-Inside: 'yes'"));
    let sets = |compiled: &Compiled, host: &str| {
        let policies = route(compiled, host, "/").policies.as_ref();
        policies.map_or(0, |policies| policies.response_fields.set.len())
    };
    assert_eq!([sets(&compiled, "a.test"), sets(&compiled, "b.test")], [0, 1]);
    let compiled = compiler.apply(&config_map("fields", "X-Inside: 'yes', X-More: 'yes'"));
    assert_eq!([sets(&compiled, "a.test"), sets(&compiled, "b.test")], [0, 2]);
}

#[test]
fn every_key_of_a_class_is_a_key_that_acts() {
    for key in settings::keys_of_class() {
        let row = settings::find(key).unwrap_or_else(|| panic!("no row {key}"));
        assert!(!matches!(row.support, crate::annotation::Support::Ignored(_)), "{key}");
    }
    assert!(settings::keys_of_class().is_sorted());
}
