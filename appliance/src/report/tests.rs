use ringress_config::manifest;
use ringress_config::options::Options;

use super::*;

const OBJECTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/proxy-body-size: 8m
    nginx.ingress.kubernetes.io/secure-backends: "true"
spec:
  ingressClassName: nginx
  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: old
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/configuration-snippet: |
      more_set_headers "X: <script>alert('1')</script>";
      return 200;
    nginx.ingress.kubernetes.io/proxy-request-buffering: "off"
spec:
  ingressClassName: nginx
  rules: [{host: b.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other, namespace: shop}
spec: {ingressClassName: traefik}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: sys}
data: {keep-alive: "10", ssl-protocols: TLSv1.1 TLSv1.2}
"#;

fn comparison(text: &str) -> Comparison {
    let content = manifest::parse("a.yaml", text.as_bytes());
    let report = Report {
        source: ReportSource::Paths(Vec::new()),
        options: Options { assume_class: true, ..Options::default() },
        flags: vec![FlagUse { name: "v", value: "<2>".into(), parity: Parity::Differs, remark: Some("quieter") }],
        output: ReportOutput::Text,
    };
    Comparison::new(&report, Read { objects: content.objects, findings: content.findings }).unwrap()
}

#[test]
fn the_text_says_everything_once_and_the_same_in_one_line() {
    let text = text::page(&comparison(OBJECTS));
    let snippet = "nginx.ingress.kubernetes.io/configuration-snippet";
    let buffering = "nginx.ingress.kubernetes.io/proxy-request-buffering";
    for line in [
        "Ingress shop/web [a.test]: same",
        "  same     nginx.ingress.kubernetes.io/proxy-body-size",
        "Ingress shop/old [b.test]: refused",
        &format!("  refused  {snippet}: more_set_headers \"X: <script>alert('1')</script>\";…"),
        &format!("  differs  {buffering}: off"),
        "ConfigMap (by its name) sys/ingress-nginx-controller: differs",
        "             TLSv1.1 cannot be offered",
        "  differs  --v=<2>: quieter",
        "2 Ingresses: 1 same, 0 differ, 1 refused; 1 of other classes are left alone",
    ] {
        assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{line:?} in\n{text}");
    }
}

#[test]
fn the_json_has_the_same_and_a_verdict_in_all() {
    let json = comparison(OBJECTS).json();
    assert_eq!(json["parity"], "refused");
    assert_eq!(json["totals"], json!({"ingresses": 2, "same": 1, "differs": 0, "refused": 1, "other_classes": 1}));
    let old = &json["ingresses"][0];
    assert_eq!((&old["name"], &old["parity"], &old["hosts"]), (&json!("old"), &json!("refused"), &json!(["b.test"])));
    assert_eq!(old["entries"][0]["name"], "nginx.ingress.kubernetes.io/configuration-snippet");
    assert_eq!(json["config_map"]["parity"], "differs");
    assert_eq!(json["other_classes"], json!(["shop/other"]));
    assert_eq!(json["flags"][0], json!({"name": "v", "value": "<2>", "parity": "differs", "remarks": ["quieter"]}));
}

#[test]
fn the_page_needs_nothing_else_and_holds_no_markup_of_objects() {
    let page = html::page(&comparison(OBJECTS));
    assert!(page.contains("X: &lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"), "{page}");
    assert!(page.contains("--v=&lt;2&gt;"));
    for fetched in ["<script", "src=", "href=", "url(", "@import", "http://", "https://"] {
        assert!(!page.contains(fetched), "{fetched} in\n{page}");
    }
    for promised in ["width=device-width", "prefers-color-scheme:dark", "default-src 'none'"] {
        assert!(page.contains(promised), "{promised}");
    }
    // Every element that is opened is closed.
    for element in ["details", "summary", "dl", "dt", "dd", "ul", "li", "code", "span", "body", "html"] {
        let opened = page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
    let (refused, same) = (page.find("shop/old").unwrap(), page.find("shop/web").unwrap());
    assert!(refused < same, "the worst comes first");
}

#[test]
fn a_config_map_is_guessed_only_when_there_is_one() {
    let second = OBJECTS.to_owned()
        + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a-ingress-nginx-controller}\ndata: {keep-alive: '1'}\n";
    assert!(comparison(&second).migration.config_map.is_none());
}
