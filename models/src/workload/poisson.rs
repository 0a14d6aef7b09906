//! Poisson arrivals: the limit of many independent users, each calling rarely (Palm-Khintchine theorem).

use crate::spec::SpecError;
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// `poisson: {rate: 2000/s}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Requests per second of all clients of the source together.
    pub rate: Rate,
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<Poisson, SpecError> {
        let rate = self.rate.0;
        if !(rate > 0.0 && rate <= 1e9) {
            let problem = format!("a rate of {rate} requests per second; expected more than 0 and at most 1e9");
            return Err(SpecError::new(format!("{field}.poisson.rate"), problem, "remove the source if it sends nothing"));
        }
        Ok(Poisson { mean_gap_ns: 1e9 / rate })
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

impl Poisson {
    #[inline]
    pub(super) fn gap(&mut self, stream: &mut Stream) -> SimDuration {
        SimDuration::from_nanos_f64(self.mean_gap_ns * stream.exponential())
    }
}
