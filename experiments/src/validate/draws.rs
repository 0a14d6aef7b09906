//! Choices without time: balls into bins, hash rings and tables, clients that stick to Pods. Each draw makes the world afresh.

use super::judge::Finding;
use super::{Draw, Effort, Vector, judged};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use svcsim_engine::random::{Stream, Streams, entity};
use svcsim_engine::stats::fairness::{cv, jain, max_over_mean};
use svcsim_models::balance::{Bins, PolicySpec};
use svcsim_models::dataplane::iptables;
use svcsim_models::maglev::{Backend, Table, TableSize};

/// Draws are judged by the means of so many parts of them: enough for a standard error, and each long enough for a deviation.
const PARTS: u64 = 40;
/// Fewest times that something must be expected to happen for its frequency to be judged.
const FEWEST: f64 = 20.0;
/// Keys of each draw: the hosts' addresses are drawn anew with every draw, and are few.
const KEYS: usize = 200;
/// Places on a ring's circle at which shares are measured, evenly spaced: they tell an arc to 0.005 % of the circle.
const PLACES: u64 = 20_000;

/// Frequencies of greatest loads, by name.
const LEVELS: [(&str, f64); 7] = [
    ("p_max_load_2", 2.0),
    ("p_max_load_3", 3.0),
    ("p_max_load_4", 4.0),
    ("p_max_load_5", 5.0),
    ("p_max_load_11", 11.0),
    ("p_max_load_12", 12.0),
    ("p_max_load_13", 13.0),
];

/// Makes draws, as many as are suggested, and judges them.
pub(super) fn findings(vector: &Vector, draw: &Draw, effort: &Effort) -> Result<Vec<Finding>, String> {
    let suggested = vector.suggested("replications").unwrap_or(1_000.0) * vector.suggested("requests_per_replication").unwrap_or(1.0);
    let each = (suggested * effort.scale / PARTS as f64).ceil().max(2.0) as u64;
    let part = |p: u64| -> Result<BTreeMap<&'static str, f64>, String> {
        let draws: Vec<_> =
            (p * each..(p + 1) * each).map(|d| draw(&Streams::new(effort.seed ^ entity(&vector.id), d))).collect::<Result<_, _>>()?;
        Ok(summary(&draws))
    };
    let mut parts: Vec<_> = (0..PARTS).into_par_iter().map(part).collect::<Result<_, _>>()?;
    let all = (PARTS * each) as f64;
    for (name, expected) in vector.expected.iter().filter(|(name, _)| name.starts_with("p_") || name.starts_with("empty")) {
        let happens = expected.get("value").and_then(Value::as_f64).unwrap_or(0.0) * all;
        if happens < FEWEST {
            parts.iter_mut().for_each(|p| p.retain(|key, _| key != name));
        }
    }
    Ok(judged(vector, &parts, all / suggested.max(1.0)))
}

