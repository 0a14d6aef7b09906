//! Poisson arrivals whose rate follows a curve: days, ramps, steps, spikes.
//!
//! The rate is a straight line between points. Exact by inversion (Çınlar 1975, *Introduction to Stochastic Processes*, chapter 4;
//! Lewis and Shedler 1976): the next arrival is where the area under the curve has grown by a unit exponential. Two points at one
//! time are a step.
//!
//! ```yaml
//! curve: {points: [{at: 0s, rate: 100/s}, {at: 60s, rate: 500/s}]}                                   # a ramp, then 500/s
//! curve: {points: [{at: 30s, rate: 100/s}, {at: 30s, rate: 400/s}]}                                  # a step
//! curve: {points: [{at: 0s, rate: 50/s}, {at: 12h, rate: 400/s}, {at: 24h, rate: 50/s}], repeat: true}   # days
//! ```

use super::{Process, check_rate};
use crate::spec::SpecError;
use crate::units::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// `curve: {points: [{at: 0s, rate: 100/s}, {at: 60s, rate: 500/s}], repeat: false}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CurveArrivals")]
pub struct Spec {
    /// In the order of time; before the first the rate is the first's, after the last the last's.
    pub points: Vec<Point>,
    /// Whether it begins anew at the last point's time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
}

/// The rate at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Point {
    /// From the start of the run.
    pub at: SimDuration,
    /// Requests per second.
    pub rate: Rate,
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<Curve, SpecError> {
        let fix = "give points such as [{at: 0s, rate: 100/s}, {at: 60s, rate: 500/s}]";
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return Err(SpecError::new(format!("{field}.points"), "no points; expected at least one", fix));
        };
        if let Some(i) = self.points.windows(2).position(|p| p[1].at < p[0].at) {
            let problem = format!("{} after {}; expected the order of time", self.points[i + 1].at, self.points[i].at);
            return Err(SpecError::new(format!("{field}.points[{}].at", i + 1), problem, "sort the points by `at`"));
        }
        for (i, point) in self.points.iter().enumerate().filter(|(_, p)| p.rate.0 > 1e9) {
            check_rate(&format!("{field}.points[{i}].rate"), point.rate.0)?;
        }
        if self.points.iter().all(|p| p.rate.0 == 0.0) {
            check_rate(&format!("{field}.points"), 0.0)?;
        }
        if self.repeat && last.at == SimDuration::ZERO {
            return Err(SpecError::new(format!("{field}.repeat"), "the curve has no length that could be repeated", fix));
        }
        let mut line: Vec<(f64, f64)> = self.points.iter().map(|p| (p.at.as_secs_f64(), p.rate.0)).collect();
        if first.at > SimDuration::ZERO {
            line.insert(0, (0.0, first.rate.0));
        }
        Ok(Curve { line, repeat: self.repeat, at: 0.0, place: 0 })
    }

    /// The mean over the curve.
    pub(super) fn rate(&self) -> f64 {
        let Ok(curve) = self.build("") else { return 0.0 };
        let area: f64 = curve.line.windows(2).map(|p| (p[1].0 - p[0].0) * (p[0].1 + p[1].1) / 2.0).sum();
        let (length, last) = curve.line.last().copied().unwrap_or_default();
        if length > 0.0 { area / length } else { last }
    }
}

/// Where on the curve the last arrival was.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Seconds and rates.
    line: Vec<(f64, f64)>,
    repeat: bool,
    /// Seconds from the start of the curve, and the piece that this is in.
    at: f64,
    place: usize,
}

impl Process for Curve {
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        let mut left = stream.exponential();
        let mut gap = 0.0;
        loop {
            let Some(&[(from, rate_from), (to, rate_to)]) = self.line.get(self.place..self.place + 2).and_then(|p| p.first_chunk()) else {
                let (_, rate) = *self.line.last()?;
                if self.repeat {
                    (self.at, self.place) = (0.0, 0);
                    continue;
                }
                // A curve that ends in silence has no more arrivals.
                return (rate > 0.0).then(|| SimDuration::from_nanos_f64((gap + left / rate) * 1e9));
            };
            let slope = if to > from { (rate_to - rate_from) / (to - from) } else { 0.0 };
            let rate = rate_from + slope * (self.at - from);
            let rest = to - self.at;
            let area = rest * (rate + slope * rest / 2.0);
            if area > left {
                // rate t + slope t^2 / 2 = left, by the form that does not lose digits where the slope is small.
                let t = 2.0 * left / (rate + libm::sqrt((rate * rate + 2.0 * slope * left).max(0.0)));
                self.at += t;
                return Some(SimDuration::from_nanos_f64((gap + t) * 1e9));
            }
            left -= area.max(0.0);
            gap += rest;
            self.at = to;
            self.place += 1;
        }
    }
}
