//! `svcsim merge`: shards in, the results that one machine would have made out.

use super::run::{as_expected, write};
use super::{Failure, Origin, Planned, plan};
use crate::collect::{Made, collect};
use crate::input::error::InputError;
use crate::output::provenance::{Cost, Place, Provenance};
use crate::output::tables::About;
use crate::steady::WarmUp;
use crate::units::{Shard, Units};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use svcsim_models::record::RunResult;

/// What a shard knows beside its units.
pub(crate) const SHEET: &str = "shard.json";
/// Where its units are.
pub(crate) const UNITS: &str = "units";

#[derive(Serialize, Deserialize)]
pub(crate) struct Sheet {
    /// What the results will be about, as far as the input says.
    pub(crate) about: About,
    /// The warm-up, where runs found it out.
    pub(crate) warm_up: Option<WarmUp>,
}

/// Joins shards.
pub(crate) fn merge(dirs: &[PathBuf], out: &Path) -> Result<(), Failure> {
    let mut shards = Vec::new();
    for dir in dirs {
        shards.push(read(dir)?);
    }
    // In order of their numbers, so that how they were named is without effect.
    shards.sort_by_key(|(_, _, shard)| shard.index);
    let Some((first, one, shard)) = shards.first() else { return Err(wrong(out, "no shards".to_owned(), "name all of them")) };
    for (dir, other, of) in &shards {
        let same = (&other.experiment, other.seed, &other.version, &other.inputs) == (&one.experiment, one.seed, &one.version, &one.inputs);
        if !same {
            let problem = format!("another experiment, seed, input or version than {}", first.display());
            return Err(wrong(dir, problem, "merge shards of one experiment, made by one version"));
        }
        if of.of != shard.of {
            let problem = format!("one of {} shards, where {} is one of {}", of.of, first.display(), shard.of);
            return Err(wrong(dir, problem, "merge shards of one sweep"));
        }
    }
    if let Some([(a, ..), (b, _, twice)]) = shards.windows(2).find_map(|w| <&[_; 2]>::try_from(w).ok().filter(|w| w[0].2 == w[1].2)) {
        let problem = format!("shard {}/{}, and so is {}", twice.index, twice.of, a.display());
        return Err(wrong(b, problem, "name each shard once"));
    }
    let missing: Vec<String> = (0..shard.of).filter(|i| shards.iter().all(|(_, _, s)| s.index != *i)).map(|i| i.to_string()).collect();
    if !missing.is_empty() {
        let shown = missing.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
        let problem =
            format!("{} of {} shards are missing: {shown}{}", missing.len(), shard.of, if missing.len() > 20 { ", ..." } else { "" });
        return Err(wrong(out, problem, "run these, and name all shards"));
    }
    let (planned, warm_up) = planned(first, one)?;
    let specs = warm_up.as_ref().map_or(Cow::Borrowed(planned.specs.as_slice()), |w| Cow::Owned(w.applied(&planned.specs)));
    let place = Place::find(Some(out), &one.name, &planned.loaded)?;
    let stores: Vec<Units> = shards.iter().map(|(dir, ..)| Units::of(dir.join(UNITS), &one.experiment, one.seed)).collect();
    let each = planned.design.replications;
    let of_point = |point: usize| -> Result<Vec<RunResult>, Failure> {
        let unit = |replication: u32| {
            let store = &stores[(point * each as usize + replication as usize) % stores.len()];
            let lost = || wrong(store.dir(), format!("unit {point}-{replication} is missing or was altered"), "run this shard again");
            store.read(point, replication).ok_or_else(lost)
        };
        (0..each).map(unit).collect()
    };
    let results = collect(&planned, &specs, of_point, Made { replications: each, precision: None, warm_up })?;
    let costs = || shards.iter().map(|(_, p, _)| &p.cost);
    let cost = Cost {
        requests: costs().map(|c| c.requests).sum(),
        events: costs().map(|c| c.events).sum(),
        seconds: costs().map(|c| c.seconds).sum(),
        threads: costs().map(|c| c.threads).max().unwrap_or(1),
    };
    let dir = write(&planned, &results, &cost, &place)?;
    println!("{} shards, {} runs\nReport: {}", shards.len(), planned.design.units(), dir.join("report.html").display());
    as_expected(&results, true)
}

fn wrong(dir: &Path, problem: String, fix: &str) -> Failure {
    InputError::new(dir.display().to_string(), problem, fix).into()
}

/// A complete shard.
fn read(dir: &Path) -> Result<(PathBuf, Provenance, Shard), Failure> {
    let fix = "name directories that `svcsim run --shard I/N --out DIR` made";
    let provenance = Provenance::read(dir).map_err(|e| wrong(dir, format!("no complete shard: {e}"), fix))?;
    let Some(shard) = provenance.shard else { return Err(wrong(dir, "whole results, not a shard".to_owned(), fix)) };
    match &provenance.differences(dir)[..] {
        [] => Ok((dir.to_owned(), provenance, shard)),
        altered => Err(wrong(dir, format!("altered since it was written: {}", altered.join(", ")), "run this shard again")),
    }
}

/// The experiment of a shard, with what only its original input said; and its warm-up.
fn planned(dir: &Path, provenance: &Provenance) -> Result<(Planned, Option<WarmUp>), Failure> {
    let path = dir.join(SHEET);
    let sheet =
        std::fs::read_to_string(&path).map_err(|e| e.to_string()).and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()));
    let sheet: Sheet = sheet.map_err(|e| wrong(&path, e, "run this shard again"))?;
    let mut planned = plan(&dir.join("experiment.yaml"), &[])?;
    planned.origin = Some(Origin { about: sheet.about, inputs: provenance.inputs.clone() });
    Ok((planned, sheet.warm_up))
}
