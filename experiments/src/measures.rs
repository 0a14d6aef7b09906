//! What one run found, as named metrics: the only place where a metric gets its name and unit.

use svcsim_engine::stats::fairness::{cv, jain, max_over_mean};
use svcsim_engine::stats::{Histogram, Tally};
use svcsim_models::cluster::Outcome;
use svcsim_models::record::{PodResult, RunResult, SeriesResult};

/// A metric's name, unit and value.
pub(crate) type Measure = (String, &'static str, f64);

/// All metrics of one series of one run. One that does not exist (a quantile of nothing) is left out.
pub(crate) fn of_series(run: &RunResult, series: &SeriesResult) -> Vec<Measure> {
    let mut measures = Vec::new();
    let mut say = |name: &str, unit: &'static str, value: Option<f64>| {
        if let Some(value) = value.filter(|v| v.is_finite()) {
            measures.push((name.to_owned(), unit, value));
        }
    };
    let seconds = run.measured.as_secs_f64();
    let (completed, ended) = (series.completed() as f64, series.ended() as f64);
    let share = |n: u64| (completed > 0.0).then(|| n as f64 / completed);
    say("requests", "requests", Some(series.arrivals as f64));
    say("throughput", "requests/s", Some(completed / seconds));
    latencies(&series.latency, &mut say);
    let ms = |t: &Tally| t.mean().map(|ns| ns / 1e6);
    say("time_wait", "ms", ms(&series.wait));
    say("time_service", "ms", ms(&series.service));
    say("time_network", "ms", ms(&series.network));
    say("hops", "links", series.hops.mean());
    say("error_rate", "ratio", (ended > 0.0).then(|| 1.0 - completed / ended));
    for outcome in Outcome::ALL.iter().filter(|o| **o != Outcome::Completed) {
        say(&format!("errors_{}", outcome.name()), "requests", Some(series.outcomes[*outcome as usize] as f64));
    }
    say("in_flight_at_end", "requests", Some(series.in_flight as f64));
    say("extra_hop_share", "ratio", share(series.extra_hop));
    say("cross_zone_share", "ratio", share(series.cross_zone));
    say("snat_share", "ratio", share(series.snat));
    let backends = backends(run, series);
    let by_pod = |counts: &[u64]| backends.iter().map(|p| counts[p.replica] as f64).collect::<Vec<_>>();
    let (requests, connections) = (by_pod(&series.requests_by_replica), by_pod(&series.connections_by_replica));
    say("jain_requests", "ratio", jain(&requests));
    say("jain_connections", "ratio", jain(&connections));
    say("cv_requests", "ratio", cv(&requests));
    say("max_over_mean_requests", "ratio", max_over_mean(&requests));
    let servers: f64 = backends.iter().map(|p| f64::from(p.concurrency)).sum();
    let busy: f64 = backends.iter().map(|p| p.busy.as_secs_f64()).sum();
    say("utilisation", "ratio", (servers > 0.0).then(|| busy / servers / seconds));
    measures
}

fn latencies(latency: &Histogram, say: &mut impl FnMut(&str, &'static str, Option<f64>)) {
    let quantile = |q| latency.quantile(q).map(|d| d.as_millis_f64());
    say("latency_mean", "ms", latency.mean_ns().map(|ns| ns / 1e6));
    for (name, q) in [("latency_p50", 0.5), ("latency_p90", 0.9), ("latency_p99", 0.99), ("latency_p999", 0.999)] {
        say(name, "ms", quantile(q));
    }
    say("latency_max", "ms", latency.max().map(|d| d.as_millis_f64()));
}

/// The replicas that could have served the series: all of those that served any of it, and their siblings.
pub(crate) fn backends<'a>(run: &'a RunResult, series: &SeriesResult) -> Vec<&'a PodResult> {
    run.pods.iter().filter(|p| series.backends.contains(&p.replica)).collect()
}

/// All series of a run as one; `None` where there is just one, which is the whole then.
pub(crate) fn all_series(run: &RunResult) -> SeriesResult {
    let mut series = run.series.iter();
    let mut all = series.next().cloned().unwrap_or_else(|| SeriesResult::new("", 0, 3));
    series.for_each(|s| all.merge(s));
    all.name = "all".to_owned();
    all
}