/// Means over draws; and the deviations that go by a name of their own.
fn summary(draws: &[BTreeMap<&'static str, f64>]) -> BTreeMap<&'static str, f64> {
    let n = draws.len() as f64;
    let mut sums: BTreeMap<&'static str, f64> = BTreeMap::new();
    draws.iter().flatten().for_each(|(name, value)| *sums.entry(name).or_default() += value);
    let mut means: BTreeMap<_, _> = sums.into_iter().map(|(name, sum)| (name, sum / n)).collect();
    if let Some(mean) = means.get("max_load_mean").copied() {
        let squares: f64 = draws.iter().map(|d| (d["max_load_mean"] - mean) * (d["max_load_mean"] - mean)).sum();
        means.insert("max_load_sd", (squares / (n - 1.0)).sqrt());
    }
    if let Some(variance) = means.remove("share_variance") {
        means.insert("share_sd", variance.sqrt());
        means.insert("share_cv", variance.sqrt() / means["mean_share"]);
    }
    means
}

/// Items that are placed one after another and stay.
pub(super) fn balls(vector: &Vector) -> Result<Box<Draw>, String> {
    vector.knows_only(&["pods", "items", "d", "sampling"])?;
    let (pods, items) = (vector.count("pods")?, vector.count("items")?);
    let policy = match vector.params.contains_key("d") {
        false => json!("random"),
        true => {
            let replacement = vector.params.get("sampling").and_then(Value::as_str) == Some("with-replacement");
            json!({"leastRequest": {"choices": vector.count("d")?, "replacement": replacement}})
        }
    };
    let policy: PolicySpec = serde_json::from_value(policy).map_err(|e| e.to_string())?;
    Ok(Box::new(move |streams| {
        let mut bins = bins(&policy, pods, streams, 0)?;
        for item in 0..items {
            bins.send(item.into());
        }
        let loads: Vec<f64> = bins.loads().map(f64::from).collect();
        Ok(unevenness(&loads))
    }))
}

/// `pods` hosts whose addresses differ from draw to draw, since hashing policies place hosts by them.
fn bins(policy: &PolicySpec, pods: u32, streams: &Streams, but: u32) -> Result<Bins, String> {
    let mut names = streams.stream(entity("names"), 0);
    let hosts = (0..pods).map(|i| (format!("{i}-{:016x}", names.next_u64()), 1)).take((pods - but) as usize);
    Bins::new(policy, hosts, streams.stream(entity("choice"), 0)).map_err(|e| e.to_string())
}

fn unevenness(loads: &[f64]) -> BTreeMap<&'static str, f64> {
    let most = loads.iter().copied().fold(0.0, f64::max);
    let empty = loads.iter().filter(|l| **l == 0.0).count() as f64;
    let mut values = BTreeMap::from([
        ("max_load_mean", most),
        ("empty_pods_mean", empty),
        ("p_some_pod_empty", f64::from(empty > 0.0)),
        ("sum_of_squared_loads_mean", loads.iter().map(|l| l * l).sum()),
    ]);
    let defined =
        [("max_over_mean_mean", max_over_mean(loads)), ("cv_squared_mean", cv(loads).map(|cv| cv * cv)), ("jain_mean", jain(loads))];
    values.extend(defined.into_iter().filter_map(|(name, value)| Some((name, value?))));
    values.extend(LEVELS.map(|(name, level)| (name, f64::from(most == level))));
    values
}

/// The hosts' parts of the circle, and who moves when the last host leaves.
pub(super) fn ring(vector: &Vector) -> Result<Box<Draw>, String> {
    vector.knows_only(&["pods", "points_per_pod"])?;
    let pods = vector.count("pods")?;
    let policy: PolicySpec =
        serde_json::from_value(json!({"ring": {"points": vector.count("points_per_pod")?}})).map_err(|e| e.to_string())?;
    Ok(Box::new(move |streams| {
        let (mut before, mut after) = (bins(&policy, pods, streams, 0)?, bins(&policy, pods, streams, 1)?);
        let (mut moved, mut needlessly) = (0u32, 0u32);
        let last = pods as usize - 1;
        for place in 0..PLACES {
            let hash = u64::MAX / PLACES * place;
            let (was, is) = (before.send(hash), after.send(hash));
            moved += u32::from(was != is);
            needlessly += u32::from(was != is && was != Some(last));
        }
        let share: Vec<f64> = before.loads().map(|n| f64::from(n) / PLACES as f64).collect();
        let even = 1.0 / f64::from(pods);
        let squares: f64 = share.iter().map(|s| s * s).sum();
        Ok(BTreeMap::from([
            ("mean_share", even),
            ("share_variance", share.iter().map(|s| (s - even) * (s - even)).sum::<f64>() * even),
            ("sum_of_squared_shares_mean", squares),
            ("max_over_mean_share", share.iter().copied().fold(0.0, f64::max) / even),
            ("keys_moved_when_one_pod_leaves", f64::from(moved) / PLACES as f64),
            ("keys_moved_needlessly", f64::from(needlessly)),
        ]))
    }))
}

/// Who moves when the last of several hosts leaves, by hashing policy.
pub(super) fn keys_that_move(vector: &Vector) -> Result<Box<Draw>, String> {
    vector.knows_only(&["pods"])?;
    let pods = vector.count("pods")?;
    let policies = ["hashMap", "rendezvous", "jump"].map(|name| PolicySpec::by_name(name).unwrap_or_default());
    Ok(Box::new(move |streams| {
        let mut keys = streams.stream(entity("keys"), 0);
        let keys: Vec<u64> = (0..KEYS).map(|_| keys.next_u64()).collect();
        let moved = |policy: &PolicySpec| -> Result<f64, String> {
            let (mut before, mut after) = (bins(policy, pods, streams, 0)?, bins(policy, pods, streams, 1)?);
            Ok(keys.iter().filter(|key| before.send(**key) != after.send(**key)).count() as f64 / KEYS as f64)
        };
        let [modulo, rendezvous, jump] = &policies;
        Ok(BTreeMap::from([("modulo", moved(modulo)?), ("rendezvous", moved(rendezvous)?), ("jump_hash", moved(jump)?)]))
    }))
}

/// A table of backends with random hashes, some of which go.
pub(super) fn maglev(vector: &Vector) -> Result<Box<Draw>, String> {
    vector.knows_only(&["pods", "table_size", "removed"])?;
    let (pods, gone) = (vector.count("pods")? as usize, vector.count("removed")? as usize);
    let size = TableSize::new(vector.number("table_size")? as u32).ok_or("`table_size` is no prime")?;
    let kept = pods.checked_sub(gone).filter(|n| *n > 0).ok_or("nobody is left")?;
    Ok(Box::new(move |streams| {
        let mut hashes = streams.stream(entity("names"), 0);
        let backends: Vec<Backend> = (0..pods).map(|_| Backend::of((hashes.next_u64(), hashes.next_u64()))).collect();
        // All are alike, so that the last ones are as random as any.
        let (before, after) = (Table::build(&backends, size), Table::build(&backends[..kept], size));
        let pairs = || before.places().iter().zip(after.places());
        let counts = pairs().fold(vec![0.0; pods], |mut counts, (was, _)| {
            counts[*was as usize] += 1.0;
            counts
        });
        let places = f64::from(size.get());
        let changed = pairs().filter(|(was, is)| was != is).count() as f64;
        let needlessly = pairs().filter(|(was, is)| was != is && (**was as usize) < kept).count() as f64;
        let of_survivors: f64 = counts[..kept].iter().sum();
        Ok(BTreeMap::from([
            ("entries_per_pod_min", counts.iter().copied().fold(f64::MAX, f64::min)),
            ("entries_per_pod_max", counts.iter().copied().fold(0.0, f64::max)),
            ("max_over_mean", counts.iter().copied().fold(0.0, f64::max) * pods as f64 / places),
            ("fraction_of_entries_changed", changed / places),
            ("fraction_of_entries_changed_needlessly", needlessly / places),
            ("fraction_of_surviving_pods_entries_changed", needlessly / of_survivors),
        ]))
    }))
}

/// Clients of unequal weight, each of whom stays with the Pod that a chain of rules picked at first.
pub(super) fn skewed_clients(vector: &Vector) -> Result<Box<Draw>, String> {
    vector.knows_only(&["clients", "zipf_exponent", "pods"])?;
    let (clients, pods, exponent) = (vector.count("clients")?, vector.count("pods")?, vector.number("zipf_exponent")?);
    let weights: Vec<f64> = (1..=clients).map(|i| libm::pow(f64::from(i), -exponent)).collect();
    let all: f64 = weights.iter().sum();
    let weights: Vec<f64> = weights.into_iter().map(|w| w / all).collect();
    Ok(Box::new(move |streams| {
        let mut chance: Stream = streams.stream(entity("choice"), 0);
        let mut share = vec![0.0; pods as usize];
        weights.iter().for_each(|w| share[iptables::pick(pods, || chance.next_u32()) as usize] += w);
        let squares: f64 = share.iter().map(|s| s * s).sum();
        let mut values = BTreeMap::from([
            ("sum_of_squared_shares_mean", squares),
            ("p_two_random_requests_same_pod", squares),
            ("largest_client_share", weights.iter().copied().fold(0.0, f64::max)),
        ]);
        values.extend(
            unevenness(&share).into_iter().filter(|(name, _)| ["cv_squared_mean", "jain_mean", "max_over_mean_mean"].contains(name)),
        );
        Ok(values)
    }))
}
