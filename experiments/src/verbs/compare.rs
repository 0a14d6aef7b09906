//! `svcsim compare`: is B better than A, and by how much?

use super::{Failure, path_and_point};
use crate::cli::{CompareArgs, Format};
use crate::expect::unknown;
use crate::input::error::InputError;
use crate::output::Results;
use crate::output::comparison::{Comparison, Side, compare as differences};
use crate::output::provenance::Provenance;
use serde_json::json;
use svcsim_engine::stats::simultaneous::bonferroni_confidence;

/// Compares two design points, or all those that two results directories have in common.
pub(crate) fn compare(args: &CompareArgs) -> Result<(), Failure> {
    let (a, b) = (Named::read(&args.a, "A")?, Named::read(&args.b, "B")?);
    let all = pairs(a, b)?;
    for metric in &args.metrics {
        let names: Vec<String> = all[0].0.results.summary.iter().map(|r| r.metric.clone()).collect();
        if !names.contains(metric) {
            return Err(unknown("--metric", "metric", metric, names.iter()).into());
        }
    }
    // All points together are as sure as one alone.
    let confidence = bonferroni_confidence(all.len() as u64, args.confidence);
    let found: Vec<Comparison> = all.iter().map(|(a, b)| differences(a, b, &args.metrics, confidence)).collect();
    match args.format {
        Format::Json => println!("{}", json!({ "comparisons": found })),
        Format::Text => {
            let texts: Vec<String> = found.iter().map(Comparison::text).collect();
            print!("{}", texts.join("\n"));
        }
    }
    Ok(())
}

/// `DIR`, or `DIR:POINT`.
struct Named {
    text: String,
    results: Results,
    point: Option<u32>,
}

impl Named {
    fn read(text: &str, field: &str) -> Result<Self, Failure> {
        let (dir, point) = path_and_point(text);
        let provenance = Provenance::read(dir).map_err(|e| wrong(field, e))?;
        let altered = provenance.differences(dir);
        if !altered.is_empty() {
            return Err(wrong(field, format!("{}: altered since it was written: {}", dir.display(), altered.join(", "))));
        }
        let results = Results::read(dir).map_err(|e| wrong(field, e))?;
        let point = point.map(|point| number(&results, point, field)).transpose()?;
        Ok(Self { text: text.to_owned(), results, point })
    }

    fn side(self, point: u32) -> Side {
        let label = self.results.about.label(point);
        Side { name: format!("{} ({label})", self.text), results: self.results, point }
    }
}

fn wrong(field: &str, problem: String) -> Failure {
    InputError::new(field, problem, "give a directory that `svcsim run` made, or DIR:POINT").into()
}

/// A point by its number or its name.
fn number(results: &Results, point: &str, field: &str) -> Result<u32, Failure> {
    let labels: Vec<String> = results.about.points.iter().map(|p| p.label.clone()).collect();
    let by_name = labels.iter().position(|l| l == point);
    let found = by_name.or_else(|| point.parse().ok().filter(|n| *n < labels.len()));
    found.map(|n| n as u32).ok_or_else(|| {
        let InputError { problem, fix, .. } = unknown(field, "design point", point, labels.iter());
        InputError::new(field, problem, format!("{fix}; or give its number, 0 to {}", labels.len().saturating_sub(1))).into()
    })
}

/// What is compared with what.
fn pairs(a: Named, b: Named) -> Result<Vec<(Side, Side)>, Failure> {
    let only = |named: &Named| named.point.or((named.results.about.points.len() == 1).then_some(0));
    if let (Some(of_a), Some(of_b)) = (only(&a), only(&b)) {
        return Ok(vec![(a.side(of_a), b.side(of_b))]);
    }
    if a.point.is_some() || b.point.is_some() {
        let problem = "one is a point, the other a directory with several";
        return Err(InputError::new("A B", problem, "give both as DIR:POINT, or neither").into());
    }
    let labels = |named: &Named| named.results.about.points.iter().map(|p| p.label.clone()).collect::<Vec<_>>();
    let (of_a, of_b) = (labels(&a), labels(&b));
    let common = |(i, label): (usize, &String)| Some((i as u32, of_b.iter().position(|l| l == label)? as u32));
    let common: Vec<(u32, u32)> = of_a.iter().enumerate().filter_map(common).collect();
    if common.is_empty() {
        let problem = "the two directories have no design point of one name in common";
        return Err(InputError::new("A B", problem, "name the points: DIR:POINT DIR:POINT").into());
    }
    let side = |named: &Named, point: u32| Side {
        name: format!("{} ({})", named.text, named.results.about.label(point)),
        results: named.results.clone(),
        point,
    };
    Ok(common.into_iter().map(|(i, j)| (side(&a, i), side(&b, j))).collect())
}
