//! Expectations: claims of an experiment file about its own results, judged when a run is over.
//!
//! A claim is judged by the mean over replications with its confidence interval, so that it holds beyond noise; two design points
//! are compared replication by replication, since both meet the same random requests. With a single replication there is no
//! interval, and the value itself is judged.

use crate::design::Design;
use crate::input::error::InputError;
use crate::input::experiment::{ExpectSection, Experiment};
use crate::input::tree;
use crate::measures::{self, CONFIDENCE};
use crate::output::format::{interval, number, unit_of};
use crate::output::tables::{About, Results, Verdict};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use svcsim_engine::SimDuration;
use svcsim_engine::stats::t_interval;

/// Cases that a verdict names one by one.
const NAMED: usize = 4;

/// A claim that is known to make sense: its names exist and its numbers are in the metric's unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    text: String,
    metric: String,
    unit: &'static str,
    series: String,
    cases: Vec<Case>,
    test: Test,
}

/// A design point, and the one that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    point: u32,
    base: Option<u32>,
}

/// What must hold of a mean, a mean difference or a ratio of means.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Test {
    relation: Relation,
    ratio: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Above(f64),
    Below(f64),
    Within(f64, f64),
    Equals(f64),
}

/// The claims of an experiment.
///
/// # Errors
/// A name that the experiment does not have, or a claim without one sound condition.
pub(crate) fn claims(experiment: &Experiment, design: &Design) -> Result<Vec<Claim>, InputError> {
    experiment.expect.iter().enumerate().map(|(i, section)| claim(section, &format!("expect[{i}]"), experiment, design)).collect()
}

/// Whether what is to be ranked exists.
///
/// # Errors
/// A name that the experiment does not have.
pub(crate) fn check_ranking(experiment: &Experiment, design: &Design) -> Result<(), InputError> {
    let Some(ranking) = &experiment.ranking else { return Ok(()) };
    let Some(at) = design.factors.iter().position(|f| *f == ranking.factor) else {
        return Err(unknown("ranking.factor", "factor", &ranking.factor, design.factors.iter()));
    };
    let known = measures::known();
    if !known.iter().any(|(name, _)| *name == ranking.metric) {
        return Err(unknown("ranking.metric", "metric", &ranking.metric, known.iter().map(|(name, _)| name)));
    }
    let levels = known_levels(design, at);
    match ranking.controls.iter().position(|c| !levels.contains(c)) {
        Some(i) => Err(unknown(&format!("ranking.controls[{i}]"), "level", &ranking.controls[i], levels.into_iter())),
        None => Ok(()),
    }
}

/// Every level of a factor: those of the points, and those that this part of the design does without.
fn known_levels(design: &Design, factor: usize) -> BTreeSet<&String> {
    design.points.iter().map(|p| &p.levels[factor]).chain(&design.levels[factor]).collect()
}

fn claim(section: &ExpectSection, field: &str, experiment: &Experiment, design: &Design) -> Result<Claim, InputError> {
    let known = measures::known();
    let unit = known.iter().find(|(name, _)| *name == section.metric).map(|(_, unit)| *unit);
    let unit = unit.ok_or_else(|| unknown(&format!("{field}.metric"), "metric", &section.metric, known.iter().map(|(name, _)| name)))?;
    if section.metric == "error_budget_burned" && experiment.slo.is_none() {
        let problem = "the error budget is unknown: the experiment has no service level objective";
        return Err(InputError::new(format!("{field}.metric"), problem, "add `slo: {availability: 99.9%}`"));
    }
    let cases = cases(section, field, design)?;
    if cases.is_empty() && experiment.design.subset.is_none() {
        let problem = "the claim is about no design point: none that is run has these levels, or what it is compared with is not run";
        return Err(InputError::new(field, problem, "name other levels, or let the design have these"));
    }
    Ok(Claim {
        text: section.claim.clone(),
        metric: section.metric.clone(),
        unit,
        series: series(section, field, experiment)?,
        cases,
        test: test(section, field, unit)?,
    })
}

