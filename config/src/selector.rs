//! Label selectors as the API server writes them: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Longest selector, bytes.
const BYTES_MAX: usize = 4096;

/// Longest name and value of a label, bytes, without the prefix of the name.
const WORD_BYTES_MAX: usize = 63;

/// Longest prefix of a name, bytes.
const PREFIX_BYTES_MAX: usize = 253;

/// All of its requirements have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Box<[Requirement]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    name: Box<str>,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Present,
    Absent,
    In(Box<[Box<str>]>),
    /// An absent label fits too.
    NotIn(Box<[Box<str>]>),
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSelector(String);

impl fmt::Display for NoSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LabelSelector {
    /// Parses a selector with at least one requirement.
    ///
    /// # Errors
    /// When it is none, with the part at fault.
    pub fn parse(text: &str) -> Result<Self, NoSelector> {
        if text.len() > BYTES_MAX {
            return Err(NoSelector(format!("longer than {BYTES_MAX} bytes")));
        }
        let requirements = parts(text).map(requirement).collect::<Result<Box<[_]>, _>>()?;
        Ok(Self { requirements })
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> bool {
        self.requirements.iter().all(|Requirement { name, wanted }| {
            let value = labels.get(&**name).map(|value| &**value);
            let among = |values: &[Box<str>]| value.is_some_and(|value| values.iter().any(|known| **known == *value));
            match wanted {
                Wanted::Present => value.is_some(),
                Wanted::Absent => value.is_none(),
                Wanted::In(values) => among(values),
                Wanted::NotIn(values) => !among(values),
            }
        })
    }
}

/// The text between commas that are not inside of parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    text.split(move |c| {
        is_inside = (is_inside || c == '(') && c != ')';
        c == ',' && !is_inside
    })
    .map(str::trim)
}

fn requirement(part: &str) -> Result<Requirement, NoSelector> {
    let fault = |why: &str| NoSelector(format!("{part:?}: {why}"));
    let (name, wanted) = match part.strip_prefix('!') {
        Some(name) => (name, Wanted::Absent),
        None => match part.split_once('(') {
            Some((head, list)) => {
                let list = list.strip_suffix(')').ok_or_else(|| fault("a parenthesis is not closed"))?;
                let values: Box<[Box<str>]> = list.split(',').map(|value| value.trim().into()).collect();
                match head.trim_end().rsplit_once(char::is_whitespace) {
                    Some((name, "in")) => (name, Wanted::In(values)),
                    Some((name, "notin")) => (name, Wanted::NotIn(values)),
                    _ => return Err(fault("expected NAME in (…) or NAME notin (…)")),
                }
            }
            None => match part.split_once('=') {
                Some((name, value)) => {
                    let (name, is_not) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
                    let value = if is_not { value } else { value.strip_prefix('=').unwrap_or(value) };
                    let values = [Box::from(value.trim())].into();
                    (name, if is_not { Wanted::NotIn(values) } else { Wanted::In(values) })
                }
                None => (part, Wanted::Present),
            },
        },
    };
    let name = name.trim();
    if !is_name(name) {
        return Err(fault("expected the name of a label"));
    }
    if let Wanted::In(values) | Wanted::NotIn(values) = &wanted
        && !values.iter().all(|value| value.is_empty() || is_word(value))
    {
        return Err(fault("expected values of a label"));
    }
    Ok(Requirement { name: name.into(), wanted })
}

fn is_name(text: &str) -> bool {
    let is_prefix = |prefix: &str| {
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        !prefix.is_empty() && prefix.len() <= PREFIX_BYTES_MAX && prefix.bytes().all(is_allowed)
    };
    match text.split_once('/') {
        Some((prefix, word)) => is_prefix(prefix) && is_word(word),
        None => is_word(text),
    }
}

fn is_word(text: &str) -> bool {
    let is_end = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= WORD_BYTES_MAX
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        LabelSelector::parse(selector).unwrap_or_else(|fault| panic!("{selector}: {fault}")).matches(&labels)
    }

    #[test]
    fn every_form_selects_what_it_does_at_the_api_server() {
        let labels = [("team", "a"), ("app.test/tier", "web"), ("empty", "")];
        for (selector, is_selected) in [
            ("team=a", true),
            ("team == a", true),
            ("team=b", false),
            ("other=a", false),
            ("team!=a", false),
            ("team != b", true),
            ("other!=a", true),
            ("team in (b, a)", true),
            ("team in (b)", false),
            ("other in (b)", false),
            ("team notin (b,c)", true),
            ("other notin (b)", true),
            ("team notin (a)", false),
            ("app.test/tier", true),
            ("other", false),
            ("!other", true),
            ("!team", false),
            ("empty=", true),
            ("team=", false),
            ("team in (a,b),app.test/tier=web , !other", true),
            ("team=a,app.test/tier=db", false),
        ] {
            assert_eq!(fits(selector, &labels), is_selected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_with_the_part_at_fault() {
        for text in [
            "", ",", "a=b,", "a in b", "a in (b", "a of (b)", "in (b)", "=b", "!", "a b", "a>1", "/a=b", "a=b c", "-a",
            "a=ü",
        ] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
        assert!(LabelSelector::parse(&"a,".repeat(4000)).is_err());
        assert!(LabelSelector::parse("x=y,a of (b)").unwrap_err().to_string().starts_with("\"a of (b)\": "));
    }
}
