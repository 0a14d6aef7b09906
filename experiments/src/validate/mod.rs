//! Known answers: vectors of queueing and load-balancing theory become ordinary runs, and what these find is compared with
//! what is known.
//!
//! A family of vectors is one line in [`FAMILIES`] and one function in a file below, which makes a [`Plan`] of a vector's
//! parameters; a family of calculations is one in [`FUNCTIONS`], whose function makes the results. Nothing depends on a vector's id or values; what a run cannot express is skipped, with the reason.

mod calls;
mod churn;
mod draws;
mod failures;
mod functions;
mod judge;
mod outside;
mod queues;
mod removals;
mod selection;
mod shares;
mod sources;
mod testbed;
mod tries;
mod watched;
mod world;

pub(crate) use judge::{Finding, Found, K, Verdict};

use crate::input::error::{InputError, Span};
use crate::input::files::Files;
use functions::Function;
use judge::{Estimate, judge, judge_calculated};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use svcsim_engine::random::{Streams, entity};
use svcsim_models::cluster::run;
use svcsim_models::record::RunResult;
use svcsim_models::spec::ClusterSpec;

/// The schema of the files that are understood.
const SCHEMA: &str = "svcsim-theory-vectors/1";
/// Fewest replications that a standard error is believed of.
const FEWEST_REPLICATIONS: u64 = 20;

/// Times as many replications judge a vector, once and for all, of which the first ones told too little.
const AGAIN: u64 = 4;

/// Makes runs of a vector, or says why it cannot.
type Plans = fn(&Vector, &Effort) -> Result<Plan, String>;

/// Draws of a vector, or why there can be none.
type Draws = fn(&Vector) -> Result<Box<Draw>, String>;

/// The values of one draw, given its chance.
type Draw = dyn Fn(&Streams) -> Result<BTreeMap<&'static str, f64>, String> + Sync;

/// Every family of vectors that runs can express.
const FAMILIES: &[(&str, Plans)] = &[
    ("M/M/1", queues::plan),
    ("M/M/c", queues::plan),
    ("M/M/c/K", queues::plan),
    ("M/G/c/c (Erlang B)", queues::plan),
    ("M/G/1 FIFO", queues::plan),
    ("M/G/1 processor sharing", queues::plan),
    ("M/D/c", queues::plan),
    ("random split", queues::plan),
    ("Jackson network with feedback", queues::feedback),
    ("M/M/1 with server breakdowns", queues::breakdowns),
    ("GI/M/1", sources::plan),
    ("GI/M/c", sources::plan),
    ("GI/GI/1", sources::plan),
    ("MMPP/M/c", sources::plan),
    ("batch arrivals M^[b]/G/1", sources::plan),
    ("closed loop (machine repairman)", sources::plan),
    ("round robin to n pods", sources::plan),
    ("independent round robin at several proxies", sources::plan),
    ("weighted random choice, unequal pods", sources::plan),
    ("state-dependent choice, exact chain", sources::plan),
    ("least connections with only local knowledge", sources::plan),
    ("power of d choices (supermarket model)", sources::plan),
    ("join idle queue", sources::plan),
    ("fork-join of two M/M/1", calls::fork_join),
    ("fan-out, no queueing", calls::fan_out),
    ("hedged requests, no queueing", tries::hedging),
    ("timeout and retry, no queueing", tries::retry),
    ("tandem (Jackson)", outside::tandem),
    ("externalTrafficPolicy Local with queueing", outside::external_local),
    ("M/M/1 from empty", watched::transient),
    ("M_t/M/infinity", watched::sine),
    ("session affinity timeout", watched::affinity_timeout),
    ("requests to a removed pod", removals::stale),
    ("rolling update, errors from stale endpoints", removals::rolling),
    ("graceful termination", removals::drain),
    ("failing pods with delayed detection", failures::plan),
    ("M/G/1 with setup (scale from zero)", queues::cold_starts),
    ("pods come and go", churn::pods),
    ("persistent connections and pod churn", churn::connections),
];

/// Every family of vectors in which nothing takes time: a policy chooses, and what it chose is counted.
const DRAWS: &[(&str, Draws)] = &[
    ("balls into bins / persistent connections", draws::balls),
    ("two choices, static", draws::balls),
    ("consistent-hash ring", draws::ring),
    ("Maglev table statistics", draws::maglev),
    ("session affinity with skewed clients", draws::skewed_clients),
    ("keys that move when a pod leaves", draws::keys_that_move),
];

