//! Why a request goes where it goes, by the router's own code: the request is written as a client would send it, and
//! then parsed, looked up and run through the policies as on a worker.

mod answer;
mod lookup;
mod question;

use std::io::Write as _;
use std::process::ExitCode;

pub use answer::{Answer, Explanation, Rule, Target};
pub use lookup::explain;
pub(crate) use lookup::kind_name;
pub use question::{Question, QuestionError};

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
    let answer = match &explain.from {
        ExplainFrom::Folder(path, options) => from_folder(explain, path, options),
        ExplainFrom::Admin(address) => from_instance(explain, address),
    };
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

fn from_folder(
    asked: &Explain,
    path: &std::path::Path,
    options: &ringress_config::options::Options,
) -> Result<Explanation, ExplainError> {
    let question = Question::new(&asked.url, &asked.method, &asked.headers, asked.client_ip)?;
    let checked = check::read(&[path.to_path_buf()], options.clone());
    if let Some((path, error)) = checked.unreadable.first() {
        return Err(ExplainError::Folder(format!("{}: {error}", path.display())));
    }
    let nothing = || ExplainError::Folder(format!("{}: nothing to serve", path.display()));
    checked.snapshot.map(|snapshot| explain(&snapshot, &question)).ok_or_else(nothing)
}

fn from_instance(asked: &Explain, address: &AdminAddress) -> Result<Explanation, ExplainError> {
    // Said here, so that a mistake is named without an instance.
    Question::new(&asked.url, &asked.method, &asked.headers, asked.client_ip)?;
    let mut pairs = vec![("url", asked.url.clone()), ("method", asked.method.clone())];
    pairs.extend(asked.headers.iter().map(|header| ("header", header.clone())));
    pairs.extend(asked.client_ip.map(|ip| ("client_ip", ip.to_string())));
    let query = pairs.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect::<Vec<_>>().join("&");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = runtime.block_on(client::get(address, &format!("/api/explain?{query}")))?;
    Ok(serde_json::from_slice(&body)?)
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
