//! Where the process is given orders by `ringress upgrade`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;

use super::flag::Flag;
use super::layers::{self, Layers, Surroundings};
use super::settings::STATE_DIR;
use super::{CliError, arguments, values};

/// The folder of the socket, where there is one.
const RUN_DIR: &str = "/run/ringress";
/// The socket's name there, and in the state folder.
const FILE: &str = "control.sock";

/// `--control-socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlAddress {
    /// In `/run/ringress`, else in this folder, if there is one.
    Default(Option<PathBuf>),
    /// There.
    At(PathBuf),
    /// No socket; SIGUSR2 works all the same.
    Off,
}

impl ControlAddress {
    pub(super) fn of(layers: &Layers) -> Self {
        match layers.text("control-socket").as_deref() {
            None | Some("") => Self::Default(layers.text("state-dir").map(PathBuf::from)),
            Some("off") => Self::Off,
            Some(path) => Self::At(PathBuf::from(path)),
        }
    }

    /// Where to listen, `state` being the state folder.
    pub fn to_bind(&self, state: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::At(path) => Some(path.clone()),
            Self::Default(_) => {
                let is_usable = |folder: &Path| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
                let folder = Some(Path::new(RUN_DIR)).filter(|folder| is_usable(folder)).or(state);
                folder.map(|folder| folder.join(FILE))
            }
        }
    }

    /// Whether a socket that cannot be had is an error: it was asked for by name.
    pub fn is_demanded(&self) -> bool {
        matches!(self, Self::At(_))
    }

    /// Where to connect.
    fn to_connect(&self) -> Result<PathBuf, CliError> {
        match self {
            Self::Off => Err(CliError::setting("control-socket", "off: there is no socket to ask by; send SIGUSR2")),
            Self::At(path) => Ok(path.clone()),
            Self::Default(state) => {
                let state = state.as_deref().unwrap_or(Path::new(STATE_DIR));
                let known = [Path::new(RUN_DIR), state].map(|folder| folder.join(FILE));
                let [run, _] = &known;
                Ok(known.iter().find(|path| path.exists()).unwrap_or(run).clone())
            }
        }
    }
}

/// `ringress upgrade`.
#[derive(Debug)]
pub struct Upgrade {
    /// The control socket of the running process.
    pub socket: PathBuf,
}

/// How a process is replaced by a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeSettings {
    /// `--control-socket`.
    pub control: ControlAddress,
    /// `--upgrade-timeout`: how long the new process may take to become ready.
    pub timeout: Duration,
}

/// Reads the command line of `ringress upgrade`.
pub(super) fn upgrade(matches: &ArgMatches, surroundings: &Surroundings) -> Result<Upgrade, CliError> {
    let layers = Layers::merge(values(matches, upgrade_flags()), surroundings)?;
    Ok(Upgrade { socket: ControlAddress::of(&layers).to_connect()? })
}

/// The flags that say where the running process is.
fn upgrade_flags() -> impl Iterator<Item = &'static Flag> {
    layers::all_flags().filter(|flag| ["config", "control-socket", "state-dir"].contains(&flag.name))
}

pub(super) fn upgrade_command() -> clap::Command {
    clap::Command::new("upgrade")
        .about("Replace the running process by the binary that is installed now, without losing a request")
        .long_about(
            "Tells the running process to start the binary that is installed at its own path now, with its own flags;\n\
             the new process reads its files anew and takes over the listening sockets, the old one drains and ends.\n\
             Exit code: 0 when the new process serves; else the old one goes on, and standard error says why.",
        )
        .args_override_self(true)
        .args(arguments(upgrade_flags(), "Flags of run"))
}
