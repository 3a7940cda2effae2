//! The form of a line of a log, compiled once. What a line can name depends on whose it is: see [`LogValue`].

use std::collections::BTreeSet;

use super::template::{self, Piece};

/// The form of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat<V> {
    parts: Box<[LogPart<V>]>,
    escape: Escape,
    is_noted: bool,
}

/// A piece of a [`LogFormat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPart<V> {
    /// As it is.
    Text(Box<str>),
    /// What a variable stands for.
    Value(V),
}

/// How the values of variables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// `\xXX` for quotes, backslashes and what is no visible ASCII; `-` for what is not there.
    #[default]
    Hex,
    /// As within a JSON text.
    Json,
    /// As they are, but for control characters: a line stays one line.
    None,
}

/// What the lines of one log can name, and its built-in forms.
pub trait LogValue: Sized {
    /// The form when nothing else is said.
    const DEFAULT: &'static str;

    /// The built-in JSON form.
    const JSON: &'static str;

    /// For a variable that has no value here.
    const MISSING: Self;

    /// The variable of this name, without its `$`.
    fn named(name: &str) -> Option<Self>;

    /// Whether what it names is gone at the end unless somebody noted it before.
    fn is_noted(&self) -> bool {
        false
    }
}

impl<V: LogValue> LogFormat<V> {
    /// Compiles a text. Variables that are not known have no value; their names are returned.
    pub fn parse(text: &str, escape: Escape) -> (Self, BTreeSet<String>) {
        let mut unknown = BTreeSet::new();
        let part = |piece| match piece {
            Piece::Text(text) => LogPart::Text(text.into()),
            Piece::Name(name) => LogPart::Value(V::named(name).unwrap_or_else(|| {
                unknown.insert(name.to_owned());
                V::MISSING
            })),
        };
        let parts: Box<[_]> = template::pieces(text).into_iter().map(part).collect();
        let is_noted = parts.iter().any(|part| matches!(part, LogPart::Value(value) if value.is_noted()));
        (Self { parts, escape, is_noted }, unknown)
    }

    /// The default text, with its values written in this way.
    pub fn with_default_text(escape: Escape) -> Self {
        Self::parse(V::DEFAULT, escape).0
    }

    /// The built-in JSON form.
    pub fn json() -> Self {
        Self::parse(V::JSON, Escape::Json).0
    }
}

impl<V: LogValue> Default for LogFormat<V> {
    fn default() -> Self {
        Self::with_default_text(Escape::default())
    }
}

impl<V> LogFormat<V> {
    /// The pieces in order.
    pub fn parts(&self) -> &[LogPart<V>] {
        &self.parts
    }

    /// Whether one of its values [has to be noted](LogValue::is_noted).
    #[inline]
    pub fn is_noted(&self) -> bool {
        self.is_noted
    }

    /// How values are written.
    pub fn escape(&self) -> Escape {
        self.escape
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RequestValue, StreamVariable};
    use super::*;

    fn knows_its_own_forms<V: LogValue>() {
        for text in [V::DEFAULT, V::JSON] {
            assert_eq!(LogFormat::<V>::parse(text, Escape::Hex).1, BTreeSet::new());
        }
        assert_eq!(LogFormat::<V>::json().escape(), Escape::Json);
    }

    #[test]
    fn the_built_in_forms_know_all_their_variables() {
        knows_its_own_forms::<RequestValue>();
        knows_its_own_forms::<StreamVariable>();
    }

    #[test]
    fn an_unknown_variable_is_named_and_the_rest_is_kept() {
        let (format, unknown) = LogFormat::parse("$status ${request_uri}", Escape::None);
        assert_eq!(unknown.into_iter().collect::<Vec<_>>(), ["request_uri"]);
        let value = LogPart::Value;
        let text = LogPart::Text(" ".into());
        assert_eq!(*format.parts, [value(StreamVariable::Status), text, value(StreamVariable::Missing)]);
    }
}