/// Every family of vectors that are calculations.
const FUNCTIONS: &[(&str, Function)] = &[
    ("balance statistics", functions::balance),
    ("MSER-5 truncation", functions::truncation),
    ("t confidence interval over replications", functions::mean_interval),
    ("quantile interval from order statistics", functions::order_statistics),
    ("sample quantiles", functions::sample_quantiles),
    ("paired difference with common random numbers", functions::paired_difference),
    ("interval for an error rate", functions::error_rate),
    ("batch means", functions::batches),
    ("replications needed", functions::replications),
    ("many comparisons at once", functions::simultaneous),
    ("log-linear histogram error bound", functions::buckets),
    ("iptables probability chain", selection::iptables_chain),
    ("nftables numgen random mod n", selection::nftables_numgen),
    ("weighted round robin", selection::weighted_turns),
    ("Maglev table", selection::maglev),
    ("hop and zone shares per policy", shares::by_policy),
    ("externalTrafficPolicy Local", shares::external_local),
];

/// How much of the suggested work is done, and by which random numbers.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Share of the suggested requests, or of the replications where no requests are suggested.
    pub(crate) scale: f64,
    /// Keys every random stream.
    pub(crate) seed: u64,
}

/// One vector, as far as it concerns a run.
struct Vector {
    id: String,
    family: String,
    params: Map<String, Value>,
    expected: Map<String, Value>,
    run: Map<String, Value>,
}

/// The statistics of one replication, by name, from its runs.
type Measure = dyn Fn(&[RunResult]) -> BTreeMap<&'static str, f64> + Sync;

/// What a replication runs, and what is read off its results.
struct Plan {
    /// Run once in each replication, with the same random numbers.
    specs: Vec<ClusterSpec>,
    replications: u64,
    /// Requests done over requests suggested, of which standard errors depend.
    share: f64,
    /// The value of each statistic in one replication.
    measure: Box<Measure>,
}

/// Runs in steady state.
struct LongRuns {
    /// Not measured, s.
    warm_up: f64,
    /// Of the whole run, s.
    duration: f64,
    replications: u64,
    /// Requests done over requests suggested.
    share: f64,
}

impl LongRuns {
    /// The plan to run `spec` so, of which `measure` finds the statistics.
    fn plan(&self, spec: ClusterSpec, measure: impl Fn(&RunResult) -> BTreeMap<&'static str, f64> + Sync + 'static) -> Plan {
        Plan {
            specs: vec![spec],
            replications: self.replications,
            share: self.share,
            measure: Box::new(move |results| results.first().map(&measure).unwrap_or_default()),
        }
    }
}

/// What became of one vector.
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) family: String,
    /// Statistic by statistic; or why there are none.
    pub(crate) findings: Result<Vec<Finding>, String>,
}

impl Outcome {
    /// Passed or failed; `None` if nothing could be judged.
    pub(crate) fn passed(&self) -> Option<bool> {
        let findings = self.findings.as_ref().ok()?;
        let judged = || findings.iter().filter_map(|f| f.verdict.passed());
        judged().next()?;
        Some(judged().all(|passed| passed))
    }
}

/// Vectors known to be of the documented shape.
pub(crate) struct Vectors(Vec<Entry>, testbed::Constants);

enum Entry {
    Runs(Vector),
    Calculates(Vector),
    Measured(testbed::Measurement),
    Skipped { id: String, family: String, reason: &'static str },
}

/// Reads the vectors in `text`, which came from `file`: one JSON document, or one measurement a line in `.jsonl`.
///
/// # Errors
/// The file is not of the documented shape.
pub(crate) fn read(file: &Path, text: &str) -> Result<Vectors, InputError> {
    if file.extension().is_some_and(|e| e == "jsonl") {
        return read_lines(file, text);
    }
    let wrong = |field: &str, problem: &str, fix: &str| InputError::new(field, problem, fix).in_file(file, text.into(), None);
    let document: Value = serde_json::from_str(text).map_err(|e| not_json(file, text, &e, 0))?;
    match document.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        found => {
            let found = found.map_or_else(|| "missing".to_owned(), |s| format!("`{s}`"));
            return Err(wrong("schema", &format!("{found}; expected `{SCHEMA}`"), "give a file of known answers of that schema"));
        }
    }
    let Some(vectors) = document.get("vectors").and_then(Value::as_array) else {
        return Err(wrong("vectors", "missing, or no list", "give `\"vectors\": [...]`"));
    };
    let entry = |(i, v): (usize, &Value)| entry(v).map_err(|(key, problem)| wrong(&format!("vectors[{i}].{key}"), problem, "correct it"));
    vectors.iter().enumerate().map(entry).collect::<Result<_, _>>().map(|entries| Vectors(entries, testbed::Constants::default()))
}

