//! The design's units in parallel, their results in the design's order: the number of threads leaves no trace.

use crate::design::Design;
use crate::input::error::InputError;
use crate::input::experiment::Loaded;
use crate::units::{Shard, Units};
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
    /// What a unit found could not be kept.
    NotKept(String),
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

/// How units are run.
pub(crate) struct Workers<'a> {
    pub(crate) threads: Option<usize>,
    pub(crate) progress: bool,
    pub(crate) interrupted: &'a AtomicBool,
    /// Where units are kept, and found again.
    pub(crate) units: Option<&'a Units>,
}

impl Workers<'_> {
    /// Runs these replications of every point; of n replications result `i` is the one at `i % n` of point `i / n`.
    pub(crate) fn execute(
        &self,
        loaded: &Loaded,
        design: &Design,
        specs: &[ClusterSpec],
        replications: Range<u32>,
    ) -> Result<Vec<RunResult>, Stopped> {
        let (first, each) = (replications.start, replications.len());
        let units = (0..design.points.len() * each).map(|i| (i / each, first + (i % each) as u32)).collect();
        self.run(loaded, design, specs, units, |result| result)
    }

    /// Runs these replications of every point, or those of a shard, which are kept; how many requests and events each took.
    pub(crate) fn keep(
        &self,
        loaded: &Loaded,
        design: &Design,
        specs: &[ClusterSpec],
        replications: Range<u32>,
        shard: Option<Shard>,
    ) -> Result<Vec<(u64, u64)>, Stopped> {
        let (first, each) = (replications.start, replications.len());
        let all = (0..design.points.len() * each).filter(|i| shard.is_none_or(|shard| shard.has(*i)));
        let units = all.map(|i| (i / each, first + (i % each) as u32)).collect();
        self.run(loaded, design, specs, units, |run| (run.series.iter().map(|s| s.arrivals_ever).sum(), run.events))
    }

    fn run<T: Send>(
        &self,
        loaded: &Loaded,
        design: &Design,
        specs: &[ClusterSpec],
        units: Vec<(usize, u32)>,
        of: impl Fn(RunResult) -> T + Sync,
    ) -> Result<Vec<T>, Stopped> {
        let bar = progress_bar(units.len() as u64, self.progress);
        let keep_going = || !self.interrupted.load(Ordering::Relaxed);
        let unit = |(point, replication): (usize, u32)| -> Result<T, Stopped> {
            let known = self.units.and_then(|units| units.read(point, replication));
            let result = match known {
                Some(result) => result,
                None => {
                    let streams = Streams::new(design.seed, replication.into());
                    let result = run(&specs[point], &streams, &keep_going).map_err(|e| loaded.locate(&e, &design.points[point].fields))?;
                    let result = result.ok_or(Stopped::Interrupted)?;
                    if let Some(units) = self.units {
                        units.keep(point, replication, &result).map_err(|e| Stopped::NotKept(format!("{}: {e}", units.dir().display())))?;
                    }
                    result
                }
            };
            bar.inc(1);
            Ok(of(result))
        };
        let all = || units.into_par_iter().map(unit).collect();
        let results = match rayon::ThreadPoolBuilder::new().num_threads(self.threads.unwrap_or(0)).build() {
            Ok(pool) => pool.install(all),
            Err(_) => all(),
        };
        bar.finish_and_clear();
        results
    }
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
