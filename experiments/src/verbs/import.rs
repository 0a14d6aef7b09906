//! `svcsim import`.

use super::Failure;
use std::path::{Path, PathBuf};

/// Placeholder.
pub(crate) fn import(_files: &[PathBuf], _out: Option<&Path>) -> Result<(), Failure> {
    Ok(())
}
