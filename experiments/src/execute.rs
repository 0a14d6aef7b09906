//! The design's units in parallel, their results in the design's order: the number of threads leaves no trace.

use crate::design::Design;
use crate::input::error::InputError;
use crate::input::experiment::Loaded;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use svcsim_engine::random::Streams;
use svcsim_models::cluster::run;
use svcsim_models::record::RunResult;
use svcsim_models::spec::ClusterSpec;

/// Why there are no results.
pub(crate) enum Stopped {
    /// The input is wrong.
    Wrong(Box<InputError>),
    /// The user said so.
    Interrupted,
}

impl From<InputError> for Stopped {
    fn from(error: InputError) -> Self {
        Self::Wrong(Box::new(error))
    }
}

/// The spec of every design point, each known to build.
pub(crate) fn specs(loaded: &Loaded, design: &Design) -> Result<Vec<ClusterSpec>, InputError> {
    let check = |point: &crate::design::DesignPoint| {
        let spec = loaded.spec(&point.fields)?;
        match svcsim_models::cluster::check(&spec) {
            Ok(()) => Ok(spec),
            Err(error) => Err(loaded.locate(&error, &point.fields)),
        }
    };
    design.points.iter().map(check).collect()
}

/// Runs these replications of every point; of n replications result `i` is the one at `i % n` of point `i / n`.
pub(crate) fn execute(
    loaded: &Loaded,
    design: &Design,
    specs: &[ClusterSpec],
    replications: Range<u32>,
    threads: Option<usize>,
    progress: bool,
    interrupted: &AtomicBool,
) -> Result<Vec<RunResult>, Stopped> {
    let (first, replications) = (replications.start, replications.len());
    let units = design.points.len() * replications;
    let bar = progress_bar(units as u64, progress);
    let keep_going = || !interrupted.load(Ordering::Relaxed);
    let unit = |i: usize| -> Result<RunResult, Stopped> {
        let streams = Streams::new(design.seed, u64::from(first) + (i % replications) as u64);
        let point = i / replications;
        let result = run(&specs[point], &streams, &keep_going).map_err(|e| loaded.locate(&e, &design.points[point].fields))?;
        bar.inc(1);
        result.ok_or(Stopped::Interrupted)
    };
    let all = || (0..units).into_par_iter().map(unit).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let results = pool.map_or_else(|_| all(), |pool| pool.install(all));
    bar.finish_and_clear();
    results
}

/// A bar with an estimate of what is left, on a terminal only.
fn progress_bar(units: u64, wanted: bool) -> ProgressBar {
    let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(units), target);
    if let Ok(style) = ProgressStyle::with_template("simulating {bar:30} {pos}/{len} runs, {eta} left") {
        bar.set_style(style);
    }
    bar
}