/// An error about a name that does not exist, with the nearest that does.
pub(crate) fn unknown<'a>(field: &str, what: &str, name: &str, names: impl Iterator<Item = &'a String>) -> InputError {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let alike = |n: &str| strsim::jaro_winkler(n, name);
    let nearest = names.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b))).filter(|n| alike(n) > 0.8);
    let fix = match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if names.len() <= 20 => format!("expected one of {}", names.join(", ")),
        None => "docs/results.md lists them".to_owned(),
    };
    InputError::new(field, format!("there is no {what} `{name}`"), fix)
}

/// The series as results name it: a single source is the whole.
fn series(section: &ExpectSection, field: &str, experiment: &Experiment) -> Result<String, InputError> {
    let sources = &experiment.traffic;
    match &section.series {
        Some(name) if sources.contains_key(name) && sources.len() > 1 => Ok(name.clone()),
        Some(name) if name != "all" && !sources.contains_key(name) => {
            let all = "all".to_owned();
            Err(unknown(&format!("{field}.series"), "series", name, sources.keys().chain([&all])))
        }
        _ => Ok("all".to_owned()),
    }
}

fn cases(section: &ExpectSection, field: &str, design: &Design) -> Result<Vec<Case>, InputError> {
    let at = levels(&section.at, &format!("{field}.where"), design)?;
    let of = levels(&section.of, &format!("{field}.of"), design)?;
    let has = |levels: &[String]| at.iter().all(|(factor, level)| levels[*factor] == *level);
    let mut cases = Vec::new();
    for (i, point) in design.points.iter().enumerate().filter(|(_, point)| has(&point.levels)) {
        let mut others = point.levels.clone();
        for (factor, level) in &of {
            others[*factor].clone_from(level);
        }
        let base = design.points.iter().position(|p| p.levels == others).filter(|_| !of.is_empty());
        if base.is_none() && !of.is_empty() {
            continue;
        }
        if base == Some(i) {
            let fix = "name another level in `where` than in `of`, for one factor at least";
            return Err(InputError::new(format!("{field}.of"), format!("`{}` is compared with itself", point.label()), fix));
        }
        cases.push(Case { point: i as u32, base: base.map(|b| b as u32) });
    }
    Ok(cases)
}

/// Factors, by place, with the levels asked for.
fn levels(wanted: &BTreeMap<String, Value>, field: &str, design: &Design) -> Result<Vec<(usize, String)>, InputError> {
    let level = |(name, value): (&String, &Value)| {
        let at = format!("{field}.{name}");
        let factor = design.factors.iter().position(|f| f == name);
        let factor = factor.ok_or_else(|| unknown(&at, "factor", name, design.factors.iter()))?;
        let known = known_levels(design, factor);
        let level = tree::shown(value);
        if known.contains(&level) {
            Ok((factor, level))
        } else {
            Err(unknown(&at, &format!("level of `{name}`"), &level, known.into_iter()))
        }
    };
    wanted.iter().map(level).collect()
}

fn test(section: &ExpectSection, field: &str, unit: &str) -> Result<Test, InputError> {
    let quantity = |value: &Value, name: &str| {
        quantity(value, unit).map_err(|(problem, fix)| InputError::new(format!("{field}.{name}"), problem, fix))
    };
    let plain = |relation| Test { relation, ratio: false };
    let ratio = |relation| Test { relation, ratio: true };
    let mut tests = Vec::new();
    if let Some(value) = &section.above {
        tests.push(plain(Relation::Above(quantity(value, "above")?)));
    }
    if let Some(value) = &section.below {
        tests.push(plain(Relation::Below(quantity(value, "below")?)));
    }
    if let Some([low, high]) = &section.within {
        tests.push(plain(Relation::Within(quantity(low, "within[0]")?, quantity(high, "within[1]")?)));
    }
    if let Some(value) = &section.equals {
        tests.push(plain(Relation::Equals(quantity(value, "equals")?)));
    }
    tests.extend(section.ratio_above.map(|r| ratio(Relation::Above(r))));
    tests.extend(section.ratio_below.map(|r| ratio(Relation::Below(r))));
    tests.extend(section.ratio_within.map(|[low, high]| ratio(Relation::Within(low, high))));
    let [test] = tests[..] else {
        let problem = if tests.is_empty() { "a claim without a condition" } else { "a claim with more than one condition" };
        let fix = "give one of above, below, within, equals, ratioAbove, ratioBelow and ratioWithin";
        return Err(InputError::new(field, problem, fix));
    };
    if test.ratio && section.of.is_empty() {
        let fix = "add `of: {FACTOR: LEVEL}`: what the points of `where` are compared with";
        return Err(InputError::new(field, "a ratio of one thing", fix));
    }
    if let Relation::Within(low, high) = test.relation
        && low > high
    {
        let name = if test.ratio { "ratioWithin" } else { "within" };
        return Err(InputError::new(format!("{field}.{name}"), "nothing lies between these two", "give the smaller one first"));
    }
    Ok(test)
}

