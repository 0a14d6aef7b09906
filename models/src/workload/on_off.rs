//! Senders that are on and off in turn for long times, and Poisson while on: with heavy-tailed times their sum is self-similar, bursty
//! at every scale.
//!
//! Source: Willinger, Taqqu, Sherman and Wilson 1997, *Self-Similarity Through High-Variability*: with times whose tails have index
//! alpha between 1 and 2 the Hurst exponent is (3 - alpha) / 2. Each sender starts on with the probability of being on, at the
//! beginning of such a time: what came before the run is forgotten only slowly.

use super::{Process, check_rate};
use crate::spec::SpecError;
use crate::units::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use svcsim_engine::SimDuration;
use svcsim_engine::random::{Dist, DistSpec, Stream};

/// `onOff: {senders: 50, rate: 20/s, on: {pareto: {min: 200ms, shape: 1.4}}, off: {pareto: {min: 800ms, shape: 1.4}}}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "OnOffArrivals")]
pub struct Spec {
    /// How many there are.
    pub senders: u32,
    /// Requests per second of each while it is on.
    pub rate: Rate,
    /// How long it is on.
    pub on: DistSpec<SimDuration>,
    /// How long it is off.
    pub off: DistSpec<SimDuration>,
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<OnOff, SpecError> {
        if self.senders == 0 || self.senders > 1_000_000 {
            let problem = format!("{} senders; expected 1 to 1000000", self.senders);
            return Err(SpecError::new(format!("{field}.senders"), problem, "give the number of senders"));
        }
        check_rate(&format!("{field}.rate"), self.rate.0)?;
        let on = super::renewal::gap_of(&format!("{field}.on"), &self.on)?;
        let off = super::renewal::gap_of(&format!("{field}.off"), &self.off)?;
        Ok(OnOff { senders: self.senders, rate: self.rate.0, share: self.share(), on, off, now: 0.0, turns: BTreeSet::new(), sending: 0 })
    }

    /// The part of the time that a sender is on; half where a mean is infinite.
    fn share(&self) -> f64 {
        let mean = |spec: &DistSpec<SimDuration>| spec.build().ok().map(|d| d.mean()).filter(|m| m.is_finite());
        mean(&self.on).zip(mean(&self.off)).map_or(0.5, |(on, off)| on / (on + off))
    }

    pub(super) fn rate(&self) -> f64 {
        f64::from(self.senders) * self.rate.0 * self.share()
    }
}

/// Who is on.
#[derive(Clone, Debug)]
pub struct OnOff {
    senders: u32,
    rate: f64,
    share: f64,
    on: Dist,
    off: Dist,
    /// ns.
    now: f64,
    /// When each sender turns, as the bits of a time that is not negative; and whether it is on until then.
    turns: BTreeSet<(u64, u32, bool)>,
    sending: u32,
}

impl OnOff {
    fn turn(&mut self, sender: u32, at: f64, on: bool, stream: &mut Stream) {
        let lasts = if on { self.on.sample(stream) } else { self.off.sample(stream) };
        self.sending += u32::from(on);
        self.turns.insert(((at + lasts.max(1.0)).to_bits(), sender, on));
    }
}

impl Process for OnOff {
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        if self.turns.is_empty() {
            for sender in 0..self.senders {
                let on = stream.chance(self.share);
                self.turn(sender, 0.0, on, stream);
            }
        }
        let start = self.now;
        loop {
            let &(bits, sender, on) = self.turns.first()?;
            let turns = f64::from_bits(bits);
            let rate = f64::from(self.sending) * self.rate / 1e9;
            let arrives = if rate > 0.0 { self.now + stream.exponential() / rate } else { f64::INFINITY };
            if arrives < turns {
                self.now = arrives;
                return Some(SimDuration::from_nanos_f64(self.now - start));
            }
            // Exponential gaps forget: the next is drawn anew from here.
            self.now = turns;
            self.turns.pop_first();
            self.sending -= u32::from(on);
            self.turn(sender, turns, !on, stream);
        }
    }
}