/// Measurements of a testbed; its own delays stand in `constants.json` beside the file.
fn read_lines(file: &Path, text: &str) -> Result<Vectors, InputError> {
    let mut entries = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let measurement: Value = serde_json::from_str(line).map_err(|e| not_json(file, text, &e, i))?;
        let measurement = testbed::Measurement::deserialize(&measurement).map_err(|e| {
            let at = Span { line: i + 1, column: 1, length: 1 };
            let error =
                InputError::new("", format!("not a measurement: {e}"), "give one JSON object a line, with `id`, `exp` and `params`");
            error.in_file(file, text.into(), Some(at))
        })?;
        entries.push(Entry::Measured(measurement));
    }
    let beside = file.with_file_name("constants.json");
    if !beside.exists() {
        return Ok(Vectors(entries, testbed::Constants::default()));
    }
    let text = Files::default().read(&beside, "")?;
    let constants = serde_json::from_str(&text).map_err(|e| not_json(&beside, &text, &e, 0))?;
    Ok(Vectors(entries, constants))
}

fn not_json(file: &Path, text: &str, error: &serde_json::Error, lines_before: usize) -> InputError {
    let at = Span { line: lines_before + error.line().max(1), column: error.column().max(1), length: 1 };
    InputError::new("", format!("not JSON: {error}"), "give a file of known answers").in_file(file, text.into(), Some(at))
}

fn entry(vector: &Value) -> Result<Entry, (&'static str, &'static str)> {
    let text = |key: &'static str| vector.get(key).and_then(Value::as_str).map(str::to_owned).ok_or((key, "missing, or no text"));
    let (id, family) = (text("id")?, text("family")?);
    let map = |key: &'static str| vector.get(key).and_then(Value::as_object).cloned().ok_or((key, "missing, or no object"));
    let kind = vector.get("kind").map(|kind| kind.as_str().unwrap_or_default());
    let run = match kind {
        None => map("run")?,
        Some("function") => Map::new(),
        Some(_) => return Ok(Entry::Skipped { id, family, reason: "neither a simulation nor a function" }),
    };
    let vector = Vector { id, family, params: map("params")?, expected: map("expected")?, run };
    if vector.expected.values().any(|e| e.get("value").is_none() || e.get("kind").and_then(Value::as_str).is_none()) {
        return Err(("expected", "a statistic without `value` or `kind`"));
    }
    Ok(if kind.is_some() { Entry::Calculates(vector) } else { Entry::Runs(vector) })
}

/// Runs all vectors, one after another, each with its replications in parallel.
pub(crate) fn validate(vectors: Vectors, effort: &Effort) -> Vec<Outcome> {
    let constants = vectors.1;
    let outcome = |entry| match entry {
        Entry::Measured(m) => Outcome { findings: testbed::findings(&m, &constants, effort), id: m.id, family: m.exp },
        Entry::Skipped { id, family, reason } => Outcome { id, family, findings: Err(reason.to_owned()) },
        Entry::Calculates(vector) => Outcome { findings: calculated(&vector, effort), id: vector.id, family: vector.family },
        Entry::Runs(vector) => Outcome { findings: findings(&vector, effort), id: vector.id, family: vector.family },
    };
    vectors.0.into_iter().map(outcome).collect()
}

fn findings(vector: &Vector, effort: &Effort) -> Result<Vec<Finding>, String> {
    if let Some(findings) = drawn(vector, effort) {
        return findings;
    }
    let Some((_, plans)) = FAMILIES.iter().find(|(family, _)| *family == vector.family) else {
        return Err(format!("no run expresses the family `{}` yet", vector.family));
    };
    let plan = plans(vector, effort)?;
    let replication = |r: u64| -> Result<BTreeMap<&'static str, f64>, String> {
        // Vectors share no random numbers, so that their verdicts are independent.
        let streams = Streams::new(effort.seed ^ entity(&vector.id), r);
        let results: Result<Vec<RunResult>, String> = plan
            .specs
            .iter()
            .map(|spec| run(spec, &streams, &|| true).map_err(|e| e.to_string())?.ok_or_else(|| "interrupted".to_owned()))
            .collect();
        Ok((plan.measure)(&results?))
    };
    let mut samples: Vec<_> = (0..plan.replications).into_par_iter().map(replication).collect::<Result<_, _>>()?;
    let found = judged(vector, &samples, plan.share);
    if !found.iter().any(|f| matches!(f.verdict, Verdict::TooLittle(_))) {
        return Ok(found);
    }
    // A standard error is an estimate too: of 20 replications it is known to 16 % at best, and now and then by chance too large.
    let more: Vec<_> = (plan.replications..plan.replications * AGAIN).into_par_iter().map(replication).collect::<Result<_, _>>()?;
    samples.extend(more);
    Ok(judged(vector, &samples, plan.share * AGAIN as f64))
}

