//! Results indexed for questions such as "the p99 of each replication of this case".

use std::collections::{BTreeMap, BTreeSet};

use super::tables::{Results, SummaryRow};
use crate::measures::SATURATED;

/// The series that stands for the whole of a run.
pub(crate) const ALL: &str = "all";

/// Marks a number on which no verdict may be built: see [`View::doubt`].
pub(crate) const DOUBT: &str = " !";

/// What is compared with one another: design points, or series where there is a single design point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    /// The design point.
    pub(crate) point: u32,
    /// The series of it.
    pub(crate) series: String,
    /// What a reader calls the pair.
    pub(crate) label: String,
}

impl Case {
    /// The label as a part of a sentence: in quotation marks where a comma in it would mislead.
    pub(crate) fn quoted(&self) -> String {
        if self.label.contains([',', ';', ':']) { format!("\u{201C}{}\u{201D}", self.label) } else { self.label.clone() }
    }
}

/// A mean with its confidence interval, where that could be computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// Mean over replications.
    pub(crate) mean: f64,
    /// Ends of the interval.
    pub(crate) ends: Option<(f64, f64)>,
}

/// An index over [`Results`].
pub(crate) struct View<'a> {
    /// What is indexed.
    pub(crate) results: &'a Results,
    /// What is compared, in the order of the design.
    pub(crate) cases: Vec<Case>,
    summary: BTreeMap<(&'a str, &'a str, u32), &'a SummaryRow>,
    runs: BTreeMap<(&'a str, &'a str, u32), BTreeMap<u32, f64>>,
}

impl<'a> View<'a> {
    /// Builds the index.
    pub(crate) fn new(results: &'a Results) -> Self {
        let mut summary = BTreeMap::new();
        for row in &results.summary {
            summary.insert((row.metric.as_str(), row.series.as_str(), row.point), row);
        }
        let mut runs: BTreeMap<_, BTreeMap<u32, f64>> = BTreeMap::new();
        for row in &results.runs {
            runs.entry((row.metric.as_str(), row.series.as_str(), row.point)).or_default().insert(row.replication, row.value);
        }
        Self { results, cases: cases(results), summary, runs }
    }

    /// The summary row of a metric, if there is one.
    pub(crate) fn row(&self, case: &Case, metric: &str) -> Option<&'a SummaryRow> {
        self.summary.get(&(metric, case.series.as_str(), case.point)).copied()
    }

    /// The mean and interval of a metric, if it is a number.
    pub(crate) fn estimate(&self, case: &Case, metric: &str) -> Option<Estimate> {
        let row = self.row(case, metric)?;
        row.mean.is_finite().then_some(Estimate { mean: row.mean, ends: row.ci_low.zip(row.ci_high) })
    }

    /// The mean of a metric, if it is a number.
    pub(crate) fn mean(&self, case: &Case, metric: &str) -> Option<f64> {
        self.estimate(case, metric).map(|e| e.mean)
    }

    /// Why no verdict may be built on a metric of a case: its Pods are saturated, or what stands beside the number.
    pub(crate) fn doubt(&self, case: &Case, metric: &str) -> Option<String> {
        let of_run = Case { series: ALL.to_owned(), ..case.clone() };
        let saturated = [case, &of_run].iter().any(|c| self.mean(c, "utilisation").is_some_and(|u| u > SATURATED));
        if saturated && metric.starts_with("latency") {
            return Some("Pods are saturated: it depends on the length of the run".to_owned());
        }
        self.row(case, metric).map(|r| r.warning.clone()).filter(|w| !w.trim().is_empty())
    }

    /// The values of a metric by replication.
    pub(crate) fn values<'s>(&'s self, case: &'s Case, metric: &'s str) -> Option<&'s BTreeMap<u32, f64>> {
        self.runs.get(&(metric, case.series.as_str(), case.point))
    }

    /// Differences `other - base` of a metric, replication by replication.
    pub(crate) fn differences(&self, base: &Case, other: &Case, metric: &str) -> Vec<f64> {
        let (Some(base), Some(other)) = (self.values(base, metric), self.values(other, metric)) else {
            return Vec::new();
        };
        other.iter().filter_map(|(r, value)| base.get(r).map(|b| value - b)).filter(|d| d.is_finite()).collect()
    }

    /// The series of a table that belong to a case: its own, or else all parts of the whole.
    pub(crate) fn series_of<'b>(case: &Case, present: impl Iterator<Item = &'b str>) -> Vec<&'b str> {
        let present: BTreeSet<&str> = present.collect();
        match present.get(case.series.as_str()) {
            Some(own) => vec![*own],
            None if case.series == ALL => present.into_iter().collect(),
            None => Vec::new(),
        }
    }
}

fn cases(results: &Results) -> Vec<Case> {
    let mut series: BTreeMap<u32, Vec<&str>> = (0..results.about.points.len() as u32).map(|p| (p, Vec::new())).collect();
    let named = (results.summary.iter().map(|r| (r.point, r.series.as_str())))
        .chain(results.runs.iter().map(|r| (r.point, r.series.as_str())))
        .chain(results.latency.iter().map(|r| (r.point, r.series.as_str())));
    for (point, name) in named {
        let names = series.entry(point).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let one_point = series.len() == 1;
    let mut cases = Vec::new();
    for (point, names) in series {
        let label = results.about.label(point);
        let parts: Vec<&str> = names.iter().copied().filter(|n| *n != ALL).collect();
        let whole = names.is_empty() || names.contains(&ALL);
        if one_point && parts.len() > 1 {
            cases.extend(parts.iter().map(|s| Case { point, series: (*s).to_owned(), label: (*s).to_owned() }));
        } else if whole {
            cases.push(Case { point, series: ALL.to_owned(), label });
        } else if let [only] = parts[..] {
            cases.push(Case { point, series: only.to_owned(), label });
        } else {
            cases.extend(parts.iter().map(|s| Case { point, series: (*s).to_owned(), label: format!("{label}: {s}") }));
        }
    }
    cases
}
