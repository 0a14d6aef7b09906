//! What clients met before, during and after each event of the experiment, over replications.

use super::findings::words;
use super::format::{interval, list, number, percent, unit_of};
use super::tables::{EventRow, Results};
use super::view::{Case, Estimate, View};
use std::collections::BTreeMap;
use svcsim_engine::stats::t_interval;

/// Confidence of the intervals.
const CONFIDENCE: f64 = 0.95;
/// Events of a case that are told; all are in `events.csv`.
const TOLD: usize = 12;

/// An event as all replications of a case met it.
pub(crate) struct Around {
    /// Its name.
    pub(crate) event: String,
    /// What happened, and to what.
    pub(crate) what: String,
    /// When it began and ended, in the first replication.
    pub(crate) span: (f64, f64),
    /// Metrics by phase and name, with their values over replications.
    metrics: BTreeMap<(String, String), Vec<f64>>,
}

/// The events of a case, as they came. Where random events differ between replications, the first is put to the first, and so on.
pub(crate) fn around(results: &Results, case: &Case) -> Vec<Around> {
    let mut events: Vec<((usize, &str), Around)> = Vec::new();
    let rows: Vec<&EventRow> = results.events.iter().filter(|r| r.point == case.point && r.series == case.series).collect();
    for of_replication in rows.chunk_by(|a, b| a.replication == b.replication) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for of_event in of_replication.chunk_by(|a, b| a.event == b.event && a.began_s == b.began_s) {
            let first = of_event[0];
            let count = seen.entry(&first.event).or_default();
            let key = (*count, first.event.as_str());
            *count += 1;
            let at = events.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
                let (event, what, span) = (first.event.clone(), first.what.clone(), (first.began_s, first.ended_s));
                events.push((key, Around { event, what, span, metrics: BTreeMap::new() }));
                events.len() - 1
            });
            for row in of_event {
                events[at].1.metrics.entry((row.phase.clone(), row.metric.clone())).or_default().push(row.value);
            }
        }
    }
    events.truncate(TOLD);
    events.into_iter().map(|(_, around)| around).collect()
}

impl Around {
    /// Mean and interval of a metric in a phase.
    pub(crate) fn estimate(&self, phase: &str, metric: &str) -> Option<Estimate> {
        let values = self.metrics.get(&(phase.to_owned(), metric.to_owned()))?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        // No metric can be negative.
        let ends = t_interval(values, CONFIDENCE).map(|t| (t.low.max(0.0), t.high));
        mean.is_finite().then_some(Estimate { mean, ends })
    }

    /// Requests lost to each cause in a phase, per run, most first.
    fn causes(&self, phase: &str, runs: u32) -> Vec<(String, f64)> {
        let mine = self.metrics.iter().filter(|((p, _), _)| p == phase);
        let lost = mine.filter_map(|((_, metric), values)| Some((metric.strip_prefix("errors_")?, values)));
        let mut causes: Vec<(String, f64)> =
            lost.map(|(cause, values)| (words(cause), values.iter().sum::<f64>() / f64::from(runs.max(1)))).collect();
        causes.sort_by(|a, b| b.1.total_cmp(&a.1));
        causes
    }

    /// The event in a sentence or two.
    pub(crate) fn sentence(&self, runs: u32) -> String {
        let shown =
            |phase: &str, metric: &str, unit: &str| self.estimate(phase, metric).map(|e| interval(e.mean, e.ends, unit_of(metric, unit)));
        let what = if self.what.is_empty() { String::new() } else { format!(" ({})", self.what) };
        let mut text = format!("{}{what}, {} s to {} s:", self.event, number(self.span.0), number(self.span.1));
        let p99s: Vec<String> = ["before", "during", "after"]
            .into_iter()
            .filter_map(|phase| Some(format!("{} {phase}", shown(phase, "latency_p99", "ms")?)))
            .collect();
        if !p99s.is_empty() {
            text.push_str(&format!(" p99 {};", list(&p99s)));
        }
        let lost = self.estimate("during", "requests_lost").map_or(0.0, |e| e.mean);
        let later = self.estimate("after", "requests_lost").map_or(0.0, |e| e.mean);
        if lost + later == 0.0 {
            text.push_str(" no request was lost.");
            return text;
        }
        if let Some(lost) = shown("during", "requests_lost", "requests") {
            text.push_str(&format!(" {lost} lost during it"));
        }
        let causes: Vec<String> = self.causes("during", runs).iter().map(|(cause, n)| format!("{} {cause}", number(*n))).collect();
        if !causes.is_empty() {
            text.push_str(&format!(" ({})", list(&causes)));
        }
        if later > 0.0 {
            text.push_str(&format!(", {} after it", number(later)));
        }
        if let Some(burned) = self.estimate("during", "error_budget_burned") {
            let after = self.estimate("after", "error_budget_burned").map_or(0.0, |e| e.mean);
            text.push_str(&format!(", {} of the run's error budget", percent(burned.mean + after)));
        }
        if let Some(recovery) = shown("whole", "recovery", "s") {
            text.push_str(&format!("; the last of them was sent {recovery} after it began"));
        }
        if let (Some(ready), Some(capacity)) = (self.estimate("during", "ready_fewest"), self.estimate("during", "capacity_fewest")) {
            text.push_str(&format!("; at the fewest {} Pods were ready, for {} requests at once", plain(ready.mean), plain(capacity.mean)));
        }
        text.push('.');
        text
    }
}

/// A whole number bare, any other with three digits.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { number(value) }
}

/// The cases of a view that met events, with them.
pub(crate) fn by_case<'v>(view: &'v View<'_>) -> Vec<(&'v Case, Vec<Around>)> {
    let met = |case: &'v Case| (case, around(view.results, case));
    view.cases.iter().map(met).filter(|(_, events)| !events.is_empty()).collect()
}
