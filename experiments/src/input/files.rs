//! Files an experiment reads: each is checked before it is opened and remembered with its digest.

use super::error::InputError;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files larger than this are no experiments, manifests or topologies.
pub const LARGEST: u64 = super::kubernetes::LARGEST_INPUT as u64;

/// The files read so far, by path, with the SHA-256 of their bytes.
#[derive(Debug, Default)]
pub struct Files {
    read: BTreeMap<PathBuf, String>,
}

impl Files {
    /// The text of `path`, which `field` of the experiment (or the command line) names.
    ///
    /// # Errors
    /// What keeps it from being read: missing, a directory, too large, not UTF-8.
    pub fn read(&mut self, path: &Path, field: &str) -> Result<String, InputError> {
        let error = |problem: String, fix: &str| InputError::new(field, format!("{}: {problem}", path.display()), fix);
        let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                error("there is no such file".to_owned(), "check the path; paths in an experiment are relative to it")
            }
            _ => error(e.to_string(), "make the file readable"),
        })?;
        if meta.is_dir() {
            return Err(error("this is a directory; expected a file".to_owned(), "name a file in it"));
        }
        if meta.len() > LARGEST {
            let problem = format!("{} MB; expected at most {} MB", meta.len() / 1_000_000, LARGEST / 1_000_000);
            return Err(error(problem, "is this the right file? svcsim reads experiments, manifests and topologies"));
        }
        let bytes = std::fs::read(path).map_err(|e| error(e.to_string(), "make the file readable"))?;
        self.read.insert(path.to_owned(), sha256(&bytes));
        String::from_utf8(bytes).map_err(|e| {
            let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            error(format!("not UTF-8 text (line {line})"), "save it as UTF-8 (PowerShell's `>` writes UTF-16), if it is the right file")
        })
    }

    /// A file that may be too large to be read as a whole; whoever has read it says what its digest is.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub fn stream(&self, path: &Path, field: &str) -> Result<super::replay::Streamed, InputError> {
        let file = std::fs::File::open(path)
            .and_then(|f| if f.metadata()?.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { Ok(f) });
        let fix = "check the path; paths in an experiment are relative to it";
        let file = file.map_err(|e| InputError::new(field, format!("{}: {e}", path.display()), fix))?;
        Ok(super::replay::Streamed::new(file, path))
    }

    /// The digest of a file that was streamed.
    pub fn remember(&mut self, path: &Path, digest: String) {
        self.read.insert(path.to_owned(), digest);
    }

    /// Each file with its digest, by path.
    pub fn digests(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.read.iter().map(|(path, digest)| (path.as_path(), digest.as_str()))
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
