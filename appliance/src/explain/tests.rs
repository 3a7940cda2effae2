use ringress_config::options::Options;

use super::*;

const MANIFESTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  ingressClassName: nginx
  tls: [{hosts: [tls.test], secretName: missing}]
  rules:
  - host: a.test
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /api, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}
      - {path: /api/x, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /docs/, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
  - host: tls.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}]
ports: [{port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: kept
  namespace: shop
  annotations:
    ringress.io/deny-paths: /kept/secret
    nginx.ingress.kubernetes.io/enable-cors: "true"
spec:
  ingressClassName: nginx
  rules:
  - host: a.test
    http: {paths: [{path: /kept, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: locked, namespace: shop, annotations: {nginx.ingress.kubernetes.io/auth-type: basic}}
spec:
  ingressClassName: nginx
  rules:
  - host: a.test
    http: {paths: [{path: /locked, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: guarded
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/denylist-source-range: 192.0.2.0/24
    nginx.ingress.kubernetes.io/proxy-body-size: "5"
    nginx.ingress.kubernetes.io/auth-url: http://auth.test/
    nginx.ingress.kubernetes.io/rewrite-target: /new
spec:
  ingressClassName: nginx
  rules:
  - host: g.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: covered, namespace: shop, annotations: {nginx.ingress.kubernetes.io/default-backend: web}}
spec:
  ingressClassName: nginx
  rules:
  - host: f.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: split, namespace: shop}
spec:
  ingressClassName: nginx
  rules:
  - host: c.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: canary
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/canary: "true"
    nginx.ingress.kubernetes.io/canary-by-header: X-C
    nginx.ingress.kubernetes.io/canary-weight: "30"
spec:
  ingressClassName: nginx
  rules:
  - host: c.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: next, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: next, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: next-1, namespace: shop, labels: {kubernetes.io/service-name: next}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.3]}]
ports: [{port: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: moved, namespace: shop, annotations: {nginx.ingress.kubernetes.io/permanent-redirect: "http://b.test/"}}
spec:
  ingressClassName: nginx
  rules:
  - host: a.test
    http: {paths: [{path: /moved, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"#;

fn ask(url: &str) -> Explanation {
    ask_with(url, "GET", &[])
}

fn ask_with(url: &str, method: &str, fields: &[String]) -> Explanation {
    ask_from(None, url, method, fields)
}

fn ask_from(client: Option<&str>, url: &str, method: &str, fields: &[String]) -> Explanation {
    let client = client.map(|address| address.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), MANIFESTS).unwrap();
    let checked = check::read(&[folder.path().to_path_buf()], Options { assume_class: true, ..Options::default() });
    explain(&checked.snapshot.unwrap(), &Question::new(url, method, fields, client).unwrap())
}

fn why<'a>(explanation: &'a Explanation, path: &str) -> &'a str {
    let rule = explanation.others.iter().find(|rule| rule.path == path);
    &rule.unwrap_or_else(|| panic!("{path} in {:?}", explanation.others)).why
}

#[test]
fn the_serving_rule_is_named_with_its_backend_and_the_others_with_why_not() {
    let explanation = ask("http://A.test./shop?q");
    let clusters = vec![Target {
        cluster: "shop-web-80".into(),
        weight: 1,
        endpoints: vec!["10.0.0.1:8080".into(), "10.0.0.2:8080".into()],
    }];
    assert_eq!(explanation.answer, Answer::Proxied { clusters });
    let rule = explanation.rule.as_ref().unwrap();
    assert_eq!((rule.object.as_str(), rule.kind.as_str(), rule.path.as_str()), ("Ingress shop/web", "prefix", "/"));
    assert_eq!((explanation.host.as_str(), explanation.host_match.as_str()), ("a.test", "exact"));
    assert_eq!(why(&explanation, "/api"), "not a prefix of the path");
    assert_eq!(why(&explanation, "/api/x"), "the path is not equal");
    let text = explanation.to_string();
    assert!(text.contains("backend  shop-web-80 (weight 1): 10.0.0.1:8080, 10.0.0.2:8080\n"), "{text}");
}

#[test]
fn a_path_is_shown_as_it_is_matched() {
    let explanation = ask("http://a.test/x/..//api/%78");
    assert_eq!(explanation.normalised_path, "/api/x");
    assert_eq!(explanation.rule.as_ref().unwrap().kind, "exact");
    assert_eq!(why(&explanation, "/api"), "a longer or exact path matched");
}

#[test]
fn what_the_proxy_answers_itself_has_a_status_and_a_reason() {
    let status = |url: &str| match ask(url).answer {
        Answer::Status { status, reason } | Answer::Refused { status, reason } => (status, reason),
        other => panic!("{url}: {other:?}"),
    };
    assert_eq!(status("http://a.test/api/y"), (503, "the service has no endpoints".into()));
    assert_eq!(status("http://other.test/").0, 404);
    assert_eq!(status("http://a.test/%00").0, 400);
    assert_eq!(status("http://a.test/../x").0, 400);
    assert_eq!(status("http://a.test/kept/secret"), (403, "the path is denied".into()));
    let (refused, reason) = status("http://a.test/locked");
    assert!(refused == 503 && reason.contains("cannot be had"), "{reason}");
}

#[test]
fn the_phase_that_answers_is_the_one_that_answers_a_client() {
    let reason = |url: &str, method: &str, fields: &[String]| match ask_with(url, method, fields).answer {
        Answer::Status { reason, .. } | Answer::Redirect { reason, .. } => reason,
        other => panic!("{url}: {other:?}"),
    };
    assert_eq!(reason("http://a.test/moved", "GET", &[]), "the rule redirects");
    assert_eq!(reason("http://tls.test/", "GET", &[]), "https is asked for");
    let origin = ["Origin: http://o.test".to_owned()];
    assert_eq!(reason("http://a.test/kept", "OPTIONS", &origin), "it is a CORS preflight");
}

#[test]
fn redirects_have_the_location_that_a_client_would_get() {
    let location = |url: &str| match ask(url).answer {
        Answer::Redirect { status, location, .. } => (status, location),
        other => panic!("{url}: {other:?}"),
    };
    assert_eq!(location("http://tls.test/x?y=1"), (308, "https://tls.test/x?y=1".into()));
    assert_eq!(location("http://a.test/docs?y"), (301, "http://a.test/docs/?y".into()));
}

#[test]
fn an_explanation_survives_the_way_through_the_api() {
    let explanation = ask("https://tls.test/");
    assert_eq!(explanation.certificate.as_deref(), Some("the built-in self-signed one"));
    let json = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), explanation);
    assert_eq!(escape("a b&c=é"), "a%20b%26c%3D%C3%A9");
}

#[test]
fn the_client_s_address_and_what_else_it_meets_are_said() {
    let refused = ask_from(Some("192.0.2.7"), "http://g.test/x", "GET", &[]);
    let reason = "the address of the client may not pass".into();
    assert_eq!(refused.answer, Answer::Status { status: 403, reason });
    for client in [None, Some("198.51.100.1")] {
        let passes = ask_from(client, "http://g.test/x", "GET", &[]);
        assert!(matches!(passes.answer, Answer::Proxied { .. }), "{client:?}: {passes}");
        assert_eq!(passes.target.as_deref(), Some("/new"));
        assert_eq!(passes.policies, ["lists of addresses", "a service is asked who the client is"]);
        assert!(passes.to_string().contains("  policy   lists of addresses\n"), "{passes}");
    }
    let large = ask_with("http://g.test/x", "POST", &["Content-Length: 6".into()]);
    assert!(matches!(large.answer, Answer::Status { status: 413, .. }), "{large}");
}

#[test]
fn every_way_that_a_request_may_take_is_named_with_its_share() {
    let clusters = |fields: &[String]| match ask_with("http://c.test/", "GET", fields).answer {
        Answer::Proxied { clusters } => clusters.into_iter().map(|to| (to.cluster, to.weight)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let (main, canary) = ("shop-web-80".to_owned(), "shop-next-80".to_owned());
    assert_eq!(clusters(&[]), [(main.clone(), 7), (canary.clone(), 3)]);
    assert_eq!(clusters(&["X-C: always".into()]), [(canary, 1)]);
    assert_eq!(clusters(&["X-C: never".into()]), [(main, 1)]);
    let covered = ask("http://f.test/");
    assert!(
        matches!(&covered.answer, Answer::Proxied { clusters } if clusters[0].cluster == "shop-web-first"),
        "{covered}"
    );
}