/// The verdicts on replications of which `share` of what is suggested was done.
fn judged(vector: &Vector, samples: &[BTreeMap<&'static str, f64>], share: f64) -> Vec<Finding> {
    let suggested = vector.run.get("se").and_then(Value::as_object);
    let finding = |(name, expected): (&String, &Value)| {
        let estimate = Estimate::of_statistic(name, samples);
        let se = suggested.and_then(|s| s.get(name)).and_then(Value::as_f64);
        judge(name, expected, estimate, se.map(|se| se / share.sqrt()))
    };
    vector.expected.iter().map(finding).collect()
}

/// By draws, if the vector's family is one of these.
fn drawn(vector: &Vector, effort: &Effort) -> Option<Result<Vec<Finding>, String>> {
    let (_, draws) = DRAWS.iter().find(|(family, _)| *family == vector.family)?;
    Some(draws(vector).and_then(|draw| draws::findings(vector, &*draw, effort)))
}

/// By a function; what is known exactly of hashes, of which a policy's are a sample, by draws.
fn calculated(vector: &Vector, effort: &Effort) -> Result<Vec<Finding>, String> {
    if let Some(findings) = drawn(vector, effort) {
        return findings;
    }
    let Some((_, function)) = FUNCTIONS.iter().find(|(family, _)| *family == vector.family) else {
        return Err(format!("no function calculates the family `{}` yet", vector.family));
    };
    let mut results = function(&vector.params)?;
    Ok(vector.expected.iter().map(|(name, expected)| judge_calculated(name, expected, results.remove(name))).collect())
}

impl Vector {
    /// A number of its parameters.
    fn number(&self, key: &str) -> Result<f64, String> {
        let value = self.params.get(key).ok_or_else(|| format!("no parameter `{key}`"))?;
        value.as_f64().filter(|v| *v >= 0.0).ok_or_else(|| format!("parameter `{key}` is no number of at least 0"))
    }

    /// A whole number from 1 to 10000 of its parameters.
    fn count(&self, key: &str) -> Result<u32, String> {
        let value = self.number(key)?;
        let whole = value.fract() == 0.0 && (1.0..=10_000.0).contains(&value);
        if whole { Ok(value as u32) } else { Err(format!("parameter `{key}` is no whole number from 1 to 10000")) }
    }

    /// A vector with a parameter that nobody reads would be another model than the one that is run.
    fn knows_only(&self, keys: &[&str]) -> Result<(), String> {
        match self.params.keys().find(|k| !keys.contains(&k.as_str())) {
            Some(key) => Err(format!("parameter `{key}` is not known in this family")),
            None => Ok(()),
        }
    }

    fn suggested(&self, key: &str) -> Option<f64> {
        self.run.get(key).and_then(Value::as_f64).filter(|v| *v >= 0.0)
    }

    /// As many as it suggests, and at least [`FEWEST_REPLICATIONS`].
    fn replications(&self) -> u64 {
        self.suggested("replications").unwrap_or(0.0).max(FEWEST_REPLICATIONS as f64) as u64
    }

    /// How long and how often to run a vector to which `rate` requests a second come: as it suggests, and before that what is discarded.
    fn long_runs(&self, rate: f64, effort: &Effort) -> Result<LongRuns, String> {
        let suggested = self.suggested("requests_per_replication").ok_or("no suggestion of how many requests to run")?;
        let discarded = self.suggested("discard_first").unwrap_or(0.0).min(suggested);
        let warm_up = discarded / rate;
        let replications = self.replications() as f64;
        let asked = self.suggested("replications").unwrap_or(replications).max(1.0);
        Ok(LongRuns {
            warm_up,
            duration: warm_up + suggested * effort.scale / rate,
            replications: self.replications(),
            share: effort.scale * replications / asked,
        })
    }

    /// Replications of a vector whose replications are short: scaled, at least [`FEWEST_REPLICATIONS`]; and what share that is.
    fn short_replications(&self, effort: &Effort) -> (u64, f64) {
        let suggested = self.suggested("replications").unwrap_or(1_000.0).max(1.0);
        let done = (suggested * effort.scale).ceil().max(FEWEST_REPLICATIONS as f64);
        (done as u64, done / suggested)
    }
}
