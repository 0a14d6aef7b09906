//! Where results come from, and where they go: [`Provenance`] lists what made them with digests; [`Place`] is
//! a directory that is there whole or not at all.

use crate::input::error::InputError;
use crate::input::experiment::Loaded;
use crate::input::files::sha256;
use crate::units::Shard;
use crate::verbs::{Failure, Planned};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "provenance.json";
/// What is written before all else.
pub(crate) const FIRST: &str = "experiment.yaml";
/// What the names of directories end with, or start with, that are not complete.
const PART: &str = ".part-";
/// What the names of directories end with that were replaced.
const OLD: &str = ".old-";

/// What made a results directory. A directory without one is not finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Provenance {
    /// The version of svcsim.
    pub(crate) version: String,
    /// The experiment's name.
    pub(crate) name: String,
    /// SHA-256 of the resolved experiment.
    pub(crate) experiment: String,
    /// Keys every random stream.
    pub(crate) seed: u64,
    /// Design points.
    pub(crate) points: usize,
    /// Runs of each.
    pub(crate) replications: u32,
    /// SHA-256 of every file the experiment was read from, by its path from the experiment.
    pub(crate) inputs: BTreeMap<String, String>,
    /// SHA-256 of every file beside this one, by path.
    pub(crate) files: BTreeMap<String, String>,
    /// Which part of the units these are; none for results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<Shard>,
    /// What it took: the only part that depends on the machine; `verify` skips it.
    pub(crate) cost: Cost,
}

/// What making results took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cost {
    /// Requests simulated, warm-up included.
    pub(crate) requests: u64,
    /// Events handled.
    pub(crate) events: u64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Threads.
    pub(crate) threads: usize,
}

/// What `svcsim report` adds on request: no digest concerns it.
const ADDED: [&str; 2] = ["parquet", super::openmetrics::FILE];

impl Provenance {
    /// Of the files in `dir`, which hold the results of `planned`.
    pub(crate) fn of(planned: &Planned, replications: u32, cost: &Cost, dir: &Path) -> io::Result<Self> {
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: planned.loaded.experiment.metadata.name.clone(),
            experiment: sha256(planned.loaded.resolved_yaml().as_bytes()),
            seed: planned.design.seed,
            points: planned.design.points.len(),
            replications,
            inputs: planned.origin.as_ref().map_or_else(|| inputs(&planned.loaded), |origin| origin.inputs.clone()),
            files: digests(dir)?,
            shard: None,
            cost: cost.clone(),
        })
    }

    /// Writes it, last of all files.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        std::fs::write(dir.join(FILE), serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads that of `dir`, or says what `dir` is instead of a results directory.
    pub(crate) fn read(dir: &Path) -> Result<Self, String> {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path)
            .map_err(|e| format!("{}: {e}; expected a results directory, which `svcsim run` makes", path.display()))?;
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}; the file was altered, or made by another version", path.display()))
    }

    /// Files of `dir` that are not what this provenance says, by path.
    pub(crate) fn differences(&self, dir: &Path) -> Vec<String> {
        let found = digests(dir).unwrap_or_default();
        let all = self.files.keys().chain(found.keys().filter(|k| !self.files.contains_key(*k)));
        all.filter(|path| self.files.get(*path) != found.get(*path)).cloned().collect()
    }
}

/// SHA-256 of every file that an experiment was read from. As seen from the experiment: where it lay on this machine is nobody's business.
fn inputs(loaded: &Loaded) -> BTreeMap<String, String> {
    let folder = loaded.path().parent().unwrap_or(Path::new(""));
    let name = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
    loaded.files.digests().map(|(path, digest)| (name(path), digest.to_owned())).collect()
}

/// Digests of all files below `dir` but the provenance.
fn digests(dir: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(dir.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if ADDED.iter().any(|added| path == Path::new(added)) {
                // The same tables once more, on request.
            } else if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path != Path::new(FILE) {
                found.insert(path.to_string_lossy().replace('\\', "/"), sha256(&std::fs::read(entry.path())?));
            }
        }
    }
    Ok(found)
}

/// Forces all below `dir` to the disk, so that a name never stands for less than it should.
fn to_disk(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            to_disk(&entry.path())?;
        } else {
            std::fs::File::open(entry.path())?.sync_all()?;
        }
    }
    std::fs::File::open(dir)?.sync_all()
}

