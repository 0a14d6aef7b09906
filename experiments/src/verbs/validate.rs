//! `svcsim validate`: known answers against ordinary runs and calculations.

use super::Failure;
use crate::cli::{Format, ValidateArgs};
use crate::input::files::Files;
use crate::validate::{Effort, Finding, Found, Outcome, Verdict, read, validate as run_vectors};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Runs the vectors of all files and says what passed.
pub(crate) fn validate(args: &ValidateArgs) -> Result<(), Failure> {
    let mut files = Files::default();
    // All are read before any is run: bad input is told at once.
    let mut vectors = Vec::new();
    for file in &args.files {
        let text = files.read(file, "")?;
        vectors.push(read(file, &text)?);
    }
    let effort = Effort { scale: args.scale, seed: args.seed };
    let outcomes: Vec<Outcome> = vectors.into_iter().flat_map(|v| run_vectors(v, &effort)).collect();
    match args.format {
        Format::Json => println!("{}", to_json(&outcomes)),
        Format::Text => print!("{}", to_text(&outcomes)),
    }
    if outcomes.iter().any(|o| o.passed() == Some(false)) { Err(Failure::Reported) } else { Ok(()) }
}

fn totals(outcomes: &[Outcome]) -> [usize; 3] {
    [Some(true), Some(false), None].map(|passed| outcomes.iter().filter(|o| o.passed() == passed).count())
}

fn to_text(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        if let Ok(findings) = &outcome.findings {
            text += &format!("{} ({})\n", outcome.id, outcome.family);
            text.extend(findings.iter().map(line));
        }
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|o| o.passed().is_none()) {
        let reason = outcome.findings.as_ref().err().map_or("no statistic of it can be judged", String::as_str);
        reasons.entry(reason).or_default().push(&outcome.id);
    }
    for (reason, ids) in &reasons {
        text += &format!("skipped: {reason}: {}\n", ids.join(", "));
    }
    if let Some(z) = Pooled::of(outcomes) {
        text += &format!("z of one statistic of each of {} vectors: mean {:+.2}, root mean square {:.2}\n", z.vectors, z.mean, z.rms);
    }
    let [passed, failed, skipped] = totals(outcomes);
    text += &format!("{passed} passed, {failed} failed");
    text += &if skipped > 0 { format!(", {skipped} skipped\n") } else { "\n".to_owned() };
    text
}

/// Distances in standard errors, one of each vector, since the statistics of one depend on each other. Of a few hundred independent ones
/// the root mean square lies between 0.85 and 1.15: less, and standard errors are too large; more, and there is bias or dependence.
struct Pooled {
    vectors: usize,
    mean: f64,
    rms: f64,
}

impl Pooled {
    /// Fewest vectors that anything is said of.
    const FEWEST: usize = 20;

    fn of(outcomes: &[Outcome]) -> Option<Self> {
        let judged = |o: &Outcome| o.findings.as_ref().ok()?.iter().filter(|f| f.verdict.passed().is_some()).find_map(|f| f.z);
        let z: Vec<f64> = outcomes.iter().filter_map(judged).filter(|z| z.is_finite()).collect();
        let n = z.len() as f64;
        let mean = |of: &dyn Fn(f64) -> f64| z.iter().map(|z| of(*z)).sum::<f64>() / n;
        (z.len() >= Self::FEWEST).then(|| Self { vectors: z.len(), mean: mean(&|z| z), rms: mean(&|z| z * z).sqrt() })
    }
}

/// Expected, calculated or simulated with its interval of 95 % (1.96 standard errors), distance and verdict.
fn line(f: &Finding) -> String {
    let found = match &f.found {
        Found::Nothing => "found -".to_owned(),
        Found::Simulated(e) => format!("simulated {:.6} [{:.6}, {:.6}]", e.mean, e.mean - 1.96 * e.se, e.mean + 1.96 * e.se),
        Found::Calculated(value) => format!("calculated {value}"),
    };
    let expected = match (&f.found, f.expected.as_f64()) {
        (Found::Nothing | Found::Simulated(_), Some(value)) => format!("{value:.6}"),
        _ => f.expected.to_string(),
    };
    let z = f.z.map_or_else(String::new, |z| format!("  z {z:+.2}"));
    let verdict = match &f.verdict {
        Verdict::Passed => "passed".to_owned(),
        Verdict::Failed(why) => format!("FAILED: {why}"),
        Verdict::NotJudged(why) => format!("not judged: {why}"),
    };
    format!("  {:32} expected {expected}  {found}{z}  {verdict}\n", f.statistic)
}

fn to_json(outcomes: &[Outcome]) -> Value {
    let finding = |f: &Finding| {
        let (verdict, reason) = match &f.verdict {
            Verdict::Passed => ("passed", Value::Null),
            Verdict::Failed(why) => ("failed", why.as_str().into()),
            Verdict::NotJudged(why) => ("notJudged", (*why).into()),
        };
        let (simulated, calculated) = match &f.found {
            Found::Nothing => (None, None),
            Found::Simulated(estimate) => (Some(estimate), None),
            Found::Calculated(value) => (None, Some(value)),
        };
        json!({
            "statistic": f.statistic, "expected": f.expected, "calculated": calculated, "simulated": simulated.map(|e| e.mean),
            "standardError": simulated.map(|e| e.se), "z": f.z, "verdict": verdict, "reason": reason,
        })
    };
    let vector = |o: &Outcome| {
        let (findings, skipped) = match &o.findings {
            Ok(findings) => (findings.iter().map(finding).collect(), Value::Null),
            Err(reason) => (Vec::new(), reason.as_str().into()),
        };
        json!({ "id": o.id, "family": o.family, "passed": o.passed(), "findings": findings, "skipped": skipped })
    };
    let [passed, failed, skipped] = totals(outcomes);
    let z = Pooled::of(outcomes).map(|z| json!({ "vectors": z.vectors, "mean": z.mean, "rms": z.rms }));
    json!({ "passed": passed, "failed": failed, "skipped": skipped, "z": z, "vectors": outcomes.iter().map(vector).collect::<Vec<_>>() })
}
