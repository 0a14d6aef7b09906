//! `svcsim check`: what is wrong with an experiment, what is odd, and what it would run.

use super::{Failure, plan};
use crate::collect;
use serde_json::Value;
use std::path::PathBuf;
use svcsim_models::spec::ClusterSpec;

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
                if requests.len() > 1 {
                    println!("  in all: {:.0} requests", requests.iter().sum::<f64>() * f64::from(design.replications));
                }
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
