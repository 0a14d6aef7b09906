//! `svcsim run`: an experiment in, a results directory and a short answer out.

use super::merge::{SHEET, Sheet, UNITS};
use super::{Failure, Planned, plan};
use crate::cli::{Format, RunArgs};
use crate::collect::{Made, about, collect};
use crate::execute::Workers;
use crate::input::error::InputError;
use crate::input::experiment::WarmUpSection;
use crate::input::files::sha256;
use crate::output::provenance::{Cost, FIRST, Place, Provenance};
use crate::output::{Results, findings};
use crate::precision;
use crate::steady::{self, WarmUp};
use crate::units::{Shard, Units};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use svcsim_models::spec::ClusterSpec;

/// Runs the experiment and writes its results.
pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let mut sets = args.sets.clone();
    sets.extend(args.seed.map(|seed| ("design.seed".to_owned(), Value::from(seed))));
    let planned = plan(&args.experiment, &sets)?;
    let place = Place::find(args.out.as_deref(), &planned.loaded.experiment.metadata.name, &planned.loaded)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // A second handler in one process cannot be set; then Ctrl-C ends the process at once, which is safe too.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let progress = !args.quiet && std::io::stderr().is_terminal();
    let units = Units::of(place.units(), &sha256(planned.loaded.resolved_yaml().as_bytes()), planned.design.seed);
    if !args.resume {
        units.forget().map_err(|e| Failure::Failed(format!("{}: {e}", units.dir().display())))?;
    }
    let workers = Workers { threads: args.threads, progress, interrupted: &interrupted, units: None };
    if let Some(shard) = args.shard {
        return run_shard(&planned, &workers, &units, shard, &place).map_err(resumable);
    }
    let (results, cost) = simulate(&planned, &workers, &units).map_err(resumable)?;
    let dir = write(&planned, &results, &cost, &place)?;
    // They are in the results now; what cannot be removed is in nobody's way.
    let _ = units.forget();
    match args.format {
        _ if args.quiet => {}
        Format::Text => print!("{}", text(&results, &place, &dir, &cost)),
        Format::Json => println!("{}", as_json(&results, &dir)),
    }
    as_expected(&results, args.quiet)
}

/// Fails if the results do not meet an expectation; tells which if nothing else has.
pub(super) fn as_expected(results: &Results, tell: bool) -> Result<(), Failure> {
    let all = &results.about.expectations;
    let failed: Vec<String> = all.iter().filter(|v| !v.met).map(findings::verdict).collect();
    let details = if tell { format!("\n{}", failed.join("\n")) } else { String::new() };
    match failed.len() {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of {} expectations failed{details}", all.len()))),
    }
}

/// A run that was stopped has kept what it had done.
fn resumable(failure: Failure) -> Failure {
    match failure {
        Failure::Interrupted => Failure::Resumable,
        other => other,
    }
}

/// Runs a part of the units and keeps them, for `svcsim merge`.
fn run_shard(planned: &Planned, workers: &Workers<'_>, units: &Units, shard: Shard, place: &Place) -> Result<(), Failure> {
    let Planned { loaded, design, .. } = planned;
    if place.has(loaded, Some(shard)) {
        // Done before: running again is harmless.
        return Ok(());
    }
    if loaded.experiment.design.precision.is_some() {
        let problem = "how many replications there are follows from runs of all points, of which a shard has a part";
        let fix = "leave `--shard` out, or say how many there are: --set design.precision=null --set design.replications=20";
        return Err(loaded.placed(InputError::new("design.precision", problem, fix)).into());
    }
    let start = Instant::now();
    let (specs, warm_up) = warmed_up(planned, workers)?;
    let workers = Workers { units: Some(units), ..*workers };
    let took = workers.keep(loaded, design, &specs, 0..design.replications, Some(shard))?;
    let cost = cost(&took, start, &workers);
    let sheet = Sheet { about: about(loaded, design, &specs), warm_up };
    let part = place.part();
    let fill = || -> std::io::Result<()> {
        std::fs::create_dir_all(&part)?;
        std::fs::write(part.join(FIRST), loaded.resolved_yaml())?;
        std::fs::write(part.join(SHEET), serde_json::to_string_pretty(&sheet)? + "\n")?;
        // Not moved: a twin may be at work with them.
        units.link_to(&part.join(UNITS), design.points.len(), design.replications, shard)?;
        Provenance { shard: Some(shard), ..Provenance::of(planned, design.replications, &cost, &part)? }.write(&part)?;
        place.settle(&part)
    };
    if let Err(e) = fill() {
        let _ = std::fs::remove_dir_all(&part);
        if !place.has(loaded, Some(shard)) {
            return Err(Failure::Partly(format!("{}: the shard could not be written: {e}", place.dir.display())));
        }
    }
    // What cannot be removed is in nobody's way.
    let _ = units.forget();
    Ok(())
}

