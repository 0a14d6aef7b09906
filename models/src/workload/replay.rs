//! Recorded arrivals once more, with what was recorded of each request: its time, perhaps its demand and its sizes.
//!
//! `speed` makes time pass faster, `keep` leaves requests out at random (thinning keeps what is Poisson in them Poisson), `clones`
//! sends each several times at once, `repeat` begins anew at the end. Of records that count requests by period, each period's are
//! spread over it at random, all times alike.

use super::{Process, Recorded};
use crate::spec::SpecError;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::sync::Arc;
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// `replay: {recorded: {gaps: "0 52000000 4600000"}, speed: 2, keep: 0.5, clones: 1, repeat: true}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ReplayArrivals")]
pub struct Spec {
    /// What was recorded.
    pub recorded: Records,
    /// How many times as fast as it was.
    #[serde(default = "one")]
    pub speed: f64,
    /// The part of the requests that is sent.
    #[serde(default = "one")]
    pub keep: f64,
    /// How often each is sent, at once.
    #[serde(default = "once")]
    pub clones: u32,
    /// Whether it begins anew after its end; otherwise nothing more comes.
    #[serde(default)]
    pub repeat: bool,
}

const fn one() -> f64 {
    1.0
}

const fn once() -> u32 {
    1
}

/// A column of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Records {
    /// From the request before to each, ns; from the start to the first. With counts: from the beginning of the period before.
    pub gaps: Numbers,
    /// Requests of the period that begins then; absent: each line is one request.
    #[serde(skip_serializing_if = "Numbers::is_empty")]
    pub counts: Numbers,
    /// Demands, ns; absent: drawn.
    #[serde(skip_serializing_if = "Numbers::is_empty")]
    pub service_times: Numbers,
    /// Sizes of requests, bytes; absent: drawn.
    #[serde(skip_serializing_if = "Numbers::is_empty")]
    pub request_sizes: Numbers,
    /// Sizes of responses, bytes; absent: drawn.
    #[serde(skip_serializing_if = "Numbers::is_empty")]
    pub response_sizes: Numbers,
}

/// Many whole numbers, written with spaces between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(pub Arc<[u64]>);

impl Numbers {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, at: usize) -> Option<u64> {
        self.0.get(at).copied()
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len() * 8);
        for n in self.0.iter() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&n.to_string());
        }
        s.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let number = |word: &str| word.parse().map_err(|_| D::Error::custom(format!("`{word}` is no whole number")));
        text.split_ascii_whitespace().map(number).collect::<Result<_, _>>().map(Self)
    }
}

impl JsonSchema for Numbers {
    fn schema_name() -> Cow<'static, str> {
        "Numbers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        svcsim_engine::text::schema("Whole numbers with spaces between them.", r"^[0-9\s]*$", &["0 52000000 4600000"])
    }
}

impl Spec {
    pub(super) fn build(&self, field: &str) -> Result<Replay, SpecError> {
        let error = |name: &str, problem: String, fix: &str| Err(SpecError::new(format!("{field}.{name}"), problem, fix));
        let rows = self.recorded.gaps.0.len();
        if rows == 0 {
            return error("recorded", "nothing was recorded".to_owned(), "name a file with requests");
        }
        let r = &self.recorded;
        let columns =
            [("counts", &r.counts), ("serviceTimes", &r.service_times), ("requestSizes", &r.request_sizes), ("responseSizes", &r.response_sizes)];
        if let Some((name, column)) = columns.iter().find(|(_, c)| !c.is_empty() && c.0.len() != rows) {
            return error(&format!("recorded.{name}"), format!("{} values for {rows} times", column.0.len()), "give one for each");
        }
        for (name, value, most) in [("speed", self.speed, 1e9), ("keep", self.keep, 1.0)] {
            if !(value > 0.0 && value <= most) {
                return error(name, format!("{value}; expected more than 0 and at most {most}"), "leave it out for 1");
            }
        }
        if self.clones == 0 || self.clones > 1_000_000 {
            return error("clones", format!("{}; expected 1 to 1000000", self.clones), "leave it out for 1");
        }
        let length: u128 = r.gaps.0.iter().map(|g| u128::from(*g)).sum();
        if self.repeat && length == 0 {
            return error("repeat", "what was recorded takes no time".to_owned(), "leave `repeat` out");
        }
        if !r.counts.is_empty() && rows < 2 {
            return error("recorded.counts", "one period, whose length nothing says".to_owned(), "give at least two");
        }
        Ok(Replay { spec: self.clone(), next: 0, passed: 0.0, clones_left: 0, current: None, in_period: Vec::new() })
    }

