//! `svcsim check`: what is wrong with an experiment, what is odd, and what it would run.

use super::{Failure, plan};
use crate::collect;
use serde_json::Value;
use std::path::PathBuf;
use svcsim_models::spec::{ClusterSpec, Via};

/// Checks each file; all are looked at even if one is wrong.
pub(crate) fn check(experiments: &[PathBuf], sets: &[(String, Value)]) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for path in experiments {
        match plan(path, sets) {
            Err(Failure::Input(wrong)) => errors.extend(wrong),
            Err(other) => return Err(other),
            Ok(planned) => {
                let design = &planned.design;
                println!(
                    "{}: {} design points{}, {} replications each: {} runs",
                    path.display(),
                    design.points.len(),
                    planned.loaded.experiment.design.sampling.as_ref().map_or(String::new(), |s| format!(" by {}", s.name())),
                    design.replications,
                    design.units()
                );
                if let Some(precision) = &planned.loaded.experiment.design.precision {
                    println!(
                        "  these are a pilot: as many more follow as it takes to know {} to within {}%, up to {} each",
                        precision.metrics.join(", "),
                        precision.relative_half_width.0,
                        precision.most
                    );
                }
                let requests: Vec<f64> = planned.specs.iter().map(requests).collect();
                for (point, requests) in design.points.iter().zip(&requests) {
                    println!("  {}: {requests:.0} requests a run", point.label());
                }
                let calls = planned.specs.iter().any(|s| s.workloads.iter().any(|w| !w.pod.calls.is_empty()));
                let apart = if calls { ", without what Services ask of each other" } else { "" };
                println!("  {}{apart}", Price::of(&planned.specs, design.replications));
                for warning in collect::warnings(&planned.loaded, design, &planned.specs) {
                    println!("warning: {warning}");
                }
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Input(errors)) }
}

/// Requests that a run of this is expected to have.
fn requests(spec: &ClusterSpec) -> f64 {
    spec.traffic.values().map(|t| t.arrivals.rate()).sum::<f64>() * spec.run.duration.as_secs_f64()
}

/// What an experiment takes, by rules of thumb from runs of those that are shipped: good to a factor of two.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Price {
    requests: f64,
    events: f64,
    /// Bytes.
    memory: f64,
}

impl Price {
    /// Events a second and core, of the shipped experiments on a 2-core cloud machine of 2026.
    const SPEED: f64 = 3e6;
    /// What a run takes while tables are made of its point: for each source, histograms and windows; and the rest.
    const OF_SOURCE: f64 = 0.5e6;
    const OF_RUN: f64 = 0.8e6;
    /// Its rows in the tables.
    const ROWS: f64 = 0.05e6;
    /// The program, and the figures.
    const AT_LEAST: f64 = 9e7;

    fn of(specs: &[ClusterSpec], replications: u32) -> Self {
        let sum = |of: &dyn Fn(&ClusterSpec) -> f64| specs.iter().map(of).sum::<f64>() * f64::from(replications);
        let calls = |spec: &ClusterSpec| spec.workloads.iter().map(|w| w.pod.calls.len()).sum::<usize>();
        let of_run = |spec: &ClusterSpec| Self::OF_RUN + Self::OF_SOURCE * (spec.traffic.len() + calls(spec)) as f64;
        let point = specs.iter().map(of_run).fold(0.0, f64::max) * f64::from(replications);
        Self { requests: sum(&requests), events: sum(&events), memory: Self::AT_LEAST + sum(&|_| Self::ROWS) + point }
    }
}

impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.events / Self::SPEED;
        let time = if seconds < 120.0 { format!("{:.0} s", seconds.max(1.0)) } else { format!("{:.0} min", seconds / 60.0) };
        write!(
            f,
            "in all: {:.0} requests, about {:.1} million events, {time} of one core and {:.0} MB",
            self.requests,
            self.events / 1e6,
            self.memory / 1e6
        )
    }
}

/// Events that a run of this is expected to have: by the way of its requests, as `ARCHITECTURE.md` counts them.
fn events(spec: &ClusterSpec) -> f64 {
    let of = |t: &svcsim_models::spec::TrafficSpec| {
        let each = match t.via {
            Via::NodePort => 5.0,
            Via::LoadBalancer => 6.0,
            _ => 4.0,
        };
        each * t.arrivals.rate() * spec.run.duration.as_secs_f64()
    };
    spec.traffic.values().map(of).sum()
}
