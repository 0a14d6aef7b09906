//! Least work: the host that would be done with the request first, if nothing came after it. It knows every demand and every line:
//! an oracle to compare others with, which nobody can build (Harchol-Balter 2013, *Performance Modeling and Design of Computer
//! Systems*, chapter 24: least-work-left).

use super::{Ask, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::Stream;

/// `leastWork`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "LeastWorkPolicy")]
pub struct Spec {}

impl Spec {
    /// What nobody can know.
    pub const KNOWS: Knows = Knows { oracle: true, ..Knows::NOTHING };

    pub(super) fn build(&self, _field: &str) -> Result<LeastWork, SpecError> {
        Ok(LeastWork)
    }
}

/// It has no state.
#[derive(Clone, Debug)]
pub struct LeastWork;

impl Picker for LeastWork {
    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let least = (0..ask.hosts().len()).map(|i| ask.work(i)).min()?;
        let alike: Vec<usize> = (0..ask.hosts().len()).filter(|i| ask.work(*i) == least).collect();
        alike.get(stream.below(alike.len() as u32) as usize).copied()
    }

    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        Some((0..ask.hosts().len()).map(|i| ask.work(i).as_secs_f64()).collect())
    }
}
