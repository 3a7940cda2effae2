//! `ringress shadow`: recorded requests held against an old controller and this one, the proof before the switch.
//!
//! The input is read by a thread of its own ([`read`]), so that a log which is still being written can be piped in.
#![expect(clippy::disallowed_types, reason = "a command of its own, without workers")]

mod outcome;
mod read;
mod record;
mod replay;
mod send;
mod verdicts;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::{Against, Output, Shadow};
use outcome::Outcome;
use read::Input;

/// Runs the command.
pub fn run(shadow: &Shadow) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let outcome = runtime.block_on(compare(shadow));
    // The reader may hang on a pipe that nobody closes; the process ends all the same.
    runtime.shutdown_timeout(Duration::ZERO);
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => return fail(&error),
    };
    let page = match shadow.output {
        Output::Text => outcome.to_string(),
        Output::Json => format!("{:#}\n", outcome.json()),
    };
    // A reader that has gone, such as `head`, has seen what it wanted.
    let _ = io::stdout().write_all(page.as_bytes());
    match outcome.compared {
        0 => fail("nothing was compared"),
        _ if outcome.differ > 0 => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}

fn fail(error: &str) -> ExitCode {
    // Standard error may be closed; there is nobody else to tell.
    let _ = writeln!(io::stderr(), "ringress: {error}");
    ExitCode::from(2)
}

async fn compare(shadow: &Shadow) -> Result<Outcome, String> {
    let deadline = Instant::now() + shadow.time_max;
    let input = Input::open(shadow)?;
    match &shadow.against {
        Against::Peers(peers) => replay::run(peers, input, deadline).await,
        Against::Explanations(from) => verdicts::run(from, input, deadline).await,
    }
}