/// Runs every unit, which are kept, and makes the tables of them, point by point.
pub(crate) fn simulate(planned: &Planned, workers: &Workers<'_>, units: &Units) -> Result<(Results, Cost), Failure> {
    let Planned { loaded, design, .. } = planned;
    let start = Instant::now();
    let (specs, warm_up) = warmed_up(planned, workers)?;
    let workers = Workers { units: Some(units), ..*workers };
    let precision = match &loaded.experiment.design.precision {
        None => None,
        Some(section) => {
            let pilot = workers.execute(loaded, design, &specs, 0..design.replications)?;
            Some(precision::decide(section, loaded.experiment.slo.as_ref(), design, &pilot))
        }
    };
    let replications = precision.as_ref().map_or(design.replications, |p| p.replications);
    // Those of a pilot are known already.
    let took = workers.keep(loaded, design, &specs, 0..replications, None)?;
    let runs = |point| {
        let lost = |problem| Failure::Partly(format!("{}: {problem}", units.dir().display()));
        units.of_point(point, replications).map_err(lost)
    };
    let results = collect(planned, &specs, runs, Made { replications, precision, warm_up })?;
    Ok((results, cost(&took, start, &workers)))
}

fn cost(took: &[(u64, u64)], start: Instant, workers: &Workers<'_>) -> Cost {
    Cost {
        requests: took.iter().map(|(requests, _)| requests).sum(),
        events: took.iter().map(|(_, events)| events).sum(),
        seconds: start.elapsed().as_secs_f64(),
        threads: workers.threads.unwrap_or_else(rayon::current_num_threads),
    }
}

/// The specs with their warm-up, which is found out where the experiment does not say how long it is.
fn warmed_up<'p>(planned: &'p Planned, workers: &Workers<'_>) -> Result<(Cow<'p, [ClusterSpec]>, Option<WarmUp>), Failure> {
    let Planned { loaded, design, specs, .. } = planned;
    if loaded.experiment.run.warm_up != WarmUpSection::Mser5 {
        return Ok((Cow::Borrowed(specs), None));
    }
    let pilot = workers.execute(loaded, design, specs, 0..steady::PILOT.min(design.replications))?;
    let warm_up = steady::warm_up(design, specs, &pilot);
    Ok((Cow::Owned(warm_up.applied(specs)), Some(warm_up)))
}

/// Writes tables, figures, report and provenance beside their place, then moves them there in one step.
pub(crate) fn write(planned: &Planned, results: &Results, cost: &Cost, place: &Place) -> Result<PathBuf, Failure> {
    let failed = |e: std::io::Error| Failure::Failed(format!("{}: the results could not be written: {e}", place.dir.display()));
    let part = place.part();
    let fill = || -> std::io::Result<()> {
        std::fs::create_dir_all(&part)?;
        std::fs::write(part.join(FIRST), planned.loaded.resolved_yaml())?;
        results.write(&part)?;
        crate::output::publish(results, &part)?;
        Provenance::of(planned, results.about.replications, cost, &part)?.write(&part)?;
        place.settle(&part)
    };
    if let Err(e) = fill() {
        // What is left of a failed attempt helps nobody.
        let _ = std::fs::remove_dir_all(&part);
        // A twin may have been faster.
        if !place.has(&planned.loaded, None) {
            return Err(failed(e));
        }
    }
    Ok(place.dir.clone())
}

fn text(results: &Results, place: &Place, dir: &Path, cost: &Cost) -> String {
    let mut text = findings::terminal_table(results);
    if let Some(precision) = &results.about.precision {
        text.push_str(&format!("\n{}\n", precision.sentence()));
    }
    let million = cost.requests as f64 / 1e6;
    text.push_str(&format!(
        "\n{million:.1} million requests, {:.2} events each, in {:.1} s.{}\nReport: {}\n",
        cost.events as f64 / cost.requests.max(1) as f64,
        cost.seconds,
        place.note,
        dir.join("report.html").display()
    ));
    text
}

fn as_json(results: &Results, dir: &Path) -> Value {
    let rows = results.summary.iter().map(|r| {
        json!({
            "point": r.point, "label": results.about.label(r.point), "series": r.series, "metric": r.metric, "unit": r.unit,
            "mean": r.mean, "ci_low": r.ci_low, "ci_high": r.ci_high, "replications": r.replications, "warning": r.warning,
        })
    });
    json!({ "results": dir, "warnings": results.about.warnings, "expectations": results.about.expectations,
        "summary": rows.collect::<Vec<_>>() })
}
