//! How the cells of a route's series are laid out: one allocation holds all its histograms.

use super::{RequestMetric, RequestMetricsSettings};

/// What the numbers of a histogram are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Kept as nanoseconds, exported as seconds.
    Time,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// What one unit of a cell is worth in the exported number.
    pub(super) fn scale(self) -> f64 {
        match self {
            Self::Time => 1e-9,
            Self::Bytes => 1.0,
        }
    }
}

/// One histogram: a cell for each bucket, one for what is above, one for the sum.
#[derive(Debug)]
pub(super) struct HistogramLayout {
    pub(super) metric: RequestMetric,
    pub(super) unit: Unit,
    /// Its first cell.
    pub(super) offset: usize,
    /// Upper bounds as the cells count.
    pub(super) bounds: Box<[u64]>,
    /// Upper bounds as they are exported.
    pub(super) labels: Box<[f64]>,
    /// The same as the page's lines end with them, and that of what is above.
    pub(super) les: Box<[Box<str>]>,
}

/// All cells of a series. Cell 0 counts the requests.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) histograms: Box<[HistogramLayout]>,
    /// Whether anything is counted by route.
    pub(super) enabled: bool,
    /// Cells of one series.
    pub(super) cells: usize,
    pub(super) status_classes: bool,
    pub(super) undefined_hosts: bool,
}

impl Layout {
    pub(super) fn new(settings: &RequestMetricsSettings) -> Self {
        let mut histograms = Vec::new();
        let mut cells = 1;
        for metric in RequestMetric::ALL.into_iter().filter(|metric| settings.recorded.contains(*metric)) {
            let (unit, labels) = match metric {
                RequestMetric::Requests => continue,
                RequestMetric::RequestSize | RequestMetric::ResponseSize => (Unit::Bytes, &settings.length_buckets),
                RequestMetric::BytesSent => (Unit::Bytes, &settings.size_buckets),
                _ => (Unit::Time, &settings.time_buckets),
            };
            let bounds: Box<[u64]> = labels.iter().map(|bound| to_cell(*bound, unit)).collect();
            let size = bounds.len() + 2;
            let les = labels.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
            let les = les.map(|bound| format!(",le=\"{bound}\"}} ").into()).collect();
            let labels = labels.as_slice().into();
            histograms.push(HistogramLayout { metric, unit, offset: cells, bounds, labels, les });
            cells += size;
        }
        Self {
            enabled: settings.recorded != super::RequestMetrics::none(),
            histograms: histograms.into(),
            cells,
            status_classes: settings.status_classes,
            undefined_hosts: settings.undefined_hosts,
        }
    }
}

/// A bound is the largest number that belongs to its bucket.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is right for bounds"
)]
fn to_cell(bound: f64, unit: Unit) -> u64 {
    (bound / unit.scale()).round() as u64
}
