//! Renewal arrivals: independent gaps, all of one distribution (Cox 1962, *Renewal Theory*). A constant gap is a clock, a gamma or
//! hyperexponential one is smoother or burstier than Poisson.

use super::Process;
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::{Dist, DistSpec, Stream};

/// `renewal: {gap: {gamma: {mean: 5ms, shape: 0.5}}}`; every 5 ms: `renewal: {gap: 5ms}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RenewalArrivals")]
pub struct Spec {
    /// From one request to the next.
    pub gap: DistSpec<SimDuration>,
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<Renewal, SpecError> {
        let gap = gap_of(&format!("{field}.gap"), &self.gap)?;
        Ok(Renewal { gap })
    }

    pub(super) fn rate(&self) -> f64 {
        self.gap.build().ok().map(|gap| gap.mean()).map_or(0.0, |ns| 1e9 / ns)
    }
}

/// A distribution of gaps, of which some are longer than nothing.
pub(super) fn gap_of(field: &str, spec: &DistSpec<SimDuration>) -> Result<Dist, SpecError> {
    let fix = "give a gap such as 5ms or exponential: {mean: 5ms}";
    let gap = spec.build().map_err(|problem| SpecError::new(field, problem, fix))?;
    if gap.mean() < 1.0 {
        return Err(SpecError::new(field, "a mean gap of less than a nanosecond: time would not go on", fix));
    }
    Ok(gap)
}

/// A renewal process.
#[derive(Clone, Debug)]
pub struct Renewal {
    gap: Dist,
}

impl Process for Renewal {
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        Some(self.gap.sample_duration(stream))
    }
}
