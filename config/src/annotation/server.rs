//! Group server: other names of a host (reference 3.3).

use super::Annotations;
use crate::intent::HostName;
use crate::value::{self, Expected, Source as _};

/// Names and wildcards; what is a regular expression is reported and left out.
pub(super) fn read_aliases(annotations: &mut Annotations<'_>) -> Vec<HostName> {
    const NAME: &str = "server-alias";
    let expressions: Vec<_> = annotations
        .text(NAME)
        .into_iter()
        .flat_map(value::list)
        .filter(|alias| alias.starts_with('~'))
        .map(|alias| format!("{alias} is a regular expression, which cannot be an alias; it is left out"))
        .collect();
    expressions.into_iter().for_each(|message| annotations.warn(NAME, message));
    annotations.get(NAME, aliases).unwrap_or_default()
}

/// Whether TLS of the hosts is passed on.
pub(super) fn read_passthrough(annotations: &mut Annotations<'_>) -> bool {
    annotations.get("ssl-passthrough", value::bool).unwrap_or(false)
}

fn aliases(text: &str) -> Result<Vec<HostName>, Expected> {
    let names = value::list(text).filter(|alias| !alias.starts_with('~'));
    names.map(HostName::parse).collect::<Result<_, _>>().map_err(|_| "a list of host names")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn aliases(text: &str) -> (Vec<String>, usize, bool) {
        let (ingress, object) = (annotated(&[("server-alias", text)]), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let names = read_aliases(&mut annotations).iter().map(ToString::to_string).collect();
        let refused = annotations.outcome().refused;
        (names, annotations.into_findings().len(), refused)
    }

    #[test]
    fn annotation_server_alias_is_a_list_of_names() {
        assert_eq!(aliases("B.test, *.c.test"), (vec!["b.test".into(), "*.c.test".into()], 0, false));
        assert_eq!(aliases("b.test, ~^x"), (vec!["b.test".into()], 1, false));
        assert_eq!(aliases("b test"), (Vec::new(), 1, true));
    }
}
