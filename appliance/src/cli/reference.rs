//! `docs/flags.md`, made from the flag tables.

#![expect(clippy::disallowed_methods, reason = "tests")]

use std::fmt::Write as _;

use super::flag::{Flag, Support};
use super::nginx_flags::{KLOG_FLAGS, NGINX_FLAGS};
use super::own_flags::OWN_FLAGS;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/flags.md");

fn reference() -> String {
    let mut text = String::from(
        "# Flags of `ringress run`\n\n\
         Made from the tables in `appliance/src/cli`; `RINGRESS_BLESS=1 cargo test -p ringress flags_reference` writes it anew.\n\n\
         Values follow `=` or a blank. Booleans are as in Go: `--flag`, `--flag=false`. The last of several wins. The \
         command line wins over the environment, the environment over the `--config` file, which holds the same names \
         as YAML keys. A flag that is not listed here is an error.\n\n",
    );
    section(&mut text, "Flags of ringress", OWN_FLAGS);
    section(&mut text, "Flags of ingress-nginx", NGINX_FLAGS);
    section(&mut text, "Flags of ingress-nginx' logger", KLOG_FLAGS);
    text
}

fn section(text: &mut String, title: &str, flags: &[Flag]) {
    let env = flags.iter().any(|flag| flag.env);
    let column = |word: &str| if env { format!(" {word} |") } else { String::new() };
    write!(text, "## {title}\n\n| flag | value | default |{} carried out | meaning |\n", column("environment"))
        .unwrap();
    writeln!(text, "|---|---|---|{}---|---|", if env { "---|" } else { "" }).unwrap();
    for flag in flags {
        let code = |word: &str| if word.is_empty() { String::new() } else { format!("`{word}`") };
        let support = match flag.support {
            Support::Honoured => "yes".to_owned(),
            Support::Differs(how) => format!("with a difference: {how}"),
            Support::NoMeaning(why) => format!("no meaning here: {why}"),
            Support::NotYet(what) => format!("not yet: {what}"),
        };
        let (name, kind, default) = (flag.name, flag.value.name(), code(flag.default));
        let env = column(&code(&flag.env_name().unwrap_or_default()));
        writeln!(text, "| `--{name}` | {kind} | {default} |{env} {support} | {} |", flag.doc).unwrap();
    }
    text.push('\n');
}

#[test]
fn flags_reference_is_up_to_date() {
    let text = reference();
    if std::env::var_os("RINGRESS_BLESS").is_some() {
        std::fs::write(PATH, &text).unwrap();
    }
    let found = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(found == text, "docs/flags.md is stale; RINGRESS_BLESS=1 cargo test -p ringress flags_reference writes it");
}
