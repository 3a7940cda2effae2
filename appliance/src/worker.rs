//! One pinned core: its runtime, its listeners, its loop. [`start`] starts all of them and a supervisor.

mod admission;
mod adopt;
mod clients;
mod core;
mod doors;
mod flag;
mod gate;
mod listeners;
mod pin;
mod plan;
mod settings;
mod supervise;
mod table;

pub(crate) use self::admission::Share;
use self::core::End;
pub(crate) use self::core::{Core, Pinned, Scratch};
pub use gate::Gate;
pub use listeners::BindError;
pub use pin::{Placement, PlacementError};
pub use plan::{ListenAddress, ListenPlan, ListenerKind};
pub use settings::WorkerSettings;
pub use table::{ListenerStatus, StreamStatus};
#[cfg(test)]
mod tests;

pub use supervise::{Control, StartError, WorkerLink, WorkerStatus, Workers, start};
