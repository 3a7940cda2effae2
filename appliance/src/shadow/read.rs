//! The input, line by line, within bounds.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::outcome::Outcome;
use super::record::Recorded;
use crate::cli::Shadow;

/// Longest line that is read; what is longer holds no request that a proxy takes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Records that wait to be compared; then the reader waits.
const WAITING_MAX: usize = 64;

/// What a line holds.
pub(super) enum Line {
    Request(Recorded),
    /// No request.
    Unread,
}

/// The requests as they are read.
pub(super) struct Input {
    lines: mpsc::Receiver<Line>,
    /// Host of requests that do not say theirs.
    pub(super) host: Option<String>,
    /// Requests that do not say their scheme came over https.
    pub(super) https: bool,
}

impl Input {
    /// Opens the file and starts to read.
    pub(super) fn open(shadow: &Shadow) -> Result<Self, String> {
        let source: Box<dyn Read + Send> = match shadow.requests.as_path() {
            path if path == Path::new("-") => Box::new(io::stdin()),
            path => Box::new(File::open(path).map_err(|error| format!("{}: {error}", path.display()))?),
        };
        let (sender, lines) = mpsc::channel(WAITING_MAX);
        let requests_max = shadow.requests_max;
        let read = move || read(BufReader::new(source), requests_max, &sender);
        std::thread::Builder::new().name("requests".into()).spawn(read).map_err(|error| error.to_string())?;
        Ok(Self { lines, host: shadow.host.clone(), https: shadow.https })
    }

    /// The next line; `None` at the end, or at the deadline, which `outcome` then says.
    pub(super) async fn next_before(&mut self, deadline: Instant, outcome: &mut Outcome) -> Option<Line> {
        let line = timeout_at(deadline, self.lines.recv()).await;
        outcome.cut |= line.is_err();
        line.ok().flatten()
    }
}

/// Reads to the end, or until nobody listens any more. A read error is an end.
fn read(mut source: impl BufRead, requests_max: u64, sender: &mpsc::Sender<Line>) {
    let mut held: Option<Recorded> = None;
    let mut count = 0;
    while let Some(line) = next_line(&mut source) {
        let text = line.trim_end();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        // Indented header lines belong to the request before them.
        if let (Some(request), true) = (&mut held, text.starts_with([' ', '\t']))
            && let Some((name, value)) = text.split_once(':')
        {
            request.fields.push((name.trim().to_owned(), value.trim().to_owned()));
            continue;
        }
        if held.take().is_some_and(|request| sender.blocking_send(Line::Request(request)).is_err()) {
            return;
        }
        count += 1;
        if count > requests_max {
            return;
        }
        let line = match Recorded::parse(text) {
            // One of a log is whole, and whoever follows a log should see it now.
            Some(request) if request.fate.status.is_some() => Line::Request(request),
            Some(request) => {
                held = Some(request);
                continue;
            }
            None => Line::Unread,
        };
        if sender.blocking_send(line).is_err() {
            return;
        }
    }
    if let Some(request) = held {
        // The last one; nobody may be there any more.
        let _ = sender.blocking_send(Line::Request(request));
    }
}

/// The next line, without what is beyond the bound.
fn next_line(source: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).ok()?;
    if read == 0 {
        return None;
    }
    if line.len() as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
        source.skip_until(b'\n').ok()?;
        line = b"(too long)".to_vec();
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], requests_max: u64) -> (Vec<Recorded>, usize) {
        let (sender, mut lines) = mpsc::channel(1000);
        read(text, requests_max, &sender);
        drop(sender);
        let (mut requests, mut unread) = (Vec::new(), 0);
        while let Ok(line) = lines.try_recv() {
            match line {
                Line::Request(request) => requests.push(request),
                Line::Unread => unread += 1,
            }
        }
        (requests, unread)
    }

    #[test]
    fn header_lines_belong_to_the_request_before_them() {
        let (requests, unread) = all(b"# two\nGET http://a/\n  X-A: 1\n\tX-B: 2\n\nhttp://b/\nnothing\n", 10);
        let fields = |at: usize| requests[at].fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        assert_eq!((requests.len(), unread, fields(0), fields(1)), (2, 1, vec!["X-A", "X-B"], vec![]));
    }

    #[test]
    fn lines_and_their_number_are_bounded() {
        let mut text = b"GET http://a/".to_vec();
        text.resize(200 << 10, b'a');
        text.extend_from_slice(b"\nGET http://b/\nGET http://c/\n");
        let (requests, unread) = all(&text, 2);
        assert_eq!((requests.len(), requests[0].host.as_deref(), unread), (1, Some("b"), 1));
    }
}
