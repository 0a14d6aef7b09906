//! What the results of a sampled design say of its factors: the indices that its kind of sample allows, metric by metric.

use crate::design::sampling::rank_correlation;
use crate::design::{Design, Sample, screening, variance};
use crate::measures::CONFIDENCE;
use crate::output::tables::{RunRow, SensitivityRow};
use std::collections::BTreeMap;
use svcsim_engine::stats::{Interval, t_interval};

/// An index of a factor: its name, its value, and the ends of its interval, if it has one.
type Index = (&'static str, f64, Option<(f64, f64)>);

/// A metric of a series at all points.
struct Metric<'a> {
    row: &'a RunRow,
    /// At each point, by replication.
    values: Vec<BTreeMap<u32, f64>>,
}

/// The indices of every factor for every metric that all points have and that varies; nothing for a design of all combinations.
pub(crate) fn rows(design: &Design, runs: &[RunRow]) -> Vec<SensitivityRow> {
    let Some(sample) = &design.sample else { return Vec::new() };
    let mut rows = Vec::new();
    for metric in metrics(runs, design.points.len()) {
        let means = metric.means();
        if means.iter().any(|m| !m.is_finite()) || means.iter().all(|m| *m == means[0]) {
            continue;
        }
        let row = |factor: usize, level: &str, (index, value, ends): Index| SensitivityRow {
            factor: design.factors[factor].clone(),
            level: level.to_owned(),
            series: metric.row.series.clone(),
            metric: metric.row.metric.clone(),
            index: index.to_owned(),
            unit: if matches!(sample, Sample::Saltelli | Sample::Filling(_)) { "1".to_owned() } else { metric.row.unit.clone() },
            value,
            ci_low: ends.map(|(low, _)| low),
            ci_high: ends.map(|(_, high)| high),
        };
        match sample {
            Sample::OneAtATime(changed) => {
                for (point, factor) in changed.iter().enumerate().filter_map(|(point, factor)| Some((point, (*factor)?))) {
                    let level = design.points[point].levels[factor].as_str();
                    rows.extend(metric.difference(point).map(|index| row(factor, level, index)));
                }
            }
            _ => {
                let of_factors = indices(sample, design, &means);
                rows.extend(
                    of_factors
                        .into_iter()
                        .enumerate()
                        .flat_map(|(i, of)| of.into_iter().map(move |index| (i, index)))
                        .map(|(factor, index)| row(factor, "", index)),
                );
            }
        }
    }
    rows
}

/// Every metric of every series, in the order of the runs.
fn metrics(runs: &[RunRow], points: usize) -> Vec<Metric<'_>> {
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut metrics: Vec<Metric<'_>> = Vec::new();
    for row in runs {
        let place = *places.entry((&row.series, &row.metric)).or_insert_with(|| {
            metrics.push(Metric { row, values: vec![BTreeMap::new(); points] });
            metrics.len() - 1
        });
        metrics[place].values[row.point as usize].insert(row.replication, row.value);
    }
    metrics
}

impl Metric<'_> {
    /// The mean over replications at each point; not a number where there are none.
    fn means(&self) -> Vec<f64> {
        self.values.iter().map(|values| values.values().sum::<f64>() / values.len() as f64).collect()
    }

    /// By how much a point differs from the first, replication by replication.
    fn difference(&self, point: usize) -> Option<Index> {
        let base = self.values.first()?;
        let differences: Vec<f64> = self.values[point].iter().filter_map(|(r, value)| Some(value - base.get(r)?)).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        mean.is_finite().then(|| ("difference", mean, t_interval(&differences, CONFIDENCE).map(|i| (i.low, i.high))))
    }
}

/// The indices of each factor; nothing where the sample has too few points.
fn indices(sample: &Sample, design: &Design, means: &[f64]) -> Vec<Vec<Index>> {
    match sample {
        Sample::OneAtATime(_) => Vec::new(),
        Sample::Filling(points) => {
            let column = |factor: usize| points.iter().map(|p| p[factor]).collect::<Vec<_>>();
            let correlation =
                |factor| rank_correlation(&column(factor), means).map(|r| ("rank_correlation", r, None)).into_iter().collect();
            (0..design.factors.len()).map(correlation).collect()
        }
        Sample::Morris(points) => {
            let ends = |i: Interval| Some((i.low, i.high));
            let of = |e: screening::Effect| {
                vec![("mu_star", e.mu_star.mean, ends(e.mu_star)), ("mu", e.mu.mean, ends(e.mu)), ("sigma", e.sigma, None)]
            };
            screening::effects(points, means).unwrap_or_default().into_iter().map(of).collect()
        }
        Sample::Saltelli => {
            let of = |index: variance::Index| {
                [("first_order", index.first), ("total", index.total)]
                    .map(|(name, part)| (name, part.value, Some((part.low, part.high))))
                    .to_vec()
            };
            // The same resamples for every metric.
            let mut stream = Design::stream(design.seed, "bootstrap");
            variance::indices(design.factors.len(), means, &mut stream).unwrap_or_default().into_iter().map(of).collect()
        }
    }
}