    pub(super) fn rate(&self) -> f64 {
        let r = &self.recorded;
        let requests: f64 = if r.counts.is_empty() { r.gaps.0.len() as f64 } else { r.counts.0.iter().map(|n| *n as f64).sum() };
        let ns: f64 = r.gaps.0.iter().map(|g| *g as f64).sum();
        if ns == 0.0 { 0.0 } else { requests * f64::from(self.clones) * self.keep * self.speed / ns * 1e9 }
    }
}

/// Where in the record it is.
#[derive(Clone, Debug)]
pub struct Replay {
    spec: Spec,
    /// The next line.
    next: usize,
    /// Time since the last arrival that has been gone through, recorded ns.
    passed: f64,
    clones_left: u32,
    /// The line of the last arrival.
    current: Option<usize>,
    /// What is left of a period's requests: times from one to the next, the last first, and then to its end.
    in_period: Vec<f64>,
}

impl Replay {
    /// The line to come, beginning anew where that is wanted.
    fn line(&mut self) -> Option<usize> {
        if self.next == self.spec.recorded.gaps.0.len() {
            if !self.spec.repeat {
                return None;
            }
            self.next = 0;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// The next request, whether it is kept or not: recorded ns since the last.
    fn following(&mut self, stream: &mut Stream) -> Option<f64> {
        if self.spec.recorded.counts.is_empty() {
            let line = self.line()?;
            self.current = Some(line);
            return Some(self.spec.recorded.gaps.get(line)? as f64);
        }
        let mut gap = 0.0;
        loop {
            match self.in_period.pop() {
                Some(step) if !self.in_period.is_empty() => return Some(gap + step),
                Some(to_the_end) => gap += to_the_end,
                None => {}
            }
            let line = self.line()?;
            let gaps = &self.spec.recorded.gaps;
            let length = gaps.get(line + 1).or_else(|| gaps.get(line))? as f64;
            if line == 0 {
                gap += gaps.get(0)? as f64;
            }
            let count = self.spec.recorded.counts.get(line)?;
            let mut times: Vec<f64> = (0..count).map(|_| stream.uniform() * length).collect();
            times.sort_by(f64::total_cmp);
            times.push(length);
            let steps = times.iter().scan(0.0, |before, t| Some(t - std::mem::replace(before, *t)));
            self.in_period = steps.collect();
            self.in_period.reverse();
        }
    }
}

impl Process for Replay {
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        if self.clones_left > 0 {
            self.clones_left -= 1;
            return Some(SimDuration::ZERO);
        }
        let mut gap = 0.0;
        loop {
            gap += self.following(stream)?;
            if self.spec.keep >= 1.0 || stream.chance(self.spec.keep) {
                break;
            }
        }
        self.clones_left = self.spec.clones - 1;
        // Rounded together with what rounding left over before, so that the record's times are kept.
        let exact = self.passed + gap / self.spec.speed;
        let whole = SimDuration::from_nanos_f64(exact);
        self.passed = exact - whole.as_nanos() as f64;
        Some(whole)
    }

    fn recorded(&self) -> Recorded {
        let Some(line) = self.current else { return Recorded::default() };
        let r = &self.spec.recorded;
        let bytes = |n: u64| n.min(u32::MAX.into()) as u32;
        Recorded {
            service_time: r.service_times.get(line).map(SimDuration::from_nanos),
            request_bytes: r.request_sizes.get(line).map(bytes),
            response_bytes: r.response_sizes.get(line).map(bytes),
        }
    }
}
