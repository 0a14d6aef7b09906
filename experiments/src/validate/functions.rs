//! Statistics of given numbers: calculations, which the engine's own functions must agree with to nine digits.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use svcsim_engine::stats::batch_means::{batch_means, lag1_autocorrelation, von_neumann_ratio};
use svcsim_engine::stats::distributions::{t_quantile, t_two_sided};
use svcsim_engine::stats::fairness;
use svcsim_engine::stats::interval::Sample;
use svcsim_engine::stats::log_linear::{bucket, relative_error};
use svcsim_engine::stats::mser::mser5;
use svcsim_engine::stats::paired::{paired, welch};
use svcsim_engine::stats::proportion::{clopper_pearson, wilson};
use svcsim_engine::stats::quantile::{interpolated, nearest_rank, quantile_interval};
use svcsim_engine::stats::replications::replications_needed;
use svcsim_engine::stats::simultaneous::{bonferroni_confidence, sidak_confidence};

/// What a calculation finds, by the name of the statistic.
pub(super) type Results = BTreeMap<String, Value>;
/// A calculation, or why it cannot be made of these parameters.
pub(super) type Function = fn(&Map<String, Value>) -> Result<Results, String>;

/// More values than any file asks for; a rule could ask for all that memory holds.
const LONGEST_SERIES: usize = 10_000_000;
/// Sixty-four bits are kept exactly only while they are no more.
const MOST_BITS: u32 = 63;

/// Parameters as a family names them; one that nobody reads would be another calculation.
pub(super) fn read<T: DeserializeOwned>(params: &Map<String, Value>) -> Result<T, String> {
    T::deserialize(Value::Object(params.clone())).map_err(|e| format!("its parameters: {e}"))
}

/// Those of `results` that are defined.
fn defined<const N: usize>(results: [(&str, Option<f64>); N]) -> Results {
    results.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
}

/// All of `results`.
pub(super) fn all<const N: usize>(results: [(&str, Value); N]) -> Results {
    results.map(|(name, value)| (name.to_owned(), value)).into()
}

pub(super) fn balance(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        loads: Vec<f64>,
    }
    let Params { loads } = read(params)?;
    Ok(defined([
        ("jain", fairness::jain(&loads)),
        ("cv_population", fairness::cv(&loads)),
        ("cv_sample", fairness::cv_sample(&loads)),
        ("gini", fairness::gini(&loads)),
        ("max_over_mean", fairness::max_over_mean(&loads)),
        ("min_over_mean", fairness::min_over_mean(&loads)),
        ("max_minus_min_over_mean", fairness::range_over_mean(&loads)),
        ("normalised_entropy", fairness::normalised_entropy(&loads)),
        ("total_variation_from_even", fairness::total_variation(&loads)),
        ("chi_square", fairness::chi_square(&loads)),
    ]))
}

pub(super) fn truncation(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        series: Option<Vec<f64>>,
        series_rule: Option<Rule>,
    }
    let Params { series, series_rule } = read(params)?;
    let series = match (series, series_rule) {
        (Some(series), None) => series,
        (None, Some(rule)) => rule.series()?,
        _ => return Err("its parameters: either `series` or `series_rule`".to_owned()),
    };
    let cut = mser5(&series).ok_or("fewer than five finite values")?;
    let mean = series.iter().sum::<f64>() / series.len() as f64;
    Ok(all([
        ("truncate_observations", cut.observations.into()),
        ("mser_minimum", cut.minimum.into()),
        ("mean_after_truncation", cut.mean.into()),
        ("mean_without_truncation", mean.into()),
    ]))
}

pub(super) fn mean_interval(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        replications: Vec<f64>,
        confidence: f64,
    }
    let Params { replications, confidence } = read(params)?;
    let sample = Sample::of(&replications).ok_or("fewer than two replications")?;
    let interval = sample.interval(confidence);
    Ok(all([
        ("mean", sample.mean.into()),
        ("sd", sample.variance.sqrt().into()),
        ("standard_error", sample.standard_error().into()),
        ("t_quantile", t_quantile(0.5 + confidence / 2.0, sample.size as f64 - 1.0).into()),
        ("low", interval.low.into()),
        ("high", interval.high.into()),
        ("relative_half_width", interval.relative_half_width().into()),
    ]))
}

pub(super) fn order_statistics(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        n: u64,
        p: f64,
        confidence: f64,
        data: Option<Vec<f64>>,
    }
    let Params { n, p, confidence, data } = read(params)?;
    let interval = quantile_interval(n, p, confidence).ok_or("its parameters: `p` and `confidence` must be between 0 and 1")?;
    let mut results =
        all([("lower_index", interval.lower.into()), ("upper_index", interval.upper.into()), ("coverage", interval.coverage.into())]);
    if let Some(mut data) = data {
        data.sort_by(f64::total_cmp);
        let at = |index: Option<u64>| data.get(usize::try_from(index?).ok()?.checked_sub(1)?).copied();
        results.extend(defined([("low", at(interval.lower)), ("high", at(interval.upper))]));
    }
    Ok(results)
}

/// Every tenth of a percentile, by both definitions: `nearest_rank_p95`, `type7_p99.9`.
pub(super) fn sample_quantiles(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        data: Vec<f64>,
    }
    let Params { mut data } = read(params)?;
    data.sort_by(f64::total_cmp);
    let of = |tenths: u32| {
        let (percent, p) = (f64::from(tenths) / 10.0, f64::from(tenths) / 1000.0);
        let named = |definition: &str, value: Option<f64>| Some((format!("{definition}_p{percent}"), value?.into()));
        [named("nearest_rank", nearest_rank(&data, p)), named("type7", interpolated(&data, p))]
    };
    Ok((0..=1000).flat_map(of).flatten().collect())
}

