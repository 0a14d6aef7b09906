//! What an instance sees: its hosts, its requests, and what it is told of loads.

use crate::ids::{PodId, ZoneId};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use svcsim_engine::{SimDuration, SimTime};

/// A Pod that an instance may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Which Pod: the same one keeps it.
    pub id: PodId,
    /// `address:port`, which hashing policies place it by.
    pub address: String,
    /// Its share where policies heed weights; 0 is to get nothing.
    pub weight: u32,
    /// Its zone.
    pub zone: Option<ZoneId>,
    /// When this instance first knew it; none if it has known it from the start.
    pub since: Option<SimTime>,
    /// This instance's requests to it that are not over.
    pub active: u32,
}

/// Whether all hosts have one weight.
pub(super) fn alike(hosts: &[Host]) -> bool {
    hosts.windows(2).all(|pair| pair[0].weight == pair[1].weight)
}

/// One request that asks for a host.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    hosts: &'a [Host],
    seen: &'a dyn World,
    signal: SignalSpec,
    hash: u64,
    demand: SimDuration,
    now: SimTime,
    instances: u32,
    slow_start: Option<SlowStartSpec>,
}

/// What is true of Pods, by the signals that somebody may have.
pub trait World {
    /// Requests in the Pod now, waiting and in service.
    fn present(&self, pod: PodId) -> u32;

    /// The same when loads were last reported.
    fn reported(&self, pod: PodId) -> u32;

    /// When that was.
    fn reported_at(&self) -> SimTime;

    /// Time that the Pod's servers need for what they have to do, each at work.
    fn work(&self, pod: PodId) -> SimDuration;
}

impl<'a> Ask<'a> {
    /// A request among `hosts`.
    #[must_use]
    pub fn new(hosts: &'a [Host], seen: &'a dyn World, signal: SignalSpec, hash: u64, demand: SimDuration, now: SimTime) -> Self {
        Self { hosts, seen, signal, hash, demand, now, instances: 1, slow_start: None }
    }

    /// Of one of so many instances.
    #[must_use]
    pub const fn among(self, instances: u32) -> Self {
        Self { instances, ..self }
    }

    /// Hosts that are new have less weight.
    #[must_use]
    pub const fn with_slow_start(self, slow_start: Option<SlowStartSpec>) -> Self {
        Self { slow_start, ..self }
    }

    /// The hosts to choose from; at least one.
    #[must_use]
    pub const fn hosts(&self) -> &'a [Host] {
        self.hosts
    }

    /// Requests at the host at this place, as far as the instance knows ([`SignalSpec`]).
    #[must_use]
    pub fn load(&self, host: usize) -> u32 {
        let h = &self.hosts[host];
        match self.signal {
            SignalSpec::Own => h.active,
            SignalSpec::Live => self.seen.present(h.id),
            SignalSpec::Reported { .. } => self.seen.reported(h.id),
        }
    }

    /// How old what [`Self::load`] says is.
    #[must_use]
    pub fn age(&self) -> SimDuration {
        match self.signal {
            SignalSpec::Own | SignalSpec::Live => SimDuration::ZERO,
            SignalSpec::Reported { .. } => self.now.since(self.seen.reported_at()),
        }
    }

    /// What [`Self::load`] is.
    #[must_use]
    pub const fn signal(&self) -> SignalSpec {
        self.signal
    }

    /// The weight of the host at this place, now.
    #[must_use]
    pub fn weight(&self, host: usize) -> f64 {
        let h = &self.hosts[host];
        let weight = f64::from(h.weight);
        let slow = self.slow_start.zip(h.since);
        slow.map_or(weight, |(s, since)| weight * s.factor(self.now.since(since)))
    }

    /// Whether weights change while hosts do not.
    #[must_use]
    pub const fn weights_change(&self) -> bool {
        self.slow_start.is_some()
    }

    /// How many instances balance over these hosts.
    #[must_use]
    pub const fn instances(&self) -> u32 {
        self.instances
    }

    /// A hash of the client's address, or of the request's key.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// What nobody can know: the time until the host at this place could begin a request sent now.
    #[must_use]
    pub fn work(&self, host: usize) -> SimDuration {
        self.seen.work(self.hosts[host].id)
    }

    /// What nobody can know: the request's demand.
    #[must_use]
    pub const fn demand(&self) -> SimDuration {
        self.demand
    }

    /// Now.
    #[must_use]
    pub const fn now(&self) -> SimTime {
        self.now
    }
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("hosts", &self.hosts).field("signal", &self.signal).field("now", &self.now).finish_non_exhaustive()
    }
}

/// How a request to a host ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// From when this instance chose the host.
    pub latency: SimDuration,
    /// Whether it was served.
    pub good: bool,
    /// What the Pod said of itself in the answer; none where no Pod answered.
    pub report: Option<Report>,
    /// Now.
    pub now: SimTime,
}

