//! Group rewrite: what makes the paths of a host regular expressions, and what replaces them (reference 3.5).

use std::sync::Arc;

use super::Annotations;
use crate::snapshot::{self, Search, Template};
use crate::value::{self, Expected, Source as _};

/// What the annotations say about reading and rewriting paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    /// `use-regex`.
    use_regex: bool,
    /// `rewrite-target`, as text and read.
    target: Option<(Box<str>, Template)>,
    /// `x-forwarded-prefix`.
    prefix: Option<Template>,
}

impl Rewrite {
    /// Whether paths are meant as patterns, said in so many words.
    pub(crate) fn uses_regex(&self) -> bool {
        self.use_regex
    }

    /// Whether a path of the Ingress makes every path of its host a regular expression (reference 3.5).
    pub(crate) fn asks_for_regex(&self, path: &str) -> bool {
        self.use_regex || self.target.as_ref().is_some_and(|(target, _)| **target != *path)
    }

    /// What becomes of the target of requests of a path. A path that is no usable pattern is answered 503 anyway.
    pub(crate) fn of(&self, path: &str) -> Option<snapshot::Rewrite> {
        let (_, target) = self.target.as_ref().filter(|(text, _)| **text != *path)?;
        let pattern = Search::new(path, true).ok()?;
        Some(snapshot::Rewrite { pattern: Arc::new(pattern), target: target.clone(), prefix: self.prefix.clone() })
    }
}

pub(super) fn read(annotations: &mut Annotations<'_>) -> Rewrite {
    Rewrite {
        use_regex: annotations.get("use-regex", value::bool).unwrap_or(false),
        target: annotations.get("rewrite-target", |text| Ok((text.into(), target(text)?))),
        prefix: annotations.get("x-forwarded-prefix", target),
    }
}

fn target(text: &str) -> Result<Template, Expected> {
    const EXPECTED: Expected = "a path or URL of letters, digits and - . _ ~ / : $";
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:$".contains(&b);
    if text.bytes().all(allowed) { Template::parse(text).map_err(|_| EXPECTED) } else { Err(EXPECTED) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{annotated, reference};

    fn rewrite(pairs: &[(&str, &str)]) -> (Rewrite, usize) {
        let (ingress, object) = (annotated(pairs), reference());
        let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let rewrite = read(&mut annotations);
        (rewrite, annotations.into_findings().len())
    }

    #[test]
    fn annotation_rewrite_target_asks_for_regex_unless_it_is_the_path() {
        let (rewrite, _) = rewrite(&[("rewrite-target", "/foo")]);
        assert!(rewrite.asks_for_regex("/bar") && !rewrite.asks_for_regex("/foo"));
    }

    #[test]
    fn annotation_rewrite_target_and_prefix_become_templates_over_the_path() {
        let (rewrite, _) = rewrite(&[("rewrite-target", "/$2"), ("x-forwarded-prefix", "/$1")]);
        let found = rewrite.of("/app(/|$)(.*)").unwrap();
        assert_eq!(found.pattern.text(), "/app(/|$)(.*)");
        assert_eq!(found.target, Template::parse("/$2").unwrap());
        assert_eq!(found.prefix, Template::parse("/$1").ok());
        assert_eq!(rewrite.of("/$2"), None);
    }

    #[test]
    fn annotation_use_regex_asks_for_regex() {
        assert!(rewrite(&[("use-regex", "true")]).0.asks_for_regex("/foo"));
        assert!(!rewrite(&[("use-regex", "false")]).0.asks_for_regex("/foo"));
    }

    #[test]
    fn annotation_rewrite_bad_values_are_dropped_with_a_warning() {
        assert_eq!(rewrite(&[("rewrite-target", "/x?y=1")]), (Rewrite::default(), 1));
        assert_eq!(rewrite(&[("use-regex", "yes")]), (Rewrite::default(), 1));
    }
}
