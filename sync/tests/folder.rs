//! The promises of `--source=dir:PATH`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use ringress_sync::SyncError;
use ringress_sync::testkit::rig::Rig;
use ringress_sync::testkit::workers::{eventually, within};
use tempfile::TempDir;

/// Sooner than a look that nothing has asked for comes by.
const SOON: Duration = Duration::from_secs(1);

/// A folder and a control thread that reads it.
struct Setup {
    folder: TempDir,
    rig: Rig,
}

impl Setup {
    fn start(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, content) in files {
            write(folder.path(), name, content);
        }
        let rig = Rig::on_folder(folder.path()).unwrap().ready();
        Self { folder, rig }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, content: &str) {
        write(self.path(), name, content);
    }
}

impl std::ops::Deref for Setup {
    type Target = Rig;

    fn deref(&self) -> &Rig {
        &self.rig
    }
}

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn ingress(name: &str, host: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}}}\nspec:\n  ingressClassName: nginx\n  \
         rules:\n  - host: {host}\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        \
         backend: {{service: {{name: web, port: {{number: 80}}}}}}\n"
    )
}

const HALF_A_DOCUMENT: &str = "kind: Ingress\nmetadata: {name: [\n";

#[test]
fn yaml_yml_and_json_are_read_in_subfolders_too() {
    let json = r#"{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"c"},
        "spec":{"ingressClassName":"nginx","rules":[{"host":"c.test","http":{"paths":[{"path":"/","pathType":"Prefix",
        "backend":{"service":{"name":"web","port":{"number":80}}}}]}}]}}"#;
    let setup = Setup::start(&[
        ("a.yaml", &ingress("a", "a.test")),
        ("deep/er/b.yml", &ingress("b", "b.test")),
        ("deep/c.json", json),
        ("d.txt", &ingress("d", "d.test")),
        (".hidden.yaml", &ingress("e", "e.test")),
    ]);
    assert!(setup.serves("a.test") && setup.serves("b.test") && setup.serves("c.test"));
    assert!(!setup.serves("d.test") && !setup.serves("e.test"));
}