/// A number in a metric's unit, from a bare one or one that carries a unit; else a problem and a fix.
pub(crate) fn quantity(value: &Value, unit: &str) -> Result<f64, (String, String)> {
    let text = value.as_str().unwrap_or_default().trim();
    let (negative, size) = text.strip_prefix('-').map_or((false, text), |size| (true, size));
    let size = match unit {
        "ratio" => size.strip_suffix('%').and_then(|n| n.trim().parse().ok()).map(|n: f64| n / 100.0),
        "ms" => size.parse().ok().map(|d: SimDuration| d.as_millis_f64()),
        _ => None,
    };
    let found = value.as_f64().or_else(|| size.map(|s| if negative { -s } else { s })).filter(|n| n.is_finite());
    found.ok_or_else(|| {
        let fix = match unit {
            "ratio" => "write e.g. 0.1% or 0.001".to_owned(),
            "ms" => "write e.g. 50ms".to_owned(),
            _ => format!("write a number, which is in {unit}"),
        };
        (format!("`{}` is not a value of this metric, whose unit is {unit}", tree::shown(value)), fix)
    })
}

/// Judges each claim by the results, but those about points that the chosen subset of the design does without.
pub(crate) fn judge(claims: &[Claim], results: &Results) -> Vec<Verdict> {
    claims.iter().filter(|claim| !claim.cases.is_empty()).map(|claim| claim.judge(results)).collect()
}

/// A warning for each claim that is not judged.
pub(crate) fn unjudged(claims: &[Claim]) -> Vec<String> {
    let warning = |claim: &Claim| format!("not judged, since none of its points is in the subset: {}", claim.text);
    claims.iter().filter(|claim| claim.cases.is_empty()).map(warning).collect()
}

/// A case with what was found of it.
struct Found {
    words: String,
    holds: bool,
}

impl Claim {
    fn judge(&self, results: &Results) -> Verdict {
        let found: Vec<Found> = self.cases.iter().map(|case| self.found(*case, results)).collect();
        let met = found.iter().all(|f| f.holds);
        // Of a claim that failed, what it failed by.
        let telling: Vec<&str> = found.iter().filter(|f| f.holds == met).map(|f| f.words.as_str()).collect();
        let more = telling.len().saturating_sub(NAMED);
        let mut words = telling[..telling.len() - more].join("; ");
        if more > 0 {
            words.push_str(&format!("; and {more} more"));
        }
        Verdict { claim: self.text.clone(), expected: self.expected(), found: words, met }
    }

    fn found(&self, case: Case, results: &Results) -> Found {
        let about = &results.about;
        let values = self.values(case.point, results);
        let bases = case.base.map(|base| self.values(base, results));
        let place = self.place(case, about);
        let pairs: Vec<(f64, f64)> = match &bases {
            Some(bases) => values.iter().filter_map(|(r, x)| bases.get(r).map(|y| (*x, *y))).collect(),
            None => values.values().map(|x| (*x, 0.0)).collect(),
        };
        if pairs.len() < about.replications as usize {
            let words = format!("{place}only {} of {} replications have a value", pairs.len(), about.replications);
            return Found { words, holds: false };
        }
        Found { words: format!("{place}{}", self.shown(&pairs, case.base.is_some())), holds: self.test.holds(&pairs) }
    }

