//! Where the start of a run ends, and whether what follows is steady.
//!
//! The series looked at is the median latency of all answers in each window of the timeline. MSER-5 cuts the start off its mean over
//! replications; a drift is where the later half of the windows behind the warm-up lies above or below the earlier, over replications.
//! Both are in `engine/src/stats/`. Where something happens on purpose (events, an autoscaler, a rate that changes) nothing is steady,
//! and nothing is said.

use crate::design::Design;
use crate::output::format::{number, percent};
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::stats::mser::mser5;
use svcsim_engine::stats::stationarity::drift;
use svcsim_models::record::RunResult;
use svcsim_models::spec::ClusterSpec;
use svcsim_models::workload::ArrivalsSpec;

/// Replications whose mean series is cut.
pub(crate) const PILOT: u32 = 5;
/// Of the interval of a drift: there are many points, and one in a hundred would be told for nothing.
const CONFIDENCE: f64 = 0.999;
/// A drift that nobody minds, as a part of the mean.
const SLIGHT: f64 = 0.02;

/// A warm-up that was found out.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WarmUp {
    /// As long as the point needs that needs most.
    pub(crate) length: SimDuration,
    /// How it was found.
    pub(crate) how: String,
    /// What to warn of: points without a steady part.
    pub(crate) warning: Option<String>,
}

impl WarmUp {
    /// The specs with it.
    pub(crate) fn applied(&self, specs: &[ClusterSpec]) -> Vec<ClusterSpec> {
        let mut specs = specs.to_vec();
        specs.iter_mut().for_each(|spec| spec.run.warm_up = self.length);
        specs
    }
}

/// The warm-up that runs of all points need.
pub(crate) fn warm_up(design: &Design, specs: &[ClusterSpec], pilot: &[RunResult]) -> WarmUp {
    let each = pilot.len() / design.points.len().max(1);
    let mut longest = (SimDuration::ZERO, String::new());
    let mut unsettled = Vec::new();
    for ((point, spec), runs) in design.points.iter().zip(specs).zip(pilot.chunks(each.max(1))) {
        let Some(cut) = mean_series(runs).and_then(|series| mser5(&series)) else {
            unsettled.push(point.label());
            continue;
        };
        let length = (spec.run.window * cut.observations as u64).min(spec.run.duration);
        if length > longest.0 {
            longest = (length, point.label());
        }
        if cut.at_limit {
            unsettled.push(point.label());
        }
    }
    let how = format!(
        "The warm-up of {} is MSER-5's over windows of {} pilot replications{}.",
        longest.0,
        each,
        if longest.1.is_empty() { String::new() } else { format!(", longest at {}", longest.1) }
    );
    let points = unsettled.join("; ");
    let warning =
        (!points.is_empty()).then(|| format!("run.warmUp: MSER-5 found no steady part of {points}: give a longer run, or a time"));
    WarmUp { length: longest.0, how, warning }
}

/// What drifts at a point, behind the warm-up, in a sentence.
pub(crate) fn drifts(spec: &ClusterSpec, runs: &[RunResult]) -> Option<String> {
    if !may_be_steady(spec) {
        return None;
    }
    let measured: Option<Vec<Vec<f64>>> = runs.iter().map(|run| series(run, spec.run.warm_up)).collect();
    let measured = measured?;
    let drift = drift(&measured, CONFIDENCE)?;
    let level = measured.iter().flatten().sum::<f64>() / measured.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    if drift.contains(0.0) || drift.mean.abs() < SLIGHT * level {
        return None;
    }
    let way = if drift.mean > 0.0 { "above" } else { "below" };
    Some(format!(
        "not steady: the median latency of the later half lies {} {way} the earlier half's (mean {} ms)",
        percent(drift.mean.abs() / level),
        number(level)
    ))
}

/// Whether nothing of the experiment itself changes with time.
fn may_be_steady(spec: &ClusterSpec) -> bool {
    let constant = |a: &ArrivalsSpec| !matches!(a, ArrivalsSpec::Curve(_) | ArrivalsSpec::Replay(_));
    spec.events.is_empty() && spec.workloads.iter().all(|w| w.autoscaler.is_none()) && spec.traffic.values().all(|t| constant(&t.arrivals))
}

fn mean_series(runs: &[RunResult]) -> Option<Vec<f64>> {
    let all: Vec<Vec<f64>> = runs.iter().map(|run| series(run, SimDuration::ZERO)).collect::<Option<_>>()?;
    let windows = all.iter().map(Vec::len).min()?;
    Some((0..windows).map(|w| all.iter().map(|s| s[w]).sum::<f64>() / all.len() as f64).collect())
}

/// Median latency of each whole window from `from` on, ms; none if one had no answers.
fn series(run: &RunResult, from: SimDuration) -> Option<Vec<f64>> {
    let timelines: Vec<_> = run.series.iter().filter(|s| !s.inner).map(|s| &s.timeline).collect();
    let first = timelines.first()?;
    let widest = first.iter().map(|w| w.width).max()?;
    let of = |at: usize| {
        let rows = timelines.iter().filter_map(|t| t.get(at)).filter_map(|w| Some((w.completed as f64, w.latency_p50?.as_millis_f64())));
        let (n, sum) = rows.fold((0.0, 0.0), |(n, sum), (completed, p50)| (n + completed, sum + completed * p50));
        (n > 0.0).then(|| sum / n)
    };
    let whole = first.iter().enumerate().filter(|(_, w)| w.width == widest && w.start.as_nanos() >= from.as_nanos());
    whole.map(|(at, _)| of(at)).collect()
}
