//! The figures as text: a table, a sentence on the storm, and a plot over the number of Ingresses.

use std::fmt::Write;
use std::path::Path;

use svg::Document;
use svg::node::element::{Circle, Group, Line, Polyline, Style, Text};

use super::{Figures, Storm};
use crate::document;
use crate::error::{Context, Error};

const TITLES: [&str; 11] = [
    "Ingresses",
    "endpoints",
    "Secrets",
    "start to ready ms",
    "all statuses written s",
    "change served ms: p50 / p99 / max",
    "under rolling updates ms: p50 / p99 / max",
    "memory MiB",
    "after the writes",
    "idle CPU %: process / control",
    "control CPU % while rolling",
];

/// Titles, then a row for each number of Ingresses.
pub(super) fn rows(all: &[Figures]) -> Vec<Vec<String>> {
    let delay = |delay: &super::Delay| format!("{:.1} / {:.1} / {:.1}", delay.p50_ms, delay.p99_ms, delay.max_ms);
    let titles = TITLES.map(str::to_owned).to_vec();
    let rows = all.iter().map(|figures| {
        vec![
            figures.scale.ingresses.to_string(),
            figures.scale.endpoints().to_string(),
            figures.scale.secrets.to_string(),
            format!("{:.0}", figures.ready_ms),
            format!("{:.1}", figures.statuses_ms / 1e3),
            delay(&figures.quiet),
            delay(&figures.rolling),
            format!("{:.0}", figures.resident_mib),
            format!("{:.2}", figures.memory_ratio),
            format!("{:.2} / {:.2}", figures.idle_percent, figures.idle_control_percent),
            format!("{:.1}", figures.rolling_control_percent),
        ]
    });
    std::iter::once(titles).chain(rows).collect()
}

/// What the storm did.
pub(super) fn sentence(storm: &Storm) -> String {
    format!(
        "Storm at {} Ingresses and {} endpoints: {:.0} endpoint changes/s for {} s beside {:.0} requests/s; p99 {:.0} µs, \
         {:.0} µs in the quiet around it ({:.2} times); {} of {} requests failed; control thread {:.0} % of a CPU; the \
         slowest of four changes in its middle served after {:.0} ms; memory afterwards {:.2} of before.",
        storm.scale.ingresses,
        storm.scale.endpoints(),
        storm.writes_per_second,
        storm.seconds,
        storm.requests_per_second,
        storm.storm_p99_us,
        storm.quiet_p99_us,
        storm.ratio(),
        storm.failed,
        storm.requests,
        storm.control_percent,
        storm.change_ms,
        storm.memory_ratio,
    )
}

/// Writes table, sentence and plot (`cluster.svg` beside the page) between the page's marks.
///
/// # Errors
/// When the page cannot be read or written or has no marks.
pub(super) fn write(
    page: &Path,
    ringress: &Path,
    workers: usize,
    all: &[Figures],
    storm: Option<&Storm>,
) -> Result<(), Error> {
    let mut text = format!(
        "{}; {}; {}, {workers} workers; a change counts from before it is sent to the API server until 16 connections are \
         all answered by it; API server, origin and load on the same CPUs.\n\n\
         ![Start, changes and memory by the number of Ingresses](cluster.svg)\n\n",
        document::today(),
        document::version(ringress),
        document::machine(),
    );
    for (index, row) in rows(all).iter().enumerate() {
        writeln!(text, "| {} |", row.join(" | ")).expect("writing to a String");
        if index == 0 {
            writeln!(text, "|{}", "---|".repeat(row.len())).expect("writing to a String");
        }
    }
    if let Some(storm) = storm {
        write!(text, "\n{}\n", sentence(storm)).expect("writing to a String");
    }
    document::replace(page, "cluster", &text)?;
    let plot = page.with_file_name("cluster.svg");
    svg::save(&plot, &draw(all)).context(|| plot.display().to_string())
}

/// Sizes of the plot, in pixels.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 570.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 340.0;

