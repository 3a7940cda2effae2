//! What annotations make of routes and hosts across objects.

use super::*;
use crate::options::FileCertificate;
use crate::snapshot::{Canary, Policies};

fn policies(compiled: &Compiled, host: &str, path: &str) -> Policies {
    route(compiled, host, path).policies.as_deref().cloned().unwrap_or_default()
}

fn annotation(name: &str, value: &str) -> String {
    format!("nginx.ingress.kubernetes.io/{name}: '{value}'")
}

#[test]
fn a_secret_that_arrives_opens_just_the_hosts_that_name_it() {
    let mut compiler = compiler(Options::default());
    let auth = annotation("auth-type", "basic") + ", " + &annotation("auth-secret", "users");
    let missing = compiler.apply(&(ingress("a", "a.test", &["/"], &auth) + &ingress("b", "b.test", &["/"], "")));
    assert_eq!(policies(&missing, "a.test", "/").refuse, Some(503));
    assert_eq!(route(&missing, "a.test", "/").backend, Backend::Status(503));
    let users = "apiVersion: v1\nkind: Secret\nmetadata: {name: users}\nstringData: {auth: 'ann:x'}\n";
    let there = compiler.apply(users);
    let open = policies(&there, "a.test", "/");
    assert_eq!((open.refuse, open.access.unwrap().basic.as_ref().unwrap().users.len()), (None, 1));
    assert!(Arc::ptr_eq(host(&missing, "b.test"), host(&there, "b.test")));
    let gone = compiler.delete(Kind::Secret, "users");
    assert_eq!(policies(&gone, "a.test", "/").refuse, Some(503));
    compiler.apply(&ingress("a", "a.test", &["/"], ""));
    assert!(!compiler.apply(users).changed, "nobody names it any more");
}

#[test]
fn no_annotation_names_a_certificate_on_disk() {
    let hosts = ["b.test".to_owned()];
    let file = FileCertificate::new("/tls/b.crt".into(), "/tls/b.key".into(), &hosts).unwrap().secret();
    let mut compiler = compiler(Options::default());
    let named = annotation("proxy-ssl-secret", &file.to_string());
    let refused = compiler.apply(&ingress("a", "a.test", &["/"], &named));
    assert_eq!(policies(&refused, "a.test", "/").refuse, Some(503));
    assert!(findings(&refused).iter().any(|f| f.contains("is not namespace/name")), "{:?}", findings(&refused));
}

#[test]
fn an_alias_follows_its_host_until_it_is_a_host_of_its_own() {
    let mut compiler = compiler(Options::default());
    let first = compiler.apply(&ingress("a", "a.test", &["/"], &annotation("server-alias", "b.test,c.test")));
    for name in ["a.test", "b.test", "c.test"] {
        assert_eq!(&*host(&first, name).name, "a.test", "{name}");
    }
    let more = compiler.apply(&ingress("more", "a.test", &["/more"], ""));
    assert_eq!(&*route(&more, "b.test", "/more").labels.ingress, "more");
    let taken = compiler.apply(&ingress("b", "b.test", &["/"], ""));
    assert_eq!(&*host(&taken, "b.test").name, "b.test");
    assert_eq!(&*host(&taken, "c.test").name, "a.test");
    assert!(findings(&taken).iter().any(|f| f.ends_with("b.test is a host of its own and stays that")));
    let back = compiler.delete(Kind::Ingress, "b");
    assert_eq!(&*host(&back, "b.test").name, "a.test");
    let gone = compiler.apply(&ingress("a", "a.test", &["/"], ""));
    assert!(Arc::ptr_eq(host(&gone, "b.test"), &gone.snapshot.hosts.catch_all));
}

