//! `svcsim schema`: the form of the experiment file, for editors and for readers.

use super::Failure;
use crate::input::{reference, schema};
use std::io::Write;

/// Prints the JSON Schema of the experiment file, or, as `reference`, a page of all its keys.
pub(crate) fn schema(reference: bool) -> Result<(), Failure> {
    let schema = schema::schema();
    let text = if reference { reference::page(&schema) } else { format!("{:#}\n", schema.as_value()) };
    print(text.as_bytes())
}

/// Writes to standard output, which a reader may close early.
pub(super) fn print(bytes: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().write_all(bytes) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Failed(format!("standard output: {e}"))),
        _ => Ok(()),
    }
}
