//! A closed loop: a fixed number of users, each of whom sends, waits for the end, thinks, and sends again. A slow cluster gets less
//! to do, which open arrivals do not forgive (Schroeder, Wierman and Harchol-Balter 2006, *Open Versus Closed: A Cautionary Tale*).
//! One server with exponential demands is the machine-repair model. Latency runs from when the user sends.

use super::{Paced, Process};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::{DistSpec, Stream};

/// `closedLoop: {users: 50, think: {exponential: {mean: 1s}}}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ClosedLoopArrivals")]
pub struct Spec {
    /// Each is one of the source's clients, in turn.
    pub users: u32,
    /// From the end of a request until the user's next; also before the first.
    pub think: DistSpec<SimDuration>,
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<ClosedLoop, SpecError> {
        if self.users == 0 || self.users > 1_000_000 {
            let problem = format!("{} users; expected 1 to 1000000", self.users);
            return Err(SpecError::new(format!("{field}.users"), problem, "give the number of users"));
        }
        let fix = "give a time such as 1s or exponential: {mean: 1s}";
        let think = self.think.build().map_err(|problem| SpecError::new(format!("{field}.think"), problem, fix))?;
        Ok(ClosedLoop { paced: Paced { users: self.users, think, calls: None } })
    }

    /// What they would send if answers took no time; with no time to think either, as if each answer took a millisecond.
    pub(super) fn rate(&self) -> f64 {
        let think = self.think.build().ok().map(|d| d.mean()).unwrap_or(0.0);
        f64::from(self.users) * 1e9 / think.max(1e6)
    }
}

/// It has no time of its own.
#[derive(Clone, Debug)]
pub struct ClosedLoop {
    paced: Paced,
}

impl Process for ClosedLoop {
    fn gap(&mut self, _stream: &mut Stream) -> Option<SimDuration> {
        None
    }

    fn paced(&self) -> Option<&Paced> {
        Some(&self.paced)
    }
}
