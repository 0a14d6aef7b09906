//! Verdicts: what runs found against what is known, in standard errors, never by a fixed percentage.

use serde_json::Value;
use std::collections::BTreeMap;
use svcsim_engine::stats::interval::Sample;

/// Standard errors that a mean may be off: some 6 in 100000 right ones are called wrong.
pub(crate) const K: f64 = 4.0;
/// A standard error above this many times the expected one says that the runs tell too little, or something else.
const MOST_ERROR: f64 = 1.5;
/// How far a calculation may be from what is known, relative to it.
const DIGITS: f64 = 1e-9;
/// What rounding may make of a result that should be zero.
const ROUNDING: f64 = 1e-12;

/// A mean over replications and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) mean: f64,
    pub(crate) se: f64,
}

impl Estimate {
    /// The mean of independent `values`; `None` for fewer than two or any that is not finite.
    fn of(values: &[f64]) -> Option<Self> {
        Sample::of(values).map(|s| Self { mean: s.mean, se: s.standard_error() })
    }

    /// The variance of independent `values`: the mean of their squared deviations, whose spread gives its standard error.
    fn of_variance(values: &[f64]) -> Option<Self> {
        let mean = Self::of(values)?.mean;
        let n = values.len() as f64;
        let squares: Vec<f64> = values.iter().map(|v| (v - mean) * (v - mean) * n / (n - 1.0)).collect();
        Self::of(&squares)
    }

    /// Of the statistic `name`; that of `<x>_variance` is the variance over replications of `<x>_mean`.
    pub(crate) fn of_statistic(name: &str, samples: &[BTreeMap<&'static str, f64>]) -> Option<Self> {
        let values = |name: &str| samples.iter().map(|s| s.get(name).copied()).collect::<Option<Vec<f64>>>();
        match (values(name), name.strip_suffix("_variance")) {
            (Some(values), _) => Self::of(&values),
            (None, Some(of)) => Self::of_variance(&values(&format!("{of}_mean"))?),
            (None, None) => None,
        }
    }
}

/// What is said of one statistic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Passed,
    Failed(String),
    /// Failed too: not off, but so uncertain that it might be.
    TooLittle(String),
    /// Nothing is judged, and why.
    NotJudged(&'static str),
}

impl Verdict {
    pub(crate) const fn passed(&self) -> Option<bool> {
        match self {
            Self::Passed => Some(true),
            Self::Failed(_) | Self::TooLittle(_) => Some(false),
            Self::NotJudged(_) => None,
        }
    }
}

/// What is found of a statistic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    Nothing,
    Simulated(Estimate),
    Calculated(Value),
}

/// One statistic of a vector: what is known, what was found, and the verdict.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) statistic: String,
    pub(crate) expected: Value,
    pub(crate) found: Found,
    /// Standard errors between them.
    pub(crate) z: Option<f64>,
    pub(crate) verdict: Verdict,
}

/// Compares; `suggested_se` is what a right simulator's standard error would be.
pub(crate) fn judge(statistic: &str, expected: &Value, found: Option<Estimate>, suggested_se: Option<f64>) -> Finding {
    let (value, kind) = value_and_kind(expected);
    let simulated = found.map_or(Found::Nothing, Found::Simulated);
    let finding = |z, verdict| Finding { statistic: statistic.to_owned(), expected: value.clone(), found: simulated.clone(), z, verdict };
    let Some(value) = value.as_f64() else { return finding(None, Verdict::NotJudged("what is expected is no number")) };
    let Some(estimate) = found else { return finding(None, Verdict::NotJudged("not measured by a run")) };
    let own_se = expected.get("se").and_then(Value::as_f64).unwrap_or(0.0);
    let se = libm::hypot(estimate.se, own_se);
    let gap = estimate.mean - value;
    // What never varies is exact, to the digits in which it is written down.
    let z = match (gap == 0.0 || (se <= DIGITS * value.abs() && near(value, estimate.mean)), se > 0.0) {
        (true, _) => 0.0,
        (false, true) => gap / se,
        (false, false) => f64::INFINITY.copysign(gap),
    };
    if expected.get("se_test").and_then(Value::as_bool) == Some(false) {
        return finding(Some(z), Verdict::NotJudged("its variance is infinite: standard errors say nothing"));
    }
    let off = match kind {
        "upper bound" => z > K,
        "lower bound" => z < -K,
        "exact" | "simulated" => z.abs() > K,
        _ if kind.starts_with("numeric") => z.abs() > K,
        _ => return finding(Some(z), Verdict::NotJudged("a limit, for information")),
    };
    let weak = suggested_se.filter(|s| *s > 0.0 && estimate.se > MOST_ERROR * s);
    let verdict = match (off, weak) {
        (true, _) => Verdict::Failed(format!("{:.1} standard errors off; at most {K} are chance", z.abs())),
        (false, Some(s)) => Verdict::TooLittle(format!("standard error {:.3e}, expected about {s:.3e}: too large to tell", estimate.se)),
        (false, None) => Verdict::Passed,
    };
    finding(Some(z), verdict)
}

