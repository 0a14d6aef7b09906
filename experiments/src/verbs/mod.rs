//! What `svcsim` can do: one file a verb. Each ends in success or a [`Failure`], which knows its exit code.

pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod conform;
pub(crate) mod diverge;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod merge;
pub(crate) mod new;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod shell;
pub(crate) mod submit;
pub(crate) mod validate;
pub(crate) mod verify;

use crate::design::Design;
use crate::execute::{self, Stopped};
use crate::expect::{self, Claim};
use crate::input::error::InputError;
use crate::input::experiment::Loaded;
use crate::output::tables::About;
use crate::precision;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use svcsim_models::spec::ClusterSpec;

/// Why a verb did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input is wrong; nothing was written.
    Input(Vec<InputError>),
    /// The input is right, but a check, a verification or a write failed.
    Failed(String),
    /// A check failed, and standard output says all there is to say.
    Reported,
    /// Some units failed; the others are kept.
    Partly(String),
    /// The user said stop; nothing was written.
    Interrupted,
    /// The user said stop; units that were done are kept.
    Resumable,
}

impl Failure {
    /// The exit code that schedulers and scripts go by.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Failed(_) | Self::Reported => 1,
            Self::Partly(_) => 3,
            Self::Interrupted | Self::Resumable => 130,
        }
    }

    /// Says what happened on standard error.
    pub(crate) fn print(&self) {
        match self {
            Self::Input(errors) => {
                let color = std::io::stderr().is_terminal();
                for error in errors {
                    eprintln!("{}\n", error.render(color));
                }
            }
            Self::Failed(what) => eprintln!("error: {what}"),
            Self::Reported => {}
            Self::Partly(what) => eprintln!("error: {what}\nwhat was done is kept; the same command with --resume goes on"),
            Self::Interrupted => eprintln!("interrupted: nothing was written"),
            Self::Resumable => eprintln!("interrupted: what was done is kept; the same command with --resume goes on"),
        }
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::Input(vec![error])
    }
}

impl From<Vec<InputError>> for Failure {
    fn from(errors: Vec<InputError>) -> Self {
        Self::Input(errors)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Wrong(error) => Self::Input(vec![*error]),
            Stopped::Interrupted => Self::Interrupted,
            Stopped::NotKept(what) => Self::Partly(what),
        }
    }
}

/// An experiment that is known to run.
pub(crate) struct Planned {
    pub(crate) loaded: Loaded,
    pub(crate) design: Design,
    pub(crate) specs: Vec<ClusterSpec>,
    /// What its results must show.
    pub(crate) claims: Vec<Claim>,
    /// What is known of its input, where it was read from a shard instead.
    pub(crate) origin: Option<Origin>,
}

/// What only the original input of an experiment said.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) about: About,
    /// SHA-256 of every file that it was read from, by path.
    pub(crate) inputs: BTreeMap<String, String>,
}

/// `PATH:POINT` in its parts, where PATH is one as far as the last colon; a path that exists is one with all its colons.
pub(crate) fn path_and_point(text: &str) -> (&Path, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, point)) if !Path::new(text).exists() => (Path::new(path), Some(point)),
        _ => (Path::new(text), None),
    }
}

/// Reads an experiment and checks every point of its design.
pub(crate) fn plan(path: &Path, sets: &[(String, Value)]) -> Result<Planned, Failure> {
    let loaded = Loaded::read(path, sets)?;
    let design = Design::of(&loaded.experiment.design).map_err(|e| loaded.placed(e))?;
    let claims = expect::claims(&loaded.experiment, &design).map_err(|e| loaded.placed(e))?;
    expect::check_ranking(&loaded.experiment, &design).map_err(|e| loaded.placed(e))?;
    precision::check(&loaded.experiment, &design).map_err(|e| loaded.placed(e))?;
    let specs = execute::specs(&loaded, &design)?;
    Ok(Planned { loaded, design, specs, claims, origin: None })
}
