//! The keys that refuse clients on every host. A list that cannot be read refuses everybody.

use crate::snapshot::{Blocks, TextRule};
use crate::value::{self, Source};

/// `None` when nobody is refused.
pub(super) fn read(keys: &mut impl Source) -> Option<Box<Blocks>> {
    let networks = keys.text("block-cidrs").map(str::to_owned).map(|text| {
        value::networks(&text).map_err(|expected| keys.deny("block-cidrs", format!("`{text}` is not {expected}")))
    });
    let blocks = Blocks {
        networks: networks.and_then(Result::ok).unwrap_or_default(),
        user_agents: rules(keys, "block-user-agents"),
        referers: rules(keys, "block-referers"),
    };
    (blocks != Blocks::default()).then(|| Box::new(blocks))
}

fn rules(keys: &mut impl Source, name: &str) -> Box<[TextRule]> {
    let text = keys.text(name).unwrap_or_default().to_owned();
    let rules = value::list(&text).map(unquoted).map(|text| TextRule::parse(text).map_err(|error| (text, error)));
    match rules.collect() {
        Ok(rules) => rules,
        Err((text, error)) => {
            keys.deny(name, format!("`{text}` {error}"));
            Box::default()
        }
    }
}

/// The text goes into nginx' file as it is, where quotes hold a text with blanks together.
fn unquoted(text: &str) -> &str {
    let within = |quote| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(text)
}
