//! `svcsim plan`: the least (or greatest) value of one field that meets an objective, found by runs.
//!
//! The objective is thought to be monotone in the field: values are halved as in a binary search. At each value runs are added, in
//! steps that double, until an interval lies wholly on one side of each limit or the budget of the value is spent; all intervals
//! of all values and steps hold together (Bonferroni), so that looking again does not find what is not there. All values meet the same
//! random numbers. What is not certain is said to be so, and counts as not met.

use super::{Failure, Planned, plan};
use crate::cli::PlanArgs;
use crate::design::range::Range;
use crate::expect::{quantity, unknown};
use crate::input::error::InputError;
use crate::input::experiment::FactorSection;
use crate::input::tree;
use crate::measures::{self, CONFIDENCE, SATURATED};
use crate::output::format::{interval, unit_of};
use crate::output::provenance::Place;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_engine::random::Streams;
use svcsim_engine::stats::proportion::clopper_pearson;
use svcsim_engine::stats::simultaneous::bonferroni_confidence;
use svcsim_engine::stats::t_interval;
use svcsim_models::cluster::run;
use svcsim_models::spec::ClusterSpec;

/// Values of a field that is not whole between its ends.
const STEPS: usize = 33;
/// Most values that are searched: 14 halvings.
const MOST_VALUES: i64 = 10_000;

/// One condition of an objective.
struct Condition {
    text: String,
    metric: String,
    unit: &'static str,
    below: bool,
    limit: f64,
}

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    NotMet,
    CannotTell,
}

impl Verdict {
    const fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::CannotTell => "cannot tell within this budget",
        }
    }
}

/// A value that was tried.
struct Tried {
    value: Value,
    verdict: Verdict,
    /// What was found of each condition: mean and ends.
    found: Vec<Option<(f64, f64, f64)>>,
    saturated: bool,
    /// Metrics by run.
    runs: Vec<BTreeMap<String, f64>>,
}

/// Searches, and writes what it found.
pub(crate) fn search(args: &PlanArgs) -> Result<(), Failure> {
    let planned = plan(&args.experiment, &args.sets)?;
    if planned.design.points.len() != 1 {
        let problem = format!("the design has {} points, and one field of one is searched", planned.design.points.len());
        return Err(InputError::new("design.factors", problem, "leave the factors out, or name a subset of one point").into());
    }
    let conditions = objective(&args.slo)?;
    let range = FactorSection {
        path: Some(args.vary.clone()),
        from: Some(args.from.clone()),
        to: Some(args.to.clone()),
        ..FactorSection::default()
    };
    let values = values(&range, args.steps)?;
    let fewest = planned.design.replications.max(2);
    if args.most < fewest {
        let problem = format!("{} runs; the design asks for {fewest} at least", args.most);
        return Err(InputError::new("--most", problem, "give more, or fewer design.replications").into());
    }
    // Every field is known to be sound before anything runs.
    for value in [&values[0], &values[values.len() - 1]] {
        spec(&planned, args, value)?;
    }
    let name = format!("{}-plan", planned.loaded.experiment.metadata.name);
    let place = Place::find(args.out.as_deref(), &name, &planned.loaded)?;
    let looks = looks(values.len(), fewest, args.most);
    let each = bonferroni_confidence((looks * conditions.len()) as u64, CONFIDENCE);
    let mut tried: BTreeMap<usize, Tried> = BTreeMap::new();
    let mut attempt = |i: usize| -> Result<bool, Failure> {
        let found = examine(&planned, args, &values[i], &conditions, (fewest, args.most), each)?;
        let met = found.verdict == Verdict::Met;
        tried.insert(i, found);
        Ok(met)
    };
    let answer = halve(values.len(), args.largest, &mut attempt)?;
    let text = told(args, &conditions, &values, &tried, answer, each);
    let answered = answer.map(|i| &values[i]);
    place.keep(&files(&text, args, &planned, &tried, answered)?)?;
    print!("{text}\nEvidence: {}{}\n", place.dir.display(), place.note);
    if answer.is_some() { Ok(()) } else { Err(Failure::Reported) }
}

/// The first index at which `met` holds, or the last one if `largest`; none if at none of those that were tried.
fn halve(n: usize, largest: bool, met: &mut dyn FnMut(usize) -> Result<bool, Failure>) -> Result<Option<usize>, Failure> {
    let at = |k: usize| if largest { n - 1 - k } else { k };
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if met(at(middle))? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok((low < n).then(|| at(low)))
}

