//! Clients that are refused on every host.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{PatternError, Search};

/// Who is refused, before anything else is done with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// `block-cidrs`.
    pub networks: Box<[IpNet]>,
    /// `block-user-agents`.
    pub user_agents: Box<[TextRule]>,
    /// `block-referers`.
    pub referers: Box<[TextRule]>,
}

impl Blocks {
    /// Whether a request is refused. A field that it does not have is empty.
    pub fn refuse(&self, client: IpAddr, user_agent: &[u8], referer: &[u8]) -> bool {
        self.networks.iter().any(|network| network.contains(&client))
            || self.user_agents.iter().any(|rule| rule.fits(user_agent))
            || self.referers.iter().any(|rule| rule.fits(referer))
    }
}

/// A key of nginx' `map`.
#[derive(Clone, Debug)]
pub struct TextRule {
    written: Box<str>,
    pattern: Option<Search>,
}

impl TextRule {
    /// `~expression`, `~*expression` without case, or the whole text without case.
    ///
    /// # Errors
    /// When the expression cannot be served.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let pattern = match (text.strip_prefix("~*"), text.strip_prefix('~')) {
            (Some(expression), _) => Some(Search::new(expression, true)?),
            (None, Some(expression)) => Some(Search::new(expression, false)?),
            (None, None) => None,
        };
        Ok(Self { written: text.into(), pattern })
    }

    fn fits(&self, value: &[u8]) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.is_found(value),
            None => value.eq_ignore_ascii_case(self.written.as_bytes()),
        }
    }
}

impl PartialEq for TextRule {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for TextRule {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_whole_and_expressions_are_found_anywhere() {
        let fits = |rule: &str, value: &str| TextRule::parse(rule).unwrap().fits(value.as_bytes());
        assert!(fits("Bad Bot", "bad bot") && !fits("bad", "bad bot"));
        assert!(fits("~Bot", "a Bot/1") && !fits("~Bot", "a bot/1"));
        assert!(fits("~*bot$", "a BOT") && !fits("~*^bot", "a bot"));
        assert!(fits("~^$", "") && !fits("~^$", "x"));
        assert!(TextRule::parse("~(").is_err());
    }

    #[test]
    fn any_rule_refuses() {
        let rules = |text: &str| Box::from([TextRule::parse(text).unwrap()]);
        let networks = Box::from(["10.0.0.0/8".parse().unwrap()]);
        let blocks = Blocks { networks, user_agents: rules("~bot"), referers: rules("~spam") };
        let (inner, outer) = ("10.1.1.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
        assert!(blocks.refuse(inner, b"", b"") && !blocks.refuse(outer, b"", b""));
        assert!(
            blocks.refuse(outer, b"a bot", b"")
                && blocks.refuse(outer, b"", b"spam")
                && !blocks.refuse(outer, b"spam", b"bot")
        );
    }
}
