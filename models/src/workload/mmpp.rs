//! Markov-modulated Poisson arrivals: Poisson at a rate that depends on a state, which changes after exponential times.
//!
//! Source: Fischer and Meier-Hellstern 1993, *The Markov-modulated Poisson process (MMPP) cookbook*. The first state is drawn by the
//! part of the time that each has in the long run, so that there is no start to forget.

use super::{Process, check_rate};
use crate::spec::SpecError;
use crate::units::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// `mmpp: {states: [{rate: 120/s, stay: 500ms}, {rate: 40/s, stay: 1500ms}]}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "MmppArrivals")]
pub struct Spec {
    /// At least one.
    pub states: Vec<State>,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    /// Requests per second while it lasts; 0 for silence.
    pub rate: Rate,
    /// How long it lasts in the mean.
    pub stay: SimDuration,
    /// How likely each state is the next, as weights in their order; absent: the one after it, round and round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<f64>,
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<Mmpp, SpecError> {
        let n = self.states.len();
        if n == 0 || n > 1_000 {
            let fix = "give states such as [{rate: 120/s, stay: 500ms}, {rate: 40/s, stay: 1500ms}]";
            return Err(SpecError::new(format!("{field}.states"), format!("{n} states; expected 1 to 1000"), fix));
        }
        for (i, state) in self.states.iter().enumerate() {
            let field = |name: &str| format!("{field}.states[{i}].{name}");
            if state.stay == SimDuration::ZERO {
                return Err(SpecError::new(field("stay"), "a stay of 0s: the state would never be seen", "give a mean time such as 1s"));
            }
            let sound = state.next.is_empty() || (state.next.len() == n && state.next.iter().all(|w| *w >= 0.0 && w.is_finite()));
            let total: f64 = state.next.iter().sum();
            if !sound || (!state.next.is_empty() && total <= 0.0) {
                let problem = format!("{} weights; expected one for each of {n} states, not all 0", state.next.len());
                return Err(SpecError::new(field("next"), problem, "leave it out for the state after it"));
            }
            if state.rate.0 > 1e9 {
                check_rate(&field("rate"), state.rate.0)?;
            }
        }
        check_rate(&format!("{field}.states"), self.rate())?;
        Ok(Mmpp { states: self.states.clone(), now: None })
    }

    pub(super) fn rate(&self) -> f64 {
        self.parts().iter().zip(&self.states).map(|(part, state)| part * state.rate.0).sum()
    }

    /// The part of the time that each state has in the long run.
    fn parts(&self) -> Vec<f64> {
        let n = self.states.len();
        let mut visits = vec![1.0 / n as f64; n];
        // The jump chain's stationary law by power iteration, half a step at a time so that cycles settle.
        for _ in 0..2_000 {
            let mut next = vec![0.0; n];
            for (i, state) in self.states.iter().enumerate() {
                let total: f64 = state.next.iter().sum();
                if state.next.is_empty() {
                    next[(i + 1) % n] += visits[i];
                } else {
                    state.next.iter().enumerate().for_each(|(j, w)| next[j] += visits[i] * w / total);
                }
            }
            visits.iter_mut().zip(next).for_each(|(v, next)| *v = 0.5 * *v + 0.5 * next);
        }
        let time: Vec<f64> = visits.iter().zip(&self.states).map(|(v, s)| v * s.stay.as_secs_f64()).collect();
        let total: f64 = time.iter().sum();
        time.into_iter().map(|t| t / total).collect()
    }
}

/// Its state, drawn at the first arrival.
#[derive(Clone, Debug)]
pub struct Mmpp {
    states: Vec<State>,
    now: Option<usize>,
}

impl Mmpp {
    fn draw(weights: &[f64], stream: &mut Stream) -> usize {
        let mut left = stream.uniform() * weights.iter().sum::<f64>();
        let place = weights.iter().position(|w| {
            left -= w;
            left < 0.0
        });
        place.unwrap_or(weights.len() - 1)
    }
}

impl Process for Mmpp {
    /// A race of two exponentials, which forget: the next arrival, and the end of the state.
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        let spec = Spec { states: std::mem::take(&mut self.states) };
        let mut state = self.now.unwrap_or_else(|| Self::draw(&spec.parts(), stream));
        let mut gap = 0.0;
        loop {
            let State { rate, stay, next } = &spec.states[state];
            let (arrival, leave) = (rate.0, 1.0 / stay.as_secs_f64());
            gap += stream.exponential() / (arrival + leave);
            if stream.uniform() * (arrival + leave) < arrival {
                break;
            }
            state = if next.is_empty() { (state + 1) % spec.states.len() } else { Self::draw(next, stream) };
        }
        (self.now, self.states) = (Some(state), spec.states);
        Some(SimDuration::from_nanos_f64(gap * 1e9))
    }
}
