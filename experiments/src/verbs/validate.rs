//! `svcsim validate`: known answers against ordinary runs and calculations.

use super::Failure;
use crate::cli::{Format, ValidateArgs};
use crate::input::files::Files;
use crate::output::provenance::Place;
use crate::output::validation::{Pooled, files as kept, skipped, totals};
use crate::validate::{Effort, Finding, Found, Outcome, Verdict, read, validate as run_vectors};
use serde_json::{Value, json};

/// Runs the vectors of all files and says what passed.
pub(crate) fn validate(args: &ValidateArgs) -> Result<(), Failure> {
    let mut files = Files::default();
    // All are read before any is run: bad input is told at once.
    let mut vectors = Vec::new();
    for file in &args.files {
        let text = files.read(file, "")?;
        vectors.push(read(file, &text)?);
    }
    let place = args.out.as_deref().map(Place::new).transpose()?;
    let effort = Effort { scale: args.scale, seed: args.seed };
    let outcomes: Vec<Outcome> = vectors.into_iter().flat_map(|v| run_vectors(v, &effort)).collect();
    if let Some(place) = place {
        let names: Vec<String> = args.files.iter().map(|f| f.display().to_string()).collect();
        let command = format!("svcsim validate {} --scale {} --seed {}", names.join(" "), args.scale, args.seed);
        let files = kept(&outcomes, &command).map_err(|e| Failure::Failed(format!("the table could not be made: {e}")))?;
        place.keep(&files)?;
    }
    match args.format {
        Format::Json => println!("{}", to_json(&outcomes)),
        Format::Text => print!("{}", to_text(&outcomes)),
    }
    if outcomes.iter().any(|o| o.passed() == Some(false)) { Err(Failure::Reported) } else { Ok(()) }
}

fn to_text(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        if let Ok(findings) = &outcome.findings {
            text += &format!("{} ({})\n", outcome.id, outcome.family);
            text.extend(findings.iter().map(line));
        }
    }
    for (reason, ids) in skipped(outcomes) {
        text += &format!("skipped: {reason}: {}\n", ids.join(", "));
    }
    if let Some(pooled) = Pooled::of(outcomes) {
        text += &format!("{}\n", pooled.sentence());
    }
    let [passed, failed, skipped] = totals(outcomes);
    text += &format!("{passed} passed, {failed} failed");
    text += &if skipped > 0 { format!(", {skipped} skipped\n") } else { "\n".to_owned() };
    text
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
        Verdict::Failed(why) | Verdict::TooLittle(why) => format!("FAILED: {why}"),
        Verdict::NotJudged(why) => format!("not judged: {why}"),
    };
    format!("  {:32} expected {expected}  {found}{z}  {verdict}\n", f.statistic)
}

fn to_json(outcomes: &[Outcome]) -> Value {
    let finding = |f: &Finding| {
        let (verdict, reason) = match &f.verdict {
            Verdict::Passed => ("passed", Value::Null),
            Verdict::Failed(why) | Verdict::TooLittle(why) => ("failed", why.as_str().into()),
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
    let z = Pooled::of(outcomes).map(|z| json!({ "vectors": z.z.len(), "mean": z.mean(), "rms": z.rms() }));
    json!({ "passed": passed, "failed": failed, "skipped": skipped, "z": z, "vectors": outcomes.iter().map(vector).collect::<Vec<_>>() })
}