/// Removes a folder that a twin may be writing: all that is in it at once, so that the twin cannot take a part of it for the whole.
fn remove(dir: &Path) -> io::Result<()> {
    let mut gone = dir.to_owned().into_os_string();
    gone.push("-gone");
    std::fs::rename(dir, &gone)?;
    std::fs::remove_dir_all(gone)
}

/// Where results go.
pub(crate) struct Place {
    /// The directory.
    pub(crate) dir: PathBuf,
    /// What to tell the user about the choice; empty if nothing.
    pub(crate) note: String,
}

impl Place {
    /// `out`, or `results/<name>`, of what is made of an experiment. Results of another experiment are never overwritten: an `out` that holds some
    /// is refused, and beside a default that does the next free name is taken.
    pub(crate) fn find(out: Option<&Path>, name: &str, loaded: &Loaded) -> Result<Self, Failure> {
        let experiment = sha256(loaded.resolved_yaml().as_bytes());
        // What a killed run left half written is in nobody's way.
        let is_part = |entry: io::Result<std::fs::DirEntry>| entry.is_ok_and(|e| e.file_name().to_string_lossy().starts_with(PART));
        let free = |dir: &Path| match Provenance::read(dir) {
            Ok(found) => found.experiment == experiment && found.version == env!("CARGO_PKG_VERSION"),
            Err(_) => std::fs::read_dir(dir).map_or(!dir.exists(), |mut entries| entries.all(is_part)),
        };
        if let Some(dir) = out {
            return Self::asked(dir, free(dir), "a new directory, or one with results of this experiment");
        }
        let default = Path::new("results").join(name);
        let numbered = |n: u32| if n == 1 { default.clone() } else { PathBuf::from(format!("{}-{n}", default.display())) };
        let dir = (1..).map(numbered).find(|dir| free(dir)).unwrap_or_else(|| default.clone());
        let kept = format!(" {} holds another experiment's results and was left as it is.", default.display());
        Ok(Self { note: if dir == default { String::new() } else { kept }, dir })
    }

    /// `out`, which must be new or empty.
    pub(crate) fn new(out: &Path) -> Result<Self, Failure> {
        let free = std::fs::read_dir(out).map_or(!out.exists(), |mut entries| entries.next().is_none());
        Self::asked(out, free, "a new or empty directory")
    }

    /// The directory that was asked for, if it can be made and is `free`; before any work is done for it.
    fn asked(dir: &Path, free: bool, expected: &str) -> Result<Self, Failure> {
        let error = |problem: String, fix: &str| Err(InputError::new("--out", problem, fix).into());
        let above = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        if let Some(file) = above.ancestors().find(|p| p.exists()).filter(|p| !p.is_dir()) {
            return error(format!("{} is a file; expected a directory", file.display()), "name a directory that can be made");
        }
        if !free {
            let problem = format!("{} holds something else; expected {expected}", dir.display());
            return error(problem, "name another directory, or remove this one");
        }
        Ok(Self { dir: dir.to_owned(), note: String::new() })
    }

    /// Whether the results of this experiment are there, complete.
    pub(crate) fn has(&self, loaded: &Loaded, shard: Option<Shard>) -> bool {
        let same = |found: &Provenance| found.experiment == sha256(loaded.resolved_yaml().as_bytes()) && found.shard == shard;
        Provenance::read(&self.dir).is_ok_and(|found| same(&found) && found.differences(&self.dir).is_empty())
    }