#[test]
fn a_missing_folder_is_an_error_at_the_start() {
    let folder = TempDir::new().unwrap();
    let Err(error) = Rig::on_folder(&folder.path().join("none")) else { panic!("started on nothing") };
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn changes_are_served_without_being_asked_for() {
    let setup = Setup::start(&[("a.yaml", &ingress("a", "a.test"))]);
    setup.write("b.yaml", &ingress("b", "b.test"));
    eventually("an added file is served", || setup.serves("b.test"));
    setup.write("a.yaml", &ingress("a", "a2.test"));
    eventually("a changed file is served", || setup.serves("a2.test") && !setup.serves("a.test"));
    fs::remove_file(setup.path().join("b.yaml")).unwrap();
    eventually("a removed file is not", || !setup.serves("b.test"));
}

#[test]
fn a_file_renamed_over_another_takes_its_place() {
    let setup = Setup::start(&[("a.yaml", &ingress("a", "a.test"))]);
    setup.write(".a.yaml.new", &ingress("a", "a2.test"));
    fs::rename(setup.path().join(".a.yaml.new"), setup.path().join("a.yaml")).unwrap();
    eventually("the new content is served", || setup.serves("a2.test") && !setup.serves("a.test"));
}

#[test]
fn folders_may_come_move_and_go() {
    let setup = Setup::start(&[]);
    let outside = TempDir::new().unwrap();
    write(outside.path(), "team/x/a.yaml", &ingress("a", "a.test"));
    fs::create_dir(setup.path().join("empty")).unwrap();
    fs::rename(outside.path().join("team"), setup.path().join("team")).unwrap();
    eventually("a folder moved in is served", || setup.serves("a.test"));
    setup.write("team/x/b.yaml", &ingress("b", "b.test"));
    eventually("and watched", || setup.serves("b.test"));
    setup.write("new/y/c.yaml", &ingress("c", "c.test"));
    eventually("a new folder is served", || setup.serves("c.test"));
    fs::rename(setup.path().join("team"), outside.path().join("team")).unwrap();
    eventually("a folder moved out is not", || !setup.serves("a.test") && !setup.serves("b.test"));
    fs::remove_dir_all(setup.path().join("new")).unwrap();
    eventually("nor is a removed one", || !setup.serves("c.test"));
}

#[test]
fn a_mounted_config_map_is_swapped_as_a_whole() {
    let setup = Setup::start(&[("..v1/a.yaml", &ingress("a", "a.test")), ("..v1/b.yaml", &ingress("b", "b.test"))]);
    let link = |target: &str, name: &str| symlink(target, setup.path().join(name)).unwrap();
    link("..v1", "..data");
    link("..data/a.yaml", "a.yaml");
    link("..data/b.yaml", "b.yaml");
    eventually("the mounted files are served", || setup.serves("a.test") && setup.serves("b.test"));
    setup.write("..v2/a.yaml", &ingress("a", "a2.test"));
    link("..v2", "..data_tmp");
    fs::rename(setup.path().join("..data_tmp"), setup.path().join("..data")).unwrap();
    within(SOON, "the swapped files are served", || setup.serves("a2.test") && !setup.serves("a.test"));
    assert!(!setup.serves("b.test"), "its link points to nothing now");
}

#[test]
fn the_source_folder_may_be_a_link_that_is_swapped() {
    let around = TempDir::new().unwrap();
    write(around.path(), "v1/a.yaml", &ingress("a", "a.test"));
    write(around.path(), "v2/b.yaml", &ingress("b", "b.test"));
    symlink("v1", around.path().join("live")).unwrap();
    let rig = Rig::on_folder(&around.path().join("live")).unwrap().ready();
    let setup = Setup { folder: around, rig };
    assert!(setup.serves("a.test"));
    symlink("v2", setup.path().join("next")).unwrap();
    fs::rename(setup.path().join("next"), setup.path().join("live")).unwrap();
    within(SOON, "the other folder is served", || setup.serves("b.test") && !setup.serves("a.test"));
}

#[test]
fn a_file_that_does_not_parse_keeps_its_last_good_objects_and_is_reported() {
    let setup = Setup::start(&[("a.yaml", &ingress("a", "a.test")), ("b.yaml", &ingress("b", "b.test"))]);
    setup.write("a.yaml", HALF_A_DOCUMENT);
    setup.sync();
    assert!(setup.serves("a.test"));
    assert!(setup.reports("File a.yaml"), "{:?}", setup.handle.status().rejected);
    setup.write("b.yaml", &ingress("b", "b2.test"));
    setup.sync();
    assert!(setup.serves("b2.test"), "another file is not held up");
    setup.write("a.yaml", &ingress("a", "a2.test"));
    setup.sync();
    assert!(setup.serves("a2.test") && !setup.serves("a.test"));
    assert!(!setup.reports("File a.yaml"));
}

#[test]
fn an_object_of_wrong_types_keeps_its_last_good_form_and_its_neighbours_change() {
    let both = |a: &str, b: &str| format!("{}---\n{}", ingress("a", a), ingress("b", b));
    let setup = Setup::start(&[("a.yaml", &both("a.test", "b.test"))]);
    setup.write("a.yaml", &both("[1]", "b2.test"));
    setup.sync();
    assert!(setup.serves("a.test") && setup.serves("b2.test"), "{:?}", setup.handle.status().rejected);
    assert!(setup.reports("Ingress default/a"));
    setup.write("a.yaml", &ingress("b", "b2.test"));
    setup.sync();
    assert!(!setup.serves("a.test"), "a removed object is gone");
}

#[test]
fn a_file_that_never_parsed_is_reported_and_harms_nobody() {
    let setup = Setup::start(&[("a.yaml", HALF_A_DOCUMENT), ("b.yaml", &ingress("b", "b.test"))]);
    assert!(setup.serves("b.test"));
    assert!(setup.reports("File a.yaml"));
    fs::remove_file(setup.path().join("a.yaml")).unwrap();
    setup.sync();
    assert!(!setup.reports("File a.yaml"));
}

#[test]
fn of_two_definitions_the_first_by_path_is_served_and_the_other_takes_over() {
    let setup = Setup::start(&[("b.yaml", &ingress("same", "b.test"))]);
    assert!(setup.serves("b.test"));
    setup.write("a.yaml", &format!("{}---\n{}", ingress("same", "a.test"), ingress("same", "a-again.test")));
    setup.sync();
    assert!(setup.serves("a.test") && !setup.serves("b.test") && !setup.serves("a-again.test"));
    let reported = || setup.handle.status().rejected.iter().filter(|f| f.message.contains("defined again")).count();
    assert_eq!(reported(), 2);
    fs::remove_file(setup.path().join("a.yaml")).unwrap();
    setup.sync();
    assert!(setup.serves("b.test") && !setup.serves("a.test"));
    assert_eq!(reported(), 0);
}

#[test]
fn sync_serves_what_was_written_just_before() {
    let setup = Setup::start(&[]);
    let mut last = setup.generation();
    for number in 0..50 {
        let host = format!("h{number}.test");
        setup.write("a.yaml", &ingress("a", &host));
        let generation = setup.sync();
        assert!(setup.serves(&host), "{host} is served when sync answers");
        assert!(generation > last);
        last = generation;
    }
    assert_eq!(setup.sync(), last, "no change, no new generation");
}

#[test]
fn equal_content_written_again_publishes_nothing() {
    let setup = Setup::start(&[("a.yaml", &ingress("a", "a.test"))]);
    let before = setup.sync();
    setup.write("a.yaml", &ingress("a", "a.test"));
    assert_eq!(setup.sync(), before);
}

#[test]
fn half_of_a_file_is_not_served_while_it_is_written() {
    let setup = Setup::start(&[("a.yaml", &ingress("a", "a.test")), ("b.yaml", &ingress("b", "b.test"))]);
    // Truncated and not yet written: for a moment it holds nothing at all.
    let mut file = fs::File::create(setup.path().join("a.yaml")).unwrap();
    setup.write("b.yaml", &ingress("b", "b2.test"));
    eventually("the other file is served", || setup.serves("b2.test"));
    assert!(setup.serves("a.test"));
    file.write_all(ingress("a", "a2.test").as_bytes()).unwrap();
    drop(file);
    eventually("the whole file is served", || setup.serves("a2.test") && !setup.serves("a.test"));
}

#[test]
fn a_folder_that_cannot_be_read_goes_on_being_served() {
    let setup = Setup::start(&[("m/a.yaml", &ingress("a", "a.test"))]);
    let aside = setup.path().with_extension("aside");
    fs::rename(setup.path(), &aside).unwrap();
    setup.sync();
    assert!(setup.serves("a.test"));
    assert!(!setup.handle.status().source_reachable);
    fs::rename(&aside, setup.path()).unwrap();
    setup.write("m/a.yaml", &ingress("a", "a2.test"));
    setup.sync();
    assert!(setup.serves("a2.test"));
    assert!(setup.handle.status().source_reachable);
}

#[test]
fn a_link_in_a_circle_is_reported_and_ends() {
    let setup = Setup::start(&[("m/a.yaml", &ingress("a", "a.test"))]);
    symlink("..", setup.path().join("m/around")).unwrap();
    setup.sync();
    assert!(setup.serves("a.test"));
    assert!(setup.reports("File m/around"), "{:?}", setup.handle.status().rejected);
}

#[test]
fn a_named_pipe_and_an_oversized_file_hold_nothing_up() {
    let setup = Setup::start(&[("b.yaml", &ingress("b", "b.test"))]);
    let pipe = setup.path().join("a.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::File::create(setup.path().join("c.json")).unwrap().set_len((64 << 20) + 1).unwrap();
    setup.sync();
    assert!(setup.serves("b.test"));
    assert!(setup.reports("File c.json"), "{:?}", setup.handle.status().rejected);
}

#[test]
fn a_worker_that_does_not_adopt_keeps_sync_waiting_and_nothing_else() {
    let setup = Setup::start(&[("a.yaml", &ingress("a", "a.test"))]);
    setup.workers.set_stuck(true);
    // More snapshots than a worker's channel holds.
    for number in 0..10 {
        let host = format!("a{number}.test");
        setup.write("a.yaml", &ingress("a", &host));
        eventually("the change is published", || {
            setup.workers.current().is_some_and(|snapshot| snapshot.hosts.exact.get(host.as_str()).is_some())
        });
    }
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| setup.sync());
        eventually("the thread is alive", || setup.handle.heartbeat_age() < Duration::from_millis(100));
        assert!(!waiting.is_finished());
        setup.workers.set_stuck(false);
        assert_eq!(waiting.join().unwrap(), setup.generation());
    });
    assert!(setup.serves("a9.test"), "the newest is adopted");
}

#[test]
fn stop_ends_the_thread_and_workers_keep_their_snapshot() {
    let setup = Setup::start(&[("a.yaml", &ingress("a", "a.test"))]);
    setup.handle.stop();
    assert!(matches!(setup.try_sync(), Err(SyncError::Ended)));
    assert!(setup.serves("a.test"));
}

#[test]
fn many_files_and_many_documents_in_one_file_are_kept_apart() {
    let setup = Setup::start(&[]);
    for number in 0..300 {
        setup.write(
            &format!("n{}/{number}.yaml", number % 7),
            &ingress(&format!("f{number}"), &format!("f{number}.test")),
        );
    }
    let documents = |changed: usize| {
        (0..300).fold(String::new(), |text, number| {
            let host = if number == changed { "changed.test".to_owned() } else { format!("d{number}.test") };
            text + "---\n" + &ingress(&format!("d{number}"), &host)
        })
    };
    setup.write("many.yaml", &documents(usize::MAX));
    setup.sync();
    assert_eq!(setup.handle.status().objects.get("Ingress"), Some(&600));
    setup.write("many.yaml", &documents(123));
    setup.sync();
    assert!(setup.serves("changed.test") && !setup.serves("d123.test") && setup.serves("d124.test"));
}