#[test]
fn aliases_are_what_nginx_takes_as_server_names() {
    let mut compiler = compiler(Options::default());
    let all = "*.w.test,.d.test,www.p.*,~^re[0-9]+[.]x$";
    compiler.apply(&ingress("a", "a.test", &["/"], &annotation("server-alias", all)));
    let some = compiler.apply(&ingress("b", "*.rule.w.test", &["/"], ""));
    for name in ["x.w.test", "y.x.w.test", "z.rule.w.test", "d.test", "y.x.d.test", "www.p.a", "www.p.a.b", "RE7.x"] {
        assert_eq!(&*host(&some, &name.to_lowercase()).name, "a.test", "{name}");
    }
    for name in ["w.test", "www.p", "re.x", "xre7.x"] {
        assert!(Arc::ptr_eq(host(&some, name), &some.snapshot.hosts.catch_all), "{name}");
    }
    let taken = compiler.apply(&ingress("c", "*.w.test", &["/"], ""));
    assert_eq!(&*host(&taken, "x.w.test").name, "*.w.test");
    assert!(Arc::ptr_eq(host(&taken, "y.x.w.test"), &taken.snapshot.hosts.catch_all), "a rule's takes one label");
    assert_eq!(&*host(&taken, "z.rule.w.test").name, "*.rule.w.test");
    let back = compiler.delete(Kind::Ingress, "c");
    assert_eq!(&*host(&back, "y.x.w.test").name, "a.test");
    let gone = compiler.delete(Kind::Ingress, "a");
    for name in ["x.w.test", "d.test", "www.p.a", "re7.x"] {
        assert!(Arc::ptr_eq(host(&gone, name), &gone.snapshot.hosts.catch_all), "{name}");
    }
}

#[test]
fn expressions_beyond_the_bound_are_left_out_until_there_is_room() {
    let mut compiler = compiler(Options::default());
    let many: Vec<_> = (0..256).map(|n| format!("~^a{n}[.]test$")).collect();
    compiler.apply(&ingress("a", "a.test", &["/"], &annotation("server-alias", &many.join(","))));
    let full = compiler.apply(&ingress("b", "b.test", &["/"], &annotation("server-alias", "~^more[.]test$")));
    assert_eq!(&*host(&full, "a255.test").name, "a.test");
    assert!(Arc::ptr_eq(host(&full, "more.test"), &full.snapshot.hosts.catch_all));
    assert!(findings(&full).iter().any(|f| f.contains("~^more[.]test$ is left out")));
    let room = compiler.apply(&ingress("a", "a.test", &["/"], &annotation("server-alias", &many[1..].join(","))));
    assert_eq!(&*host(&room, "more.test").name, "b.test");
    assert!(!findings(&room).iter().any(|f| f.contains("left out")));
}

#[test]
fn the_aliases_of_a_host_are_those_of_one_object_and_one_host_has_an_alias() {
    let mut compiler = compiler(Options::default());
    let aged = |name: &str, host: &str, path: &str, alias: &str, day: u8| {
        let all = annotation("server-alias", alias);
        ingress(name, host, &[path], &all).replace("2026-01-01", &format!("2024-01-{day:02}"))
    };
    compiler.apply(&aged("old", "z.test", "/", "one.test,both.test", 1));
    let both = compiler.apply(&aged("new", "z.test", "/new", "two.test", 2));
    assert_eq!(&*host(&both, "one.test").name, "z.test");
    assert!(Arc::ptr_eq(host(&both, "two.test"), &both.snapshot.hosts.catch_all));
    assert!(findings(&both).iter().any(|f| f.contains("two.test is left out")));
    let shared = compiler.apply(&aged("other", "y.test", "/", "both.test", 3));
    assert_eq!(&*host(&shared, "both.test").name, "y.test", "the first server by name has it");
    let promoted = compiler.delete(Kind::Ingress, "old");
    assert_eq!(&*host(&promoted, "two.test").name, "z.test");
}

#[test]
fn a_canary_without_rules_takes_its_share_of_the_default_backend_of_all_hosts() {
    let catch_all = |name: &str, annotations: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, annotations: \
             {{{annotations}}}}}\nspec: {{ingressClassName: nginx, defaultBackend: {{service: {{name: {name}, port: \
             {{number: 80}}}}}}}}\n"
        )
    };
    let mut compiler = compiler(Options::default());
    let weight = annotation("canary", "true") + ", " + &annotation("canary-weight", "7");
    let alone = compiler.apply(&catch_all("canary", &weight));
    assert!(findings(&alone).iter().any(|f| f.ends_with("no Ingress that is no canary has it")));
    let both = compiler.apply(&catch_all("main", ""));
    let [Canary { weight: 7, .. }] = policies(&both, "any.test", "/x").canaries[..] else { panic!("one canary") };
    assert!(!findings(&both).iter().any(|f| f.contains("has no effect")), "{:?}", findings(&both));
}

