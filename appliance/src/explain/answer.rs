//! The answer of `ringress explain` and `/api/explain`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What becomes of the request.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Answer {
    /// The proxy refuses it.
    Refused {
        /// Status.
        status: u16,
        /// Why.
        reason: String,
    },
    /// The proxy redirects it.
    Redirect {
        /// Status.
        status: u16,
        /// Where to.
        location: String,
        /// Why.
        reason: String,
    },
    /// It goes to one of these clusters.
    Proxied {
        /// One, or several by weight, as those of canaries that leave the choice to chance.
        clusters: Vec<Target>,
    },
    /// The proxy answers.
    Status {
        /// Status.
        status: u16,
        /// Why.
        reason: String,
    },
}

/// A cluster that may get the request.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Target {
    /// `namespace-service-port`.
    pub cluster: String,
    /// Its share of the sum of weights.
    pub weight: u32,
    /// Its addresses.
    pub endpoints: Vec<String>,
}

/// A rule and why it serves, or does not.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Rule {
    /// The object, such as `Ingress shop/web`.
    pub object: String,
    /// The field in it.
    pub field: String,
    /// Path as written.
    pub path: String,
    /// `exact`, `prefix` or `regex`.
    pub kind: String,
    /// Why.
    pub why: String,
}

/// The whole answer.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Explanation {
    /// Generation of the snapshot that was asked.
    pub generation: u64,
    /// The request, as understood.
    pub request: String,
    /// The path that is matched: decoded, slashes merged, dot segments resolved.
    pub normalised_path: String,
    /// The rules' host that the request's host matched; `_` is the catch-all.
    pub host: String,
    /// How it matched.
    pub host_match: String,
    /// What becomes of the request.
    pub answer: Answer,
    /// The target that the upstream gets, where it is not the client's.
    #[serde(default)]
    pub target: Option<String>,
    /// What else the rule's annotations do with a request that gets there. Who may pass is not judged but by its address.
    #[serde(default)]
    pub policies: Vec<String>,
    /// The clusters that the rule leads to, those of its canaries too, whether or not the request gets there.
    #[serde(default)]
    pub backends: Vec<String>,
    /// The rule that decided, if one did.
    pub rule: Option<Rule>,
    /// The certificate that an https client is shown.
    pub certificate: Option<String>,
    /// The other rules of this host.
    pub others: Vec<Rule>,
}

impl Explanation {
    /// What is known before anything was looked up.
    pub(super) fn new(request: &str) -> Self {
        Self {
            generation: 0,
            request: request.to_owned(),
            normalised_path: String::new(),
            host: String::new(),
            host_match: String::new(),
            answer: Answer::Refused { status: 400, reason: String::new() },
            target: None,
            policies: Vec::new(),
            backends: Vec::new(),
            rule: None,
            certificate: None,
            others: Vec::new(),
        }
    }
}

/// The lines of `ringress explain`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.request)?;
        if !self.host.is_empty() {
            writeln!(f, "  host     {} ({})", self.host, self.host_match)?;
        }
        if !self.normalised_path.is_empty() {
            writeln!(f, "  path     {}", self.normalised_path)?;
        }
        if let Some(certificate) = &self.certificate {
            writeln!(f, "  tls      {certificate}")?;
        }
        if let Some(rule) = &self.rule {
            writeln!(f, "  rule     {rule}")?;
        }
        match &self.answer {
            Answer::Refused { status, reason } | Answer::Status { status, reason } => {
                writeln!(f, "  answer   {status}: {reason}")?;
            }
            Answer::Redirect { status, location, reason } => {
                writeln!(f, "  answer   {status} to {location}: {reason}")?;
            }
            Answer::Proxied { clusters } => {
                for target in clusters {
                    writeln!(
                        f,
                        "  backend  {} (weight {}): {}",
                        target.cluster,
                        target.weight,
                        target.endpoints.join(", ")
                    )?;
                }
            }
        }
        if let Some(target) = &self.target {
            writeln!(f, "  target   {target}")?;
        }
        for policy in &self.policies {
            writeln!(f, "  policy   {policy}")?;
        }
        for other in &self.others {
            writeln!(f, "  not      {other}")?;
        }
        Ok(())
    }
}

/// `Ingress shop/web spec.rules[0].http.paths[0], prefix /shop: why`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)?;
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ", {} {}: {}", self.kind, self.path, self.why)
    }
}
