//! Why a request goes where it goes, by the router's own code: the request is written as a client would send it, and
//! then parsed, looked up and run through the policies as on a worker.

mod answer;
mod lookup;
mod question;

use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

pub use answer::{Answer, Explanation, Rule, Target};
pub use lookup::explain;
pub(crate) use lookup::{NO_ENDPOINTS, kind_name};
pub use question::{Question, QuestionError};

use ringress_config::options::Options;
use ringress_config::snapshot::Snapshot;

use crate::admin::client;
use crate::check;
use crate::cli::{AdminAddress, Explain, ExplainFrom, Output};

/// Why `ringress explain` has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No request.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The instance gave none.
    #[error(transparent)]
    Client(#[from] client::ClientError),
    /// The instance's answer is not one of this version.
    #[error("the instance's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
    /// The folder holds what cannot be read.
    #[error("{0}")]
    Folder(String),
    /// No runtime for the client.
    #[error("cannot ask the instance: {0}")]
    System(#[from] std::io::Error),
}

/// Runs the command.
pub fn run(explain: &Explain) -> ExitCode {
    let answer = asked(explain);
    let text = match answer {
        Ok(answer) if explain.output == Output::Text => Ok(answer.to_string()),
        Ok(answer) => serde_json::to_string_pretty(&answer).map(|text| text + "\n").map_err(ExplainError::from),
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => {
            // A reader that has gone, such as `head`, has seen what it wanted.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "ringress: {error}");
            ExitCode::from(2)
        }
    }
}

fn asked(asked: &Explain) -> Result<Explanation, ExplainError> {
    let explainer = Explainer::open(&asked.from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(explainer.ask(&asked.url, &asked.method, &asked.headers, asked.client_ip))
}

impl ExplainError {
    /// Whether another request could have an answer.
    pub(crate) fn is_of_the_request(&self) -> bool {
        matches!(self, Self::Question(_) | Self::Client(client::ClientError::Status { status: 400, .. }))
    }
}

/// Who explains.
pub(crate) enum Explainer {
    /// The routes of a folder, as read when it was opened.
    Folder(Arc<Snapshot>),
    /// A running instance.
    Instance(AdminAddress),
}

impl Explainer {
    /// Reads the folder, if it is one.
    pub(crate) fn open(from: &ExplainFrom) -> Result<Self, ExplainError> {
        let (path, options) = match from {
            ExplainFrom::Folder(path, options) => (path, options),
            ExplainFrom::Admin(address) => return Ok(Self::Instance(address.clone())),
        };
        let checked = check::read(std::slice::from_ref(path), Options::clone(options));
        if let Some((path, error)) = checked.unreadable.first() {
            return Err(ExplainError::Folder(format!("{}: {error}", path.display())));
        }
        let nothing = || ExplainError::Folder(format!("{}: nothing to serve", path.display()));
        checked.snapshot.map(Self::Folder).ok_or_else(nothing)
    }

    /// Explains one request.
    pub(crate) async fn ask(
        &self,
        url: &str,
        method: &str,
        headers: &[String],
        client: Option<IpAddr>,
    ) -> Result<Explanation, ExplainError> {
        // Made here for an instance too, so that a mistake is named without one.
        let question = Question::new(url, method, headers, client)?;
        let address = match self {
            Self::Folder(snapshot) => return Ok(explain(snapshot, &question)),
            Self::Instance(address) => address,
        };
        let mut pairs = vec![("url", url.to_owned()), ("method", method.to_owned())];
        pairs.extend(headers.iter().map(|header| ("header", header.clone())));
        pairs.extend(client.map(|ip| ("client_ip", ip.to_string())));
        let query = pairs.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect::<Vec<_>>().join("&");
        let body = client::get(address, &format!("/api/explain?{query}")).await?;
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Percent-encodes all but letters and digits.
fn escape(value: &str) -> String {
    let escape = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests;
