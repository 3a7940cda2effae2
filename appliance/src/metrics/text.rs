//! Prometheus text, by the `prometheus` crate's data types and encoder.

use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary,
};

/// Labels of one sample.
pub(crate) type Labels<'a> = Vec<(&'a str, &'a str)>;

/// A page, or a part of one, being written.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

/// Buckets of a histogram, not yet cumulated.
pub(crate) struct Buckets<'a> {
    /// Upper bounds.
    pub(crate) bounds: &'a [f64],
    /// Observations of each bucket, and above the last.
    pub(crate) counts: Vec<u64>,
    /// Sum of all observations.
    pub(crate) sum: f64,
}

impl Page {
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

    /// A family of histograms.
    pub(crate) fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'a>, Buckets<'a>)>,
    ) {
        let metrics = rows.into_iter().map(|(labels, buckets)| {
            let mut metric = sample(&labels);
            metric.set_histogram(histogram(&buckets));
            metric
        });
        self.family(name, help, MetricType::HISTOGRAM, metrics.collect());
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

/// Cuts the `# HELP` and `# TYPE` lines off a page of one family, for the second and later parts of a large one.
pub(crate) fn without_header(mut text: String) -> String {
    while text.starts_with('#') {
        let end = text.find('\n').map_or(text.len(), |newline| newline + 1);
        text.drain(..end);
    }
    text
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

fn histogram(buckets: &Buckets<'_>) -> Histogram {
    let mut total = 0;
    let mut rows = Vec::with_capacity(buckets.bounds.len());
    for (bound, count) in buckets.bounds.iter().zip(&buckets.counts) {
        total += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(total);
        rows.push(bucket);
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(rows);
    histogram.set_sample_count(total + buckets.counts.last().copied().unwrap_or(0));
    histogram.set_sample_sum(buckets.sum);
    histogram
}
