//! Man pages and shell completions under `packaging/`, made from the commands that parse.
//!
//! They are committed and held fresh by a test, so that a package can be made of a binary for another machine and the
//! generators are not shipped.

#![expect(clippy::disallowed_methods, reason = "tests")]

use std::path::{Path, PathBuf};

use clap_complete::{Shell, generate};
use clap_mangen::Man;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging");

/// Every file, by its path in `packaging/`.
fn files() -> Vec<(PathBuf, Vec<u8>)> {
    // A version in the text would make every release change every page.
    let command = super::command().version("").disable_help_subcommand(true);
    let mut files = vec![(PathBuf::from("man/ringress.1"), page(&command, "ringress"))];
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        let title = format!("ringress-{}", subcommand.get_name());
        files.push((PathBuf::from(format!("man/{title}.1")), page(subcommand, &title)));
    }
    let completions = [
        (Shell::Bash, "completions/ringress.bash"),
        (Shell::Zsh, "completions/_ringress"),
        (Shell::Fish, "completions/ringress.fish"),
    ];
    for (shell, path) in completions {
        let mut text = Vec::new();
        generate(shell, &mut command.clone(), "ringress", &mut text);
        files.push((PathBuf::from(path), text));
    }
    files
}

fn page(command: &clap::Command, title: &str) -> Vec<u8> {
    let usage = title.replacen('-', " ", 1);
    let mut command = command.clone().name(title.to_owned()).bin_name(usage).display_name(title.to_owned());
    let synopsis = command.render_usage().to_string().replacen("Usage: ", "", 1);
    let mut page = Vec::new();
    let man = Man::new(command).title(title.to_ascii_uppercase()).section("1").source("ringress").date("");
    man.render(&mut page).expect("memory takes every page");
    let page = String::from_utf8(page).expect("our texts are UTF-8");
    // The generator names every option there; `run` has a hundred.
    let (before, rest) = page.split_once(".SH SYNOPSIS\n").expect("a page has a synopsis");
    let (_, after) = rest.split_once("\n.SH ").expect("and goes on after it");
    format!("{before}.SH SYNOPSIS\n{synopsis}\n.SH {after}").into_bytes()
}

/// Named like the test of `docs/flags.md`, so that one command writes both anew.
#[test]
fn flags_reference_man_pages_and_completions_are_up_to_date() {
    let bless = std::env::var_os("RINGRESS_BLESS").is_some();
    for (path, text) in files() {
        let path = Path::new(FOLDER).join(path);
        if bless {
            std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let fresh = std::fs::read(&path).is_ok_and(|found| found == text);
        let path = path.display();
        assert!(fresh, "{path} is stale; RINGRESS_BLESS=1 cargo test -p ringress flags_reference writes it");
    }
}