/// Compares a calculation: numbers to within [`DIGITS`] of themselves, whole ones and all else exactly. A limit is not judged.
pub(crate) fn judge_calculated(statistic: &str, expected: &Value, found: Option<Value>) -> Finding {
    let (value, kind) = value_and_kind(expected);
    let verdict = match &found {
        _ if kind != "exact" && !kind.starts_with("numeric") => Verdict::NotJudged("a limit, for information"),
        Some(found) if agree(value, found) => Verdict::Passed,
        Some(_) => Verdict::Failed("not the same to nine digits".to_owned()),
        None => Verdict::Failed("not defined for these parameters".to_owned()),
    };
    let found = found.map_or(Found::Nothing, Found::Calculated);
    Finding { statistic: statistic.to_owned(), expected: value.clone(), found, z: None, verdict }
}

/// What is known, and how well.
fn value_and_kind(expected: &Value) -> (&Value, &str) {
    (expected.get("value").unwrap_or(&Value::Null), expected.get("kind").and_then(Value::as_str).unwrap_or_default())
}

fn agree(known: &Value, found: &Value) -> bool {
    match (known, found) {
        (Value::Array(known), Value::Array(found)) => known.len() == found.len() && known.iter().zip(found).all(|(k, f)| agree(k, f)),
        (Value::Number(k), Value::Number(f)) if k.is_f64() => k.as_f64().zip(f.as_f64()).is_some_and(|(k, f)| near(k, f)),
        (Value::Number(k), Value::Number(f)) => k == f || k.as_f64() == f.as_f64().filter(|_| f.is_f64()),
        _ => known == found,
    }
}

/// Zero has no digits: there, what rounding leaves is zero too.
fn near(known: f64, found: f64) -> bool {
    (found - known).abs() <= if known == 0.0 { ROUNDING } else { DIGITS * known.abs() }
}