/// How often a search looks at most, over all values.
fn looks(values: usize, fewest: u32, most: u32) -> usize {
    let halvings = values.ilog2() as usize + 1;
    let steps = (most / fewest).max(1).ilog2() as usize + 2;
    halvings * steps
}

/// `p99<50ms,errors<0.1%`
fn objective(text: &str) -> Result<Vec<Condition>, InputError> {
    let known = measures::known();
    let wrong = |problem: String, fix: &str| InputError::new("--slo", problem, fix);
    let condition = |part: &str| {
        let part = part.trim();
        let at = part.find(['<', '>']).ok_or_else(|| wrong(format!("`{part}` is no condition"), "write e.g. 'p99<50ms,errors<0.1%'"))?;
        let (name, rest) = (part[..at].trim(), part[at + 1..].trim_start_matches('=').trim());
        let metric = match name {
            "mean" | "p50" | "p90" | "p99" | "p999" => format!("latency_{name}"),
            "errors" => "error_rate".to_owned(),
            other => other.to_owned(),
        };
        let unit = known.iter().find(|(name, _)| *name == metric).map(|(_, unit)| *unit);
        let unit = unit.ok_or_else(|| unknown("--slo", "metric", name, known.iter().map(|(name, _)| name)))?;
        let number = rest.parse::<f64>().map_or_else(|_| Value::from(rest), Value::from);
        let limit = quantity(&number, unit).map_err(|(problem, fix)| wrong(problem, &fix))?;
        Ok(Condition { text: part.to_owned(), metric, unit, below: part[at..].starts_with('<'), limit })
    };
    text.split(',').map(condition).collect()
}

/// The values between both ends, in order.
fn values(range: &FactorSection, steps: Option<usize>) -> Result<Vec<Value>, InputError> {
    let parsed = Range::of(range, "--vary").map_err(|e| InputError::new(flag(&e.field), e.problem.clone(), e.fix.clone()))?;
    let parsed = parsed.ok_or_else(|| InputError::new("--vary", "no range", "give --from and --to"))?;
    let whole = range.from.as_ref().and_then(Value::as_i64).zip(range.to.as_ref().and_then(Value::as_i64));
    let at = |coordinate: f64| parsed.at(coordinate).1.remove(0).1;
    let mut values: Vec<Value> = match whole {
        Some((from, to)) if to - from >= MOST_VALUES => {
            let problem = format!("{} values lie between {from} and {to}", to - from + 1);
            return Err(InputError::new("--to", problem, format!("give fewer than {MOST_VALUES}")));
        }
        Some((from, to)) => (from..=to).map(Value::from).collect(),
        None => {
            let n = steps.unwrap_or(STEPS).clamp(2, MOST_VALUES as usize);
            (0..n).map(|i| at(i as f64 / (n - 1) as f64)).collect()
        }
    };
    values.dedup();
    Ok(values)
}

/// `--vary.from` is what a user knows as `--from`.
fn flag(field: &str) -> String {
    match field.rsplit_once('.') {
        Some((_, key @ ("from" | "to"))) => format!("--{key}"),
        _ => "--vary".to_owned(),
    }
}

fn spec(planned: &Planned, args: &PlanArgs, value: &Value) -> Result<ClusterSpec, Failure> {
    let mut fields = planned.design.points[0].fields.clone();
    fields.push((args.vary.clone(), value.clone()));
    let spec = planned.loaded.spec(&fields)?;
    svcsim_models::cluster::check(&spec).map_err(|e| planned.loaded.locate(&e, &fields))?;
    Ok(spec)
}

/// Runs a value until it is known to meet the objective or not, or its budget is spent.
fn examine(
    planned: &Planned,
    args: &PlanArgs,
    value: &Value,
    conditions: &[Condition],
    (fewest, most): (u32, u32),
    confidence: f64,
) -> Result<Tried, Failure> {
    let spec = spec(planned, args, value)?;
    let mut runs: Vec<BTreeMap<String, f64>> = Vec::new();
    let mut until = fewest;
    loop {
        let one = |r: u32| -> Result<BTreeMap<String, f64>, Failure> {
            let streams = Streams::new(planned.design.seed, u64::from(r));
            let result = run(&spec, &streams, &|| true).map_err(|e| planned.loaded.locate(&e, &[]))?.ok_or(Failure::Interrupted)?;
            Ok(measures::by_name(&result, planned.loaded.experiment.slo.as_ref()))
        };
        let more: Vec<_> = (runs.len() as u32..until).into_par_iter().map(one).collect::<Result<_, _>>()?;
        runs.extend(more);
        let found: Vec<_> = conditions.iter().map(|c| estimate(&c.metric, &runs, confidence)).collect();
        let saturated = estimate("utilisation", &runs, confidence).is_some_and(|(busy, _, _)| busy > SATURATED);
        let verdict = judge(conditions, &found, saturated);
        if verdict != Verdict::CannotTell || until >= most {
            return Ok(Tried { value: value.clone(), verdict, found, saturated, runs });
        }
        until = until.saturating_mul(2).min(most);
    }
}

