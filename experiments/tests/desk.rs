//! A desk to work at: a temporary directory with an experiment in it, and the program.

use assert_cmd::Command;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The experiment that most tests change.
pub(crate) const SMALL: &str = include_str!("small.yaml");

/// The folder of this crate, with the shipped experiments and manifests.
pub(crate) fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) struct Desk(TempDir);

/// What a call of the program came to.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    /// An empty directory.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// A directory that holds `small.yaml` with this text.
    pub(crate) fn with(text: impl AsRef<[u8]>) -> Self {
        let desk = Self::empty();
        desk.write("small.yaml", text);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Calls the program from here.
    pub(crate) fn svcsim(&self, arguments: &[&str]) -> Said {
        self.piped(arguments, "")
    }

    /// The same, with something on standard input.
    pub(crate) fn piped(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_svcsim"));
        let output = command.args(arguments).current_dir(&self.0).write_stdin(input).output().expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is printed is UTF-8");
        let said = Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!said.err.contains("panicked"), "{arguments:?}: {}", said.err);
        said
    }

    /// The same, where it must succeed; returns standard output.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let said = self.svcsim(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}\n{}{}", said.out, said.err);
        said.out
    }

    /// Every file below, by its path from here, folders with a slash at the end.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files_of(self.0.path())
    }

    /// Every file of a results directory but the part of its provenance that depends on the machine.
    pub(crate) fn results(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = files_of(&self.path(name));
        let provenance = files.remove("provenance.json").expect("a finished directory has a provenance");
        let mut provenance: serde_json::Value = serde_json::from_slice(&provenance).expect("JSON");
        provenance.as_object_mut().expect("a map").remove("cost").expect("a cost");
        files.insert("provenance.json".into(), provenance.to_string().into());
        files
    }
}

fn files_of(top: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(top).expect("below").to_string_lossy().into_owned();
            if path.is_dir() {
                found.insert(format!("{name}/"), Vec::new());
                folders.push(path);
            } else {
                // Sparse files of the tests are larger than anyone wants to compare.
                let small = fs::metadata(&path).is_ok_and(|m| m.len() < 10 << 20);
                found.insert(name, if small { fs::read(&path).expect("a file") } else { Vec::new() });
            }
        }
    }
    found
}
