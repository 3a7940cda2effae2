//! Prometheus text, by the `prometheus` crate's data types and encoder; what is by route is written line by line.

use std::fmt::Write as _;

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};

/// Bytes of a line besides its labels, roughly.
const LINE_BYTES: usize = 96;

/// Labels of one sample.
pub(crate) type Labels<'a> = Vec<(&'a str, &'a str)>;

/// A page, or a part of one, being written.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

/// Labels of one sample as they stand between the braces.
pub(crate) struct LabelText(String);

impl LabelText {
    /// Sorted by the caller.
    pub(crate) fn new(labels: &[(&str, &str)]) -> Self {
        let mut text = String::with_capacity(256);
        for (name, value) in labels {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            for piece in value.split_inclusive(['\\', '"', '\n']) {
                let (plain, last) = piece.split_at(piece.trim_end_matches(['\\', '"', '\n']).len());
                text.push_str(plain);
                text.push_str(match last {
                    "\\" => "\\\\",
                    "\"" => "\\\"",
                    "\n" => "\\n",
                    _ => "",
                });
            }
            text.push('"');
        }
        Self(text)
    }
}

impl Page {
    /// A page with room for `lines` with each of some labels.
    pub(crate) fn for_lines<'a>(lines: usize, labels: impl Iterator<Item = &'a LabelText>) -> Self {
        let room = labels.map(|labels| lines * (labels.0.len() + LINE_BYTES)).sum();
        Self { text: String::with_capacity(room) }
    }

    /// What was written.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// A family of counters.
    pub(crate) fn counters<'a>(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        let metrics = rows.into_iter().map(|(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(value);
            let mut metric = sample(&labels);
            metric.set_counter(counter);
            metric
        });
        self.family(name, help, MetricType::COUNTER, metrics.collect());
    }

    /// A family of gauges.
    pub(crate) fn gauges<'a>(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        let metrics = rows.into_iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = sample(&labels);
            metric.set_gauge(gauge);
            metric
        });
        self.family(name, help, MetricType::GAUGE, metrics.collect());
    }

    /// One gauge without labels.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Vec::new(), value)]);
    }

    /// What stands before a family that is written line by line.
    pub(crate) fn begin(&mut self, name: &str, help: &str, kind: &str) {
        self.text.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
    }

    /// One sample that counts.
    pub(crate) fn count(&mut self, name: [&str; 2], labels: &LabelText, value: u64) {
        self.name(name, labels);
        self.text.extend([itoa::Buffer::new().format(value), "\n"]);
    }

    /// One sample that measures.
    fn measure(&mut self, name: [&str; 2], labels: &LabelText, value: f64) {
        self.name(name, labels);
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{value}");
    }

    fn name(&mut self, name: [&str; 2], labels: &LabelText) {
        for piece in [name[0], name[1], "{", &labels.0, "} "] {
            self.text.push_str(piece);
        }
    }

    /// One histogram. `bounds` are the ends of its buckets' lines: the last label, the brace and the space; that of what is
    /// above all of them included. `counts` are theirs, not yet cumulated.
    ///
    /// Nearly all of a large page is written here: the start of a line is copied from the one before, and a count is put into
    /// digits where it differs from that.
    pub(crate) fn histogram(
        &mut self,
        name: &str,
        labels: &LabelText,
        bounds: &[Box<str>],
        (counts, sum): (impl Iterator<Item = u64>, f64),
    ) {
        let begin = self.text.len();
        self.text.extend([name, "_bucket{", &labels.0]);
        let start = begin..self.text.len();
        let (mut total, mut digits) = (0, itoa::Buffer::new());
        let mut shown = digits.format(0_u64);
        for (n, (bound, count)) in bounds.iter().zip(counts).enumerate() {
            if n > 0 {
                self.text.extend_from_within(start.clone());
            }
            if count > 0 {
                total += count;
                shown = digits.format(total);
            }
            self.text.push_str(bound);
            self.text.push_str(shown);
            self.text.push('\n');
        }
        self.measure([name, "_sum"], labels, sum);
        self.count([name, "_count"], labels, total);
    }

    /// A summary without labels.
    pub(crate) fn summary(&mut self, name: &str, help: &str, quantiles: &[(f64, f64)], count: u64, sum: f64) {
        let rows = quantiles.iter().map(|(q, value)| {
            let mut quantile = Quantile::default();
            quantile.set_quantile(*q);
            quantile.set_value(*value);
            quantile
        });
        let mut summary = Summary::default();
        summary.set_quantile(rows.collect());
        summary.set_sample_count(count);
        summary.set_sample_sum(sum);
        let mut metric = Metric::default();
        metric.set_summary(summary);
        self.family(name, help, MetricType::SUMMARY, vec![metric]);
    }

    fn family(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        TextEncoder::new()
            .encode_utf8(&[family], &mut self.text)
            .expect("a family with a name and metrics is written to memory");
    }
}

fn sample(labels: &[(&str, &str)]) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_the_encoder_writes_them() {
        let labels = [("a", "plain"), ("b", "\"q\" \\ \n end"), ("c", "")];
        let (mut quick, mut whole) = (Page::default(), Page::default());
        quick.begin("n_total", "Help", "counter");
        quick.count(["n", "_total"], &LabelText::new(&labels), 1234);
        quick.begin("m", "Help", "gauge");
        quick.measure(["m", ""], &LabelText::new(&labels), 3.5);
        whole.counters("n_total", "Help", [(labels.to_vec(), 1234.0)]);
        whole.gauges("m", "Help", [(labels.to_vec(), 3.5)]);
        assert_eq!(quick.into_text(), whole.into_text());
    }
}