const STYLE: &str = "
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.grid { stroke: #d1d9e0; stroke-width: 1 }
polyline { fill: none; stroke-width: 2 }
.c0 { stroke: #0969da } .c1 { stroke: #bf8700 } .c2 { stroke: #1a7f37 } .c3 { stroke: #8250df }
circle.c0 { fill: #0969da } circle.c1 { fill: #bf8700 } circle.c2 { fill: #1a7f37 } circle.c3 { fill: #8250df }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .grid { stroke: #3d444d } }";

/// What a line shows.
type Figure = fn(&Figures) -> f64;

/// Four lines over the number of Ingresses, both axes by powers of ten.
fn draw(all: &[Figures]) -> Document {
    let lines: [(&str, Figure); 4] = [
        ("start to ready, ms", |figures| figures.ready_ms),
        ("memory, MiB", |figures| figures.resident_mib),
        ("change p99 while rolling, ms", |figures| figures.rolling.p99_ms),
        ("change p50, ms", |figures| figures.quiet.p50_ms),
    ];
    let decades = |values: Vec<f64>| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min).max(0.1).log10().floor();
        let high = values.iter().copied().fold(0.1, f64::max).log10().ceil();
        (low.min(0.0), high.max(low.min(0.0) + 1.0))
    };
    let numbers: Vec<f64> = all.iter().map(|figures| figures.scale.ingresses as f64).collect();
    let (_, x_high) = decades(numbers);
    let (y_low, y_high) = decades(lines.iter().flat_map(|(_, value)| all.iter().map(value)).collect());
    let x = |value: f64| LEFT + (RIGHT - LEFT) * (value.max(1.0).log10() - 1.0) / (x_high - 1.0).max(1.0);
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * (value.max(0.1).log10() - y_low) / (y_high - y_low);
    let mut drawn = Group::new();
    for power in y_low as i32..=y_high as i32 {
        let value = 10f64.powi(power);
        let line =
            Line::new().set("class", "grid").set("x1", LEFT).set("x2", RIGHT).set("y1", y(value)).set("y2", y(value));
        drawn = drawn.add(line).add(Text::new(format!("{value}")).set("x", 12).set("y", y(value) + 4.0));
    }
    for figures in all {
        let number = figures.scale.ingresses;
        drawn = drawn.add(Text::new(number.to_string()).set("x", x(number as f64) - 14.0).set("y", BOTTOM + 18.0));
    }
    for (index, (name, value)) in lines.iter().enumerate() {
        let class = format!("c{index}");
        let points: Vec<(f64, f64)> =
            all.iter().map(|figures| (x(figures.scale.ingresses as f64), y(value(figures)))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        drawn = drawn.add(Polyline::new().set("class", class.clone()).set("points", path.join(" ")));
        for (x, y) in &points {
            drawn = drawn.add(Circle::new().set("class", class.clone()).set("cx", *x).set("cy", *y).set("r", 3));
        }
        let legend = TOP + 20.0 * index as f64;
        let mark = Circle::new().set("class", class).set("cx", RIGHT + 20.0).set("cy", legend - 4.0).set("r", 4);
        drawn = drawn.add(mark).add(Text::new(*name).set("x", RIGHT + 30.0).set("y", legend));
    }
    Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, HEIGHT))
        .set("role", "img")
        .add(Style::new(STYLE))
        .add(Text::new("By the number of Ingresses").set("class", "title").set("x", 12).set("y", 24))
        .add(drawn)
}

#[cfg(test)]
mod tests {
    use super::super::{Delay, Scale};
    use super::*;

    fn figures(ingresses: usize) -> Figures {
        let delay = Delay { changes: 4, p50_ms: 1.5, p99_ms: 4.0, max_ms: 5.0 };
        Figures {
            scale: Scale { ingresses, endpoints_each: 10, secrets: 3 },
            ready_ms: 900.0,
            statuses_ms: 2500.0,
            resident_mib: 80.0,
            idle_percent: 0.1,
            idle_control_percent: 0.05,
            quiet: delay,
            rolling: delay,
            rolling_control_percent: 2.0,
            rolling_requests: 10,
            rolling_failed: 0,
            memory_ratio: 1.01,
        }
    }

    #[test]
    fn table_and_plot_have_every_number_of_ingresses() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("performance.md");
        std::fs::write(&page, "a\n<!-- cluster: begin -->\nold\n<!-- cluster: end -->\nz\n")
            .expect("it can be written");
        write(&page, Path::new("none"), 2, &[figures(100), figures(10_000)], None).expect("it is written");
        let text = std::fs::read_to_string(&page).expect("it can be read");
        assert!(text.starts_with("a\n") && text.ends_with("z\n") && !text.contains("old"), "{text}");
        assert!(text.contains("| 10000 | 100000 | 3 | 900 | 2.5 | 1.5 / 4.0 / 5.0 |"), "{text}");
        let plot = std::fs::read_to_string(folder.path().join("cluster.svg")).expect("a plot");
        assert_eq!(plot.matches("<polyline ").count(), 4, "{plot}");
        assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
    }
}
