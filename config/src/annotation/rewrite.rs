//! Group rewrite: what makes the paths of a host regular expressions.

use super::Annotations;
use crate::value::{self, Expected, Source as _};

/// What the annotations say about reading and rewriting paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    /// `use-regex`.
    use_regex: bool,
    /// `rewrite-target`.
    target: Option<Box<str>>,
}

impl Rewrite {
    /// Whether a path of the Ingress makes every path of its host a regular expression (reference 3.5).
    pub(crate) fn asks_for_regex(&self, path: &str) -> bool {
        self.use_regex || self.target.as_deref().is_some_and(|target| target != path)
    }
}

pub(super) fn read(annotations: &mut Annotations<'_>) -> Rewrite {
    Rewrite {
        use_regex: annotations.get("use-regex", value::bool).unwrap_or(false),
        target: annotations.get("rewrite-target", target),
    }
}

fn target(text: &str) -> Result<Box<str>, Expected> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:$".contains(&b);
    if text.bytes().all(allowed) { Ok(text.into()) } else { Err("a path or URL of letters, digits and - . _ ~ / : $") }
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