/// Mean and interval of a metric. Where nothing was ever lost, the upper end is what as many requests without a loss still allow.
fn estimate(metric: &str, runs: &[BTreeMap<String, f64>], confidence: f64) -> Option<(f64, f64, f64)> {
    let values: Vec<f64> = runs.iter().filter_map(|r| r.get(metric).copied()).collect();
    let i = t_interval(&values, confidence)?;
    let none_lost = metric == "error_rate" && values.iter().all(|v| *v == 0.0);
    let requests = || runs.iter().filter_map(|r| r.get("requests")).sum::<f64>() as u64;
    let bound = if none_lost { clopper_pearson(0, requests(), confidence).map_or(1.0, |i| i.high) } else { i.high };
    Some((i.mean, i.low, bound))
}

/// All conditions must be met; one that is not is enough. Latencies of saturated Pods only say that the objective is missed.
fn judge(conditions: &[Condition], found: &[Option<(f64, f64, f64)>], saturated: bool) -> Verdict {
    let of = |(c, found): (&Condition, &Option<(f64, f64, f64)>)| match (found, c.below) {
        (None, _) => Verdict::CannotTell,
        (Some((_, _, high)), true) if *high < c.limit => Verdict::Met,
        (Some((_, low, _)), true) if *low >= c.limit => Verdict::NotMet,
        (Some((_, low, _)), false) if *low > c.limit => Verdict::Met,
        (Some((_, _, high)), false) if *high <= c.limit => Verdict::NotMet,
        _ => Verdict::CannotTell,
    };
    let verdicts: Vec<Verdict> = conditions.iter().zip(found).map(of).collect();
    match verdicts {
        _ if verdicts.contains(&Verdict::NotMet) => Verdict::NotMet,
        _ if verdicts.contains(&Verdict::CannotTell) || saturated => Verdict::CannotTell,
        _ => Verdict::Met,
    }
}

fn told(
    args: &PlanArgs,
    conditions: &[Condition],
    values: &[Value],
    tried: &BTreeMap<usize, Tried>,
    answer: Option<usize>,
    each: f64,
) -> String {
    let objective = conditions.iter().map(|c| c.text.clone()).collect::<Vec<_>>().join(" and ");
    let extreme = if args.largest { "greatest" } else { "least" };
    let shown = |i: usize| tree::shown(&values[i]);
    let unsure: Vec<String> = tried.iter().filter(|(_, t)| t.verdict == Verdict::CannotTell).map(|(i, _)| shown(*i)).collect();
    let mut text = match answer {
        Some(i) => format!("{} = {} is the {extreme} value that is known to meet {objective}.\n", args.vary, shown(i)),
        None => format!("No value of {} from {} to {} is known to meet {objective}.\n", args.vary, shown(0), shown(values.len() - 1)),
    };
    if !unsure.is_empty() {
        text.push_str(&format!("Cannot tell within {} runs each: {}; --most allows more.\n", args.most, unsure.join(", ")));
    }
    if !is_monotone(tried, args.largest) {
        text.push_str("The objective is not monotone in this field: a value beyond one that meets it does not. Look at the evidence.\n");
    }
    text.push('\n');
    for t in tried.values() {
        let found = conditions.iter().zip(&t.found).map(|(c, f)| match f {
            Some((mean, low, high)) => format!("{} {}", c.metric, interval(*mean, Some((*low, *high)), unit_of(&c.metric, c.unit))),
            None => format!("{} is not there", c.metric),
        });
        let found = found.collect::<Vec<_>>().join(", ");
        let saturated = if t.saturated { ", Pods saturated" } else { "" };
        text.push_str(&format!("  {}: {} ({} runs: {found}{saturated})\n", tree::shown(&t.value), t.verdict.words(), t.runs.len()));
    }
    text.push_str(&format!(
        "\nAll values met the same random numbers. Intervals have {:.2}% each, so that all of them, at every look, hold together with 95%.\n",
        100.0 * each
    ));
    text
}

