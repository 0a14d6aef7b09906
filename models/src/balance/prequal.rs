//! Prequal: asynchronous probes keep a pool of what hosts last said of themselves; of those that are not hot, having no more requests
//! than most, the one with the lowest latency is chosen, and if all are hot the one with the fewest requests.
//!
//! Source: Wydrowski et al., *Load is not what you should balance: Introducing Prequal*, NSDI 2024, section 4: `probe_rate` probes a
//! request to hosts drawn at random without replacement; a pool of 16; an entry is used at most
//! `b = max(1, (1 + delta) / ((1 - m/n) probe_rate - remove_rate))` times, rounded so that it is right in the mean, and not after it is 1 s old; each
//! request one entry more is removed, in turn the oldest and the worst; an entry's requests in flight are raised by one whenever a
//! request is sent there; hot is what lies above the quantile 0.84 (2^-0.25) of requests in flight. With fewer than two entries any
//! host is chosen.
//!
//! Where the pool is not much smaller than the number of hosts the formula has no positive denominator: entries are then used once,
//! an assumption; so is that the quantile is taken over the last 128 probes. Omitted: error aversion, synchronous mode.

use super::{Ask, Host, Knows, Picker, Probing, Report};
use crate::ids::PodId;
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// Probes by which the quantile is estimated.
const REMEMBERED: usize = 128;
/// With fewer entries the pool is not used (section 4.1).
const FEWEST: usize = 2;

/// `prequal: {probeRate: 3, pool: 16, maxAge: 1s, removeRate: 1, hotQuantile: 0.84, delta: 1}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "PrequalPolicy")]
pub struct Spec {
    /// Probes for each request; a fraction is rounded at random.
    pub probe_rate: f64,
    /// Most entries.
    pub pool: u32,
    /// An older entry is not used.
    pub max_age: SimDuration,
    /// Entries removed for each request, besides those that are used up.
    pub remove_rate: f64,
    /// Above this quantile of requests in flight a host is hot: 0 balances by requests in flight alone, 1 by latency alone.
    pub hot_quantile: f64,
    /// How much more than the pool loses it may be used.
    pub delta: f64,
}

impl Default for Spec {
    fn default() -> Self {
        Self { probe_rate: 3.0, pool: 16, max_age: SimDuration::from_secs(1), remove_rate: 1.0, hot_quantile: 0.84, delta: 1.0 }
    }
}

impl Spec {
    /// What Pods say to probes.
    pub const KNOWS: Knows = Knows { probing: Probing::Reports, ..Knows::NOTHING };

    pub(super) fn build(&self, field: &str) -> Result<Prequal, SpecError> {
        let error = |name: &str, problem: String, fix: &str| Err(SpecError::new(format!("{field}.{name}"), problem, fix));
        for (name, value, most) in
            [("probeRate", self.probe_rate, 100.0), ("removeRate", self.remove_rate, 100.0), ("delta", self.delta, 1e6)]
        {
            if !(0.0..=most).contains(&value) {
                return error(name, format!("{value}; expected 0 to {most}"), "leave it out for the paper's value");
            }
        }
        if !(0.0..=1.0).contains(&self.hot_quantile) {
            return error("hotQuantile", format!("a quantile of {}; expected 0 to 1", self.hot_quantile), "leave it out for 0.84");
        }
        if self.pool < FEWEST as u32 || self.pool > 10_000 {
            return error("pool", format!("a pool of {}; expected 2 to 10000", self.pool), "leave it out for 16");
        }
        Ok(Prequal { spec: self.clone(), entries: Vec::new(), in_flight: VecDeque::new(), removals: 0, hosts: Vec::new(), wanted: 0.0 })
    }

    /// How often an entry is used, with so many hosts.
    fn uses(&self, hosts: usize) -> f64 {
        let left = (1.0 - f64::from(self.pool) / hosts as f64) * self.probe_rate - self.remove_rate;
        if left > 0.0 { ((1.0 + self.delta) / left).max(1.0) } else { 1.0 }
    }
}

/// What a host said.
#[derive(Clone, Copy, Debug)]
struct Entry {
    host: usize,
    in_flight: u32,
    latency: SimDuration,
    taken: SimTime,
    uses_left: u32,
}

