//! Pods that come and go, and connections that live longer than a request: a long request stands for each.

use super::world::{World, seconds};
use super::{Effort, Plan, Vector};
use serde_json::json;
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;
use svcsim_models::cluster::Outcome;
use svcsim_models::record::RunResult;
use svcsim_models::spec::{Action, ClusterSpec, EventSpec, PodTarget, ScaleTarget};

/// Mean lives after which Pods that were there at the start are forgotten: e^-14 of them are left, one in a million.
const TAIL: f64 = 14.0;
/// Requests for each start of a Pod: enough of them to see every stretch of time without Pods.
const REQUESTS: f64 = 20.0;
/// When the Pod comes that connections have to find, s.
const COMES: f64 = 1.0;
/// Names of what is said of a time after that, s.
const AT: [(f64, &str); 3] = [(10.0, "new_pod_share_at_10s"), (60.0, "new_pod_share_at_60s"), (300.0, "new_pod_share_at_300s")];

/// Pods start at random instants and live for a random time, whatever the others do; requests find some, or none.
pub(super) fn pods(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pod_start_rate_per_s", "pod_life_mean_s"])?;
    let (rate, life) = (vector.number("pod_start_rate_per_s")?, vector.number("pod_life_mean_s")?);
    if rate <= 0.0 || life <= 0.0 {
        return Err("Pods that never start or never live".to_owned());
    }
    let starts = vector.suggested("requests_per_replication").unwrap_or(20_000.0).max(1.0) * effort.scale;
    let (warm_up, measured) = (TAIL * life, starts / rate);
    let world = World {
        nodes: 1,
        pods: 1,
        behaviour: json!({"serviceTime": "1ns", "concurrency": 1_000_000, "startup": "0s"}),
        rate: REQUESTS * rate,
        source: json!(null),
        to_node: seconds(0.0).into(),
        warm_up,
        duration: warm_up + measured,
    };
    let mut spec = world.spec()?;
    for workload in &mut spec.workloads {
        workload.replicas = 0;
    }
    let another = Action::Scale(ScaleTarget { workload: "web".to_owned(), replicas: None, by: Some(1) });
    spec.events.insert("pod".to_owned(), EventSpec::every(exponential(1.0 / rate), another).lasting(exponential(life)));
    let measure = move |results: &[RunResult]| results.first().map(|run| alive(run, warm_up, warm_up + measured)).unwrap_or_default();
    Ok(Plan { specs: vec![spec], replications: vector.replications(), share: effort.scale, measure: Box::new(measure) })
}

/// What is found from one time to the other, s.
fn alive(run: &RunResult, from: f64, to: f64) -> BTreeMap<&'static str, f64> {
    let changes: Vec<(f64, f64, &str)> = run
        .incidents
        .iter()
        .filter_map(|i| match i.event.as_ref() {
            "ready" => Some((i.time.as_secs_f64(), 1.0, i.pod.as_str())),
            "terminate" => Some((i.time.as_secs_f64(), -1.0, i.pod.as_str())),
            _ => None,
        })
        .filter(|(time, ..)| *time < to)
        .collect();
    let (mut level, mut last, mut born) = (0.0, from, BTreeMap::new());
    let (mut area, mut squares, mut ages) = (0.0, 0.0, 0.0);
    // A Pod that lives from `start` until `end` has this area below its age, as far as it is looked at.
    let age = |start: f64, end: f64| ((end - start) * (end - start) - (from - start).max(0.0) * (from - start).max(0.0)) / 2.0;
    for (time, change, pod) in changes {
        let spent = (time - last).max(0.0);
        (area, squares, last) = (area + level * spent, squares + level * level * spent, time.max(last));
        level += change;
        if change > 0.0 {
            born.insert(pod, time);
        } else if let Some(start) = born.remove(pod).filter(|_| time > from) {
            ages += age(start, time);
        }
    }
    (area, squares) = (area + level * (to - last), squares + level * level * (to - last));
    ages += born.values().map(|start| age(*start, to)).sum::<f64>();
    let (mean, series) = (area / (to - from), &run.series[0]);
    BTreeMap::from([
        ("pods_mean", mean),
        ("pods_variance", squares / (to - from) - mean * mean),
        ("refused_fraction", series.outcomes[Outcome::Rejected as usize] as f64 / series.arrivals.max(1) as f64),
        ("mean_age_of_pods_alive_s", ages / area),
    ])
}

