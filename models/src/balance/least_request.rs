//! Least request: the host with the fewest requests, of all hosts or of some drawn at random.
//!
//! With all hosts and the signal `live` it is join-shortest-queue; with `choices: 2` power of two choices (Mitzenmacher 2001, *The
//! Power of Two Choices in Randomized Load Balancing*; Vvedenskaya et al. 1996), where `replacement` says whether one host may be
//! drawn twice, as in Envoy (`least_request_lb.cc`, `unweightedHostPickNChoices`) and in the papers. HAProxy's `leastconn` scans all
//! (`lb_fwlc.c`); so does `choices: all`. Weights divide: `(load + add) / weight`, where `add` is 0 for weighted least connections
//! and 1 for shortest expected delay (IPVS `wlc`, `sed`).

use super::{Ask, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use svcsim_engine::random::Stream;

/// `leastRequest`, or `leastRequest: {choices: 2, replacement: true, ties: first, add: 1}`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "LeastRequestPolicy")]
pub struct Spec {
    /// How many hosts are looked at; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<NonZeroU32>,
    /// Whether one host may be drawn twice.
    pub replacement: bool,
    /// Who is chosen of several that are alike.
    pub ties: Ties,
    /// What is added to each load before it is divided by the weight.
    pub add: u32,
}

/// Who is chosen of several that are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Ties {
    /// Any, all alike.
    #[default]
    Random,
    /// The first in the order of addresses, or of those drawn.
    First,
}

impl Spec {
    /// Loads.
    pub const KNOWS: Knows = Knows { weights: true, ..Knows::LOADS };

    pub(super) fn build(&self, _field: &str) -> Result<LeastRequest, SpecError> {
        Ok(LeastRequest { spec: self.clone(), drawn: Vec::new() })
    }
}

/// It has no state; the hosts drawn are kept for their memory.
#[derive(Clone, Debug)]
pub struct LeastRequest {
    spec: Spec,
    drawn: Vec<usize>,
}

impl LeastRequest {
    fn cost(&self, ask: &Ask<'_>, host: usize) -> f64 {
        let weight = ask.weight(host);
        if weight == 0.0 { f64::INFINITY } else { f64::from(ask.load(host) + self.spec.add) / weight }
    }

    /// Draws the hosts that are looked at.
    fn draw(&mut self, n: usize, stream: &mut Stream) {
        self.drawn.clear();
        let choices = self.spec.choices.map_or(n, |c| c.get() as usize);
        if self.spec.replacement {
            self.drawn.extend((0..choices).map(|_| stream.below(n as u32) as usize));
        } else if choices >= n {
            self.drawn.extend(0..n);
        } else {
            // Floyd's sampling without replacement (Bentley and Floyd 1987).
            for last in n - choices..n {
                let at = stream.below(last as u32 + 1) as usize;
                let at = if self.drawn.contains(&at) { last } else { at };
                self.drawn.push(at);
            }
        }
    }
}

impl Picker for LeastRequest {
    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        self.draw(ask.hosts().len(), stream);
        let mut best: Option<(usize, f64)> = None;
        let mut alike = 0;
        for &host in &self.drawn {
            let cost = self.cost(ask, host);
            match best {
                Some((_, least)) if cost > least => {}
                Some((_, least)) if cost == least => {
                    alike += 1;
                    if self.spec.ties == Ties::Random && stream.below(alike) == 0 {
                        best = Some((host, cost));
                    }
                }
                _ => (best, alike) = (Some((host, cost)), 1),
            }
        }
        best.filter(|(_, cost)| cost.is_finite()).map(|(host, _)| host)
    }

    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        Some((0..ask.hosts().len()).map(|host| self.cost(ask, host)).collect())
    }
}
