//! `design.sampling`: which of all combinations of factors' values are run, where those are not all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Levels by the names of their factors: one, or a list of which any will do.
pub type Selection = BTreeMap<String, Value>;

/// How values of a range are spread between its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// Evenly in their logarithms: as many from 1 to 10 as from 10 to 100.
    Log,
}

impl Scale {
    /// Whether nobody need write it.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        *self == Self::Linear
    }
}

/// How points are chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum SamplingSection {
    /// A Latin hypercube: each factor has a value in each of `points` equal slices of its range.
    LatinHypercube {
        /// How many points.
        points: u32,
    },
    /// Points of Sobol's sequence, which fill the space of all factors evenly.
    Sobol {
        /// How many points; a power of two is evenest.
        points: u32,
    },
    /// The experiment as it is, and one factor after the other at each of its levels, or at both ends of its range.
    OneAtATime {},
    /// Morris's screening: random walks that change one factor at each step.
    Morris {
        /// How many walks.
        trajectories: u32,
        /// Values that a factor may have: an even number.
        #[serde(default = "four")]
        levels: u32,
    },
    /// Saltelli's sample for indices of variance.
    Saltelli {
        /// Base samples: each takes as many points as there are factors, and two.
        samples: u32,
    },
}

/// The usual number of levels (Saltelli et al. 2004, *Sensitivity Analysis in Practice*, section 4.3).
fn four() -> u32 {
    4
}

impl SamplingSection {
    /// The word of the experiment file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::LatinHypercube { .. } => "latinHypercube",
            Self::Sobol { .. } => "sobol",
            Self::OneAtATime {} => "oneAtATime",
            Self::Morris { .. } => "morris",
            Self::Saltelli { .. } => "saltelli",
        }
    }
}
