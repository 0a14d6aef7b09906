//! Poisson arrivals: the limit of many independent users, each calling rarely (Palm-Khintchine theorem).

use super::{Process, check_rate};
use crate::spec::SpecError;
use crate::units::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// `poisson: {rate: 2000/s}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "PoissonArrivals")]
pub struct Spec {
    /// Requests per second of all clients of the source together.
    pub rate: Rate,
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<Poisson, SpecError> {
        check_rate(&format!("{field}.rate"), self.rate.0)?;
        Ok(Poisson { mean_gap_ns: 1e9 / self.rate.0 })
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate.0
    }
}

/// A Poisson process.
#[derive(Clone, Debug)]
pub struct Poisson {
    mean_gap_ns: f64,
}

impl Process for Poisson {
    #[inline]
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        Some(SimDuration::from_nanos_f64(self.mean_gap_ns * stream.exponential()))
    }
}
