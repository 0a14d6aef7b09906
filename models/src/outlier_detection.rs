//! Outlier detection as Envoy does it: an instance, a client or a proxying load balancer, ejects hosts that fail too often in a
//! row, for a while (Envoy, *Outlier detection*; `outlier_detection_impl.cc`).
//!
//! Answers with 5xx count, and so does what the instance itself says of a host: refused, reset, no answer in time
//! (`split_external_local_origin_errors: false`). A sweep each `interval` returns hosts whose time is over, and forgets one
//! ejection of each host that was in use since the last.
//!
//! Omitted: ejection by success rate and failure percentage (Istio turns the former off), consecutive gateway failures (never
//! enforced by default), jitter.

use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use svcsim_engine::{SimDuration, SimTime};

/// When hosts are ejected (Envoy, `config.cluster.v3.OutlierDetection`, with its defaults).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OutlierDetectionSpec {
    /// Failures in a row that eject a host: 5.
    #[serde(rename = "consecutive5xx")]
    pub consecutive_5xx: u32,
    /// Between two sweeps: 10 s.
    pub interval: SimDuration,
    /// How long a host is ejected at least, for each time that it was: 30 s.
    pub base_ejection_time: SimDuration,
    /// And at most: 300 s.
    pub max_ejection_time: SimDuration,
    /// The most hosts ejected at once, in percent: 10. One may be in any case (`always_eject_one_host`, which older releases
    /// always had).
    pub max_ejection_percent: u32,
    /// Where less than this part of the hosts is left, in percent, all are used (`healthy_panic_threshold`): 50.
    pub panic_threshold: u32,
}

impl Default for OutlierDetectionSpec {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            interval: SimDuration::from_secs(10),
            base_ejection_time: SimDuration::from_secs(30),
            max_ejection_time: SimDuration::from_secs(300),
            max_ejection_percent: 10,
            panic_threshold: 50,
        }
    }
}

/// Bounds the work of a sweep that a slip of the keyboard can ask for.
const SHORTEST_INTERVAL: SimDuration = SimDuration::from_millis(1);

impl OutlierDetectionSpec {
    /// Finds what makes no sense of it, below `field`.
    ///
    /// # Errors
    /// A number of failures that is none, a time that is nothing, a part of more than all.
    pub fn check(&self, field: &str) -> Result<(), SpecError> {
        let error = |name: &str, problem: String, fix: &str| Err(SpecError::new(format!("{field}.{name}"), problem, fix));
        if self.consecutive_5xx == 0 {
            return error("consecutive5xx", "0 failures in a row: expected 1 or more".to_owned(), "leave it out: it is 5");
        }
        if self.interval < SHORTEST_INTERVAL {
            let problem = format!("a sweep every {}; expected at least {SHORTEST_INTERVAL} between two", self.interval);
            return error("interval", problem, "leave it out: it is 10s");
        }
        if self.base_ejection_time == SimDuration::ZERO || self.max_ejection_time < self.base_ejection_time {
            let (base, max) = (self.base_ejection_time, self.max_ejection_time);
            let problem = format!("from {base} to {max}; expected more than nothing, and a maxEjectionTime that is no less");
            return error("baseEjectionTime", problem, "leave both out: they are 30s and 300s");
        }
        for (name, percent) in [("maxEjectionPercent", self.max_ejection_percent), ("panicThreshold", self.panic_threshold)] {
            if percent > 100 {
                return error(name, format!("{percent} percent; expected 0 to 100"), "give a part of all hosts, such as 10");
            }
        }
        Ok(())
    }

    /// Whether so few hosts are left, `good` of `all`, that all are used.
    #[must_use]
    pub const fn panics(&self, good: usize, all: usize) -> bool {
        good * 100 < self.panic_threshold as usize * all
    }
}

/// What one instance remembers of hosts `H`: of those not named, nothing bad.
#[derive(Clone, Debug)]
pub struct Outliers<H> {
    spec: OutlierDetectionSpec,
    hosts: BTreeMap<H, Host>,
    next_sweep: SimTime,
    /// Ejections and their ends so far.
    turns: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    /// In a row.
    failures: u32,
    /// Ejections that are not forgotten.
    ejections: u32,
    ejected: Option<SimTime>,
}

impl<H: Ord + Copy> Outliers<H> {
    /// Nothing is known. The first sweep is at `first_sweep`.
    #[must_use]
    pub const fn new(spec: OutlierDetectionSpec, first_sweep: SimTime) -> Self {
        Self { spec, hosts: BTreeMap::new(), next_sweep: first_sweep, turns: 0 }
    }

    /// Its rules.
    #[must_use]
    pub const fn spec(&self) -> &OutlierDetectionSpec {
        &self.spec
    }

    /// Sweeps that are due by `now`. Returns whether a host is back.
    pub fn sweep(&mut self, now: SimTime) -> bool {
        let mut returned = false;
        while self.next_sweep <= now {
            if self.hosts.values().all(|h| h.ejections == 0) {
                let missed = now.since(self.next_sweep).as_nanos() / self.spec.interval.as_nanos();
                self.next_sweep += self.spec.interval * (missed + 1);
                return returned;
            }
            for host in self.hosts.values_mut() {
                let Some(since) = host.ejected else {
                    host.ejections = host.ejections.saturating_sub(1);
                    continue;
                };
                if self.next_sweep.since(since) >= self.spec.lasts(host.ejections) {
                    (host.ejected, host.failures) = (None, 0);
                    self.turns += 1;
                    returned = true;
                }
            }
            self.hosts.retain(|_, h| h.failures > 0 || h.ejections > 0);
            self.next_sweep += self.spec.interval;
        }
        returned
    }

