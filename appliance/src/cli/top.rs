//! The command line of `ringress top`.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches};

use super::CliError;
use super::settings::{ADMIN_ADDRESS, AdminAddress, admin_address};
use super::value::{Value, ValueType};

/// How often the view is made anew unless told otherwise.
const INTERVAL: &str = "2s";

/// The shortest and longest time between views.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// `ringress top`.
#[derive(Debug)]
pub struct Top {
    /// The instance.
    pub admin: AdminAddress,
    /// Time between views.
    pub interval: Duration,
    /// End after one view.
    pub once: bool,
}

pub(super) fn top(matches: &ArgMatches) -> Result<Top, CliError> {
    let admin = matches.get_one::<String>("admin").map_or(ADMIN_ADDRESS, String::as_str);
    let interval = matches.get_one::<String>("interval").map_or(INTERVAL, String::as_str);
    let interval = match ValueType::Duration.parse(interval) {
        Ok(Value::Duration(interval)) if INTERVALS.contains(&interval) => interval,
        _ => return Err(CliError::setting("interval", "expected a time from 100ms to 1h, such as 2s")),
    };
    Ok(Top { admin: admin_address("admin", admin)?, interval, once: matches.get_flag("once") })
}

pub(super) fn top_command() -> clap::Command {
    clap::Command::new("top")
        .about("Show the traffic of a running instance: the dashboard's figures in a terminal")
        .args_override_self(true)
        .arg(
            Arg::new("admin")
                .long("admin")
                .value_name("ADDRESS")
                .help("The instance's admin listener: ADDRESS:PORT or unix:PATH [default: 127.0.0.1:10280]"),
        )
        .arg(
            Arg::new("interval").long("interval").value_name("TIME").default_value(INTERVAL).help("Time between views"),
        )
        .arg(Arg::new("once").long("once").action(ArgAction::SetTrue).help("Show one view and end"))
}
