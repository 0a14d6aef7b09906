//! Round robin: one host after the other, from a random start, so that instances that start together do not march in step (Envoy
//! `round_robin_lb.h`, `seed_`). Weights are not heeded. A change of the hosts does not begin anew: who comes after the last host
//! chosen, by its place, is next.

use super::{Ask, Host, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `roundRobin`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "RoundRobinPolicy")]
pub struct Spec {}

impl Spec {
    /// Nothing but its own last choice.
    pub const KNOWS: Knows = Knows::NOTHING;

    pub(super) fn build(&self, _field: &str) -> Result<RoundRobin, SpecError> {
        Ok(RoundRobin { next: None })
    }
}

/// Whose turn it is.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    next: Option<usize>,
}

impl Picker for RoundRobin {
    fn changed(&mut self, hosts: &[Host], before: &[Option<usize>], _now: SimTime) {
        if let Some(next) = self.next {
            self.next = Some(before.iter().position(|b| b.is_some_and(|b| b >= next)).unwrap_or(0) % hosts.len());
        }
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let n = ask.hosts().len();
        let at = self.next.unwrap_or_else(|| stream.below(n as u32) as usize) % n;
        self.next = Some((at + 1) % n);
        Some(at)
    }
}
