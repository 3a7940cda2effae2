//! Exact paths and prefixes of one host as a tree of segments: one step a segment, no hashing, no allocation, and no
//! more work than the request's path has segments that some rule knows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::{PathMatch, Route};

/// A place that a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literal<'a> {
    /// This path and no other.
    Exact(&'a str),
    /// Every path that starts with this one, which ends in `/`.
    Below(&'a str),
}

/// The compiled tree.
#[derive(Clone, Debug)]
pub struct LiteralTable {
    /// The first is the root: the empty path before the first slash.
    nodes: Box<[Node]>,
    /// Of all nodes, each node's own ones together and sorted by segment.
    edges: Box<[Edge]>,
    routes: Box<[Arc<Route>]>,
}

#[derive(Clone, Debug)]
struct Node {
    edges: Range<u32>,
    /// For the path that ends here.
    exact: Leaf,
    /// For the paths that go on with a slash.
    below: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leaf {
    #[default]
    None,
    Route(u32),
    /// Nothing is here, but the path with a final slash is.
    AddSlash(u32),
}

#[derive(Clone, Debug)]
struct Edge {
    segment: Box<[u8]>,
    node: u32,
}

impl LiteralTable {
    /// A table of these places. A later place replaces an earlier equal one. Paths start with `/`.
    ///
    /// A place that is written with a final slash also makes the path without it redirect there, unless that path has
    /// a route of its own (reference 3.4).
    pub fn new<'a>(places: impl IntoIterator<Item = (Literal<'a>, Arc<Route>)>) -> Self {
        let mut builder = Builder { routes: Vec::new() };
        let mut root = Growing::default();
        for (place, route) in places {
            let index = builder.index(route);
            match place {
                Literal::Exact(path) => root.descend(path).exact = Leaf::Route(index),
                Literal::Below(path) => root.descend(path.strip_suffix('/').unwrap_or(path)).below = Some(index),
            }
        }
        root.edges.values_mut().for_each(Growing::add_slashes);
        builder.flatten(root)
    }

    /// The route of a normalised path.
    #[inline]
    pub fn find(&self, path: &[u8]) -> PathMatch<'_> {
        let Some((b'/', mut rest)) = path.split_first().map(|(first, rest)| (*first, rest)) else {
            return PathMatch::None;
        };
        let Some(mut node) = self.nodes.first() else {
            return PathMatch::None;
        };
        let mut best = None;
        loop {
            best = node.below.or(best);
            let slash = memchr::memchr(b'/', rest);
            let segment = slash.map_or(rest, |at| &rest[..at]);
            let Some(child) = self.child(node, segment) else { break };
            match slash {
                Some(at) => (node, rest) = (child, &rest[at + 1..]),
                None => match child.exact {
                    Leaf::Route(index) => return PathMatch::Route(&self.routes[index as usize]),
                    Leaf::AddSlash(index) => return PathMatch::AddSlash(&self.routes[index as usize]),
                    Leaf::None => break,
                },
            }
        }
        best.map_or(PathMatch::None, |index| PathMatch::Route(&self.routes[index as usize]))
    }

    /// All routes, in the order in which they were given.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    #[inline]
    fn child(&self, node: &Node, segment: &[u8]) -> Option<&Node> {
        let edges = &self.edges[node.edges.start as usize..node.edges.end as usize];
        let found = edges.binary_search_by(|edge| (*edge.segment).cmp(segment)).ok()?;
        Some(&self.nodes[edges[found].node as usize])
    }
}

impl Default for LiteralTable {
    fn default() -> Self {
        Self::new([])
    }
}

/// A node under construction.
#[derive(Default)]
struct Growing<'a> {
    edges: BTreeMap<&'a [u8], Growing<'a>>,
    exact: Leaf,
    below: Option<u32>,
}

impl<'a> Growing<'a> {
    /// The node of a path, made if need be. The empty path is the root.
    fn descend(&mut self, path: &'a str) -> &mut Self {
        let mut node = self;
        for segment in path.split('/').skip(1) {
            node = node.edges.entry(segment.as_bytes()).or_default();
        }
        node
    }

    fn add_slashes(&mut self) {
        if self.exact == Leaf::None {
            let own = self.edges.get(&b""[..]).and_then(|child| match child.exact {
                Leaf::Route(index) => Some(index),
                Leaf::None | Leaf::AddSlash(_) => None,
            });
            self.exact = own.or(self.below).map_or(Leaf::None, Leaf::AddSlash);
        }
        self.edges.values_mut().for_each(Self::add_slashes);
    }
}

struct Builder {
    routes: Vec<Arc<Route>>,
}

impl Builder {
    /// Places of one route follow each other.
    fn index(&mut self, route: Arc<Route>) -> u32 {
        if !self.routes.last().is_some_and(|last| Arc::ptr_eq(last, &route)) {
            self.routes.push(route);
        }
        u32::try_from(self.routes.len() - 1).expect("a host has fewer than 2^32 routes")
    }

    fn flatten(self, root: Growing<'_>) -> LiteralTable {
        let mut nodes = vec![Node { edges: 0..0, exact: root.exact, below: root.below }];
        let mut edges = Vec::new();
        let mut open = std::collections::VecDeque::from([(0, root)]);
        let index = |len: usize| u32::try_from(len).expect("a host has fewer than 2^32 path segments");
        while let Some((at, growing)) = open.pop_front() {
            let start = index(edges.len());
            for (segment, child) in growing.edges {
                edges.push(Edge { segment: segment.into(), node: index(nodes.len()) });
                open.push_back((nodes.len(), child));
                nodes.push(Node { edges: 0..0, exact: Leaf::None, below: None });
                let last = nodes.len() - 1;
                let (_, child) = open.back().expect("just pushed");
                (nodes[last].exact, nodes[last].below) = (child.exact, child.below);
            }
            nodes[at].edges = start..index(edges.len());
        }
        LiteralTable { nodes: nodes.into(), edges: edges.into(), routes: self.routes.into() }
    }
}

#[cfg(test)]
mod tests;