/// What a Pod says of itself, in an answer or to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Requests in it: waiting and in service.
    pub in_flight: u32,
    /// Its estimate of how long a request takes in it now.
    pub latency: SimDuration,
    /// The service that the request answered took; zero in a probe's.
    pub service: SimDuration,
}

/// What instances know of how busy hosts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum SignalSpec {
    /// Their own requests that are not over: what a real proxy sees without help. Each sees only its own.
    #[default]
    Own,
    /// Everybody's requests in each Pod, at once: what no real proxy sees, and most papers assume.
    Live,
    /// The same as it was when it was last written on a board that all read: Mitzenmacher 2000, *How useful is old information?*,
    /// the periodic update model.
    Reported {
        /// How often it is written.
        every: SimDuration,
    },
}

impl SignalSpec {
    /// How often loads are reported, where they are.
    #[must_use]
    pub const fn period(self) -> Option<SimDuration> {
        match self {
            Self::Reported { every } => Some(every),
            Self::Own | Self::Live => None,
        }
    }

    /// Shortest time between reports, which cost events.
    const LEAST: SimDuration = SimDuration::from_micros(10);

    pub(super) fn check(self, field: &str) -> Result<(), SpecError> {
        match self {
            Self::Reported { every } if every < Self::LEAST => {
                let problem = format!("reports every {every}; expected {} or more", Self::LEAST);
                Err(SpecError::new(format!("{field}.reported.every"), problem, "give a time such as 100ms, or say `live`"))
            }
            _ => Ok(()),
        }
    }
}

/// A new host's weight grows to what it is (Envoy `SlowStartConfig`; `load_balancer_impl.cc`, `applySlowStartFactor`): times
/// `max(minWeightPercent, (age / window)^(1 / aggression))`. Only policies that heed weights heed it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "HostSlowStartSpec")]
pub struct SlowStartSpec {
    /// How long a host is new.
    pub window: SimDuration,
    /// 1: in a straight line; more: faster at first.
    #[serde(default = "one")]
    pub aggression: f64,
    /// The least part of the weight.
    #[serde(default = "ten")]
    pub min_weight_percent: f64,
}

const fn one() -> f64 {
    1.0
}

const fn ten() -> f64 {
    10.0
}

impl SlowStartSpec {
    /// The part of its weight that a host of this age has.
    #[must_use]
    pub fn factor(&self, age: SimDuration) -> f64 {
        if age >= self.window {
            return 1.0;
        }
        let time = age.as_secs_f64() / self.window.as_secs_f64();
        libm::pow(time, 1.0 / self.aggression).max(self.min_weight_percent / 100.0)
    }

    pub(super) fn check(&self, field: &str) -> Result<(), SpecError> {
        let sound = self.window > SimDuration::ZERO && self.aggression > 0.0 && (0.0..=100.0).contains(&self.min_weight_percent);
        if sound && self.aggression.is_finite() && self.min_weight_percent > 0.0 {
            return Ok(());
        }
        let problem = format!("a window of {}, aggression {}, {} %", self.window, self.aggression, self.min_weight_percent);
        Err(SpecError::new(field, problem, "give `slowStart: {window: 30s}`, an aggression above 0, and 1 to 100 percent"))
    }
}

/// What a policy has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knows {
    /// How many requests are under way at each host.
    pub loads: bool,
    /// Which requests ended, when and how: only who speaks the application's protocol sees that.
    pub answers: bool,
    /// What of a request is hashed.
    pub hash: bool,
    /// What share each host is to have.
    pub weights: bool,
    /// What Pods say to probes.
    pub probing: Probing,
    /// What no instance can know.
    pub oracle: bool,
}

/// Whether Pods are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probing {
    /// They are not.
    None,
    /// They are, and say how many requests they have and how long one takes.
    Reports,
}

impl Knows {
    /// Nothing but who the hosts are.
    pub const NOTHING: Self = Self { loads: false, answers: false, hash: false, weights: false, probing: Probing::None, oracle: false };
    /// All that there is.
    pub const EVERYTHING: Self = Self { loads: true, answers: true, hash: true, weights: true, probing: Probing::Reports, oracle: true };
    /// How many requests are under way at each host.
    pub const LOADS: Self = Self { loads: true, ..Self::NOTHING };
    /// What share each host is to have, and nothing else.
    pub const WEIGHTS: Self = Self { weights: true, ..Self::NOTHING };
    /// What is hashed.
    pub const HASH: Self = Self { hash: true, ..Self::NOTHING };
    /// How requests ended.
    pub const ANSWERS: Self = Self { answers: true, ..Self::LOADS };
}
