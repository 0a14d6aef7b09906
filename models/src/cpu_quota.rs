//! [`CpuQuota`]: CPU time by periods, as CFS bandwidth control gives it to a container with `resources.limits.cpu`: who has used up
//! the quota of a period stands still until the next one begins, however idle the machine is.
//!
//! Source: Turner, Rao, Rao, "CPU bandwidth control for CFS" (Linux Symposium 2010); Linux `kernel/sched/fair.c`
//! (`do_sched_cfs_period_timer`: the timer stops after a period in which nothing was used, and begins anew with the next use);
//! `cpu.cfs_quota_us` and `cpu.cfs_period_us` as the kubelet sets them. Left out: a quota is handed to CPUs in slices of 5 ms, so a
//! real container can stand still a little earlier, and with a quota below a tick a little later.

use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::{SimDuration, SimTime};

/// A limit on CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpuQuotaSpec {
    /// Cores' worth of time in each period: `resources.limits.cpu`.
    pub cores: f64,
    /// How long a period is: the kubelet's `cpuCFSQuotaPeriod`.
    #[serde(default = "period", skip_serializing_if = "is_period")]
    pub period: SimDuration,
}

const fn period() -> SimDuration {
    SimDuration::from_millis(100)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
fn is_period(p: &SimDuration) -> bool {
    *p == period()
}

impl CpuQuotaSpec {
    /// # Errors
    /// A limit that no kernel would take: less than 1 ms in a period (`min_cfs_quota_period`), or periods outside 1 ms to 1 s.
    pub fn check(&self, field: &str) -> Result<(), SpecError> {
        let (least, most) = (SimDuration::from_millis(1), SimDuration::from_secs(1));
        if !(least..=most).contains(&self.period) {
            let problem = format!("{}; expected 1ms to 1s", self.period);
            return Err(SpecError::new(format!("{field}.period"), problem, "leave it out: it is 100ms"));
        }
        let time = self.cores * self.period.as_nanos() as f64;
        if !(time >= least.as_nanos() as f64 && self.cores <= 1e6) {
            let problem = format!("{} cores for {}; expected at least 1ms of CPU time in each period", self.cores, self.period);
            return Err(SpecError::new(format!("{field}.cores"), problem, "give cores, such as 0.5 for `cpu: 500m`"));
        }
        Ok(())
    }
}

/// What a container has used of its quota.
#[derive(Clone, Copy, Debug)]
pub struct CpuQuota {
    quota: SimDuration,
    period: SimDuration,
    /// When the period began, or the last one that anything was used in.
    start: SimTime,
    /// CPU time used in it up to `since`, and how many CPUs are in use since then.
    used: SimDuration,
    since: SimTime,
    busy: u32,
    /// When somebody looks next at whether it is used up.
    wakes: Option<SimTime>,
}

impl CpuQuota {
    /// Nothing is used yet.
    #[must_use]
    pub fn new(spec: CpuQuotaSpec) -> Self {
        let quota = SimDuration::from_nanos_f64(spec.cores * spec.period.as_nanos() as f64);
        let (used, start) = (SimDuration::ZERO, SimTime::ZERO);
        Self { quota, period: spec.period, start, used, since: start, busy: 0, wakes: None }
    }

    /// From `now` on `busy` CPUs are in use. Returns when the quota is used up if that stays so; never, if it never is.
    pub fn uses(&mut self, busy: u32, now: SimTime) -> Option<SimTime> {
        self.account(now);
        self.busy = busy;
        if busy == 0 {
            return None;
        }
        // Who needs all of it and no more is not stopped in the instant in which it is done.
        let alone = |left: SimDuration| SimDuration::from_nanos((left.as_nanos() + 1).div_ceil(u64::from(busy)));
        let at = now + alone(self.quota.saturating_sub(self.used));
        let in_next = self.ends() + alone(self.quota);
        if at < self.ends() { Some(at) } else { (in_next < self.ends() + self.period).then_some(in_next) }
    }

    /// [`Self::uses`], if nobody looks sooner than that.
    pub fn wake(&mut self, busy: u32, now: SimTime) -> Option<SimTime> {
        let at = self.uses(busy, now).filter(|at| self.wakes.is_none_or(|wakes| *at < wakes))?;
        self.wakes = Some(at);
        Some(at)
    }

    /// Somebody looks: whether more than this period's quota is used.
    pub fn is_spent(&mut self, now: SimTime) -> bool {
        self.account(now);
        self.wakes = self.wakes.filter(|at| *at > now);
        self.used > self.quota
    }

    /// When the next period begins.
    #[must_use]
    pub fn ends(&self) -> SimTime {
        self.start + self.period
    }

    fn account(&mut self, now: SimTime) {
        let used = |from: SimTime| now.since(from) * u64::from(self.busy);
        if now < self.ends() {
            self.used += used(self.since);
        } else if self.busy == 0 && self.timer_stopped(now) {
            (self.start, self.used) = (now, SimDuration::ZERO);
        } else {
            let passed = now.since(self.start).as_nanos() / self.period.as_nanos();
            self.start += self.period * passed;
            self.used = used(self.start.max(self.since));
        }
        self.since = now;
    }

    /// Whether a whole period has passed in which nothing was used.
    fn timer_stopped(&self, now: SimTime) -> bool {
        let begun = self.since.since(self.start).as_nanos().div_ceil(self.period.as_nanos());
        now >= self.start + self.period * (begun + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_millis(ms)
    }

    fn just_after(ms: u64) -> SimTime {
        at(ms) + SimDuration::from_nanos(1)
    }

    fn half_a_core() -> CpuQuota {
        CpuQuota::new(CpuQuotaSpec { cores: 0.5, period: period() })
    }

    #[test]
    fn four_threads_use_up_half_a_core_in_an_eighth_of_the_period() {
        let mut quota = half_a_core();
        assert_eq!(quota.uses(4, at(1_000)), Some(SimTime::from_nanos(1_012_500_001)));
        assert!(!quota.is_spent(at(1_012)));
        assert!(quota.is_spent(at(1_013)));
        assert_eq!(quota.ends(), at(1_100), "a period begins with the first use after an idle one");
        assert_eq!(quota.uses(0, at(1_013)), None);
        assert_eq!(quota.uses(1, at(1_100)), Some(just_after(1_150)));
    }

    #[test]
    fn what_is_used_in_a_period_counts_in_no_other() {
        let mut quota = half_a_core();
        assert_eq!(quota.uses(1, at(500)), Some(just_after(550)));
        quota.uses(0, at(540));
        assert_eq!(quota.uses(1, at(570)), Some(just_after(580)), "10 ms are left");
        quota.uses(0, at(575));
        // 5 ms are left until 600, where a new period begins before they are used.
        assert_eq!(quota.uses(1, at(597)), Some(just_after(650)));
    }

    #[test]
    fn who_needs_no_more_than_the_quota_never_stands_still() {
        let mut quota = CpuQuota::new(CpuQuotaSpec { cores: 2.0, period: period() });
        assert_eq!(quota.uses(2, at(0)), None);
        assert!(!quota.is_spent(at(99)));
        assert_eq!(quota.uses(2, at(350)), None);
        assert!(quota.uses(3, at(360)).is_some());
    }

    #[test]
    fn quotas_that_no_kernel_takes_are_refused() {
        for (cores, ms) in [(0.0, 100), (0.001, 100), (f64::NAN, 100), (1.0, 0), (1.0, 2_000), (1e9, 100)] {
            assert!(CpuQuotaSpec { cores, period: SimDuration::from_millis(ms) }.check("x").is_err(), "{cores} of {ms} ms");
        }
        assert!(CpuQuotaSpec { cores: 0.01, period: period() }.check("x").is_ok());
    }
}
