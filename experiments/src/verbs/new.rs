//! `svcsim new`: a starter for a common question.

use super::Failure;
use crate::input::error::InputError;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Each starter's name and text; its first line says what it is for.
const STARTERS: &[(&str, &str)] = &[
    ("way-in", include_str!("../../starters/way-in.yaml")),
    ("rollout", include_str!("../../starters/rollout.yaml")),
    ("policies", include_str!("../../starters/policies.yaml")),
    ("call-graph", include_str!("../../starters/call-graph.yaml")),
    ("overload", include_str!("../../starters/overload.yaml")),
];

/// Writes a starter to `path`, or to a file of its own name; without a name lists them.
pub(crate) fn new(name: Option<&str>, path: Option<&Path>) -> Result<(), Failure> {
    let Some(name) = name else {
        for (name, text) in STARTERS {
            println!("{name:<12} {}", text.lines().next().unwrap_or_default().trim_start_matches("# "));
        }
        println!("\nsvcsim new STARTER writes STARTER.yaml; put your own figures in, then svcsim check and svcsim run it.");
        return Ok(());
    };
    let Some((_, text)) = STARTERS.iter().find(|(known, _)| *known == name) else {
        let names = STARTERS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        return Err(InputError::new("STARTER", format!("there is no starter `{name}`"), format!("name one of {names}")).into());
    };
    let path = path.map_or_else(|| PathBuf::from(format!("{name}.yaml")), Path::to_owned);
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            Failure::from(InputError::new("PATH", format!("{} is there already", path.display()), "name another file, or remove this one"))
        }
        _ => Failure::from(InputError::new("PATH", format!("{}: {e}", path.display()), "name a file in a folder that can be written")),
    })?;
    file.write_all(text.as_bytes()).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
    println!("{} is written. Next: svcsim check {0}, then svcsim run {0}", path.display());
    Ok(())
}
