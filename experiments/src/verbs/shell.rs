//! `svcsim completions` and `svcsim man`: what shells and `man` want to know of the command line.

use super::Failure;
use super::schema::print;
use clap::Command;
use clap_complete::Shell;

/// Prints the completions of `command` for `shell`.
pub(crate) fn completions(mut command: Command, shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "svcsim", &mut script);
    print(&script)
}

/// Prints the manual page of `command`, in roff.
pub(crate) fn man(command: Command) -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|e| Failure::Failed(format!("manual page: {e}")))?;
    print(&page)
}
