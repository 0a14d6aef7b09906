//! When a kubelet's probes find out what a container does (`pkg/kubelet/prober/worker.go`).
//!
//! A probe is tried at once when its container starts and then once in each period, but not before its initial delay. What the
//! container answers follows from its state, so that no attempt has to be simulated: the times at which results change are
//! worked out when the state changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::{SimDuration, SimTime};

/// The fields of a probe that decide when it succeeds or fails; defaults as `SetDefaults_Probe` (`pkg/apis/core/v1/defaults.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeSpec {
    /// `initialDelaySeconds`: attempts before this are left out.
    pub initial_delay: SimDuration,
    /// `periodSeconds`.
    pub period: SimDuration,
    /// `timeoutSeconds`: an attempt that nobody answers fails after this.
    pub timeout: SimDuration,
    /// `successThreshold`: so many successes in a row.
    pub success_threshold: u32,
    /// `failureThreshold`: so many failures in a row.
    pub failure_threshold: u32,
}

impl Default for ProbeSpec {
    fn default() -> Self {
        Self {
            initial_delay: SimDuration::ZERO,
            period: SimDuration::from_secs(10),
            timeout: SimDuration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
        }
    }
}

impl ProbeSpec {
    /// The first attempt at or after `from` on a container that started at `started`.
    #[must_use]
    pub fn attempt(&self, started: SimTime, from: SimTime) -> SimTime {
        let since = from.max(started + self.initial_delay).since(started).as_nanos();
        let period = self.period.as_nanos().max(1);
        started + SimDuration::from_nanos(since.div_ceil(period).saturating_mul(period))
    }

    /// When it has succeeded if every attempt from `from` on does.
    #[must_use]
    pub fn succeeds(&self, started: SimTime, from: SimTime) -> SimTime {
        self.attempt(started, from) + self.period * u64::from(self.success_threshold.saturating_sub(1))
    }

    /// When it has failed if every attempt from `from` on does, `after` it was made.
    #[must_use]
    pub fn fails(&self, started: SimTime, from: SimTime, after: SimDuration) -> SimTime {
        self.attempt(started, from) + self.period * u64::from(self.failure_threshold.saturating_sub(1)) + after
    }
}

/// The probes of a Pod; of several containers, those that decide last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// `startupProbe`: the others wait for it.
    pub startup: Option<ProbeSpec>,
    /// `readinessProbe`: without one a container is ready as soon as it runs.
    pub readiness: Option<ProbeSpec>,
    /// `livenessProbe`: a container that fails it is killed and started again.
    pub liveness: Option<ProbeSpec>,
}

/// What comes of a container's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// When it is ready.
    pub ready: SimTime,
    /// When it is killed because it did not answer a startup or liveness probe soon enough; it is never ready then.
    pub killed: Option<SimTime>,
}

impl Probes {
    /// A container starts at `started` and listens from `listens` on.
    ///
    /// A startup probe that succeeds makes the kubelet probe readiness at once (`prober_manager.go` `UpdatePodStatus`).
    #[must_use]
    pub fn start(&self, started: SimTime, listens: SimTime) -> Start {
        let too_slow = |probe: &ProbeSpec, from: SimTime| {
            let killed = probe.fails(started, from, SimDuration::ZERO);
            (killed < probe.attempt(started, listens)).then_some(killed)
        };
        let (mut up, mut killed) = (started, None);
        if let Some(startup) = &self.startup {
            killed = too_slow(startup, started);
            up = startup.succeeds(started, listens);
        }
        if killed.is_none()
            && let Some(liveness) = &self.liveness
        {
            killed = too_slow(liveness, up);
        }
        let ready = match &self.readiness {
            None => up,
            // Refused at the first attempt, it is tried again in the next period only.
            Some(p) if self.startup.is_some() && p.success_threshold <= 1 && up >= started + p.initial_delay => up,
            Some(p) => p.succeeds(started, up.max(listens)),
        };
        Start { ready, killed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> SimTime {
        SimTime::from_nanos(secs * 1_000_000_000)
    }

    const fn secs(secs: u64) -> SimDuration {
        SimDuration::from_secs(secs)
    }

    fn probe(initial_delay: u64, period: u64, failure_threshold: u32) -> Option<ProbeSpec> {
        Some(ProbeSpec { initial_delay: secs(initial_delay), period: secs(period), failure_threshold, ..ProbeSpec::default() })
    }

    #[test]
    fn a_container_without_probes_is_ready_before_it_listens() {
        assert_eq!(Probes::default().start(at(5), at(30)), Start { ready: at(5), killed: None });
    }

    #[test]
    fn readiness_comes_at_an_attempt() {
        let ready = |initial, listens| Probes { readiness: probe(initial, 10, 3), ..Probes::default() }.start(at(100), at(listens)).ready;
        assert_eq!(ready(0, 100), at(100));
        assert_eq!(ready(0, 101), at(110));
        assert_eq!(ready(0, 110), at(110));
        assert_eq!(ready(15, 101), at(120), "attempts before the initial delay are left out");
    }

    #[test]
    fn a_startup_probe_holds_back_the_others_and_speeds_readiness_up() {
        let probes = Probes { startup: probe(0, 2, 30), readiness: probe(0, 10, 3), liveness: probe(0, 10, 3) };
        assert_eq!(probes.start(at(0), at(33)), Start { ready: at(34), killed: None });
        assert_eq!(probes.start(at(0), at(59)).killed, Some(at(58)), "thirty failures, two seconds apart");
    }

    #[test]
    fn a_liveness_probe_kills_what_starts_slowly() {
        let probes = Probes { liveness: probe(10, 10, 3), ..Probes::default() };
        assert_eq!(probes.start(at(0), at(30)).killed, None, "refused at 10 and 20, answered at 30");
        assert_eq!(probes.start(at(0), at(31)).killed, Some(at(30)));
    }

    #[test]
    fn a_hung_container_is_noticed_after_period_times_failures_less_one_and_a_timeout() {
        let p = ProbeSpec::default();
        assert_eq!(p.fails(at(0), at(41), p.timeout), at(71));
        assert_eq!(p.fails(at(0), at(50), p.timeout), at(71));
    }
}