#[test]
fn a_canary_takes_its_share_of_others_paths_only() {
    let mut compiler = compiler(Options::default());
    let canary = |name: &str, weight: &str| {
        let all = annotation("canary", "true") + ", " + &annotation("canary-weight", weight);
        ingress(name, "a.test", &["/", "/alone"], &all)
    };
    let alone = compiler.apply(&canary("b", "30"));
    assert!(Arc::ptr_eq(host(&alone, "a.test"), &alone.snapshot.hosts.catch_all));
    let both = compiler.apply(&(ingress("a", "a.test", &["/"], "") + &canary("c", "50")));
    let chosen = policies(&both, "a.test", "/").canaries;
    let [Canary { cluster, weight, total, .. }] = chosen[..] else { panic!("one canary") };
    // Of two as old as each other, the later name comes first.
    let name = both.snapshot.clusters.get(cluster).unwrap().name.to_string();
    assert_eq!((name.contains("-c-"), weight, total), (true, 50, 100), "{name}");
    assert_eq!(&*route(&both, "a.test", "/alone").path, "/");
    assert!(findings(&both).iter().any(|f| f.ends_with("no Ingress that is no canary has it")));
    let main = compiler.delete(Kind::Ingress, "c");
    assert_eq!(policies(&main, "a.test", "/").canaries[0].weight, 30);
}

#[test]
fn the_start_page_is_only_for_the_root_even_of_a_host_in_regex_mode() {
    let mut compiler = compiler(Options::default());
    let all = annotation("app-root", "/start") + ", " + &annotation("rewrite-target", "/$1");
    let compiled = compiler.apply(&ingress("a", "a.test", &["/(.*)"], &all));
    assert_eq!(policies(&compiled, "a.test", "/").redirect.unwrap().status, 302);
    let other = policies(&compiled, "a.test", "/x");
    assert!(other.redirect.is_none() && other.rewrite.is_some());
}

#[test]
fn the_sibling_redirects_unless_it_is_a_host_of_its_own() {
    let mut compiler = compiler(Options::default());
    let www = compiler.apply(&ingress("a", "a.test", &["/"], &annotation("from-to-www-redirect", "true")));
    let redirect = policies(&www, "www.a.test", "/x").redirect.unwrap();
    assert_eq!((redirect.status, redirect.cut_slash), (308, true));
    let own = compiler.apply(&ingress("w", "www.a.test", &["/"], ""));
    assert!(policies(&own, "www.a.test", "/x").redirect.is_none());
}

#[test]
fn a_value_that_refuses_keeps_the_last_good_version() {
    let mut compiler = compiler(Options::default());
    let to = |target: &str| ingress("a", "a.test", &["/"], &annotation("permanent-redirect", target));
    compiler.apply(&to("https://w.test"));
    let kept = compiler.apply(&to("https://w.test$request_uri"));
    assert!(policies(&kept, "a.test", "/").redirect.is_some());
    assert!(findings(&kept).iter().any(|f| f.starts_with("error Ingress default/a metadata.annotations.")));
}

#[test]
fn paths_without_authentication_are_open_and_keep_the_address_lists() {
    let configmap = Some(ObjectKey::new("default", "c"));
    let mut compiler = compiler(Options { configmap, ..Options::default() });
    compiler.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {global-auth-url: 'http://auth.test/', \
         no-auth-locations: /open, whitelist-source-range: 10.0.0.0/8}\n",
    );
    let compiled = compiler.apply(&ingress("a", "a.test", &["/", "/open"], ""));
    let access = |path| policies(&compiled, "a.test", path).access.unwrap();
    assert!(access("/").external.is_some());
    assert!(access("/open").external.is_none() && access("/open").allow.is_some());
}
