//! `/etc/resolv.conf`: whom to ask, and under which names (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr};

/// Servers that count, as in the system's own resolver.
const SERVERS_MAX: usize = 3;

/// Domains that are searched.
const SEARCH_MAX: usize = 32;

/// The highest `ndots`.
const NDOTS_MAX: usize = 15;

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<IpAddr>,
    search: Vec<String>,
    /// A name with fewer dots is searched first.
    ndots: usize,
}

impl ResolvConf {
    /// Lines that say nothing to us are passed over. Without a server this machine is asked.
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    conf.servers.extend(words.next().and_then(|address| address.parse::<IpAddr>().ok()))
                }
                Some("search" | "domain") => conf.search = words.take(SEARCH_MAX).map(str::to_owned).collect(),
                Some("options") => {
                    let ndots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse::<usize>().ok()).next_back();
                    conf.ndots = ndots.unwrap_or(conf.ndots).min(NDOTS_MAX);
                }
                _ => {}
            }
        }
        conf.servers.truncate(SERVERS_MAX);
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        conf
    }

    /// The full names under which one is looked for, in this order.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let below = |domain: &String| format!("{name}.{}", domain.trim_matches('.'));
        let mut all: Vec<_> = self.search.iter().filter(|domain| *domain != ".").map(below).collect();
        let has_dots = name.matches('.').count() >= self.ndots;
        all.insert(if has_dots { 0 } else { all.len() }, name.to_owned());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_pod_is_read() {
        let conf = ResolvConf::parse(
            "# made by kubelet\nsearch shop.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\nnameserver fd00::a\n\
             nameserver nonsense\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions timeout:1 ndots:5\n",
        );
        let servers = ["10.96.0.10", "fd00::a", "10.0.0.1"].map(|address| address.parse().unwrap());
        assert_eq!((conf.servers.as_slice(), conf.ndots), (servers.as_slice(), 5));
        let searched = ["db.test.shop.svc.cluster.local", "db.test.svc.cluster.local", "db.test"];
        assert_eq!(conf.candidates("db.test"), searched);
        assert_eq!(conf.candidates("db.test."), ["db.test"]);
    }

    #[test]
    fn a_name_with_enough_dots_is_asked_for_as_it_is_first() {
        let conf = ResolvConf::parse("domain example.com\n");
        assert_eq!(conf.servers, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!(conf.candidates("db.test"), ["db.test", "db.test.example.com"]);
        assert_eq!(conf.candidates("db"), ["db.example.com", "db"]);
    }
}
