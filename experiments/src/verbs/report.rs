//! `svcsim report`: report and figures again, from the tables alone.

use super::Failure;
use crate::output::{Results, publish};
use std::path::Path;

/// Rebuilds report and figures in `dir`; with `parquet`, the tables as Parquet too.
pub(crate) fn report(dir: &Path, parquet: bool) -> Result<(), Failure> {
    let results = Results::read(dir).map_err(Failure::Failed)?;
    publish(&results, dir).map_err(|e| Failure::Failed(format!("{}: {e}", dir.display())))?;
    if parquet {
        results.write_parquet(dir).map_err(|e| Failure::Failed(format!("{}: {e}", dir.join("parquet").display())))?;
    }
    println!("{}", dir.join("report.html").display());
    Ok(())
}
