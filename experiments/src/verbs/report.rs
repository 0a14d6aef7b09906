//! `svcsim report`: report and figures again, from the tables alone.

use super::Failure;
use crate::output::{Results, publish};
use std::path::Path;

/// Rebuilds report and figures in `dir`.
pub(crate) fn report(dir: &Path) -> Result<(), Failure> {
    let results = Results::read(dir).map_err(Failure::Failed)?;
    publish(&results, dir).map_err(|e| Failure::Failed(format!("{}: {e}", dir.display())))?;
    println!("{}", dir.join("report.html").display());
    Ok(())
}
