//! Group headers, the own annotations: fields of requests and responses set, added and removed, for what is otherwise
//! written as a snippet.

use super::Annotations;
use super::headers::{Fields, join};
use crate::snapshot::{FieldRules, Policies};
use crate::value::{self, Expected, Source as _};

/// Fields that say where a message ends or belong to one hop; `Host` has `upstream-vhost`.
const NEVER: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Joins what the annotations say with what the ConfigMap says.
pub(super) fn read(annotations: &mut Annotations<'_>, filters: &mut Policies) {
    let request = ["request-headers-set", "request-headers-add", "request-headers-remove"];
    read_rules(annotations, request.map(own), &mut filters.request_fields);
    let response = ["response-headers-set", "response-headers-add", "response-headers-remove"];
    read_rules(annotations, response.map(own), &mut filters.response_fields);
}

fn own(name: &str) -> String {
    format!("ringress.io/{name}")
}

fn read_rules(annotations: &mut Annotations<'_>, [set, add, remove]: [String; 3], rules: &mut FieldRules) {
    if let Some(fields) = annotations.get(&set, lines) {
        rules.set = join(&rules.set, fields);
    }
    if let Some(fields) = annotations.get(&add, lines) {
        rules.add = fields;
    }
    if let Some(names) = annotations.get(&remove, names) {
        rules.remove = rules.remove.iter().cloned().chain(names).collect();
    }
}

/// `Name: value`, one a line.
fn lines(text: &str) -> Result<Fields, Expected> {
    const EXPECTED: Expected =
        "lines of `Name: value` with variables of the supported list, none of them of the connection, the body or Host";
    let field = |line: &str| {
        let (name, value) = line.split_once(':').ok_or(EXPECTED)?;
        let name = value::field_name(name.trim()).map_err(|_| EXPECTED)?;
        let value = value::template(value.trim()).map_err(|_| EXPECTED)?;
        if is_never(&name) { Err(EXPECTED) } else { Ok((name, value)) }
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(field).collect()
}

fn names(text: &str) -> Result<Box<[Box<str>]>, Expected> {
    const EXPECTED: Expected = "a list of names of header fields, none of them of the connection, the body or Host";
    let names = value::field_names(text).map_err(|_| EXPECTED)?;
    if names.iter().any(|name| is_never(name)) { Err(EXPECTED) } else { Ok(names) }
}

fn is_never(name: &str) -> bool {
    NEVER.iter().any(|never| never.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Template;
    use crate::testing::{annotated, reference};

    fn filters(pairs: &[(&str, &str)]) -> (Policies, bool) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut filters = Policies::default();
        filters.response_fields.set = [("X-Global".into(), Template::literal("g"))].into();
        filters.response_fields.remove = ["X-Hidden".into()].into();
        read(&mut annotations, &mut filters);
        (filters, annotations.outcome().refused)
    }

    #[test]
    fn annotation_ringress_io_headers_join_those_of_the_config_map() {
        let (found, refused) = filters(&[
            ("ringress.io/response-headers-set", "X-One: a: $host\n\n x-global: own \n"),
            ("ringress.io/response-headers-remove", "Server, X-Powered-By"),
            ("ringress.io/request-headers-add", "X-Two: 2"),
        ]);
        let set =
            [("X-One".into(), Template::parse("a: $host").unwrap()), ("x-global".into(), Template::literal("own"))];
        assert_eq!((&*found.response_fields.set, refused), (&set[..], false));
        assert_eq!(*found.response_fields.remove, ["X-Hidden".into(), "Server".into(), "X-Powered-By".into()]);
        assert_eq!(found.request_fields.add.len(), 1);
    }

    #[test]
    fn annotation_ringress_io_headers_that_cannot_be_read_refuse_the_ingress() {
        for (name, value) in [
            ("ringress.io/request-headers-set", "no colon"),
            ("ringress.io/request-headers-set", "Host: a"),
            ("ringress.io/request-headers-add", "a b: c"),
            ("ringress.io/response-headers-set", "Content-Length: 7"),
            ("ringress.io/response-headers-add", "X-A: $request_body"),
            ("ringress.io/response-headers-remove", "Transfer-Encoding"),
        ] {
            assert!(filters(&[(name, value)]).1, "{name}: {value}");
        }
    }
}
