//! `beside-peers WORKLOAD [REQUESTS] [SEED]` with WORKLOAD one of `W1-<pending>`, `W2`, `W3`, `W3x<scale>`:
//! runs it once on one thread and prints the line that the comparison of engines collects:
//! `engine,workload,requests,events,seconds,req_per_s,events_per_s,peak_rss_mb,mean_ms,p99_ms`.
//!
//! `events` is the workload's own count (two a request in W2, six in W3), the same for every engine.

use std::process::ExitCode;
use std::time::Instant;
use svcsim_benches::{Hold, w2, w3};
use svcsim_engine::SimTime;
use svcsim_engine::random::Streams;
use svcsim_models::cluster::run;
use svcsim_models::spec::ClusterSpec;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let workload = args.next().unwrap_or_else(|| "W3".to_owned());
    let mut number = |default: u64| args.next().map_or(Some(default), |a| a.parse().ok());
    let (Some(requests), Some(seed)) = (number(1_000_000), number(1)) else { return usage() };
    let streams = Streams::new(seed, 0);
    let scale = |w: &str| w.strip_prefix("W3x").and_then(|s| s.parse().ok());
    match (workload.as_str(), scale(&workload), workload.strip_prefix("W1-").and_then(|s| s.parse().ok())) {
        ("W2", ..) => cluster(&workload, 2, &streams, || w2(requests)),
        ("W3", ..) => cluster(&workload, 6, &streams, || w3(1, requests)),
        (_, Some(scale), _) => cluster(&workload, 6, &streams, || w3(scale, requests)),
        (.., Some(pending)) => hold(&workload, pending, requests, &streams),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: beside-peers W1-<pending>|W2|W3|W3x<scale> [REQUESTS] [SEED]");
    ExitCode::from(2)
}

fn cluster(workload: &str, events_per_request: u64, streams: &Streams, spec: impl FnOnce() -> ClusterSpec) -> ExitCode {
    let start = Instant::now();
    match run(&spec(), streams, &|| true) {
        Ok(Some(result)) => {
            let latency = &result.series[0].latency;
            let ms = |d: Option<svcsim_engine::SimDuration>| d.map_or(f64::NAN, |d| d.as_millis_f64());
            let answers = format!("{:.4},{:.4}", ms(latency.mean()), ms(latency.quantile(0.99)));
            report(workload, latency.count(), latency.count() * events_per_request, start, &answers);
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn hold(workload: &str, pending: u32, holds: u64, streams: &Streams) -> ExitCode {
    let mut sim = Hold::simulation(pending, streams.stream(0, 0));
    let start = Instant::now();
    let mut left = holds;
    sim.advance(SimTime::MAX, u64::MAX, |_| {
        left -= 1;
        left > 0
    });
    report(workload, holds, holds, start, ",");
    ExitCode::SUCCESS
}

fn report(workload: &str, requests: u64, events: u64, start: Instant, answers: &str) {
    let s = start.elapsed().as_secs_f64();
    let (per_s, events_per_s) = (requests as f64 / s, events as f64 / s);
    println!("svcsim,{workload},{requests},{events},{s:.4},{per_s:.0},{events_per_s:.0},{:.1},{answers}", peak_rss_mb());
}

/// High-water mark of resident memory in MiB, where Linux tells it.
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).map_or(0.0, |kb| kb / 1024.0)
}
