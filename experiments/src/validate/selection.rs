//! How endpoints are chosen, as arithmetic: the shares that kube-proxy's rules give, orders of weighted turns, Maglev's tables.

use super::functions::{Results, all, read};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use svcsim_engine::random::Streams;
use svcsim_models::balance::{Bins, PolicySpec};
use svcsim_models::dataplane::ipvs::wrr_cycle;
use svcsim_models::dataplane::{iptables, nftables};
use svcsim_models::maglev::{Backend, Table, TableSize};

/// More endpoints than any Service has.
const MOST: u32 = 100_000;
/// Thresholds that are told one by one.
const THRESHOLDS: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    endpoints: u32,
}

impl Chain {
    fn read(params: &Map<String, Value>) -> Result<u32, String> {
        let Self { endpoints } = read(params)?;
        if (1..=MOST).contains(&endpoints) { Ok(endpoints) } else { Err(format!("`endpoints` is not from 1 to {MOST}")) }
    }
}

/// The chain of rules that kube-proxy writes in iptables mode.
pub(super) fn iptables_chain(params: &Map<String, Value>) -> Result<Results, String> {
    let n = Chain::read(params)?;
    // As deviations, since shares in floating point (`iptables::chances`) would lose them: they are of order 1e-10.
    // A rule with `left` endpoints matches with (1 + e)/left, e from the rounding to 31 bits alone; the last rule has none.
    let rounding = |left: u32| if left == 1 { 0.0 } else { off(u64::from(iptables::threshold(left)), left, 31) };
    let mut passed = 0.0;
    let deviations: Vec<f64> = (1..=n)
        .rev()
        .map(|left| {
            let e = rounding(left);
            let deviation = libm::expm1(passed + libm::log1p(e));
            passed += if left == 1 { 0.0 } else { libm::log1p(-e / f64::from(left - 1)) };
            deviation
        })
        .collect();
    let compared: f64 = (1..=n).zip(&deviations).map(|(rules, d)| f64::from(rules) * (1.0 + d) / f64::from(n)).sum();
    let mut results = shares(&deviations);
    let thresholds: Vec<u32> = (2..=n).rev().take(THRESHOLDS).map(iptables::threshold).collect();
    results.extend([("rules_evaluated_mean".to_owned(), compared.into()), ("threshold_first_rules".to_owned(), thresholds.into())]);
    Ok(results)
}

/// The verdict map of nftables mode.
pub(super) fn nftables_numgen(params: &Map<String, Value>) -> Result<Results, String> {
    let n = Chain::read(params)?;
    // Draws of 32 bits that come to an endpoint before `i`: the choice never falls as the draw grows.
    let before = |i: u32| {
        let (mut low, mut high) = (0u64, 1 << 32);
        while low < high {
            let middle = (low + high) / 2;
            if nftables::numgen(n, middle as u32) < i { low = middle + 1 } else { high = middle }
        }
        low
    };
    let ends: Vec<u64> = (0..n).map(before).chain([1 << 32]).collect();
    let deviations: Vec<f64> = ends.windows(2).map(|w| off(w[1] - w[0], n, 32)).collect();
    let mut results = shares(&deviations);
    results.insert("rules_evaluated".to_owned(), 1.into());
    Ok(results)
}

/// How far `count` of 2^`bits` is off one in `n`, relative to it; exact, since both are whole numbers.
fn off(count: u64, n: u32, bits: u32) -> f64 {
    let all = 1i128 << bits;
    (i128::from(count) * i128::from(n) - all) as f64 / all as f64
}

/// Of shares that deviate so much from even ones, relative to them.
fn shares(deviations: &[f64]) -> Results {
    let n = deviations.len() as f64;
    let share = |d: Option<&f64>| (1.0 + d.copied().unwrap_or(0.0)) / n;
    let squares = deviations.iter().map(|d| d * d).sum::<f64>() / n;
    all([
        ("share_first", share(deviations.first()).into()),
        ("share_last", share(deviations.last()).into()),
        ("max_share_times_n_minus_1", deviations.iter().copied().fold(f64::MIN, f64::max).into()),
        ("min_share_times_n_minus_1", deviations.iter().copied().fold(f64::MAX, f64::min).into()),
        // Jain's index is one over (1 + mean squared deviation).
        ("one_minus_jain_of_shares", (squares / (1.0 + squares)).into()),
        ("relative_deviation_rms", squares.sqrt().into()),
    ])
}

/// Turns by weight: nginx's and LVS's.
pub(super) fn weighted_turns(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        weights: Vec<u32>,
    }
    let Params { weights } = read(params)?;
    let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
    if total == 0 || total > u64::from(MOST) {
        return Err(format!("the sum of `weights` is not from 1 to {MOST}"));
    }
    let smooth = PolicySpec::by_name("smoothWeightedRoundRobin").unwrap_or_default();
    let hosts = weights.iter().enumerate().map(|(i, w)| (i.to_string(), *w));
    let mut bins = Bins::new(&smooth, hosts, Streams::new(0, 0).stream(0, 0)).map_err(|e| e.to_string())?;
    let cycle: Vec<usize> = (0..total).filter_map(|_| bins.send(0)).collect();
    Ok(all([("smooth_wrr_cycle", json!(cycle)), ("lvs_wrr_cycle", json!(wrr_cycle(&weights)))]))
}

/// A Maglev table, and what becomes of it when backends go.
pub(super) fn maglev(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        preference_lists: Vec<Vec<u64>>,
        table_size: u32,
        removed: Vec<usize>,
    }
    let Params { preference_lists, table_size, removed } = read(params)?;
    let size = TableSize::new(table_size).ok_or("`table_size` is no prime")?;
    let m = u64::from(table_size);
    let backend = |list: &Vec<u64>| {
        let (Some(&offset), Some(&second)) = (list.first(), list.get(1)) else {
            return Err("a preference list of fewer than two places".to_owned());
        };
        let step = (second + m - offset % m) % m;
        let by_steps = (0..m).map(|i| (offset + i * step) % m);
        if step == 0 || !by_steps.eq(list.iter().copied()) {
            return Err("a preference list that is no offset and equal steps".to_owned());
        }
        Ok(Backend { offset, skip: step - 1, weight: 1 })
    };
    let backends: Vec<Backend> = preference_lists.iter().map(backend).collect::<Result<_, _>>()?;
    let kept: Vec<usize> = (0..backends.len()).filter(|i| !removed.contains(i)).collect();
    let table: Vec<usize> = Table::build(&backends, size).places().iter().map(|i| *i as usize).collect();
    let rebuilt = Table::build(&kept.iter().map(|i| backends[*i]).collect::<Vec<_>>(), size);
    let after: Vec<usize> = rebuilt.places().iter().map(|i| kept[*i as usize]).collect();
    let changed = table.iter().zip(&after).filter(|(before, after)| !removed.contains(before) && before != after).count();
    Ok(all([("table", json!(table)), ("table_after_removal", json!(after)), ("entries_changed_of_surviving_pods", changed.into())]))
}
