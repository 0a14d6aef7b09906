//! `svcsim diverge`: where do two runs part? The first event that differs, and what came before it.

use super::{Failure, path_and_point, plan};
use crate::cli::DivergeArgs;
use crate::input::error::InputError;
use svcsim_engine::SimTime;
use svcsim_engine::random::Streams;
use svcsim_models::cluster::{Divergence, first_divergence};
use svcsim_models::spec::ClusterSpec;

/// Runs both side by side until they part.
pub(crate) fn diverge(args: &DivergeArgs) -> Result<(), Failure> {
    let ((a, seed_a), (b, seed_b)) = (side(&args.a, "A")?, side(&args.b, "B")?);
    let streams = |seed| Streams::new(seed, u64::from(args.replication));
    match first_divergence([&a, &b], [&streams(seed_a), &streams(seed_b)]).map_err(|e| Failure::Failed(e.to_string()))? {
        None => println!("The two runs are the same, event by event."),
        Some(found) => print!("{}", told(&found)),
    }
    Ok(())
}

/// An experiment file, or a results directory for the one in it, with `:POINT` if it is not the first.
fn side(text: &str, field: &str) -> Result<(ClusterSpec, u64), Failure> {
    let (path, point) = path_and_point(text);
    let file = if path.is_dir() { path.join("experiment.yaml") } else { path.to_owned() };
    let planned = plan(&file, &[])?;
    let n = planned.specs.len();
    let wrong = |point: &str| {
        let problem = format!("no design point {point}: the design has {n}");
        InputError::new(field, problem, format!("give FILE:POINT with a number from 0 to {}", n - 1))
    };
    let point = point.map_or(Ok(0), |p| p.parse().ok().filter(|p: &usize| *p < n).ok_or_else(|| wrong(p)))?;
    Ok((planned.specs[point].clone(), planned.design.seed))
}

fn told(found: &Divergence) -> String {
    let line = |(at, what): &(SimTime, String)| format!("  {} {what}\n", at.since(SimTime::ZERO));
    let mut text = match found.same {
        0 => "They part with the first event:\n".to_owned(),
        same => format!("The first {same} events are the same; the last of them:\n"),
    };
    found.before.iter().for_each(|event| text.push_str(&line(event)));
    if found.same > 0 {
        text.push_str("Then they part:\n");
    }
    for (name, event) in ["A", "B"].into_iter().zip(&found.then) {
        text.push_str(&format!("{name}:{}", event.as_ref().map_or_else(|| "  nothing happens any more\n".to_owned(), line)));
    }
    text
}
