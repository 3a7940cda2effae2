//! What can end a measurement. One type: every error is printed and ends the program.

use std::io;

/// Why a measurement could not be made, or did not keep a bound it was given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A system call or file operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A started program did not do what it is for.
    #[error("{program}: {problem}")]
    Program {
        /// Which program.
        program: String,
        /// What it did, with the end of its output where it helps.
        problem: String,
    },
    /// The figures are there, and outside the bound asked for on the command line.
    #[error("{0}")]
    Bound(String),
}

impl Error {
    pub(crate) fn program(program: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Program { program: program.into(), problem: problem.into() }
    }
}

/// Names what was being done when an IO error came.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}
