//! What one run found, as named metrics: the only place where a metric gets its name and unit.

use crate::input::experiment::SloSection;
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;
use svcsim_engine::stats::fairness::{cv, jain, max_over_mean};
use svcsim_engine::stats::{Histogram, Tally};
use svcsim_models::cluster::Outcome;
use svcsim_models::record::{PodResult, RunResult, SeriesResult, Stretch};

/// Confidence of intervals, unless something else is said.
pub(crate) const CONFIDENCE: f64 = 0.95;
/// How busy Pods are beyond which a point has no steady state: its latencies depend on the length of the run.
pub(crate) const SATURATED: f64 = 0.95;

/// A metric's name, unit and value.
pub(crate) type Measure = (String, &'static str, f64);

/// Takes a metric's name, unit and value; no value where it does not exist (a quantile of nothing).
type Say<'a> = dyn FnMut(&str, &'static str, Option<f64>) + 'a;

/// All metrics of one series of one run. One that does not exist is left out.
pub(crate) fn of_series(run: &RunResult, series: &SeriesResult, slo: Option<&SloSection>) -> Vec<Measure> {
    existing(|say| tell_series(run, series, slo, say))
}

/// All metrics of a run that are of no series: what Nodes' views of the cluster were like.
pub(crate) fn of_run(run: &RunResult) -> Vec<Measure> {
    existing(|say| tell_run(run, say))
}

/// All metrics of the whole of a run, by name.
pub(crate) fn by_name(run: &RunResult, slo: Option<&SloSection>) -> BTreeMap<String, f64> {
    let measures = of_series(run, &all_series(run), slo).into_iter().chain(of_run(run));
    measures.map(|(name, _, value)| (name, value)).collect()
}

/// Names and units of all metrics that an experiment can have.
pub(crate) fn known() -> Vec<(String, &'static str)> {
    let nothing = RunResult {
        series: Vec::new(),
        pods: Vec::new(),
        links: Vec::new(),
        incidents: Vec::new(),
        marks: Vec::new(),
        programming: Histogram::new(3),
        convergence: Histogram::new(3),
        slice_writes: 0,
        requests: Vec::new(),
        measured: SimDuration::ZERO,
        events: 0,
    };
    let mut names = Vec::new();
    let mut say = |name: &str, unit: &'static str, _: Option<f64>| names.push((name.to_owned(), unit));
    tell_series(&nothing, &SeriesResult::new("", 0, 3), None, &mut say);
    tell_run(&nothing, &mut say);
    names
}

