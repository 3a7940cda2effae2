//! Hosts and their path tables: the lookup that every request does.

use std::sync::Arc;

use super::{Aliases, ClientAuth, ClusterId, HostCiphers, LiteralTable, PatternTable, Route, Sharded};

/// Host name → routes.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Exact names, lower case; those of aliases too.
    pub exact: Sharded<Arc<str>, Arc<HostRoutes>>,
    /// `*.example.com` under the key `example.com`; one label exactly.
    pub wildcard: Sharded<Arc<str>, Arc<HostRoutes>>,
    /// Aliases that are no exact names.
    pub aliases: Aliases,
    /// Every other host (`_`).
    pub catch_all: Arc<HostRoutes>,
    /// How many hosts have a say in the handshake. With none, no server name is looked up before it.
    pub with_tls: usize,
}

/// No hosts, and nothing for all others.
impl Default for Hosts {
    fn default() -> Self {
        let catch_all = Arc::new(HostRoutes::empty("_".into()));
        Self {
            exact: Sharded::default(),
            wildcard: Sharded::default(),
            aliases: Aliases::default(),
            catch_all,
            with_tls: 0,
        }
    }
}

impl Hosts {
    /// Whether a rule or an alias names the host, itself or by a wildcard.
    pub fn knows(&self, host: &str) -> bool {
        !Arc::ptr_eq(self.find(host), &self.catch_all)
    }

    /// All but the catch-all.
    pub fn named(&self) -> impl Iterator<Item = &Arc<HostRoutes>> {
        self.exact.iter().chain(self.wildcard.iter()).map(|(_, host)| host).chain(self.aliases.hosts())
    }

    /// The routes of a host (lower case, without port and final dot): exact, then wildcards of aliases, then one label
    /// below a rule's wildcard, which is an expression to nginx, then expressions of aliases, then the catch-all.
    pub fn find(&self, host: &str) -> &Arc<HostRoutes> {
        if let Some(found) = self.exact.get(host) {
            return found;
        }
        if let Some(found) = self.aliases.wildcard(host) {
            return found;
        }
        if !self.wildcard.is_empty()
            && let Some((label, rest)) = host.split_once('.')
            && is_wildcard_label(label)
            && let Some(found) = self.wildcard.get(rest)
        {
            return found;
        }
        self.aliases.pattern(host).unwrap_or(&self.catch_all)
    }
}

/// ingress-nginx turns `*.` into one label of letters, digits, `_` and `-` (`template.go` buildServerName).
fn is_wildcard_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// All routes of one host.
#[derive(Clone, Debug)]
pub struct HostRoutes {
    /// The host as rules name it; `_` for the catch-all.
    pub name: Arc<str>,
    /// Serves exactly `/`, before all paths (`app-root`).
    pub root: Option<Arc<Route>>,
    /// Path → route.
    pub paths: PathTable,
    /// What it has to say in the handshake.
    pub tls: HostTls,
}

/// What a host has to say in the handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTls {
    /// Clients are asked for a certificate.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// TLS is not ended here but passed on to this cluster (`ssl-passthrough`); exact names only.
    pub passthrough: Option<ClusterId>,
    /// It offers other suites than all, or in another order.
    pub ciphers: Option<Arc<HostCiphers>>,
}

impl HostTls {
    /// Whether it has nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl HostRoutes {
    /// A host that serves nothing.
    pub fn empty(name: Arc<str>) -> Self {
        Self { name, root: None, paths: PathTable::default(), tls: HostTls::default() }
    }

    /// The route of a normalised path.
    #[inline]
    pub fn find(&self, path: &[u8]) -> PathMatch<'_> {
        match &self.root {
            Some(root) if path == b"/" => PathMatch::Route(root),
            _ => self.paths.find(path),
        }
    }

    /// All routes, that of exactly `/` first.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.root.iter().chain(self.paths.routes())
    }
}

