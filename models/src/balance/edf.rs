//! Earliest deadline first: weighted round robin as Envoy has it. Each host's next turn is one over its weight after its last; the
//! earliest is chosen, and of several the one that was put in first.
//!
//! Source: Envoy `edf_scheduler.h`, `load_balancer_impl.cc` (`EdfLoadBalancerBase::refresh`): built anew whenever hosts change, and
//! then turned by a random number of choices, less than there are hosts.

use super::{Ask, Host, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `edf`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "EdfPolicy")]
pub struct Spec {}

impl Spec {
    /// Nothing but its own choices.
    pub const KNOWS: Knows = Knows::WEIGHTS;

    pub(super) fn build(&self, _field: &str) -> Result<Edf, SpecError> {
        Ok(Edf { schedule: None })
    }
}

/// Its schedule, made at the first choice after a change.
#[derive(Clone, Debug)]
pub struct Edf {
    schedule: Option<Schedule>,
}

impl Picker for Edf {
    fn changed(&mut self, _hosts: &[Host], _before: &[Option<usize>], _now: SimTime) {
        self.schedule = None;
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let weight = |host| ask.weight(host);
        self.schedule.get_or_insert_with(|| Schedule::turned(ask.hosts().len(), weight, stream)).next(weight)
    }
}

/// Hosts by when it is their turn.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    /// By deadline, as the bits of a number that is not negative, and the order of coming.
    turns: BTreeMap<(u64, u64), usize>,
    now: f64,
    came: u64,
}

impl Schedule {
    /// `hosts` hosts of these weights; those of weight 0 have no turn.
    pub(super) fn turned(hosts: usize, weight: impl Fn(usize) -> f64, stream: &mut Stream) -> Self {
        let mut schedule = Self::default();
        (0..hosts).for_each(|host| schedule.add(host, weight(host)));
        for _ in 0..stream.below(hosts.max(1) as u32) {
            schedule.next(&weight);
        }
        schedule
    }

    fn add(&mut self, host: usize, weight: f64) {
        if weight > 0.0 {
            self.turns.insert(((self.now + 1.0 / weight).to_bits(), self.came), host);
            self.came += 1;
        }
    }

    /// Whose turn it is; the next comes by the weight that it has now.
    pub(super) fn next(&mut self, weight: impl Fn(usize) -> f64) -> Option<usize> {
        let ((deadline, _), host) = self.turns.pop_first()?;
        self.now = f64::from_bits(deadline);
        self.add(host, weight(host));
        Some(host)
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{sequence, weighted};

    #[test]
    fn shares_are_exact_over_a_round() {
        let picks = sequence("edf", &weighted(&[4, 3, 2, 0]), 90);
        let counts = [0, 1, 2, 3].map(|host| picks.iter().filter(|p| **p == host).count());
        assert_eq!(counts, [40, 30, 20, 0]);
    }

    #[test]
    fn alike_they_take_turns() {
        let picks = sequence("edf", &weighted(&[1, 1, 1]), 9);
        let start = picks[0];
        assert_eq!(picks, (0..9).map(|i| (start + i) % 3).collect::<Vec<_>>());
    }
}
