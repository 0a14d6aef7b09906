//! How many replications there are: as many as the design says, or as many as an interval takes to be as narrow as it asks for.
//!
//! The replications of the design are a pilot then, and it alone decides how many there will be (Stein 1945): whoever looks again and
//! again and stops when the interval looks narrow stops when chance makes it look so. Interval and target are told apart in
//! `engine/src/stats/replications.rs`. All points get as many as the one that needs most, so that they stay paired; points that
//! are saturated decide nothing, since their numbers grow with the run.

use crate::design::{Design, MOST_UNITS};
use crate::expect::unknown;
use crate::input::error::InputError;
use crate::input::experiment::{Experiment, PrecisionSection, SloSection};
use crate::measures::{self, CONFIDENCE, SATURATED};
use crate::output::format::{number, percent};
use crate::output::tables::Precision;
use std::collections::BTreeMap;
use svcsim_engine::stats::interval::Sample;
use svcsim_engine::stats::replications::replications_by_stein;
use svcsim_models::record::RunResult;

/// Fewest replications of a pilot that can be believed to know the spread.
const FEWEST: u32 = 5;

/// Whether what is to be known exists, and can be afforded.
///
/// # Errors
/// A name that is no metric, a target that is none, or a budget below the pilot.
pub(crate) fn check(experiment: &Experiment, design: &Design) -> Result<(), InputError> {
    let Some(precision) = &experiment.design.precision else { return Ok(()) };
    let error = |key: &str, problem: String, fix: &str| Err(InputError::new(format!("design.precision.{key}"), problem, fix));
    let known = measures::known();
    for (i, metric) in precision.metrics.iter().enumerate() {
        if !known.iter().any(|(name, _)| name == metric) {
            return Err(unknown(&format!("design.precision.metrics[{i}]"), "metric", metric, known.iter().map(|(name, _)| name)));
        }
    }
    if precision.metrics.is_empty() {
        return error("metrics", "none is named".to_owned(), "name one, such as [latency_p99]");
    }
    if precision.relative_half_width.0 <= 0.0 {
        return error("relativeHalfWidth", "0%: no number of runs is enough".to_owned(), "give e.g. 2%");
    }
    if design.replications < FEWEST {
        let problem = format!("{} replications are too few for a pilot; expected at least {FEWEST}", design.replications);
        return Err(InputError::new("design.replications", problem, "give 10, or leave `precision` out"));
    }
    if precision.most < design.replications || u64::from(precision.most) * design.points.len() as u64 > MOST_UNITS {
        let problem = format!("{} for each of {} points; the pilot has {}", precision.most, design.points.len(), design.replications);
        return error("most", problem, &format!("give at least the pilot's, and at most {MOST_UNITS} runs in all"));
    }
    Ok(())
}

/// What a pilot says: how many replications there are to be, and why.
pub(crate) fn decide(section: &PrecisionSection, slo: Option<&SloSection>, design: &Design, pilot: &[RunResult]) -> Precision {
    let width = section.relative_half_width.0 / 100.0;
    let mut decided = Precision {
        metrics: section.metrics.clone(),
        relative_half_width: width,
        pilot: design.replications,
        most: section.most,
        needed: u64::from(design.replications),
        ..Precision::default()
    };
    for (point, runs) in design.points.iter().zip(pilot.chunks(design.replications as usize)) {
        let runs: Vec<BTreeMap<String, f64>> = runs.iter().map(|run| measures::by_name(run, slo)).collect();
        let values = |metric: &str| runs.iter().filter_map(|run| run.get(metric).copied()).collect::<Vec<f64>>();
        if Sample::of(&values("utilisation")).is_some_and(|busy| busy.mean > SATURATED) {
            decided.saturated.push(point.label());
            continue;
        }
        for metric in &section.metrics {
            let values = values(metric);
            let size = Sample::of(&values).map_or(0.0, |s| s.mean.abs());
            // What is 0 in every run is known as well as can be.
            let known = values.iter().all(|v| *v == 0.0);
            let needed = if known { 0 } else { replications_by_stein(&values, CONFIDENCE, width * size).unwrap_or(u64::MAX) };
            if needed > decided.needed {
                (decided.needed, decided.decisive) = (needed, format!("{metric} of {}", point.label()));
            }
        }
    }
    decided.replications = decided.needed.min(u64::from(section.most)) as u32;
    decided
}

impl Precision {
    /// What became of it, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let Self { pilot, replications, most, needed, .. } = self;
        let (metrics, width) = (self.metrics.join(", "), percent(self.relative_half_width));
        let left_out = match self.saturated.len() {
            0 => String::new(),
            n => format!(" {n} saturated point(s) decided nothing: {}.", self.saturated.join("; ")),
        };
        let said = if *needed <= u64::from(*pilot) {
            format!("The pilot of {pilot} replications was enough to know {metrics} to within {width} of the mean")
        } else if *needed <= u64::from(*most) {
            format!(
                "A pilot of {pilot} replications asked for {replications} to know {metrics} to within {width} of the mean; {} took most",
                self.decisive
            )
        } else if *needed == u64::MAX {
            format!("Not known to within {width}: no number of replications is enough for {}; {most} were run", self.decisive)
        } else {
            format!(
                "Not known to within {width}: {} would take {} replications, more than the {most} that were run",
                self.decisive,
                number(*needed as f64)
            )
        };
        format!("{said}. Intervals of these metrics are Stein's, with the pilot's spread: looking again did not narrow them.{left_out}")
    }

    /// Whether the target was reached.
    pub(crate) fn is_reached(&self) -> bool {
        self.needed <= u64::from(self.most)
    }
}