fn existing(tell: impl FnOnce(&mut Say<'_>)) -> Vec<Measure> {
    let mut measures = Vec::new();
    tell(&mut |name, unit, value| measures.extend(value.filter(|v| v.is_finite()).map(|v| (name.to_owned(), unit, v))));
    measures
}

fn tell_series(run: &RunResult, series: &SeriesResult, slo: Option<&SloSection>, say: &mut Say<'_>) {
    let seconds = run.measured.as_secs_f64();
    let (completed, ended) = (series.completed() as f64, series.ended() as f64);
    let share = |n: u64| (completed > 0.0).then(|| n as f64 / completed);
    say("requests", "requests", Some(series.arrivals as f64));
    say("throughput", "requests/s", Some(completed / seconds));
    latencies(&series.latency, say);
    let ms = |t: &Tally| t.mean().map(|ns| ns / 1e6);
    say("time_wait", "ms", ms(&series.wait));
    say("time_service", "ms", ms(&series.service));
    say("time_network", "ms", ms(&series.network));
    say("time_called", "ms", ms(&series.called).filter(|called| *called > 0.0));
    let outside: u64 = run.series.iter().filter(|s| !s.inner).map(SeriesResult::completed).sum();
    let critical = run.series.iter().any(|s| s.inner) && outside > 0;
    say("time_critical", "ms", critical.then(|| series.critical_ns as f64 / 1e6 / outside as f64));
    say("hops", "links", series.hops.mean());
    let error_rate = (ended > 0.0).then(|| 1.0 - completed / ended);
    say("error_rate", "ratio", error_rate);
    say("requests_lost", "requests", Some(ended - completed));
    say("error_budget_burned", "ratio", error_rate.zip(slo).map(|(rate, slo)| rate / slo.error_budget()));
    for outcome in Outcome::ALL.iter().filter(|o| **o != Outcome::Completed) {
        say(&format!("errors_{}", outcome.name()), "requests", Some(series.outcomes[*outcome as usize] as f64));
    }
    say("retries", "requests", Some(series.retries as f64));
    say("hedges", "requests", (series.hedges > 0).then_some(series.hedges as f64));
    say("retries_refused", "requests", Some(series.retries_refused as f64));
    say("in_flight_at_end", "requests", Some(series.in_flight as f64));
    say("extra_hop_share", "ratio", share(series.extra_hop));
    say("cross_zone_share", "ratio", share(series.cross_zone));
    say("snat_share", "ratio", share(series.snat));
    say("stale_decision_share", "ratio", share_above_zero(&series.staleness));
    quantiles("staleness", &series.staleness, &[("p50", 0.5), ("p99", 0.99)], say);
    say("staleness_max", "ms", series.staleness.max().map(|d| d.as_millis_f64()));
    let backends = backends(run, series);
    let by_pod = |counts: &[u64]| backends.iter().map(|p| counts[p.replica] as f64).collect::<Vec<_>>();
    let (requests, connections) = (by_pod(&series.requests_by_replica), by_pod(&series.connections_by_replica));
    let jain_of = |loads: &[f64]| jain(loads).filter(|_| loads.iter().any(|x| *x > 0.0));
    say("jain_requests", "ratio", jain_of(&requests));
    say("jain_connections", "ratio", jain_of(&connections));
    say("cv_requests", "ratio", cv(&requests));
    say("max_over_mean_requests", "ratio", max_over_mean(&requests));
    let total: f64 = requests.iter().sum();
    say("hottest_pod_share", "ratio", (total > 0.0).then(|| requests.iter().copied().fold(0.0, f64::max) / total));
    let servers: f64 = backends.iter().map(|p| f64::from(p.concurrency)).sum();
    let busy: f64 = backends.iter().map(|p| p.busy.as_secs_f64()).sum();
    say("utilisation", "ratio", (servers > 0.0).then(|| busy / servers / seconds));
    let of_pod = |p: &&PodResult| p.busy.as_secs_f64() / f64::from(p.concurrency) / seconds;
    say("hottest_pod_utilisation", "ratio", backends.iter().map(of_pod).reduce(f64::max));
}

fn tell_run(run: &RunResult, say: &mut Say<'_>) {
    quantiles("network_programming", &run.programming, &[("p50", 0.5), ("p90", 0.9), ("p99", 0.99)], say);
    say("convergence_mean", "ms", run.convergence.mean_ns().map(|ns| ns / 1e6));
    say("convergence_max", "ms", run.convergence.max().map(|d| d.as_millis_f64()));
    say("slice_writes", "writes", Some(run.slice_writes as f64));
}

fn quantiles(name: &str, of: &Histogram, quantiles: &[(&str, f64)], say: &mut Say<'_>) {
    for (suffix, q) in quantiles {
        say(&format!("{name}_{suffix}"), "ms", of.quantile(*q).map(|d| d.as_millis_f64()));
    }
}

/// The part of all durations that are more than zero.
fn share_above_zero(of: &Histogram) -> Option<f64> {
    of.ccdf().next().map(|(shortest, above)| if shortest == SimDuration::ZERO { above } else { 1.0 })
}

fn latencies(latency: &Histogram, say: &mut Say<'_>) {
    say("latency_mean", "ms", latency.mean_ns().map(|ns| ns / 1e6));
    quantiles("latency", latency, &[("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)], say);
    say("latency_max", "ms", latency.max().map(|d| d.as_millis_f64()));
}

/// Metrics of one phase of an event, whose requests were sent in `stretches`; `part` says which part of the run's error budget one
/// lost request is.
pub(crate) fn of_phase(stretches: &[Stretch], part: Option<f64>) -> Vec<Measure> {
    existing(|say| {
        let Some((first, others)) = stretches.split_first() else { return };
        let mut all = first.clone();
        others.iter().for_each(|s| all.merge(s));
        let (ended, lost) = (all.ended() as f64, all.lost() as f64);
        say("requests", "requests", Some(ended));
        say("latency_p99", "ms", all.latency.quantile(0.99).map(|d| d.as_millis_f64()));
        say("error_rate", "ratio", (ended > 0.0).then(|| lost / ended));
        say("requests_lost", "requests", Some(lost));
        say("error_budget_burned", "ratio", part.map(|part| lost * part));
        for outcome in Outcome::ALL.iter().filter(|o| **o != Outcome::Completed) {
            let lost = all.outcomes[*outcome as usize];
            say(&format!("errors_{}", outcome.name()), "requests", (lost > 0).then_some(lost as f64));
        }
    })
}

/// The replicas that could have served the series: all of those that served any of it, and their siblings.
pub(crate) fn backends<'a>(run: &'a RunResult, series: &SeriesResult) -> Vec<&'a PodResult> {
    run.pods.iter().filter(|p| series.backends.contains(&p.replica)).collect()
}

/// All series of a run as one: what came from outside; calls of one Service by another are part of it already.
pub(crate) fn all_series(run: &RunResult) -> SeriesResult {
    let mut series = run.series.iter().filter(|s| !s.inner);
    let mut all = series.next().cloned().unwrap_or_else(|| SeriesResult::new("", 0, 3));
    series.for_each(|s| all.merge(s));
    all.name = "all".to_owned();
    all
}
