//! The comparison as a page: a table in Markdown and a plot in SVG, written between two marks of a file.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Style, Text};

use crate::compare::PeerSummary;
use crate::error::{Context, Error};
use crate::peer::Kind;

/// Sizes of the plot, in pixels.
const WIDTH: f64 = 820.0;
const LEFT: f64 = 190.0;
const BAR: f64 = 14.0;
const GAP: f64 = 14.0;
const TOP: f64 = 64.0;

/// Light by default, dark for who prefers it.
const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.ringress { fill: #0969da } .nginx { fill: #8c959f } .haproxy { fill: #bf8700 } .ringress-2-workers { fill: #54aeff }
.envoy { fill: #8250df } .traefik { fill: #1a7f37 } .caddy { fill: #bc4c00 } .pingora { fill: #bf3989 }
.spread { stroke: #1f2328; stroke-width: 1 }
.one { stroke: #59636e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .spread { stroke: #e6edf3 }
  .ringress { fill: #4493f8 } .nginx { fill: #656c76 } .haproxy { fill: #d29922 }
}";

/// What was run, for the page's head.
pub(crate) struct Run<'a> {
    /// Name of the section's marks and of its plot.
    pub(crate) section: &'a str,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) ringress: &'a Path,
    /// Proxies that were run.
    pub(crate) here: Vec<Kind>,
    /// Proxies that were asked for and are not installed.
    pub(crate) missing: Vec<Kind>,
    /// The proxy that the others are compared with.
    pub(crate) baseline: &'static str,
    /// The CPU of the proxies, and that of load and origin.
    pub(crate) cpus: [usize; 2],
}

impl Run<'_> {
    /// Day, programs, machine and CPUs; and what was not there.
    pub(crate) fn conditions(&self) -> String {
        let programs = self.here.iter().filter(|kind| **kind != Kind::RingressTwo);
        let versions: Vec<String> = programs.map(|kind| kind.version(self.ringress)).collect();
        let [proxy, load] = self.cpus;
        let mut text = format!(
            "{}; {}; {}: CPU {proxy} for the proxy, CPU {load} for load and origin",
            today(),
            versions.join(", "),
            machine()
        );
        if self.here.contains(&Kind::RingressTwo) {
            write!(text, ", and the second of two workers on CPU {load} too").expect("writing to a String");
        }
        if !self.missing.is_empty() {
            let names: Vec<&str> = self.missing.iter().map(|kind| kind.name()).collect();
            write!(text, ". Not installed, so not compared: {}", names.join(", ")).expect("writing to a String");
        }
        text
    }
}

/// Replaces what is between the marks of `page` by the table, and writes the plot beside it.
///
/// # Errors
/// When the page cannot be read or written or has no marks.
pub(crate) fn write(page: &Path, run: &Run<'_>, summaries: &[PeerSummary]) -> Result<(), Error> {
    replace(page, run.section, &table(run, summaries))?;
    let plot = page.with_file_name(format!("{}.svg", run.section));
    svg::save(&plot, &draw(run, summaries)).context(|| plot.display().to_string())
}

/// Replaces what is between `<!-- NAME: begin -->` and `<!-- NAME: end -->` of `page`.
///
/// # Errors
/// When the page cannot be read or written or has no such marks.
pub(crate) fn replace(page: &Path, name: &str, content: &str) -> Result<(), Error> {
    let shown = || page.display().to_string();
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let text = std::fs::read_to_string(page).context(shown)?;
    let marks = text.find(&begin).zip(text.find(&end)).filter(|(begin, end)| begin < end);
    let (from, to) = marks.ok_or_else(|| Error::program("--document", format!("{} has no marks {name}", shown())))?;
    let (head, tail) = (&text[..from + begin.len()], &text[to..]);
    std::fs::write(page, format!("{head}\n{content}\n{tail}")).context(shown)
}

fn table(run: &Run<'_>, summaries: &[PeerSummary]) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a String");
    line(format!(
        "{}. {} rounds of {} s for each proxy and load; median, in brackets minimum and maximum.",
        run.conditions(),
        run.rounds,
        run.seconds
    ));
    line(String::new());
    line(format!("![CPU per request in relation to {}]({}.svg)", run.baseline, run.section));
    line(String::new());
    line(format!(
        "| load | proxy | CPU µs per request | of {}' in the same round | requests/s | p50 µs | p99 µs | failed |",
        run.baseline
    ));
    line("|---|---|---|---|---|---|---|---|".to_owned());
    for summary in summaries {
        line(format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            summary.scenario,
            summary.peer,
            summary.cpu_us_per_request.show(1),
            summary.cpu_ratio.map_or_else(String::new, |ratio| ratio.show(2)),
            summary.requests_per_second.show(0),
            summary.latency_p50_us.show(0),
            summary.latency_p99_us.show(0),
            summary.failures
        ));
    }
    text
}

/// The day of a run.
pub(crate) fn today() -> String {
    output("date", &["-u", "+%F"])
}

/// What the binary says that it is.
pub(crate) fn version(ringress: &Path) -> String {
    output(&ringress.display().to_string(), &["--version"])
}

/// Kernel and number of CPUs of the machine, whatever this thread is bound to.
pub(crate) fn machine() -> String {
    let kernel = output("uname", &["-r"]);
    let kernel = kernel.split('-').next().unwrap_or_default();
    format!("Linux {kernel}, {} CPUs", output("nproc", &["--all"]))
}

/// First line that a program says; empty without it.
fn output(program: &str, arguments: &[&str]) -> String {
    let said = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned()
}

/// Bars of CPU per request in relation to the baseline, a group for each load.
fn draw(run: &Run<'_>, summaries: &[PeerSummary]) -> Document {
    let ratios: Vec<_> = summaries.iter().filter_map(|summary| Some((summary, summary.cpu_ratio?))).collect();
    let most = ratios.iter().map(|(_, ratio)| ratio.max).fold(1.2, f64::max).min(2.5);
    let x = |ratio: f64| LEFT + (WIDTH - LEFT - 60.0) * ratio.min(most) / most;
    let (mut y, mut last, mut bars) = (TOP, "", Group::new());
    for (summary, ratio) in ratios {
        if summary.scenario != last {
            y += if last.is_empty() { 0.0 } else { GAP };
            last = summary.scenario;
            bars = bars.add(Text::new(last).set("x", 12).set("y", y + BAR));
        }
        let middle = y + BAR / 2.0;
        bars = bars
            .add(
                Rectangle::new()
                    .set("class", summary.peer)
                    .set("x", LEFT)
                    .set("y", y)
                    .set("width", x(ratio.median) - LEFT)
                    .set("height", BAR - 2.0),
            )
            .add(
                Line::new()
                    .set("class", "spread")
                    .set("x1", x(ratio.min))
                    .set("x2", x(ratio.max))
                    .set("y1", middle)
                    .set("y2", middle),
            )
            .add(
                Text::new(format!("{} {:.2}", summary.peer, ratio.median))
                    .set("class", "small")
                    .set("x", x(ratio.max) + 5.0)
                    .set("y", middle + 3.0),
            );
        y += BAR;
    }
    let one = Line::new().set("class", "one").set("x1", x(1.0)).set("x2", x(1.0)).set("y1", TOP - 8.0).set("y2", y);
    Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH + 60.0, y + 16.0))
        .set("role", "img")
        .add(Style::new(STYLE))
        .add(
            Text::new(format!("CPU per request, {} = 1", run.baseline)).set("class", "title").set("x", 12).set("y", 24),
        )
        .add(
            Text::new("one worker on one CPU each; shorter is better; the line is the spread of the rounds")
                .set("class", "small")
                .set("x", 12)
                .set("y", 42),
        )
        .add(bars)
        .add(one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Spread;

    fn summary(scenario: &'static str, peer: &'static str, ratio: f64) -> PeerSummary {
        let spread = Spread { median: 10.0, min: 9.0, max: 11.0 };
        PeerSummary {
            scenario,
            peer,
            cpu_us_per_request: spread,
            cpu_ratio: Some(Spread { median: ratio, min: ratio, max: ratio }),
            requests_per_second: spread,
            latency_p50_us: spread,
            latency_p99_us: spread,
            failures: 0,
        }
    }

    fn run(missing: Vec<Kind>) -> Run<'static> {
        let (here, baseline, cpus) = (vec![Kind::Ringress], "nginx", [0, 1]);
        Run { section: "compare", rounds: 3, seconds: 1.0, ringress: Path::new("none"), here, missing, baseline, cpus }
    }

    #[test]
    fn the_page_keeps_what_is_outside_of_the_marks() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("performance.md");
        std::fs::write(&page, "before\n<!-- compare: begin -->\nold\n<!-- compare: end -->\nafter\n")
            .expect("it can be written");
        let run = run(vec![Kind::Haproxy]);
        let summaries = [summary("keepalive-64", "ringress", 0.8), summary("keepalive-64", "nginx", 1.0)];
        write(&page, &run, &summaries).expect("it is written");
        let text = std::fs::read_to_string(&page).expect("it can be read");
        assert!(text.starts_with("before\n") && text.ends_with("after\n") && !text.contains("old"), "{text}");
        assert!(text.contains("| keepalive-64 | ringress | 10.0 [9.0..11.0] | 0.80 [0.80..0.80] |"), "{text}");
        assert!(text.contains("Not installed, so not compared: haproxy."), "{text}");
        let plot = std::fs::read_to_string(folder.path().join("compare.svg")).expect("a plot");
        assert_eq!(plot.matches("<rect ").count(), 2, "{plot}");
    }

    #[test]
    fn a_page_without_marks_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("performance.md");
        std::fs::write(&page, "by hand\n").expect("it can be written");
        let run = run(Vec::new());
        assert!(write(&page, &run, &[]).is_err());
        assert_eq!(std::fs::read_to_string(&page).expect("it can be read"), "by hand\n");
    }
}