/// Whether nothing fails beyond what is met.
fn is_monotone(tried: &BTreeMap<usize, Tried>, largest: bool) -> bool {
    let mut verdicts: Vec<Verdict> = tried.values().map(|t| t.verdict).collect();
    if largest {
        verdicts.reverse();
    }
    let first_met = verdicts.iter().position(|v| *v == Verdict::Met).unwrap_or(verdicts.len());
    !verdicts[first_met..].contains(&Verdict::NotMet)
}

/// The answer and every run behind it, as files.
fn files(
    text: &str,
    args: &PlanArgs,
    planned: &Planned,
    tried: &BTreeMap<usize, Tried>,
    answer: Option<&Value>,
) -> Result<[(&'static str, Vec<u8>); 4], Failure> {
    let failed = |e: std::io::Error| Failure::Failed(format!("the evidence could not be written: {e}"));
    let mut runs = csv::Writer::from_writer(Vec::new());
    runs.write_record(["value", "replication", "metric", "number"]).map_err(|e| failed(e.into()))?;
    for t in tried.values() {
        for (r, metrics) in t.runs.iter().enumerate() {
            for (metric, number) in metrics {
                let row = [tree::shown(&t.value), r.to_string(), metric.clone(), number.to_string()];
                runs.write_record(row).map_err(|e| failed(e.into()))?;
            }
        }
    }
    let verdict = |t: &Tried| json!({"value": t.value, "verdict": t.verdict.words(), "runs": t.runs.len(), "saturated": t.saturated});
    let said = json!({
        "objective": args.slo, "vary": args.vary, "answer": answer, "values": tried.values().map(verdict).collect::<Vec<_>>(),
        "seed": planned.design.seed, "version": env!("CARGO_PKG_VERSION"),
    });
    Ok([
        ("plan-runs.csv", runs.into_inner().map_err(|e| failed(e.into_error()))?),
        ("plan.json", format!("{said:#}\n").into_bytes()),
        ("experiment.yaml", planned.loaded.resolved_yaml().into_bytes()),
        ("plan.txt", text.as_bytes().to_vec()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_finds_the_edge_in_few_steps() {
        for n in 1..40 {
            for edge in 0..=n {
                let mut asked = 0;
                let mut met = |i: usize| {
                    asked += 1;
                    Ok(i >= edge)
                };
                let found = halve(n, false, &mut met).map_err(|_| "no runs here").expect("it cannot fail");
                assert_eq!(found, (edge < n).then_some(edge));
                assert!(asked <= n.ilog2() as usize + 1, "{asked} of {n}");
                let found = halve(n, true, &mut |i| Ok(i < edge)).map_err(|_| "no runs here").expect("it cannot fail");
                assert_eq!(found, edge.checked_sub(1));
            }
        }
    }

    #[test]
    fn objectives_are_read_with_their_units() {
        let read = |text| objective(text).map(|c| c.iter().map(|c| (c.metric.clone(), c.below, c.limit)).collect::<Vec<_>>());
        let expected =
            vec![("latency_p99".to_owned(), true, 50.0), ("error_rate".to_owned(), true, 0.001), ("throughput".to_owned(), false, 90.0)];
        assert_eq!(read("p99<50ms, errors <= 0.1%,throughput>90").ok(), Some(expected));
        for wrong in ["p99", "p98<5ms", "p99<5%", "errors<lots", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_condition_that_fails_is_enough_and_all_must_be_sure() {
        let conditions = objective("p99<50ms,errors<1%").map_err(|_| "no").expect("sound");
        let judge = |p99, errors, saturated| judge(&conditions, &[Some(p99), errors], saturated);
        let few = Some((0.001, 0.0, 0.002));
        assert_eq!(judge((40.0, 35.0, 45.0), few, false), Verdict::Met);
        assert_eq!(judge((40.0, 35.0, 45.0), few, true), Verdict::CannotTell, "a longer run would have found more");
        assert_eq!(judge((40.0, 35.0, 51.0), few, false), Verdict::CannotTell);
        assert_eq!(judge((60.0, 51.0, 70.0), None, false), Verdict::NotMet);
        assert_eq!(judge((40.0, 35.0, 45.0), None, false), Verdict::CannotTell);
    }

    #[test]
    fn no_loss_in_few_requests_proves_little() {
        let runs = |n: f64| vec![BTreeMap::from([("error_rate".to_owned(), 0.0), ("requests".to_owned(), n)]); 10];
        let (_, low, high) = estimate("error_rate", &runs(100.0), 0.95).expect("ten runs");
        assert!(low == 0.0 && (0.002..0.005).contains(&high), "{high}: about 3.7 in 1000");
        assert!(estimate("error_rate", &runs(1e6), 0.95).expect("ten runs").2 < 1e-6);
    }
}
