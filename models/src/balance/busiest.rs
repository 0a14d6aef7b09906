//! Busiest: the host with the most requests under way. Nobody should do worse: a negative control, by which a comparison shows
//! that it can tell good from bad.

use super::{Ask, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::Stream;

/// `busiest`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "BusiestPolicy")]
pub struct Spec {}

impl Spec {
    /// Loads.
    pub const KNOWS: Knows = Knows::LOADS;

    pub(super) fn build(&self, _field: &str) -> Result<Busiest, SpecError> {
        Ok(Busiest)
    }
}

/// It has no state.
#[derive(Clone, Debug)]
pub struct Busiest;

impl Picker for Busiest {
    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        (0..ask.hosts().len()).max_by_key(|i| (ask.load(*i), std::cmp::Reverse(*i)))
    }

    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        Some((0..ask.hosts().len()).map(|i| -f64::from(ask.load(i))).collect())
    }
}