/// Compares what one run measured with what independent runs of the same length find, to whose mean `added.0` is added, known to
/// within `added.1`. The standard error is that of a prediction: how far one run may be from the mean of ours.
pub(crate) fn judge_run(statistic: &str, measured: f64, samples: &[BTreeMap<&'static str, f64>], added: (f64, f64)) -> Finding {
    let n = samples.len() as f64;
    let found = Estimate::of_statistic(statistic, samples).map(|e| {
        let spread = e.se * libm::sqrt(n + 1.0);
        Estimate { mean: e.mean + added.0, se: libm::hypot(spread, added.1) }
    });
    judge(statistic, &serde_json::json!({"value": measured, "kind": "simulated"}), found, None)
}

/// The same of a latency, whose scatter from run to run is skewed: logarithms are compared.
pub(crate) fn judge_latency(statistic: &str, measured: f64, samples: &[BTreeMap<&'static str, f64>], added: (f64, f64)) -> Finding {
    let finding = judge_run(statistic, measured, samples, added);
    let Found::Simulated(found) = finding.found else { return finding };
    if !(found.mean > 0.0 && found.se > 0.0 && measured > 0.0) {
        return finding;
    }
    if found.se > found.mean / 2.0 {
        return Finding { verdict: Verdict::NotJudged("in some runs it is before a gap of the distribution, in others behind"), ..finding };
    }
    let z = libm::log(found.mean / measured) / (found.se / found.mean);
    let verdict =
        if z.abs() > K { Verdict::Failed(format!("{:.1} standard errors off; at most {K} are chance", z.abs())) } else { Verdict::Passed };
    Finding { z: Some(z), verdict, ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FOUND: Option<Estimate> = Some(Estimate { mean: 10.0, se: 0.5 });

    fn verdict(expected: &Value, suggested: f64) -> Option<bool> {
        judge("x", expected, FOUND, Some(suggested)).verdict.passed()
    }

    #[test]
    fn a_mean_by_hand() {
        let e = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("five values");
        assert_eq!((e.mean, e.se), (3.0, 0.5f64.sqrt()));
        assert_eq!((Estimate::of(&[1.0]), Estimate::of(&[1.0, f64::NAN])), (None, None));
    }

    #[test]
    fn a_variance_by_hand_and_its_standard_error() {
        let e = Estimate::of_variance(&[0.0, 0.0, 2.0, 2.0]).expect("four values");
        assert!((e.mean - 4.0 / 3.0).abs() < 1e-12 && e.se == 0.0, "all deviate alike: {e:?}");
        let e = Estimate::of_variance(&[0.0, 1.0, 5.0]).expect("three values");
        assert!((e.mean - 7.0).abs() < 1e-12, "{e:?}");
        // Squared deviations 4, 1, 9, times 3/2: 6, 1.5, 13.5; their variance 36.75, over three.
        assert!((e.se - 12.25f64.sqrt()).abs() < 1e-12, "{e:?}");
    }

    #[test]
    fn four_standard_errors_are_chance_and_more_are_not() {
        assert_eq!(verdict(&json!({"value": 12.0, "kind": "exact"}), 0.5), Some(true));
        assert_eq!(verdict(&json!({"value": 12.1, "kind": "exact"}), 0.5), Some(false));
        assert_eq!(verdict(&json!({"value": 12.1, "kind": "numeric (error < 1e-9)"}), 0.5), Some(false));
        assert_eq!(verdict(&json!({"value": 12.1, "kind": "simulated", "se": 0.5}), 0.5), Some(true));
    }

    #[test]
    fn bounds_have_one_side() {
        assert_eq!(verdict(&json!({"value": 20.0, "kind": "upper bound"}), 0.5), Some(true));
        assert_eq!(verdict(&json!({"value": 7.9, "kind": "upper bound"}), 0.5), Some(false));
        assert_eq!(verdict(&json!({"value": 2.0, "kind": "lower bound"}), 0.5), Some(true));
        assert_eq!(verdict(&json!({"value": 12.1, "kind": "lower bound"}), 0.5), Some(false));
    }

    #[test]
    fn runs_that_tell_too_little_fail_and_limits_are_not_judged() {
        assert_eq!(verdict(&json!({"value": 10.0, "kind": "exact"}), 0.33), Some(false));
        assert_eq!(verdict(&json!({"value": 50.0, "kind": "asymptotic"}), 0.5), None);
        assert_eq!(verdict(&json!({"value": 50.0, "kind": "exact", "se_test": false}), 0.5), None);
        assert_eq!(judge("x", &json!({"value": 1.0, "kind": "exact"}), None, None).verdict.passed(), None);
    }

    #[test]
    fn calculations_agree_to_nine_digits_and_whole_numbers_exactly() {
        let passed =
            |known: Value, found: Value| judge_calculated("x", &json!({"value": known, "kind": "exact"}), Some(found)).verdict.passed();
        for (known, right, wrong) in [
            (json!(2.0), json!(2.000_000_001), json!(2.000_000_003)),
            (json!(2), json!(2.0), json!(2.000_000_001)),
            (json!(u64::MAX), json!(u64::MAX), json!(u64::MAX - 1)),
            (json!(0.0), json!(1e-13), json!(1e-11)),
            (json!(1e-20), json!(1e-20), json!(2e-20)),
            (json!([1, 2]), json!([1, 2]), json!([1, 2, 3])),
            (json!([0.5, 1.0]), json!([0.5, 1.0]), json!([0.5, 1.1])),
            (json!(null), json!(null), json!(7)),
            (json!(true), json!(true), json!(1)),
        ] {
            assert_eq!((passed(known.clone(), right), passed(known.clone(), wrong)), (Some(true), Some(false)), "{known}");
        }
        assert_eq!(judge_calculated("x", &json!({"value": 1, "kind": "exact"}), None).verdict.passed(), Some(false));
        assert_eq!(judge_calculated("x", &json!({"value": 1, "kind": "asymptotic"}), None).verdict.passed(), None);
    }

    #[test]
    fn one_run_may_be_four_spreads_of_a_run_off() {
        // Mean 10, standard deviation 2: a prediction is off by 2 sqrt(1 + 1/3).
        let samples: Vec<_> = [8.0, 10.0, 12.0].map(|v| BTreeMap::from([("x", v)])).into();
        let passed = |measured, added| judge_run("x", measured, &samples, added).verdict.passed();
        assert_eq!((passed(19.2, (0.0, 0.0)), passed(19.3, (0.0, 0.0))), (Some(true), Some(false)));
        assert_eq!((passed(29.2, (10.0, 0.0)), passed(0.8, (10.0, 0.0)), passed(19.3, (0.0, 1.0))), (Some(true), Some(false), Some(true)));
    }

    #[test]
    fn twice_a_latency_is_as_far_off_as_half_of_it() {
        // Mean 10, a prediction off by 2.31 of it: 0.231 of a logarithm.
        let samples: Vec<_> = [8.0, 10.0, 12.0].map(|v| BTreeMap::from([("x", v)])).into();
        let z = |measured: f64| judge_latency("x", measured, &samples, (0.0, 0.0)).z.unwrap_or(f64::NAN);
        assert!((z(20.0) + z(5.0)).abs() < 1e-9 && (z(20.0) + 3.0).abs() < 0.01, "{} {}", z(20.0), z(5.0));
    }
}
