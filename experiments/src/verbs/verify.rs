//! `svcsim verify`: the same bytes again, from the provenance.

use super::run::{simulate, write};
use super::{Failure, plan};
use crate::execute::Workers;
use crate::output::provenance::{Place, Provenance};
use crate::units::Units;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Runs the experiment of `dir` again into a temporary directory and compares every file the provenance lists.
pub(crate) fn verify(dir: &Path, threads: Option<usize>) -> Result<(), Failure> {
    let recorded = Provenance::read(dir).map_err(Failure::Failed)?;
    let altered = recorded.differences(dir);
    if !altered.is_empty() {
        let list = altered.join(", ");
        return Err(Failure::Failed(format!(
            "{}: altered since it was written: {list}; restore the directory or run again",
            dir.display()
        )));
    }
    let planned = plan(&dir.join("experiment.yaml"), &[])?;
    let place = Place::temporary();
    let units = Units::of(place.units(), &recorded.experiment, recorded.seed);
    let workers = Workers { threads, progress: false, interrupted: &AtomicBool::new(false), units: None };
    let made = simulate(&planned, &workers, &units);
    // Nothing else comes back to them.
    let _ = units.forget();
    let (mut results, cost) = made?;
    // What only the original input said is part of the record, not of the run.
    crate::output::Results::read(dir).map_err(Failure::Failed)?.about.clone_into(&mut results.about);
    let again = write(&planned, &results, &cost, &place)?;
    let differing = recorded.differences(&again);
    std::fs::remove_dir_all(&again).map_err(|e| Failure::Failed(format!("{}: {e}", again.display())))?;
    if differing.is_empty() {
        println!("{}: all {} files are reproduced byte for byte", dir.display(), recorded.files.len());
        return Ok(());
    }
    let version = env!("CARGO_PKG_VERSION");
    let hint =
        if recorded.version == version { String::new() } else { format!(" (made by version {}, this is {version})", recorded.version) };
    Err(Failure::Failed(format!("{}: not reproduced: {}{hint}", dir.display(), differing.join(", "))))
}
