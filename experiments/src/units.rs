//! Work units on disk: what one run of one design point found is kept as soon as it is known, so that a run that was killed goes on
//! where it was, and shards of a sweep are joined to the bytes that one machine makes.
//!
//! A unit is a pure function of the experiment, the version and its number. Its file is there whole or not at all, and says of itself
//! whose it is; twins that race write the same.

use crate::input::files::sha256;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use svcsim_models::record::RunResult;

/// The units that are `index` modulo `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    pub(crate) index: u32,
    pub(crate) of: u32,
}

impl Shard {
    pub(crate) const fn has(self, unit: usize) -> bool {
        unit % self.of as usize == self.index as usize
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let shard = numbers.map(|(index, of)| Self { index, of }).filter(|s| s.index < s.of);
        shard.ok_or_else(|| "expected I/N with I from 0 to N - 1, such as 0/8 for the first of eight".to_owned())
    }
}

/// A folder of units of one experiment.
pub(crate) struct Units {
    dir: PathBuf,
    /// Stands for the experiment, its seed and the version.
    key: String,
}

impl Units {
    /// Those of the experiment with this digest in `dir`.
    pub(crate) fn of(dir: PathBuf, experiment: &str, seed: u64) -> Self {
        let key = sha256(format!("{}\n{experiment}\n{seed}", env!("CARGO_PKG_VERSION")).as_bytes());
        Self { dir, key }
    }

    /// Nothing is known yet: what an earlier run left is removed.
    pub(crate) fn forget(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn path(&self, point: usize, replication: u32) -> PathBuf {
        self.dir.join(format!("{point}-{replication}.unit"))
    }

    /// What is known of a unit; none if nothing is, or what there is was altered or is another experiment's.
    pub(crate) fn read(&self, point: usize, replication: u32) -> Option<RunResult> {
        let bytes = std::fs::read(self.path(point, replication)).ok()?;
        let (head, body) = bytes.split_at_checked(self.key.len() + 64)?;
        let (key, digest) = head.split_at(self.key.len());
        if key != self.key.as_bytes() || digest != sha256(body).as_bytes() {
            return None;
        }
        ciborium::from_reader(body).ok()
    }

    /// What all runs of a point found.
    ///
    /// # Errors
    /// The first unit of it that is not known.
    pub(crate) fn of_point(&self, point: usize, replications: u32) -> Result<Vec<RunResult>, String> {
        let one = |r| self.read(point, r).ok_or_else(|| format!("unit {point}-{r} is missing or was altered"));
        (0..replications).into_par_iter().map(one).collect()
    }

    /// Keeps what a unit found: written beside its name, forced to the disk, then renamed.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep(&self, point: usize, replication: u32, result: &RunResult) -> io::Result<()> {
        let mut body = Vec::new();
        ciborium::into_writer(result, &mut body).map_err(io::Error::other)?;
        // A twin that was faster may have moved the folder away.
        std::fs::create_dir_all(&self.dir)?;
        let path = self.path(point, replication);
        let part = path.with_extension(format!("part-{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file = std::fs::File::create(&part)?;
            file.write_all(self.key.as_bytes())?;
            file.write_all(sha256(&body).as_bytes())?;
            file.write_all(&body)?;
            file.sync_all()?;
            std::fs::rename(&part, &path)
        };
        write().inspect_err(|_| _ = std::fs::remove_file(&part))
    }

    /// Gives a shard's units, all of them, to a new folder too.
    ///
    /// # Errors
    /// One is missing, or cannot be given.
    pub(crate) fn link_to(&self, dir: &Path, points: usize, replications: u32, shard: Shard) -> io::Result<()> {
        std::fs::create_dir(dir)?;
        let each = replications as usize;
        for u in (0..points * each).filter(|u| shard.has(*u)) {
            let from = self.path(u / each, (u % each) as u32);
            let to = from.file_name().map_or_else(|| dir.to_owned(), |name| dir.join(name));
            // Not every file system has hard links.
            std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop))?;
        }
        Ok(())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}
