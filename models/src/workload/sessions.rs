//! Sessions: users come as a Poisson process, make some requests one after the other with times to think between, and go. An open
//! system of closed ones ("partly open": Schroeder, Wierman and Harchol-Balter 2006). Each session is one of the source's clients,
//! drawn as requests of open arrivals are.

use super::batch::Number;
use super::{Paced, Process, check_rate};
use crate::spec::SpecError;
use crate::units::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::{DistSpec, Stream};

/// `sessions: {rate: 20/s, calls: {geometric: {mean: 8}}, think: {exponential: {mean: 2s}}}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "SessionsArrivals")]
pub struct Spec {
    /// Sessions that begin per second.
    pub rate: Rate,
    /// Requests of each.
    pub calls: Number,
    /// From the end of a request until the next.
    pub think: DistSpec<SimDuration>,
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<Sessions, SpecError> {
        check_rate(&format!("{field}.rate"), self.rate.0)?;
        self.calls.check(&format!("{field}.calls"))?;
        let fix = "give a time such as 2s or exponential: {mean: 2s}";
        let think = self.think.build().map_err(|problem| SpecError::new(format!("{field}.think"), problem, fix))?;
        Ok(Sessions { mean_gap_ns: 1e9 / self.rate.0, paced: Paced { users: 0, think, calls: Some(self.calls) } })
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate.0 * self.calls.mean()
    }
}

/// Sessions that begin.
#[derive(Clone, Debug)]
pub struct Sessions {
    mean_gap_ns: f64,
    paced: Paced,
}

impl Process for Sessions {
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        Some(SimDuration::from_nanos_f64(self.mean_gap_ns * stream.exponential()))
    }

    fn paced(&self) -> Option<&Paced> {
        Some(&self.paced)
    }
}
