//! Starting the process that takes over, and what to do when it does not.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::control::{Reply, Request, Requests};
use super::{Configuration, Leave, Order, Process, Signals, Succession, systemd};
use crate::admin::Sources;
use crate::handover::{Program, Successor, UpgradeError};

/// Upgrades after which this process went on, for the metrics.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Upgrades since the start that ended with this process going on, those that were refused at once among them.
pub(crate) fn failed() -> u64 {
    FAILED.load(Ordering::Relaxed)
}

/// What becomes of an upgrade.
type Outcome<'a> = Pin<Box<dyn Future<Output = Result<Successor, UpgradeError>> + 'a>>;

/// An upgrade under way, and who is told of its end.
struct Attempt<'a> {
    outcome: Outcome<'a>,
    asked_by: Option<Request>,
}

/// Follows signals and requests until the process shall leave.
pub(super) async fn orders(
    signals: &mut Signals,
    process: &impl Process,
    sources: &Sources,
    (succession, configuration): (&Succession, &Configuration),
) -> Leave {
    let mut requests = Requests::listen(succession.control.as_ref(), succession.gate.clone());
    let mut attempt: Option<Attempt<'_>> = None;
    loop {
        let asked_by = tokio::select! {
            order = signals.next() => match order {
                Order::Stop(signal) => {
                    if let Some(Attempt { asked_by: Some(request), .. }) = attempt {
                        request.reply(&Reply::Refused(UpgradeError::Stopped.to_string()));
                    }
                    return Leave::Stopped(signal);
                }
                Order::Reopen => {
                    process.reopen_logs();
                    continue;
                }
                Order::Reread => {
                    configuration.reread(process);
                    continue;
                }
                Order::Upgrade => None,
            },
            request = requests.next() => Some(request),
            (outcome, asked_by) = ended(&mut attempt) => match conclude(outcome, asked_by, process) {
                Some(leave) => return leave,
                None => continue,
            },
        };
        let limit = configuration.upgrade_timeout();
        match begin(attempt.is_some(), process, sources, (succession, limit)) {
            Ok(outcome) => {
                asked_by.iter().for_each(|request| request.reply(&Reply::Started(limit)));
                attempt = Some(Attempt { outcome, asked_by });
            }
            Err(error) => refuse(&error, asked_by),
        }
    }
}

/// The end of the attempt, if there is one.
async fn ended(attempt: &mut Option<Attempt<'_>>) -> (Result<Successor, UpgradeError>, Option<Request>) {
    let Some(running) = attempt else { return std::future::pending().await };
    let outcome = running.outcome.as_mut().await;
    (outcome, attempt.take().and_then(|attempt| attempt.asked_by))
}

fn begin<'a>(
    busy: bool,
    process: &'a impl Process,
    sources: &Sources,
    (succession, limit): (&'a Succession, Duration),
) -> Result<Outcome<'a>, UpgradeError> {
    if busy {
        return Err(UpgradeError::Busy);
    }
    if let Some(why) = sources.unready() {
        return Err(UpgradeError::NotReady(why));
    }
    if !succession.gate.is_open() {
        return Err(UpgradeError::Busy);
    }
    systemd::reloading();
    Ok(Box::pin(replace(process, &succession.program, limit)))
}

async fn replace(process: &impl Process, program: &Program, limit: Duration) -> Result<Successor, UpgradeError> {
    // Before it reads the state.
    process.save().await;
    let mut successor = Successor::start(program)?;
    successor.take_over(process.give()?, limit).await?;
    Ok(successor)
}

fn conclude(
    outcome: Result<Successor, UpgradeError>,
    asked_by: Option<Request>,
    process: &impl Process,
) -> Option<Leave> {
    match outcome {
        Ok(successor) => {
            let id = successor.id();
            successor.release();
            process.hand_over();
            asked_by.iter().for_each(|request| request.reply(&Reply::Done(id)));
            Some(Leave::Replaced(id))
        }
        Err(error) => {
            process.keep();
            systemd::ready();
            refuse(&error, asked_by);
            None
        }
    }
}

fn refuse(error: &UpgradeError, asked_by: Option<Request>) {
    FAILED.fetch_add(1, Ordering::Relaxed);
    tracing::error!(%error, "no upgrade; this process goes on");
    asked_by.iter().for_each(|request| request.reply(&Reply::Refused(error.to_string())));
}