    fn values(&self, point: u32, results: &Results) -> BTreeMap<u32, f64> {
        let mine = results.runs.iter().filter(|r| r.point == point && r.series == self.series && r.metric == self.metric);
        mine.map(|r| (r.replication, r.value)).collect()
    }

    fn place(&self, case: Case, about: &About) -> String {
        let label = |point: u32| format!("\u{201C}{}\u{201D}", about.label(point));
        match case.base {
            Some(base) => format!("{} against {}: ", label(case.point), label(base)),
            None if about.points.len() > 1 => format!("{}: ", label(case.point)),
            None => String::new(),
        }
    }

    /// The mean, the mean difference, or the two means with their ratio.
    fn shown(&self, pairs: &[(f64, f64)], compared: bool) -> String {
        let unit = unit_of(&self.metric, self.unit);
        let unit = if unit == "ratio" { "" } else { unit };
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
        if self.test.ratio {
            let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
            return format!("{} times ({} / {})", number(x / y), interval(x, None, unit), interval(y, None, unit));
        }
        let differences: Vec<f64> = pairs.iter().map(|(x, y)| x - y).collect();
        let ends = t_interval(&differences, CONFIDENCE).map(|t| (t.low, t.high));
        let shown = interval(mean(&|p| p.0 - p.1), ends, unit);
        if compared { format!("differs by {shown}") } else { shown }
    }

    /// What must hold, in words.
    fn expected(&self) -> String {
        let unit = unit_of(&self.metric, self.unit);
        let value = |v: f64| match (self.test.ratio, unit) {
            (true, _) => format!("{v} times as much"),
            (false, "share") => format!("{}%", number(100.0 * v)),
            (false, "" | "ratio") => v.to_string(),
            (false, unit) => format!("{v} {unit}"),
        };
        let what = if !self.test.ratio && self.cases.iter().any(|c| c.base.is_some()) { "difference " } else { "" };
        let relation = match self.test.relation {
            Relation::Above(x) => format!("above {}", value(x)),
            Relation::Below(x) => format!("below {}", value(x)),
            Relation::Within(a, b) => format!("from {} to {}", value(a), value(b)),
            Relation::Equals(x) => format!("{} in every replication", value(x)),
        };
        let series = if self.series == "all" { String::new() } else { format!(" of {}", self.series) };
        format!("{}{series}: {what}{relation}", self.metric)
    }
}

impl Test {
    /// Whether it holds of the values, each with the one that it is compared with (0 where there is none).
    ///
    /// A ratio of means is above r where the mean of x - r y is above 0, whose interval needs no division (Fieller).
    fn holds(self, pairs: &[(f64, f64)]) -> bool {
        let off = |bound: f64| -> Vec<f64> { pairs.iter().map(|(x, y)| if self.ratio { x - bound * y } else { x - y - bound }).collect() };
        let low = |bound: f64| ends(&off(bound)).0;
        let high = |bound: f64| ends(&off(bound)).1;
        match self.relation {
            Relation::Above(x) => low(x) > 0.0,
            Relation::Below(x) => high(x) < 0.0,
            Relation::Within(a, b) => low(a) >= 0.0 && high(b) <= 0.0,
            Relation::Equals(x) => !pairs.is_empty() && off(x).iter().all(|d| *d == 0.0),
        }
    }
}