/// The pool.
#[derive(Clone, Debug)]
pub struct Prequal {
    spec: Spec,
    /// Oldest first.
    entries: Vec<Entry>,
    /// Requests in flight by the last probes.
    in_flight: VecDeque<u32>,
    removals: u64,
    hosts: Vec<PodId>,
    /// What rounding has left over of entries' uses.
    wanted: f64,
}

impl Prequal {
    /// More requests in flight than this are hot.
    fn hot_above(&self) -> u32 {
        if self.spec.hot_quantile >= 1.0 {
            return u32::MAX;
        }
        let mut sorted: Vec<u32> = self.in_flight.iter().copied().collect();
        sorted.sort_unstable();
        let place = (self.spec.hot_quantile * sorted.len() as f64) as usize;
        sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
    }

    /// The place of the best entry, or of the worst: cold before hot, cold by latency, hot by requests in flight.
    fn extreme(&self, best: bool) -> Option<usize> {
        let hot = self.hot_above();
        let rank = |e: &Entry| {
            let is_hot = e.in_flight > hot || self.spec.hot_quantile <= 0.0;
            (is_hot, if is_hot { u64::from(e.in_flight) } else { e.latency.as_nanos() })
        };
        let places = 0..self.entries.len();
        if best { places.min_by_key(|i| rank(&self.entries[*i])) } else { places.max_by_key(|i| rank(&self.entries[*i])) }
    }

    /// Removes one entry, in turn the oldest and the worst.
    fn remove_one(&mut self) {
        self.removals += 1;
        let place = if self.removals % 2 == 1 { (!self.entries.is_empty()).then_some(0) } else { self.extreme(false) };
        if let Some(place) = place {
            self.entries.remove(place);
        }
    }
}

/// A whole number that is `rate` in the mean.
fn rounded(rate: f64, stream: &mut Stream) -> usize {
    let whole = rate as usize;
    whole + usize::from(stream.chance(rate - whole as f64))
}

impl Picker for Prequal {
    fn changed(&mut self, hosts: &[Host], before: &[Option<usize>], _now: SimTime) {
        let after = |old: usize| before.iter().position(|b| *b == Some(old));
        self.entries = self.entries.iter().filter_map(|e| Some(Entry { host: after(e.host)?, ..*e })).collect();
        self.hosts = hosts.iter().map(|h| h.id).collect();
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let oldest = ask.now().since(SimTime::ZERO).saturating_sub(self.spec.max_age);
        self.entries.retain(|e| e.taken.since(SimTime::ZERO) >= oldest && e.uses_left > 0);
        let choice = if self.entries.len() < FEWEST { None } else { self.extreme(true) };
        let host = choice.map_or_else(|| stream.below(ask.hosts().len() as u32) as usize, |place| self.entries[place].host);
        if let Some(place) = choice {
            self.entries[place].uses_left -= 1;
        }
        (0..rounded(self.spec.remove_rate, stream)).for_each(|_| self.remove_one());
        Some(host)
    }

    fn sent(&mut self, host: usize, _now: SimTime) {
        self.entries.iter_mut().filter(|e| e.host == host).for_each(|e| e.in_flight += 1);
    }

    fn probes(&mut self, hosts: &[Host], _now: SimTime, stream: &mut Stream) -> Vec<usize> {
        let wanted = rounded(self.spec.probe_rate, stream).min(hosts.len());
        let mut drawn: Vec<usize> = Vec::with_capacity(wanted);
        // Floyd's sampling without replacement (Bentley and Floyd 1987).
        for last in hosts.len() - wanted..hosts.len() {
            let at = stream.below(last as u32 + 1) as usize;
            drawn.push(if drawn.contains(&at) { last } else { at });
        }
        drawn
    }

