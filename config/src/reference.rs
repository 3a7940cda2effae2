//! The reference pages, made from the tables: `docs/annotations.md` and `docs/configmap.md`.

use std::fmt::Write as _;

use crate::annotation::{self, BadValue, Scope, Support};
use crate::settings;
use crate::snapshot::VARIABLES;

/// The text of `docs/annotations.md`.
pub fn annotations() -> String {
    let mut page = String::from(
        "# Annotations\n\nMade from `config/src/annotation/table.rs`; a test fails when this page is older than the \
         table.\n\nNames are written without their prefix `nginx.ingress.kubernetes.io/` (`--annotations-prefix`). An \
         empty value counts as absent. An annotation that is not listed here has no effect and is reported.\n",
    );
    page.push_str(&summary("annotations", annotation::rows().iter().map(|row| row.support)));
    let mut group = None;
    for row in annotation::rows() {
        if group != Some(row.group) {
            group = Some(row.group);
            let _ = write!(page, "\n## {}\n\n{HEAD}", title(&format!("{:?}", row.group)));
        }
        let scope = match row.scope {
            Scope::Ingress => "Ingress",
            Scope::Path => "path",
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {scope} | {} | {} | {} |",
            row.name,
            cell(row.value),
            code(row.default),
            row.priority.as_str(),
            row.risk.as_str(),
            bad_value(row),
            described(row.doc, row.support),
        );
    }
    variables(&mut page);
    page
}

const HEAD: &str = "| annotation | value | default | priority | acts on | risk | a bad value | what it does |\n\
                    |---|---|---|---|---|---|---|---|\n";

/// What texts with variables may hold.
fn variables(page: &mut String) {
    page.push_str(
        "\n## Variables\n\nValues that may hold variables are read once, when the Ingress or ConfigMap changes. `$name` and \
         `${name}` are the same. A name that is not listed here is a finding.\n\n| variable | stands for |\n|---|---|\n",
    );
    for (names, doc) in VARIABLES {
        let names: Vec<_> = names.iter().map(|name| format!("`${name}`")).collect();
        let _ = writeln!(page, "| {} | {} |", names.join(", "), cell(doc));
    }
}

/// The text of `docs/configmap.md`.
pub fn config_map() -> String {
    let mut page = String::from(
        "# ConfigMap keys\n\nMade from `config/src/settings/table.rs`; a test fails when this page is older than the \
         table.\n\nA value that cannot be read leaves the default and is reported; so is a key that is not listed \
         here.\n",
    );
    page.push_str(&summary("keys", settings::rows().iter().map(|row| row.support)));
    page.push_str("\n| key | value | default | priority | what it does |\n|---|---|---|---|---|\n");
    for row in settings::rows() {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            row.name,
            cell(row.value),
            code(row.default),
            row.priority.as_str(),
            described(row.doc, row.support),
        );
    }
    let keys: Vec<_> = settings::keys_of_class().iter().map(|key| code(key)).collect();
    let _ = writeln!(
        page,
        "\n## Keys of a class\n\nThese may be in the ConfigMap that `spec.parameters` of an IngressClass names as well, and \
         act on its Ingresses then ([kubernetes.md](kubernetes.md#settings-of-a-class)): {}.",
        keys.join(", ")
    );
    page
}

/// Only where values are read.
fn bad_value(row: &annotation::Row) -> &'static str {
    match row.support {
        Support::Ignored(_) if row.bad_value == BadValue::NotLoaded => row.bad_value.as_str(),
        Support::Honoured | Support::Except(_) | Support::Differs(_) => row.bad_value.as_str(),
        Support::Ignored(_) | Support::Refused(_) => "",
    }
}

fn summary(what: &str, all: impl Iterator<Item = Support>) -> String {
    let (mut honoured, mut differs, mut ignored, mut refused) = (0, 0, 0, 0);
    for support in all {
        *match support {
            Support::Honoured => &mut honoured,
            Support::Except(_) | Support::Differs(_) => &mut differs,
            Support::Ignored(_) => &mut ignored,
            Support::Refused(_) => &mut refused,
        } += 1;
    }
    format!(
        "\nOf {} {what}, {honoured} are honoured as in ingress-nginx, {differs} with a difference, {ignored} are accepted and mean nothing here, {refused} are refused.\n",
        honoured + differs + ignored + refused
    )
}

fn described(doc: &str, support: Support) -> String {
    let note = match support {
        Support::Honoured => return cell(doc),
        Support::Except(how) | Support::Differs(how) => format!("**Differs:** {how}."),
        Support::Ignored(why) => format!("**No effect:** {why}."),
        Support::Refused(instead) => format!("**Refused:** {instead}."),
    };
    format!("{} {}", cell(doc), cell(&note))
}

/// `SessionAffinity` → `Session affinity`.
fn title(name: &str) -> String {
    let mut title = String::new();
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            title.push(' ');
        }
        title.push(if at > 0 { letter.to_ascii_lowercase() } else { letter });
    }
    title
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", cell(text)) }
}