pub(super) fn paired_difference(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        a: Vec<f64>,
        b: Vec<f64>,
        confidence: f64,
    }
    let Params { a, b, confidence } = read(params)?;
    let pairs = paired(&a, &b, confidence).ok_or("`a` and `b` are no pairs, or fewer than two")?;
    let apart = welch(&a, &b, confidence);
    Ok(defined([
        ("difference_mean", Some(pairs.sample.mean)),
        ("difference_se_paired", Some(pairs.sample.standard_error())),
        ("paired_low", Some(pairs.difference.low)),
        ("paired_high", Some(pairs.difference.high)),
        ("correlation", pairs.correlation),
        ("variance_of_difference", Some(pairs.sample.variance)),
        ("variance_reduction_factor", pairs.variance_reduction),
        ("welch_degrees_of_freedom", apart.map(|(_, degrees)| degrees)),
        ("welch_low", apart.map(|(interval, _)| interval.low)),
        ("welch_high", apart.map(|(interval, _)| interval.high)),
    ]))
}

pub(super) fn error_rate(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        k: u64,
        n: u64,
        confidence: f64,
    }
    let Params { k, n, confidence } = read(params)?;
    let (score, exact) = wilson(k, n, confidence).zip(clopper_pearson(k, n, confidence)).ok_or("no proportion of its parameters")?;
    Ok(all([
        ("wilson_low", score.low.into()),
        ("wilson_high", score.high.into()),
        ("clopper_pearson_low", exact.low.into()),
        ("clopper_pearson_high", exact.high.into()),
    ]))
}

pub(super) fn batches(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        series_rule: Rule,
        batches: usize,
    }
    let Params { series_rule, batches } = read(params)?;
    let series = series_rule.series()?;
    let means = batch_means(&series, batches);
    let (sample, raw) = Sample::of(&means).zip(Sample::of(&series)).ok_or("fewer than two batches")?;
    let interval = sample.interval(0.95);
    Ok(defined([
        ("mean", Some(sample.mean)),
        ("standard_error", Some(sample.standard_error())),
        ("low", Some(interval.low)),
        ("high", Some(interval.high)),
        ("lag1_autocorrelation_raw", lag1_autocorrelation(&series)),
        ("lag1_autocorrelation_batch_means", lag1_autocorrelation(&means)),
        ("von_neumann_ratio_batch_means", von_neumann_ratio(&means)),
        ("naive_standard_error_if_independent", Some(raw.standard_error())),
    ]))
}

pub(super) fn replications(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        pilot: Vec<f64>,
        confidence: f64,
        relative_half_width: f64,
    }
    let Params { pilot, confidence, relative_half_width } = read(params)?;
    let needed = replications_needed(&pilot, confidence, relative_half_width).ok_or("no number of replications is enough")?;
    Ok(all([("replications", needed.into())]))
}

pub(super) fn simultaneous(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        k: u64,
        n: u64,
        confidence: f64,
    }
    let Params { k, n, confidence } = read(params)?;
    if k < 1 || n < 2 {
        return Err("its parameters: `k` must be at least 1, `n` at least 2".to_owned());
    }
    let (each, degrees) = (bonferroni_confidence(k, confidence), n as f64 - 1.0);
    Ok(all([
        ("bonferroni_confidence_each", each.into()),
        ("t_multiplier", t_quantile(0.5 + each / 2.0, degrees).into()),
        ("sidak_confidence_each", sidak_confidence(k, confidence).into()),
        ("false_alarms_expected_at_4_se", (k as f64 * t_two_sided(4.0, degrees)).into()),
    ]))
}

pub(super) fn buckets(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        b: u32,
        values: Vec<u64>,
    }
    let Params { b, values } = read(params)?;
    if b > MOST_BITS {
        return Err(format!("its parameters: `b` must be at most {MOST_BITS}"));
    }
    let found: Vec<_> = values.into_iter().map(|value| bucket(value, b)).collect();
    Ok(all([
        ("bucket_low", found.iter().map(|bucket| bucket.low).collect()),
        ("bucket_width", found.iter().map(|bucket| bucket.width).collect()),
        ("relative_error_bound", relative_error(b).into()),
    ]))
}

/// A series too long to be written down: a linear congruential generator (Knuth's MMIX) drives one of four processes, as the file's own
/// `series_rule` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    kind: Kind,
    seed: u64,
    n: usize,
    a: f64,
    b: f64,
    c: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Decay,
    Flat,
    Ar1,
    Lindley,
}

impl Rule {
    fn series(&self) -> Result<Vec<f64>, String> {
        if self.n > LONGEST_SERIES {
            return Err(format!("its parameters: `n` must be at most {LONGEST_SERIES}"));
        }
        let Self { seed, n, a, b, c, .. } = *self;
        let mut x = seed;
        let mut uniform = || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 11) as f64 / (1_u64 << 53) as f64
        };
        Ok(match self.kind {
            Kind::Decay => (0..n).map(|i| 10.0 + a * libm::exp(-(i as f64) / b) + c * (uniform() - 0.5)).collect(),
            Kind::Flat => (0..n).map(|_| a + c * (uniform() - 0.5)).collect(),
            Kind::Ar1 => {
                let mut y = 0.0;
                let next = |_| {
                    y = b * y + (uniform() - 0.5);
                    a + c * y
                };
                (0..n).map(next).collect()
            }
            Kind::Lindley => {
                let mut wait = 0.0;
                let next = |_| {
                    let now = wait;
                    let (served, gap) = (-a * libm::log(1.0 - uniform()), -b * libm::log(1.0 - uniform()));
                    wait = f64::max(0.0, now + served - gap);
                    now
                };
                (0..n / 2).map(next).collect()
            }
        })
    }
}