/// Two runs: of so many connections, of which a Pod more gets its part as they are renewed; and of connections to Pods that die.
pub(super) fn connections(vector: &Vector, effort: &Effort) -> Result<Plan, String> {
    vector.knows_only(&["pods_before", "connection_life_mean_s", "pod_life_mean_s", "t_s"])?;
    let (pods, life) = (vector.count("pods_before")?, vector.number("connection_life_mean_s")?);
    let connections = (vector.suggested("requests_per_replication").unwrap_or(20_000.0) * effort.scale).max(100.0).round();
    let known = |t: &f64| AT.iter().any(|(at, _)| at == t);
    let times = vector.params.get("t_s").and_then(serde_json::Value::as_array).ok_or("no parameter `t_s`, or no list")?;
    if !times.iter().all(|t| t.as_f64().as_ref().is_some_and(known)) {
        return Err("a time in `t_s` that no statistic is named after".to_owned());
    }
    let world = |count: f64, duration: f64| -> Result<ClusterSpec, String> {
        let arrivals = json!({"closedLoop": {"users": count as u64, "think": "0s"}});
        let behaviour = json!({"serviceTime": {"exponential": {"mean": seconds(life)}}, "concurrency": 1_000_000, "startup": "0s"});
        let (source, to_node) = (json!({"arrivals": arrivals, "clients": 1}), seconds(0.0).into());
        World { nodes: 1, pods, behaviour, rate: 1.0, source, to_node, warm_up: 0.0, duration }.spec()
    };
    let last = AT[AT.len() - 1].0;
    let mut renewed = world(connections, COMES + last + TAIL * life)?;
    renewed.sample = 1;
    let more = Action::Scale(ScaleTarget::to("web", pods + 1));
    renewed.events.insert("more".to_owned(), EventSpec::at(SimDuration::from_nanos_f64(COMES * 1e9), more));
    // As many connections as Pods, so that few of them end together, for as long as it takes for so many to end.
    let mut broken = world(f64::from(pods), connections * life / f64::from(pods))?;
    for place in 0..pods {
        let dies = Action::PodCrash(PodTarget { workload: "web".to_owned(), place: Some(place) });
        broken.events.insert(format!("death-{place}"), EventSpec::every(exponential(vector.number("pod_life_mean_s")?), dies));
    }
    let measure = move |results: &[RunResult]| {
        let [renewed, broken] = results else { return BTreeMap::new() };
        let new = renewed.pods.last().map_or(usize::MAX, |p| p.replica);
        let share = |at: f64| {
            let there = renewed.requests.iter().filter(|r| r.start.as_secs_f64() <= at && at < r.end.as_secs_f64());
            let on_new = there.clone().filter(|r| r.replica.is_some_and(|r| r.0 as usize == new)).count();
            on_new as f64 / there.count().max(1) as f64
        };
        let mut values: BTreeMap<_, _> = AT.iter().map(|(at, name)| (*name, share(COMES + at))).collect();
        let ended = |outcome: Outcome| broken.series[0].outcomes_ever[outcome as usize] as f64;
        let by_death = ended(Outcome::Reset) / (ended(Outcome::Reset) + ended(Outcome::Completed));
        values.insert("fraction_of_connections_broken_by_pod_death", by_death);
        values
    };
    let share = connections / vector.suggested("requests_per_replication").unwrap_or(20_000.0);
    Ok(Plan { specs: vec![renewed, broken], replications: vector.replications(), share, measure: Box::new(measure) })
}

fn exponential(mean_s: f64) -> DistSpec<SimDuration> {
    DistSpec::Exponential { mean: SimDuration::from_nanos_f64(mean_s * 1e9) }
}
