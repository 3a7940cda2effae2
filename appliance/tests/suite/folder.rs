//! The `dir:` source: how files may be put there, and what counts as one.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::eventually;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::Origin;
use crate::support::process::{Driver, Ringress, on_each_driver};

const MANY: usize = 1000;

fn host(name: &str) -> String {
    file([ingress(name).prefix(&format!("{name}.test"), "/", "origin").build()])
}

fn serving(driver: Driver, origin: &Origin) -> Ringress {
    Ringress::on(driver).manifest("origin.json", file(service("origin", &[origin.address]))).start()
}

#[test]
fn a_change_of_any_form_is_served_without_a_word() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = serving(driver, &origin);
        let folder = ringress.manifests();
        let becomes = |host: &str, status: u16| {
            eventually(&format!("{host} answers {status}"), || ringress.get(host, "/").status == status);
        };
        fs::write(folder.join("written.yaml"), host("written")).expect("write");
        becomes("written.test", 200);
        fs::rename(folder.join("written.yaml"), folder.join("renamed.yml")).expect("rename");
        fs::write(folder.join("renamed.yml"), host("rewritten")).expect("write in place");
        becomes("rewritten.test", 200);
        becomes("written.test", 404);
        fs::create_dir_all(folder.join("sub/deeper")).expect("make folders");
        fs::write(folder.join("sub/deeper/inside.json"), host("inside")).expect("write");
        becomes("inside.test", 200);
        fs::write(folder.join("notes.txt"), host("ignored")).expect("write");
        fs::remove_dir_all(folder.join("sub")).expect("remove folders");
        becomes("inside.test", 404);
        assert_eq!(ringress.get("ignored.test", "/").status, 404, "not a manifest by its name");
    });
}

#[test]
fn a_mounted_config_map_is_swapped_as_a_whole() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let ringress = serving(driver, &origin);
        let folder = ringress.manifests();
        // As the kubelet does it: ..data is a link to a folder, files are links through it, an update swaps ..data.
        let version = |name: &str, content: String| {
            let target = folder.join(name);
            fs::create_dir(&target).expect("make a folder");
            fs::write(target.join("site.yaml"), content).expect("write");
        };
        version("..v1", host("one"));
        symlink("..v1", folder.join("..data")).expect("link");
        symlink("..data/site.yaml", folder.join("site.yaml")).expect("link");
        eventually("version 1 is served", || ringress.get("one.test", "/").status == 200);
        version("..v2", host("two"));
        symlink("..v2", folder.join("..data_tmp")).expect("link");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("swap");
        eventually("version 2 is served", || ringress.get("two.test", "/").status == 200);
        eventually("version 1 is not", || ringress.get("one.test", "/").status == 404);
    });
}

#[test]
fn many_files_are_all_served_and_change_one_by_one() {
    on_each_driver(|driver| {
        let origin = Origin::named("origin");
        let mut builder = Ringress::on(driver).manifest("origin.json", file(service("origin", &[origin.address])));
        for index in 0..MANY {
            builder = builder.manifest(&format!("{index}.yaml"), host(&format!("h{index}")));
        }
        let ringress = builder.start();
        for index in [0, 1, MANY / 2, MANY - 1] {
            assert_eq!(ringress.get(&format!("h{index}.test"), "/").status, 200, "{index}");
        }
        ringress.apply("7.yaml", host("changed"));
        assert_eq!(ringress.get("changed.test", "/").status, 200);
        assert_eq!(ringress.get("h7.test", "/").status, 404);
        assert_eq!(ringress.get("h8.test", "/").status, 200);
        assert_eq!(ringress.status()["objects"]["Ingress"], serde_json::json!(MANY));
    });
}
