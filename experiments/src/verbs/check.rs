//! `svcsim check`: what is wrong with an experiment, what is odd, and what it would run.

use super::{Failure, plan};
use crate::collect;
use std::path::PathBuf;

/// Checks each file; all are looked at even if one is wrong.
pub(crate) fn check(experiments: &[PathBuf]) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for path in experiments {
        match plan(path, &[]) {
            Err(Failure::Input(wrong)) => errors.extend(wrong),
            Err(other) => return Err(other),
            Ok(planned) => {
                let design = &planned.design;
                println!(
                    "{}: {} design points, {} replications each: {} runs",
                    path.display(),
                    design.points.len(),
                    design.replications,
                    design.units()
                );
                for (i, point) in design.points.iter().enumerate() {
                    let requests: f64 = planned.specs[i].traffic.values().map(|t| t.arrivals.rate()).sum::<f64>()
                        * planned.specs[i].run.duration.as_secs_f64();
                    println!("  {}: {:.0} requests a run", point.label(), requests);
                }
                for warning in collect::warnings(&planned.loaded, design, &planned.specs) {
                    println!("warning: {warning}");
                }
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Input(errors)) }
}