/// What a path matched.
#[derive(Clone, Copy, Debug)]
pub enum PathMatch<'a> {
    /// This route.
    Route(&'a Arc<Route>),
    /// The rule's path is this one with a final slash: 301 to it (reference 3.4).
    AddSlash(&'a Arc<Route>),
    /// Nothing: the default backend answers.
    None,
}

/// The paths of one host, compiled.
#[derive(Clone, Debug)]
pub enum PathTable {
    /// Exact paths and prefixes.
    Literal(LiteralTable),
    /// Every path of the host is a regular expression (reference 3.5).
    Patterns(PatternTable),
}

impl Default for PathTable {
    fn default() -> Self {
        Self::Literal(LiteralTable::default())
    }
}

impl PathTable {
    /// The route of a normalised path (decoded, slashes merged, dot segments resolved). Case matters except in regex
    /// mode.
    #[inline]
    pub fn find(&self, path: &[u8]) -> PathMatch<'_> {
        match self {
            Self::Literal(table) => table.find(path),
            Self::Patterns(table) => table.find(path),
        }
    }

    /// All routes; in regex mode in the order in which they are tried. A route that is tried in two places comes
    /// twice.
    pub fn routes(&self) -> &[Arc<Route>] {
        match self {
            Self::Literal(table) => table.routes(),
            Self::Patterns(table) => table.routes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Hosts {
        let mut hosts = Hosts::default();
        for name in names {
            let routes = Arc::new(HostRoutes::empty((*name).into()));
            match name.strip_prefix("*.") {
                Some(rest) => hosts.wildcard.insert(rest.into(), routes),
                None => hosts.exact.insert((*name).into(), routes),
            };
        }
        hosts
    }

    /// What nginx documents of `server_name`, over a list of names.
    fn by_the_book<'n>(names: &[&'n str], host: &str) -> Option<&'n str> {
        let starting =
            |name: &&&str| name.strip_prefix('*').is_some_and(|rest| host.len() > rest.len() && host.ends_with(rest));
        let ending =
            |name: &&&str| name.strip_suffix('*').is_some_and(|rest| host.len() > rest.len() && host.starts_with(rest));
        let exact = names.iter().find(|name| **name == host);
        let longest = |found: Vec<&&'n str>| found.into_iter().max_by_key(|name| name.len()).copied();
        exact
            .copied()
            .or_else(|| longest(names.iter().filter(starting).collect()))
            .or_else(|| longest(names.iter().filter(ending).collect()))
    }

    proptest::proptest! {
        #[test]
        fn wildcards_of_aliases_are_found_as_nginx_documents_it(
            host in "[ab]{1,2}([.][ab]{1,2}){0,4}",
            names in proptest::collection::btree_set("([*][.])?[ab]{1,2}([.][ab]{1,2}){0,2}|[ab]{1,2}([.][ab]{1,2}){0,2}[.][*]", 0..12),
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut hosts = Hosts::default();
            for name in &names {
                let routes = Arc::new(HostRoutes::empty((*name).into()));
                if let Some(rest) = name.strip_prefix("*.") {
                    hosts.aliases.below.insert(rest.into(), routes);
                } else if let Some(start) = name.strip_suffix(".*") {
                    hosts.aliases.above.insert(start.into(), routes);
                } else {
                    hosts.exact.insert((*name).into(), routes);
                }
            }
            proptest::prop_assert_eq!(&*hosts.find(&host).name, by_the_book(&names, &host).unwrap_or("_"));
        }
    }

    #[test]
    fn exact_then_one_label_below_a_wildcard_then_the_catch_all() {
        let hosts = hosts(&["x.wild.test", "*.wild.test", "*.b_c.test"]);
        for (host, expected) in [
            ("x.wild.test", "x.wild.test"),
            ("y.wild.test", "*.wild.test"),
            ("y_-1.wild.test", "*.wild.test"),
            ("a.b.wild.test", "_"),
            ("wild.test", "_"),
            (".wild.test", "_"),
            ("é.wild.test", "_"),
            ("", "_"),
            ("other", "_"),
        ] {
            assert_eq!(&*hosts.find(host).name, expected, "{host}");
        }
    }
}
