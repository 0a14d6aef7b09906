//! Batches: several requests at one time, as cron jobs, queues that are drained and pages with many pictures send them. With Poisson
//! epochs a compound Poisson process; one server is then M^X/M/1 (Chaudhry and Templeton 1983, *A First Course in Bulk Queues*).

use super::Process;
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::{Dist, DistSpec, Stream};

/// `batch: {gap: {exponential: {mean: 100ms}}, size: {geometric: {mean: 5}}}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "BatchArrivals")]
pub struct Spec {
    /// From one batch to the next.
    pub gap: DistSpec<SimDuration>,
    /// Requests in each.
    pub size: Number,
}

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Number {
    /// Always so many.
    Constant(u32),
    /// At least 1; one more each time with the same chance.
    Geometric {
        /// At least 1.
        mean: f64,
    },
    /// All numbers between, alike.
    Uniform {
        /// At least 1.
        min: u32,
        /// At least `min`.
        max: u32,
    },
}

impl Number {
    const MOST: f64 = 1e6;

    pub(super) fn check(self, field: &str) -> Result<(), SpecError> {
        let sound = match self {
            Self::Constant(n) => n > 0,
            Self::Geometric { mean } => mean >= 1.0 && mean.is_finite(),
            Self::Uniform { min, max } => min > 0 && min <= max,
        };
        if sound && self.mean() <= Self::MOST {
            return Ok(());
        }
        let problem = format!("{self:?}; expected 1 to {}", Self::MOST);
        Err(SpecError::new(field, problem, "give a number such as constant: 5, geometric: {mean: 5} or uniform: {min: 1, max: 9}"))
    }

    pub(super) fn mean(self) -> f64 {
        match self {
            Self::Constant(n) => f64::from(n),
            Self::Geometric { mean } => mean,
            Self::Uniform { min, max } => (f64::from(min) + f64::from(max)) / 2.0,
        }
    }

    pub(super) fn draw(self, stream: &mut Stream) -> u32 {
        match self {
            Self::Constant(n) => n,
            Self::Geometric { mean } if mean <= 1.0 => 1,
            // P(N > k) = (1 - 1/mean)^k.
            Self::Geometric { mean } => {
                let k = libm::log(stream.uniform_open()) / libm::log(1.0 - 1.0 / mean);
                k.min(f64::from(u32::MAX - 1)) as u32 + 1
            }
            Self::Uniform { min, max } => min + stream.below(max - min + 1),
        }
    }
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<Batch, SpecError> {
        self.size.check(&format!("{field}.size"))?;
        Ok(Batch { gap: super::renewal::gap_of(&format!("{field}.gap"), &self.gap)?, size: self.size, left: 0 })
    }

    pub(super) fn rate(&self) -> f64 {
        self.gap.build().ok().map(|gap| gap.mean()).map_or(0.0, |ns| 1e9 / ns) * self.size.mean()
    }
}

/// How many of the batch are still to come.
#[derive(Clone, Debug)]
pub struct Batch {
    gap: Dist,
    size: Number,
    left: u32,
}

impl Process for Batch {
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        if self.left > 0 {
            self.left -= 1;
            return Some(SimDuration::ZERO);
        }
        self.left = self.size.draw(stream) - 1;
        Some(self.gap.sample_duration(stream))
    }
}