/// Ends of the interval of the mean; of a single value, itself.
fn ends(values: &[f64]) -> (f64, f64) {
    match (t_interval(values, CONFIDENCE), values) {
        (Some(t), _) => (t.low, t.high),
        (None, [one]) => (*one, *one),
        (None, _) => (f64::NAN, f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::experiment::{DesignSection, FactorSection};
    use crate::output::tables::{Point, RunRow};
    use serde_json::json;

    /// Two policies; requests_lost is 4, 5, 6 under Local and 0 under Cluster, latency_p99 is 18 to 22 ms and half of that.
    fn design() -> Design {
        let factor = FactorSection {
            name: Some("policy".into()),
            path: Some("x".into()),
            levels: json!(["Local", "Cluster"]),
            ..FactorSection::default()
        };
        Design::of(&DesignSection { factors: vec![factor], replications: 3, ..DesignSection::default() }).expect("a sound design")
    }

    fn results() -> Results {
        let mut results = Results::default();
        results.about.replications = 3;
        results.about.points = ["Local", "Cluster"].map(|l| Point { label: l.into(), levels: vec![l.into()] }).to_vec();
        let mut row = |point, metric: &str, values: [f64; 3]| {
            for (replication, value) in values.into_iter().enumerate() {
                let metric = metric.to_owned();
                results.runs.push(RunRow {
                    point,
                    replication: replication as u32,
                    series: "all".into(),
                    metric,
                    value,
                    ..RunRow::default()
                });
            }
        };
        row(0, "requests_lost", [4.0, 5.0, 6.0]);
        row(1, "requests_lost", [0.0; 3]);
        row(0, "latency_p99", [18.0, 20.0, 22.0]);
        row(1, "latency_p99", [9.0, 10.0, 11.0]);
        results.runs.push(RunRow { metric: "staleness_p99".into(), series: "all".into(), value: 1.0, ..RunRow::default() });
        results
    }

    fn section(fields: &Value) -> ExpectSection {
        let mut whole = json!({"claim": "it is so", "metric": "requests_lost"});
        whole.as_object_mut().expect("a map").extend(fields.as_object().expect("a map").clone());
        serde_json::from_value(whole).expect("a section of sound form")
    }

    fn experiment() -> Experiment {
        let loaded = crate::input::experiment::Loaded::read(std::path::Path::new("tests/small.yaml"), &[]);
        loaded.map_err(|e| e[0].to_string()).expect("the small experiment").experiment
    }

    fn verdict(fields: Value) -> Verdict {
        let claim = claim(&section(&fields), "expect[0]", &experiment(), &design()).map_err(|e| e.to_string()).expect("a sound claim");
        claim.judge(&results())
    }

    #[test]
    fn a_claim_holds_where_its_interval_does() {
        // The interval of 4, 5, 6 is 5 ± 4.30 / sqrt(3) = [2.52, 7.48]; paired, p99 is twice as large in every replication.
        for (fields, met) in [
            (json!({"where": {"policy": "Local"}, "above": 2.5}), true),
            (json!({"where": {"policy": "Local"}, "above": 2.6}), false),
            (json!({"where": {"policy": "Local"}, "below": 7.5}), true),
            (json!({"where": {"policy": "Local"}, "below": 7.4}), false),
            (json!({"where": {"policy": "Local"}, "within": [2.5, 7.5]}), true),
            (json!({"where": {"policy": "Local"}, "within": [2.6, 7.5]}), false),
            (json!({"where": {"policy": "Cluster"}, "equals": 0}), true),
            (json!({"where": {"policy": "Local"}, "equals": 5}), false),
            (json!({"where": {"policy": "Cluster"}, "above": 0}), false),
            (json!({"above": 0}), false),
            (json!({"below": 8}), true),
            (json!({"where": {"policy": "Local"}, "of": {"policy": "Cluster"}, "above": 2.5}), true),
            (json!({"where": {"policy": "Cluster"}, "of": {"policy": "Local"}, "below": -2.5}), true),
            (json!({"metric": "latency_p99", "where": {"policy": "Local"}, "of": {"policy": "Cluster"}, "ratioAbove": 1.99}), true),
            (json!({"metric": "latency_p99", "where": {"policy": "Local"}, "of": {"policy": "Cluster"}, "ratioAbove": 2.0}), false),
            (json!({"metric": "latency_p99", "where": {"policy": "Local"}, "of": {"policy": "Cluster"}, "ratioWithin": [2.0, 2.0]}), true),
            (json!({"metric": "latency_p99", "where": {"policy": "Cluster"}, "of": {"policy": "Local"}, "ratioBelow": 0.51}), true),
            (json!({"metric": "latency_p99", "where": {"policy": "Local"}, "below": "25ms"}), true),
            (json!({"metric": "latency_p99", "where": {"policy": "Local"}, "below": "24900us"}), false),
            (json!({"metric": "staleness_p99", "where": {"policy": "Local"}, "above": 0}), false),
        ] {
            let found = verdict(fields.clone());
            assert_eq!(found.met, met, "{fields}: {found:?}");
        }
    }

    #[test]
    fn a_verdict_says_what_was_found_and_where() {
        let said = |fields| {
            let v = verdict(fields);
            format!("{}; {}", v.expected, v.found)
        };
        insta::assert_snapshot!([
            said(json!({"above": 0})),
            said(json!({"metric": "latency_p99", "below": "1s", "series": "all"})),
            said(json!({"where": {"policy": "Local"}, "of": {"policy": "Cluster"}, "above": 0})),
            said(json!({"metric": "latency_p99", "where": {"policy": "Local"}, "of": {"policy": "Cluster"}, "ratioAbove": 1.5})),
            said(json!({"metric": "staleness_p99", "where": {"policy": "Local"}, "within": ["0ms", "5ms"]})),
        ].join("\n"), @"
        requests_lost: above 0 requests; “Cluster”: 0 requests
        latency_p99: below 1000 ms; “Local”: 20.0 ms [15.0, 25.0]; “Cluster”: 10.0 ms [7.5, 12.5]
        requests_lost: difference above 0 requests; “Local” against “Cluster”: differs by 5.00 requests [2.52, 7.48]
        latency_p99: above 1.5 times as much; “Local” against “Cluster”: 2.00 times (20.0 ms / 10.0 ms)
        staleness_p99: from 0 ms to 5 ms; “Local”: only 1 of 3 replications have a value
        ");
    }

    #[test]
    fn one_replication_is_judged_by_its_value() {
        let test = |relation| Test { relation, ratio: false };
        assert!(test(Relation::Above(1.0)).holds(&[(2.0, 0.0)]));
        assert!(!test(Relation::Above(2.0)).holds(&[(2.0, 0.0)]));
        assert!(!test(Relation::Equals(0.0)).holds(&[]) && !test(Relation::Above(0.0)).holds(&[]));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_field() {
        let (experiment, design) = (experiment(), design());
        for (fields, field, fix) in [
            (json!({"metric": "request_lost", "above": 0}), "expect[3].metric", "did you mean `requests_lost`?"),
            (json!({"metric": "zzz", "above": 0}), "expect[3].metric", "docs/results.md lists them"),
            (json!({"metric": "error_budget_burned", "above": 0}), "expect[3].metric", "add `slo: {availability: 99.9%}`"),
            (json!({"series": "user", "above": 0}), "expect[3].series", "did you mean `users`?"),
            (json!({"where": {"polcy": "Local"}, "above": 0}), "expect[3].where.polcy", "did you mean `policy`?"),
            (json!({"where": {"policy": "Lokal"}, "above": 0}), "expect[3].where.policy", "did you mean `Local`?"),
            (json!({"of": {"policy": "Local"}, "above": 0}), "expect[3].of", "name another level"),
            (json!({}), "expect[3]", "give one of above"),
            (json!({"above": 0, "below": 1}), "expect[3]", "give one of above"),
            (json!({"above": "5ms"}), "expect[3].above", "write a number, which is in requests"),
            (json!({"metric": "latency_p99", "below": "0.1%"}), "expect[3].below", "write e.g. 50ms"),
            (json!({"within": [2, 1]}), "expect[3].within", "give the smaller one first"),
            (json!({"ratioAbove": 2}), "expect[3]", "add `of:"),
        ] {
            let error = claim(&section(&fields), "expect[3]", &experiment, &design).expect_err("nonsense");
            assert_eq!(error.field, field, "{fields}");
            assert!(error.fix.starts_with(fix), "{fields}: {}", error.fix);
        }
    }

    #[test]
    fn quantities_carry_the_unit_of_their_metric() {
        for (value, unit, number) in [
            (json!("0.1%"), "ratio", 0.001),
            (json!(0.5), "ratio", 0.5),
            (json!("2s"), "ms", 2000.0),
            (json!("-250us"), "ms", -0.25),
            (json!(7), "requests", 7.0),
        ] {
            assert_eq!(quantity(&value, unit), Ok(number), "{value}");
        }
    }
}
