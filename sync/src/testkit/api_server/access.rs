//! What an account may do: the rules of Roles, applied as the API server applies them.

use serde_json::Value;

/// One request in the words of RBAC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// Empty for the core group.
    pub group: String,
    /// `ingresses`, `ingresses/status`.
    pub resource: String,
    /// Empty for all namespaces and for cluster-wide objects.
    pub namespace: String,
    /// Of one object, or of the one that a field selector names.
    pub name: Option<String>,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { verb, group, resource, namespace, name } = self;
        write!(f, "{verb} {group}/{resource} {:?} in {namespace:?}", name.as_deref().unwrap_or("*"))
    }
}

/// One rule, and where it holds.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The namespace of a Role; `None` for a ClusterRole that is bound to the whole cluster.
    pub namespace: Option<String>,
    /// An entry of `rules`.
    pub rule: Value,
}

impl Grant {
    /// Whether the rule allows it.
    pub fn allows(&self, asked: &Asked) -> bool {
        let lists = |field: &str, wanted: &str| {
            let entries = self.rule[field].as_array().into_iter().flatten();
            entries.into_iter().any(|entry| entry == wanted || entry == "*")
        };
        let is_here = self.namespace.as_ref().is_none_or(|namespace| *namespace == asked.namespace);
        let named = match self.rule["resourceNames"].as_array() {
            // The name of an object that is created is not known to who decides.
            Some(names) => asked.name.as_ref().is_some_and(|name| names.iter().any(|known| known == name)),
            None => true,
        };
        is_here
            && named
            && lists("verbs", asked.verb)
            && lists("apiGroups", &asked.group)
            && lists("resources", &asked.resource)
    }
}
