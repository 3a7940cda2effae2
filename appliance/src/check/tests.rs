use super::*;

fn options() -> Options {
    Options { assume_class: true, ..Options::default() }
}

fn check(files: &[(&str, &str)]) -> Checked {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    read(&[folder.path().to_path_buf()], options())
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";

fn text(checked: &Checked) -> String {
    let mut out = Vec::new();
    print_text(&mut out, checked).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn clean_manifests_have_no_findings() {
    let checked = check(&[("a.yaml", SERVICE)]);
    assert_eq!((text(&checked), checked.worst()), (String::new(), None));
}

#[test]
fn a_finding_is_one_line_with_severity_object_field_and_message() {
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec: {rules: 7}\n";
    let checked = check(&[("a.yaml", ingress)]);
    let text = text(&checked);
    assert!(text.starts_with("error Ingress default/web spec.rules: "), "{text}");
    assert_eq!(checked.worst(), Some(Severity::Error));
    let mut out = Vec::new();
    print_json(&mut out, &checked).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["findings"][0]["object"], "Ingress default/web");
    assert_eq!(json["findings"][0]["severity"], "error");
}

#[test]
fn the_first_definition_by_path_is_served_and_the_second_reported() {
    let checked = check(&[("b/x.yaml", SERVICE), ("a.yaml", SERVICE), (".hidden.yaml", SERVICE), ("readme.md", "no")]);
    assert_eq!(
        text(&checked),
        "error Service default/web: defined again in b/x.yaml; the definition in a.yaml comes first and is served\n"
    );
}

#[test]
fn what_cannot_be_read_is_told_apart_from_findings() {
    let checked = read(&["/nowhere/at/all.yaml".into()], options());
    assert_eq!(checked.unreadable.len(), 1);
    assert!(checked.findings.is_empty());
}

#[test]
fn the_examples_of_the_demo_have_no_errors_and_the_old_form_is_named() {
    for (v1, warnings) in [(false, true), (true, false)] {
        let line: &[&str] = if v1 { &["ringress", "demo", "--v1"] } else { &["ringress", "demo"] };
        let arguments = line.iter().map(std::ffi::OsString::from);
        let Ok(crate::cli::Command::Demo(demo)) = crate::cli::parse(arguments, &crate::cli::Surroundings::default())
        else {
            panic!("demo");
        };
        let demo = crate::demo::Demo::prepare(demo).unwrap();
        let text = text(&read(&[demo.folder()], options()));
        assert!(!text.contains("error"), "{text}");
        assert_eq!(text.contains("networking.k8s.io/v1"), warnings, "{text}");
    }
}
