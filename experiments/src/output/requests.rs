//! `requests.jsonl`: a sample of the requests, one JSON object a line.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use svcsim_engine::{Id, SimDuration};
use svcsim_models::cluster::Outcome;
use svcsim_models::record::{RequestRecord, RunResult};

/// The file's name.
const FILE: &str = "requests.jsonl";

/// One request. What is known only of those that a Pod answered is null elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RequestRow {
    point: u32,
    replication: u32,
    series: String,
    client: u32,
    start_s: f64,
    latency_ms: f64,
    outcome: &'static str,
    /// Name of the replica that its last try was sent to.
    pod: Option<String>,
    tries: u32,
    wait_ms: Option<f64>,
    service_ms: Option<f64>,
    called_ms: Option<f64>,
    network_ms: Option<f64>,
    hops: u8,
    extra_hop: Option<bool>,
    cross_zone: Option<bool>,
}

impl RequestRow {
    /// The sample of one run.
    pub(crate) fn of_run(point: u32, replication: u32, run: &RunResult) -> impl Iterator<Item = Self> {
        let pods: BTreeMap<usize, &str> = run.pods.iter().map(|p| (p.replica, p.name.as_str())).collect();
        run.requests.iter().map(move |r| {
            let pod = r.replica.and_then(|replica| pods.get(&replica.index()));
            Self::of((point, replication), &run.series[r.source.index()].name, pod.copied(), r)
        })
    }

    fn of((point, replication): (u32, u32), series: &str, pod: Option<&str>, r: &RequestRecord) -> Self {
        let latency = r.latency();
        let in_pod = r.waited + r.demand + r.called;
        let known = |value: SimDuration| (r.outcome == Outcome::Completed).then(|| value.as_millis_f64());
        Self {
            point,
            replication,
            series: series.to_owned(),
            client: r.client,
            start_s: r.start.as_secs_f64(),
            latency_ms: latency.as_millis_f64(),
            outcome: r.outcome.name(),
            pod: pod.map(str::to_owned),
            tries: r.tries,
            wait_ms: known(r.waited),
            service_ms: known(r.demand),
            called_ms: known(r.called),
            network_ms: known(latency.saturating_sub(in_pod)),
            hops: r.hops,
            extra_hop: r.way.map(|way| way.extra_hop),
            cross_zone: r.way.map(|way| way.cross_zone),
        }
    }
}

/// Writes the file into `dir`, if there is anything to write.
pub(super) fn write(dir: &Path, rows: &[RequestRow]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut file = BufWriter::new(File::create(dir.join(FILE))?);
    for row in rows {
        serde_json::to_writer(&mut file, row)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}
