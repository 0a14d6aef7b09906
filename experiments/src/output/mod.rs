//! What an experiment leaves behind: tables, figures and a report, all made from one [`Results`].

use std::io;
use std::path::Path;

mod around_events;
pub(crate) mod comparison;
pub(crate) mod explain;
pub(crate) mod findings;
pub(crate) mod format;
pub(crate) mod openmetrics;
pub(crate) mod plots;
pub(crate) mod provenance;
mod ranking;
pub(crate) mod report;
pub(crate) mod requests;
mod safe_level;
mod sensitivity;
pub(crate) mod tables;
pub(crate) mod validation;
mod view;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub(crate) use self::tables::Results;

/// Writes figures and report into a results directory, beside the tables that [`Results::write`] made.
pub(crate) fn publish(results: &Results, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let figures = plots::figures(results);
    plots::write(&figures, dir)?;
    report::write(results, &figures, dir)
}