    /// A request to `host`, one of `of` hosts, ended well or badly. Returns whether that ejects the host.
    pub fn ended(&mut self, host: H, good: bool, of: usize, now: SimTime) -> bool {
        if good {
            if let Some(known) = self.hosts.get_mut(&host) {
                known.failures = 0;
            }
            return false;
        }
        let ejected = self.ejected();
        let known = self.hosts.entry(host).or_default();
        known.failures += 1;
        if known.failures < self.spec.consecutive_5xx || known.ejected.is_some() {
            return false;
        }
        known.failures = 0;
        if ejected > 0 && (ejected + 1) * 100 > self.spec.max_ejection_percent as usize * of {
            return false;
        }
        if self.spec.lasts(known.ejections) < self.spec.max_ejection_time {
            known.ejections += 1;
        }
        known.ejected = Some(now);
        self.turns += 1;
        true
    }

    /// A health check found `host` good, which ends its ejection (`successful_active_health_check_uneject_host`). Returns
    /// whether it was ejected.
    pub fn found_good(&mut self, host: H) -> bool {
        let Some(known) = self.hosts.get_mut(&host).filter(|h| h.ejected.is_some()) else { return false };
        (known.ejected, known.failures) = (None, 0);
        self.turns += 1;
        true
    }

    /// Hosts that are none any more are forgotten.
    pub fn keep(&mut self, is_host: impl Fn(H) -> bool) {
        self.hosts.retain(|&h, _| is_host(h));
    }

    /// Whether `host` is ejected.
    #[must_use]
    pub fn is_ejected(&self, host: H) -> bool {
        self.hosts.get(&host).is_some_and(|h| h.ejected.is_some())
    }

    /// Counts ejections and their ends: while it is the same, the same hosts are ejected.
    #[must_use]
    pub const fn turns(&self) -> u64 {
        self.turns
    }

    /// How many hosts are ejected.
    #[must_use]
    pub fn ejected(&self) -> usize {
        self.hosts.values().filter(|h| h.ejected.is_some()).count()
    }
}

impl OutlierDetectionSpec {
    /// How long a host stays away that has been ejected so often.
    fn lasts(&self, ejections: u32) -> SimDuration {
        (self.base_ejection_time * u64::from(ejections)).min(self.max_ejection_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(seconds)
    }

    fn outliers() -> Outliers<u32> {
        Outliers::new(OutlierDetectionSpec::default(), at(10))
    }

    /// `host` of `of` fails five times.
    fn fails(o: &mut Outliers<u32>, host: u32, of: usize, now: SimTime) -> bool {
        (0..5).any(|_| o.ended(host, false, of, now))
    }

    /// The first sweep at which `host` is back.
    fn back(o: &mut Outliers<u32>, host: u32, from: u64) -> u64 {
        (from..10_000).find(|&s| o.sweep(at(s)) && !o.is_ejected(host)).expect("it comes back")
    }

    #[test]
    fn five_failures_in_a_row_eject_and_a_success_in_between_does_not() {
        let mut o = outliers();
        for good in [false, false, false, false, true, false, false, false, false] {
            assert!(!o.ended(1, good, 10, at(1)));
        }
        assert!(o.ended(1, false, 10, at(1)) && o.is_ejected(1));
    }

    #[test]
    fn each_ejection_lasts_longer_up_to_a_limit_and_time_without_makes_them_forgotten() {
        let mut o = outliers();
        let mut now = 1;
        let mut lasted = Vec::new();
        for _ in 0..12 {
            assert!(fails(&mut o, 1, 10, at(now)));
            let returned = back(&mut o, 1, now);
            lasted.push(returned - now);
            now = returned + 1;
        }
        // Ejected a second after a sweep: the first at which the time is over is nine seconds late.
        assert_eq!(lasted, [39, 69, 99, 129, 159, 189, 219, 249, 279, 309, 309, 309]);
        o.sweep(at(now + 100));
        assert!(fails(&mut o, 1, 10, at(now + 100)));
        assert_eq!(back(&mut o, 1, now + 100) - (now + 100), 39, "ten sweeps in use: all forgotten");
    }

    #[test]
    fn one_host_may_be_ejected_in_any_case_and_more_only_up_to_the_part() {
        let mut o = outliers();
        assert!(fails(&mut o, 1, 2, at(1)) && !fails(&mut o, 2, 2, at(1)));
        let mut o = outliers();
        let ejected = (0..30).filter(|h| fails(&mut o, *h, 30, at(1))).count();
        assert_eq!(ejected, 3);
    }

    #[test]
    fn a_health_check_that_succeeds_ends_an_ejection() {
        let mut o = outliers();
        assert!(fails(&mut o, 1, 10, at(1)) && o.found_good(1) && !o.is_ejected(1) && !o.found_good(1));
    }

    proptest! {
        #[test]
        fn sweeps_are_the_same_whenever_they_are_made_up_for(
            steps in prop::collection::vec((0u32..4, any::<bool>(), 0u64..40), 1..60)
        ) {
            let (mut eager, mut lazy) = (outliers(), outliers());
            let mut now = 0;
            for (host, good, pause) in steps {
                for second in now..=now + pause {
                    eager.sweep(at(second));
                }
                now += pause;
                lazy.sweep(at(now));
                prop_assert_eq!(eager.ended(host, good, 20, at(now)), lazy.ended(host, good, 20, at(now)));
                prop_assert!(eager.ejected() <= 2 && (0..4).all(|h| eager.is_ejected(h) == lazy.is_ejected(h)));
            }
        }
    }
}