    /// Writes files that are no run's results, all or none.
    pub(crate) fn keep(&self, files: &[(&'static str, Vec<u8>)]) -> Result<(), Failure> {
        let part = self.part();
        let fill = || -> io::Result<()> {
            std::fs::create_dir_all(&part)?;
            files.iter().try_for_each(|(name, bytes)| std::fs::write(part.join(name), bytes))?;
            self.settle(&part)
        };
        fill().map_err(|e| {
            // What is left of a failed attempt helps nobody.
            let _ = std::fs::remove_dir_all(&part);
            Failure::Failed(format!("{}: nothing could be written: {e}", self.dir.display()))
        })
    }

    /// A directory of this process alone.
    pub(crate) fn temporary() -> Self {
        Self { dir: std::env::temp_dir().join(format!("svcsim-{}", std::process::id())), note: String::new() }
    }

    /// Where files are written before they are complete: beside the directory, or in it if it is there and empty,
    /// since it may be a mount or where the user stands, which cannot be replaced.
    pub(crate) fn part(&self) -> PathBuf {
        let name = format!("{PART}{}", std::process::id());
        if self.dir.is_dir() && Provenance::read(&self.dir).is_err() { self.dir.join(name) } else { self.beside(&name) }
    }

    /// Where what single units found is kept until all is done, for whoever resumes; the same for every process.
    pub(crate) fn units(&self) -> PathBuf {
        let name = format!("{PART}units");
        if self.dir.is_dir() && Provenance::read(&self.dir).is_err() { self.dir.join(name) } else { self.beside(&name) }
    }

    /// The directory's path with something added to its name, whether or not it was written with a slash at its end.
    fn beside(&self, added: &str) -> PathBuf {
        let mut path = self.dir.components().collect::<PathBuf>().into_os_string();
        path.push(added);
        path.into()
    }

    /// Moves the complete `part` into place. The same results already there are kept as they are.
    pub(crate) fn settle(&self, part: &Path) -> io::Result<()> {
        // What is written first is missing where a twin that was faster has removed this part, and the rest was written since.
        if Provenance::read(part).is_ok_and(|p| !p.files.contains_key(FIRST)) {
            return Err(io::Error::other("removed by another run of the same"));
        }
        to_disk(part)?;
        self.move_in(part)?;
        // The names, too.
        std::path::absolute(&self.dir)?.ancestors().take(2).try_for_each(|dir| std::fs::File::open(dir)?.sync_all())
    }

    fn move_in(&self, part: &Path) -> io::Result<()> {
        if part.starts_with(&self.dir) {
            // The provenance says that all is there, so it goes last.
            for entry in std::fs::read_dir(part)? {
                let name = entry?.file_name();
                if name != FILE {
                    std::fs::rename(part.join(&name), self.dir.join(&name))?;
                }
            }
            let parts = std::fs::read_dir(&self.dir)?.filter_map(Result::ok).filter(|e| e.file_name().to_string_lossy().starts_with(PART));
            // Those of killed runs, too, before the directory is called complete.
            for stale in parts.map(|e| e.path()).filter(|path| path != part) {
                remove(&stale)?;
            }
            if part.join(FILE).exists() {
                std::fs::rename(part.join(FILE), self.dir.join(FILE))?;
            }
            return std::fs::remove_dir(part);
        }
        if let (Ok(old), Ok(new)) = (Provenance::read(&self.dir), Provenance::read(part))
            && old.files == new.files
            && old.differences(&self.dir).is_empty()
        {
            return std::fs::remove_dir_all(part);
        }
        let old = self.beside(&format!("{OLD}{}", std::process::id()));
        let replaced = self.dir.exists();
        if replaced {
            // Never for a part that is not there any more.
            part.metadata()?;
            std::fs::rename(&self.dir, &old)?;
        }
        if let Err(e) = std::fs::rename(part, &self.dir) {
            if replaced {
                std::fs::rename(&old, &self.dir)?;
            }
            return Err(e);
        }
        if replaced {
            std::fs::remove_dir_all(&old)?;
        }
        self.remove_stale()
    }

    /// Removes what killed runs left beside the directory, now that it is complete. A twin that is slower loses its copy of the same bytes.
    fn remove_stale(&self) -> io::Result<()> {
        let beside = self.beside("");
        let (Some(folder), Some(name)) = (std::path::absolute(&beside)?.parent().map(Path::to_owned), beside.file_name()) else {
            return Ok(());
        };
        let name = name.to_string_lossy();
        let left = |entry: &std::fs::DirEntry| {
            let found = entry.file_name();
            let added = found.to_string_lossy().strip_prefix(&*name).map(str::to_owned);
            // What a process called so, by its number; whatever else somebody called alike is theirs.
            let process = added.as_deref().and_then(|added| added.strip_prefix(PART).or_else(|| added.strip_prefix(OLD)));
            process.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        };
        for entry in std::fs::read_dir(folder)?.filter_map(Result::ok).filter(left) {
            // The results are complete without that.
            let _ = remove(&entry.path());
        }
        Ok(())
    }
}
