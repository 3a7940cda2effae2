//! A report as one page: no script, nothing fetched, and every word of an object escaped.

use std::fmt::{self, Write as _};

use ringress_config::compile::{Migrated, Parity};

use super::Comparison;

/// The policy forbids what the page has no need of, should an escape ever be missing.
const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>From ingress-nginx: report</title>
<style>
:root{--back:#fff;--text:#1c2024;--quiet:#60646c;--line:#e0e1e6;--same:#18794e;--differs:#8f4a00;--refused:#b42318}
@media(prefers-color-scheme:dark){:root{--back:#111113;--text:#edeef0;--quiet:#b0b4ba;--line:#363a3f;--same:#4cc38a;--differs:#ffca16;--refused:#ff9592}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:60rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.counts{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;padding:0;list-style:none}
.counts b{font-size:1.6rem;display:block}
details{border-top:1px solid var(--line);padding:.5rem 0}
summary{cursor:pointer;overflow-wrap:anywhere}
dl{margin:.5rem 0 .5rem 1rem}dt{overflow-wrap:anywhere}dd{margin:0 0 .5rem 1rem;color:var(--quiet);overflow-wrap:anywhere}
code{font:.9em ui-monospace,monospace;white-space:pre-wrap}
.quiet{color:var(--quiet)}
.same{color:var(--same)}.differs{color:var(--differs)}.refused{color:var(--refused)}
.tag{font-weight:600;display:inline-block;min-width:4.5rem}
</style>
</head>
<body>
<h1>From ingress-nginx to ringress</h1>
"#;

pub(super) fn page(comparison: &Comparison) -> String {
    let mut out = HEAD.to_owned();
    counts(&mut out, comparison);
    if !comparison.migration.ingresses.is_empty() {
        out.push_str("<h2>Ingresses</h2>\n");
    }
    for ingress in comparison.by_parity() {
        object(&mut out, ingress);
    }
    if let Some(config_map) = &comparison.migration.config_map {
        let guess = if comparison.guessed { " <span class=\"quiet\">(by its name)</span>" } else { "" };
        let _ = writeln!(out, "<h2>ConfigMap{guess}</h2>");
        object(&mut out, config_map);
    }
    flags(&mut out, comparison);
    if !comparison.others.is_empty() {
        out.push_str("<h2>Other objects</h2>\n<ul>\n");
        for finding in &comparison.others {
            let _ = writeln!(out, "<li>{}</li>", Escaped(&finding.to_string()));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn counts(out: &mut String, comparison: &Comparison) {
    let totals = comparison.totals();
    out.push_str("<ul class=\"counts\">\n");
    for (parity, count) in
        [(Parity::Same, totals.same), (Parity::Differs, totals.differs), (Parity::Refused, totals.refused)]
    {
        let word = parity.as_str();
        let _ = writeln!(out, "<li><b class=\"{word}\">{count}</b>Ingresses: {word}</li>");
    }
    let foreign = comparison.migration.foreign.len();
    if foreign > 0 {
        let _ = writeln!(out, "<li><b>{foreign}</b>of other classes, left alone</li>");
    }
    out.push_str("</ul>\n");
}

fn object(out: &mut String, object: &Migrated) {
    let open = if object.parity == Parity::Same { "" } else { " open" };
    let _ = write!(out, "<details{open}><summary>{}{}/", Tag(object.parity), Escaped(&object.namespace));
    let _ = write!(out, "{}", Escaped(&object.name));
    for host in &object.hosts {
        let _ = write!(out, " <span class=\"quiet\">{}</span>", Escaped(host));
    }
    out.push_str("</summary>\n<dl>\n");
    for entry in &object.entries {
        let (name, value) = (Escaped(&entry.name), Escaped(&entry.value));
        let _ = writeln!(out, "<dt>{}<code>{name}: {value}</code></dt>", Tag(entry.parity));
        for remark in &entry.remarks {
            let _ = writeln!(out, "<dd>{}</dd>", Escaped(remark));
        }
    }
    for remark in &object.remarks {
        let _ = writeln!(out, "<dt>{}<code>{}</code></dt>", Tag(remark.parity), Escaped(&remark.field));
        let _ = writeln!(out, "<dd>{}</dd>", Escaped(&remark.message));
    }
    out.push_str("</dl></details>\n");
}

fn flags(out: &mut String, comparison: &Comparison) {
    if comparison.flags.is_empty() {
        return;
    }
    out.push_str("<h2>Flags</h2>\n<dl>\n");
    for flag in &comparison.flags {
        let (name, value) = (flag.name, Escaped(&flag.value));
        let _ = writeln!(out, "<dt>{}<code>--{name}={value}</code></dt>", Tag(flag.parity));
        if let Some(remark) = flag.remark {
            let _ = writeln!(out, "<dd>{}</dd>", Escaped(remark));
        }
    }
    out.push_str("</dl>\n");
}

struct Tag(Parity);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0.as_str();
        write!(f, "<span class=\"tag {word}\">{word}</span> ")
    }
}

/// Text that says nothing to a browser, in elements and in quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            letter => f.write_char(letter),
        })
    }
}
