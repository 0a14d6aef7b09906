//! `svcsim report`: report and figures again, from the tables alone.

use super::Failure;
use crate::output::{Results, openmetrics, publish};
use std::path::Path;

/// Rebuilds report and figures in `dir`; with `parquet`, the tables as Parquet too, and with `metrics` all as OpenMetrics text.
pub(crate) fn report(dir: &Path, parquet: bool, metrics: bool) -> Result<(), Failure> {
    let results = Results::read(dir).map_err(Failure::Failed)?;
    publish(&results, dir).map_err(|e| Failure::Failed(format!("{}: {e}", dir.display())))?;
    if parquet {
        results.write_parquet(dir).map_err(|e| Failure::Failed(format!("{}: {e}", dir.join("parquet").display())))?;
    }
    if metrics {
        openmetrics::write(&results, dir).map_err(|e| Failure::Failed(format!("{}: {e}", dir.display())))?;
    }
    println!("{}", dir.join("report.html").display());
    Ok(())
}
