//! `svcsim explain`: one request's way through the cluster, step by step.

use super::{Failure, Planned, plan};
use crate::cli::{ExplainArgs, StoryFormat};
use crate::input::error::InputError;
use crate::output::explain::{Story, text, trace};
use serde_json::{Map, Value};
use std::io::{ErrorKind, Write};
use svcsim_engine::random::Streams;
use svcsim_engine::{Id, SimTime};
use svcsim_models::cluster::{Followed, decisions, explain as follow};

/// Follows the request and writes its story.
pub(crate) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    if let Some(out) = args.out.as_ref().filter(|o| o.exists()) {
        let problem = format!("{} is there already", out.display());
        return Err(InputError::new("--out", problem, "name another file, or remove this one").into());
    }
    let mut sets = args.sets.clone();
    sets.extend(args.seed.map(|seed| ("design.seed".to_owned(), Value::from(seed))));
    let planned = plan(&args.experiment, &sets)?;
    if let Some(most) = args.decisions {
        return write(args, &decided(&planned, args, most)?);
    }
    let story = told(&planned, args)?;
    let unwritten = |e: String| Failure::Failed(format!("the story could not be written: {e}"));
    let written = match args.format {
        StoryFormat::Text => text(&story),
        StoryFormat::Json => story.json().map_err(|e| unwritten(e.to_string()))?,
        StoryFormat::Perfetto => trace(&story).to_string() + "\n",
    };
    write(args, &written)
}

/// Writes to the file asked for, or to standard output.
fn write(args: &ExplainArgs, written: &str) -> Result<(), Failure> {
    let unwritten = |e: String| Failure::Failed(format!("the story could not be written: {e}"));
    let done = match &args.out {
        Some(path) => std::fs::write(path, written),
        None => std::io::stdout().write_all(written.as_bytes()),
    };
    match done {
        // Whoever reads has seen enough, as `| head` does.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| unwritten(e.to_string())),
    }
}

/// The first `most` choices of a run, as CSV: what each Pod looked like to who chose, and what the choice cost.
fn decided(planned: &Planned, args: &ExplainArgs, most: usize) -> Result<String, Failure> {
    let Planned { loaded, design, specs, .. } = planned;
    let (Some(spec), Some(point)) = (specs.get(args.point), design.points.get(args.point)) else {
        let problem = format!("no design point {}: the design has {}", args.point, specs.len());
        return Err(InputError::new("--point", problem, "give one of those that `point` in runs.csv counts").into());
    };
    let streams = Streams::new(design.seed, u64::from(args.replication));
    let made = decisions(spec, &streams, most, &|| true).map_err(|e| loaded.locate(&e, &point.fields))?;
    if made.is_empty() {
        let problem = "no policy made a choice: no source of this design point balances by itself";
        return Err(InputError::new("--decisions", problem, "follow a request instead, or give a source `via: Endpoints`").into());
    }
    let names: Vec<&String> = spec.traffic.keys().collect();
    let mut out = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| Failure::Failed(format!("the choices could not be written: {e}"));
    let header = ["decision", "time_ms", "source", "instance", "pod", "load", "age_ms", "score", "work_ms", "chosen", "best", "regret_ms"];
    out.write_record(header).map_err(failed)?;
    for (i, d) in made.iter().enumerate() {
        let source = names.get(d.source.index()).map_or_else(|| format!("call {}", d.source.index() - names.len()), |n| (*n).clone());
        for (at, c) in d.candidates.iter().enumerate() {
            let time = d.time.since(SimTime::ZERO).as_millis_f64();
            let row = [
                i.to_string(),
                time.to_string(),
                source.clone(),
                d.instance.to_string(),
                c.address.clone(),
                c.load.to_string(),
                d.age.as_millis_f64().to_string(),
                c.score.map_or_else(String::new, |s| s.to_string()),
                c.work.as_millis_f64().to_string(),
                u8::from(d.chosen == Some(at)).to_string(),
                u8::from(d.best == at).to_string(),
                d.regret.as_millis_f64().to_string(),
            ];
            out.write_record(row).map_err(failed)?;
        }
    }
    let bytes = out.into_inner().map_err(|e| Failure::Failed(format!("the choices could not be written: {e}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn told(planned: &Planned, args: &ExplainArgs) -> Result<Story, Failure> {
    let Planned { loaded, design, specs, .. } = planned;
    let wrong = |field: &str, problem: String, fix: String| Failure::from(InputError::new(field, problem, fix));
    let counted = |n: usize| if n == 1 { "only 0".to_owned() } else { format!("0 to {}", n - 1) };
    let (Some(spec), Some(point)) = (specs.get(args.point), design.points.get(args.point)) else {
        let n = specs.len();
        let problem = format!("no design point {}: the design has {n}", args.point);
        return Err(wrong("--point", problem, format!("give {}, as `point` in runs.csv counts", counted(n))));
    };
    if args.replication >= design.replications {
        let problem = format!("no replication {}: the design has {}", args.replication, design.replications);
        return Err(wrong("--replication", problem, format!("give {}", counted(design.replications as usize))));
    }
    let names = || spec.traffic.keys().cloned().collect::<Vec<_>>().join(", ");
    let source = args.source.clone().or_else(|| spec.traffic.keys().next().cloned()).unwrap_or_default();
    if !spec.traffic.contains_key(&source) {
        return Err(wrong("--source", format!("there is no source `{source}`"), format!("name one of {}", names())));
    }
    let streams = Streams::new(design.seed, u64::from(args.replication));
    let explanation = match follow(spec, &streams, &source, args.request).map_err(|e| loaded.locate(&e, &point.fields))? {
        Followed::Ended(explanation) => *explanation,
        Followed::InFlight => {
            return Err(Failure::Failed(format!(
                "request {} of `{source}` has not ended long after the run; give the source a `timeout`, or follow another request",
                args.request
            )));
        }
        Followed::NeverSent(n) => {
            return Err(Failure::Failed(format!(
                "there is no request {} of `{source}`: it sends {n} in this run, counted from 0; follow an earlier one, or lengthen run.duration",
                args.request
            )));
        }
    };
    let levels: Map<String, Value> =
        design.factors.iter().zip(&point.levels).map(|(factor, level)| (factor.clone(), level.clone().into())).collect();
    Ok(Story {
        experiment: loaded.experiment.metadata.name.clone(),
        point: args.point,
        label: point.label(),
        levels,
        replication: args.replication,
        seed: design.seed,
        explanation,
    })
}