    fn probed(&mut self, host: usize, report: Report, taken: SimTime, _now: SimTime) {
        let Report { in_flight, latency, .. } = report;
        if self.in_flight.len() == REMEMBERED {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back(in_flight);
        if self.entries.len() >= self.spec.pool as usize {
            self.entries.remove(0);
        }
        let uses = self.spec.uses(self.hosts.len());
        self.wanted += uses;
        // Rounded so that it is right in the mean, as the paper does at random.
        let uses_left = self.wanted as u32;
        self.wanted -= f64::from(uses_left);
        self.entries.push(Entry { host, in_flight, latency, taken, uses_left });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{ask, chance, hosts};

    fn report(in_flight: u32, latency_ms: u64) -> Report {
        Report { in_flight, latency: SimDuration::from_millis(latency_ms), service: SimDuration::ZERO }
    }

    fn prequal(spec: Spec, reports: &[(u32, u64)]) -> (Prequal, Vec<Host>) {
        let hosts = hosts(reports.len() as u32);
        let mut p = spec.build("").expect("it makes sense");
        p.changed(&hosts, &vec![None; hosts.len()], SimTime::ZERO);
        for (host, (in_flight, latency)) in reports.iter().enumerate() {
            p.probed(host, report(*in_flight, *latency), SimTime::ZERO, SimTime::ZERO);
        }
        (p, hosts)
    }

    fn still() -> Spec {
        Spec { remove_rate: 0.0, ..Spec::default() }
    }

    /// Of five hosts with 1, 2, 3, 4 and 9 in flight the quantile 0.84 is 9, 0.6 is 4: above it none is, or one.
    #[test]
    fn the_fastest_of_the_cold_is_chosen_and_the_least_busy_if_all_are_hot() {
        let reports = [(1, 50), (2, 40), (3, 30), (4, 20), (9, 10)];
        let choose = |spec: Spec| {
            let (mut p, hosts) = prequal(spec, &reports);
            p.pick(&ask(&hosts, 0, SimTime::ZERO), &mut chance(1))
        };
        assert_eq!(choose(still()), Some(4), "nobody is above the quantile: by latency");
        assert_eq!(choose(Spec { hot_quantile: 0.6, ..still() }), Some(3), "the last is hot");
        assert_eq!(choose(Spec { hot_quantile: 0.0, ..still() }), Some(0), "all are: by requests in flight");
    }

    #[test]
    fn what_is_sent_counts_and_what_is_old_does_not() {
        let (mut p, hosts) = prequal(Spec { hot_quantile: 0.0, ..still() }, &[(1, 1), (2, 1)]);
        let choose = |p: &mut Prequal, ms| p.pick(&ask(&hosts, 0, SimTime::ZERO + SimDuration::from_millis(ms)), &mut chance(1));
        assert_eq!(choose(&mut p, 0), Some(0));
        (0..3).for_each(|_| p.sent(0, SimTime::ZERO));
        assert_eq!(choose(&mut p, 1_000), Some(1), "four against two");
        let random: Vec<_> = (0..8).map(|i| p.pick(&ask(&hosts, 0, SimTime::ZERO + SimDuration::from_millis(1_001)), &mut chance(i))).collect();
        assert!(random.contains(&Some(0)) && p.entries.is_empty(), "too old: any host");
    }

    /// Section 4.3's formula at its values: 100 hosts: (1 + 1) / (0.84 x 3 - 1) = 1.3.
    #[test]
    fn entries_are_used_as_often_as_the_formula_says() {
        let spec = Spec::default();
        assert!((spec.uses(100) - 2.0 / 1.52).abs() < 1e-12);
        assert_eq!(spec.uses(16), 1.0, "the pool holds everybody");
        assert_eq!(Spec { delta: 0.0, remove_rate: 0.0, ..spec }.uses(1_000), 1.0, "at least once");
    }

    #[test]
    fn oldest_and_worst_are_removed_in_turn() {
        let (mut p, _) = prequal(Spec { hot_quantile: 0.5, ..still() }, &[(1, 10), (1, 90), (8, 1), (1, 20)]);
        p.remove_one();
        assert_eq!(p.entries.iter().map(|e| e.host).collect::<Vec<_>>(), [1, 2, 3], "the oldest");
        p.remove_one();
        assert_eq!(p.entries.iter().map(|e| e.host).collect::<Vec<_>>(), [1, 3], "the hot one");
    }
}
