use super::*;

fn names(content: &FileContent) -> Vec<String> {
    content.objects.iter().map(|o| o.reference().to_string()).collect()
}

fn texts(content: &FileContent) -> Vec<String> {
    content.findings.iter().map(ToString::to_string).collect()
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\n";

fn service(name: &str) -> String {
    SERVICE.replace("NAME", name)
}

#[test]
fn many_documents_and_lists_in_file_order() {
    let text = format!(
        "# head\n---\n{}---\n{}---\n\n--- # nothing\n---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, \
         kind: Service, metadata: {{name: c}}}}\n- {{apiVersion: v1, kind: Namespace, metadata: {{name: d}}}}\n",
        service("a"),
        service("b"),
    );
    let content = parse("x.yaml", text.as_bytes());
    assert_eq!(texts(&content), [""; 0]);
    assert_eq!(names(&content), ["Service default/a", "Service default/b", "Service default/c", "Namespace d"]);
    let ages: Vec<_> = content.objects.iter().map(|o| o.meta().age.clone()).collect();
    assert!(ages.is_sorted());
}

#[test]
fn json_files_hold_one_object_or_a_list() {
    let one = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}"#;
    assert_eq!(names(&parse("x.json", one.as_bytes())), ["Service default/a"]);
    let list = format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{one}]}}"#);
    assert_eq!(names(&parse("x.json", list.as_bytes())), ["Service default/a"]);
    let broken = parse("x.json", b"{");
    assert!(!broken.readable && texts(&broken)[0].starts_with("error File x.json: is no JSON: "));
}

#[test]
fn a_broken_document_makes_the_file_unreadable_and_names_the_line() {
    let content = parse("x.yaml", format!("{}---\na: [1\nb: }}\n", service("a")).as_bytes());
    assert!(!content.readable);
    assert!(
        texts(&content)[0].contains("is no YAML") && texts(&content)[0].contains("of the file"),
        "{:?}",
        texts(&content)
    );
}

#[test]
fn a_refused_object_leaves_the_file_readable() {
    let content = parse("x.yaml", format!("{}spec: 7\n---\n{}", service("a"), service("b")).as_bytes());
    assert!(content.readable);
    assert_eq!(names(&content), ["Service default/b"]);
    assert_eq!(content.rejected.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Service default/a"]);
}

#[test]
fn size_limits_hold_at_the_limit_and_one_past_it() {
    let head = service("a");
    let fill = |bytes: usize| format!("{head}# {}", "x".repeat(bytes - head.len() - 2));
    assert!(parse("x.yaml", fill(YAML_DOCUMENT_BYTES_MAX).as_bytes()).readable);
    let content = parse("x.yaml", fill(YAML_DOCUMENT_BYTES_MAX + 1).as_bytes());
    assert!(!content.readable && texts(&content)[0].contains("more than the 1048576"), "{:?}", texts(&content));
}

#[test]
fn anchors_that_multiply_are_refused() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (name, of) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f"), ("h", "g")] {
        let nine = vec![format!("*{of}"); 9].join(", ");
        text.push_str(&format!("{name}: &{name} [{nine}]\n"));
    }
    let content = parse("x.yaml", text.as_bytes());
    assert!(!content.readable, "{:?}", texts(&content));
}

#[test]
fn bytes_that_are_no_text_are_named() {
    assert!(!parse("x.yaml", b"a: \xff\xfe").readable);
    assert!(parse("x.yaml", b"").readable);
    assert!(parse("x.yaml", b"\xef\xbb\xbf# only a comment\n").readable);
}
