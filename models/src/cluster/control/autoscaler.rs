//! Horizontal Pod autoscalers (`pkg/controller/podautoscaler/horizontal.go`): each looks at the CPU of its workload's Pods now and
//! then, as metrics-server saw it last, and asks for another number of them.
//!
//! A Pod whose servers are all busy uses as much CPU as it requests; one that requests nothing, a core for each server.

use crate::api::Process;
use crate::cluster::{Cluster, Ctx, Event};
use crate::controllers::autoscaler::{self, CpuSample, Measure, Pod, PodState, Tolerance};
use crate::controllers::scaling_rules::{Changes, SelectPolicy, limited, scale_down_limit, scale_up_limit, stabilized};
use crate::ids::{PodId, WorkloadId};
use crate::spec::{AutoscalerSpec, AutoscalingSpec, CpuTarget, ScalingBehavior, ScalingRules};
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// An autoscaler, and what it remembers.
pub(in crate::cluster) struct Autoscaler {
    spec: AutoscalerSpec,
    /// When in each of its periods it looks.
    phase: SimDuration,
    /// What its metrics asked for, and when.
    recommendations: Vec<(SimTime, i32)>,
    /// By how many replicas it changed its workload, and when.
    changes: Vec<(SimTime, i32)>,
}

/// The CPU of a Pod as metrics-server knows it.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster) struct Meter {
    at: SimTime,
    /// What the Pod's counter of busy time said then, ns; may be negative, since counters begin anew where measuring does.
    busy: i64,
    usage: Option<Usage>,
}

/// How busy a Pod was.
#[derive(Clone, Copy, Debug)]
struct Usage {
    taken: SimTime,
    window: SimDuration,
    /// Busy time of all servers together, ns.
    busy: i64,
}

impl Autoscaler {
    pub(in crate::cluster) fn new(spec: &AutoscalerSpec, common: &AutoscalingSpec, mut stream: Stream) -> Self {
        let phase = SimDuration::from_nanos_f64(common.sync_period.as_nanos() as f64 * stream.uniform());
        Self { spec: spec.clone(), phase, recommendations: Vec::new(), changes: Vec::new() }
    }

    /// How far a metric may be from its target.
    fn tolerance(&self, common: &AutoscalingSpec) -> Tolerance {
        let of = |rules: fn(&ScalingBehavior) -> &ScalingRules| self.spec.behavior.as_ref().and_then(|b| rules(b).tolerance);
        Tolerance { up: of(|b| &b.up).unwrap_or(common.tolerance), down: of(|b| &b.down).unwrap_or(common.tolerance) }
    }

    /// The replicas to ask for where there are `current` and the metrics ask for `wanted` (`normalizeDesiredReplicas`,
    /// `normalizeDesiredReplicasWithBehaviors`).
    fn normalized(&mut self, now: SimTime, current: i32, wanted: i32, common: &AutoscalingSpec) -> i32 {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, current));
        }
        let bounds = (self.spec.min_replicas as i32, self.spec.max_replicas as i32);
        let after = |window: SimDuration| move |(at, _): &&(SimTime, i32)| now.since(*at) < window;
        let recent = |window: SimDuration| self.recommendations.iter().filter(after(window)).map(|(_, n)| *n);
        let next = match &self.spec.behavior {
            None => {
                let stable = recent(common.downscale_stabilization).fold(wanted, i32::max);
                // `scaleUpLimitFactor` 2, `scaleUpLimitMinimum` 4.
                let most = bounds.1.min(current.saturating_mul(2).max(4));
                stable.clamp(bounds.0.min(most), most)
            }
            Some(behavior) => {
                let lowest = recent(behavior.up.stabilization.unwrap_or(SimDuration::ZERO)).min();
                let highest = recent(behavior.down.stabilization.unwrap_or(common.downscale_stabilization)).max();
                let stable = stabilized(current, wanted, lowest, highest);
                let up = self.limit(&behavior.up, current, now, scale_up_limit, true);
                let down = self.limit(&behavior.down, current, now, scale_down_limit, false);
                limited(current, stable, (down, up), bounds)
            }
        };
        let windows = [Some(common.downscale_stabilization), self.windows().max()];
        let longest = windows.into_iter().flatten().max().unwrap_or_default();
        self.recommendations.retain(|(at, _)| now.since(*at) < longest);
        self.recommendations.push((now, wanted));
        next
    }

    /// Stabilisation windows of its own.
    fn windows(&self) -> impl Iterator<Item = SimDuration> {
        self.spec.behavior.iter().flat_map(|b| [b.up.stabilization, b.down.stabilization]).flatten()
    }

    /// The limit that the policies of one direction set together, each with its own period.
    fn limit(
        &self,
        rules: &ScalingRules,
        current: i32,
        now: SimTime,
        of: fn(Changes, SelectPolicy, &[crate::controllers::scaling_rules::ScalingPolicy]) -> i32,
        up: bool,
    ) -> i32 {
        let limit = |(policy, period): &(_, SimDuration)| {
            let within = self.changes.iter().filter(|(at, _)| now.since(*at) < *period).map(|(_, n)| *n);
            let (added, removed) = within.fold((0, 0), |(a, r), n| if n > 0 { (a + n, r) } else { (a, r - n) });
            of(Changes { current, added, removed }, SelectPolicy::Max, std::slice::from_ref(policy))
        };
        let limits = rules.policies.iter().map(limit);
        let farthest = (rules.select == SelectPolicy::Max) == up;
        match rules.select {
            SelectPolicy::Disabled => current,
            _ if farthest => limits.max().unwrap_or(current),
            _ => limits.min().unwrap_or(current),
        }
    }

    /// It changed the replicas by so many.
    fn remember(&mut self, now: SimTime, change: i32) {
        let behavior = self.spec.behavior.iter();
        let longest = behavior.flat_map(|b| b.up.policies.iter().chain(&b.down.policies)).map(|(_, period)| *period).max();
        self.changes.retain(|(at, _)| now.since(*at) < longest.unwrap_or_default());
        self.changes.push((now, change));
    }
}

impl Cluster {
    /// metrics-server and autoscalers start to look, if there are any.
    pub(in crate::cluster) fn open_autoscalers(&mut self, ctx: &mut Ctx<'_>) {
        for workload in self.workloads.ids() {
            if let Some(autoscaler) = &self.workloads[workload].autoscaler {
                ctx.schedule_at(SimTime::ZERO + autoscaler.phase, Event::AutoscalerSyncs { workload });
            }
        }
        if self.workloads.iter().any(|w| w.autoscaler.is_some()) {
            let phase = SimDuration::from_nanos_f64(self.autoscaling.metric_resolution.as_nanos() as f64 * self.scrape_phase);
            ctx.schedule_at(SimTime::ZERO + phase, Event::MetricsScraped);
        }
    }

    /// metrics-server asks all kubelets that it reaches for the CPU of Pods; others have no metric until it reaches them again.
    pub(in crate::cluster) fn scrape_metrics(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let scaled = self.workloads.iter().filter(|w| w.autoscaler.is_some()).flat_map(|w| w.pods.iter().copied());
        let seen = scaled.filter(|p| self.pods[*p].works() && self.nodes[self.pods[*p].node].condition.is_reached());
        let meter = |pod: PodId| {
            let busy = self.pods[pod].servers.busy_time(now).as_nanos() as i64;
            let since = |last: &Meter| Usage { taken: now, window: now.since(last.at), busy: busy - last.busy };
            (pod, Meter { at: now, busy, usage: self.meters.get(&pod).map(since) })
        };
        self.meters = seen.map(meter).collect();
        if now < self.sending_until {
            ctx.schedule_in(self.autoscaling.metric_resolution, Event::MetricsScraped);
        }
    }

    /// The Pods' counters of busy time are about to begin anew.
    pub(in crate::cluster) fn meters_restart(&mut self, now: SimTime) {
        for (pod, meter) in &mut self.meters {
            meter.busy -= self.pods[*pod].servers.busy_time(now).as_nanos() as i64;
        }
    }

    /// An autoscaler looks at its workload (`reconcileAutoscaler`).
    pub(in crate::cluster) fn autoscaler_syncs(&mut self, workload: WorkloadId, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        if now < self.sending_until {
            ctx.schedule_in(self.autoscaling.sync_period, Event::AutoscalerSyncs { workload });
        }
        let current = self.workloads[workload].desired;
        let Some(next) = self.replicas_wanted(workload, now).filter(|n| *n != current) else { return };
        if let Some(autoscaler) = &mut self.workloads[workload].autoscaler {
            autoscaler.remember(now, next as i32 - current as i32);
        }
        let name = &self.workloads[workload].name;
        let what = format!("{name} is scaled from {current} to {next} by its autoscaler");
        self.recorder.event(now, &format!("autoscaler of {name}"), true, what);
        self.scale(workload, next, ctx);
    }

    /// How many replicas the workload's autoscaler asks for; none if it cannot say.
    fn replicas_wanted(&mut self, workload: WorkloadId, now: SimTime) -> Option<u32> {
        let autoscaler = self.workloads[workload].autoscaler.as_ref()?;
        let (current, least, most) = (self.workloads[workload].desired, autoscaler.spec.min_replicas, autoscaler.spec.max_replicas);
        if current == 0 && least > 0 {
            // Scaled to nothing by somebody: autoscaling is off.
            return None;
        }
        if !(least..=most).contains(&current) {
            return Some(current.clamp(least, most));
        }
        let tolerance = autoscaler.tolerance(&self.autoscaling);
        let pods: Vec<Pod> = self.workloads[workload].pods.iter().map(|p| self.metric_of(*p, now)).collect();
        let count = current as i32;
        let proposals = autoscaler.spec.targets.iter().map(|target| match *target {
            CpuTarget::Utilization(percent) => autoscaler::by_utilization(Measure::Cpu, count, percent, tolerance, &pods),
            CpuTarget::AverageMillis(millis) => autoscaler::by_average(Measure::Cpu, count, millis, tolerance, &pods),
        });
        let wanted = autoscaler::most_wanted(count, proposals.map(|p| p.ok().map(|p| p.replicas)))?;
        let autoscaler = self.workloads[workload].autoscaler.as_mut()?;
        u32::try_from(autoscaler.normalized(now, count, wanted, &self.autoscaling)).ok()
    }

    /// A Pod as an autoscaler sees it (`groupPods`).
    fn metric_of(&self, pod: PodId, now: SimTime) -> Pod {
        let p = &self.pods[pod];
        let w = &self.workloads[p.workload];
        let usage = self.meters.get(&pod).and_then(|m| m.usage);
        let counts = |u: &Usage| {
            let sample = CpuSample { started: p.created, ready: p.ready, ready_changed: p.ready_since, taken: u.taken, window: u.window };
            let common = &self.autoscaling;
            autoscaler::cpu_sample_counts(&sample, now, common.cpu_initialization, common.initial_readiness_delay)
        };
        let state = match (p.process, usage) {
            _ if p.terminating => PodState::Gone,
            // Its image is being pulled: phase Pending.
            (Process::Starting, _) if p.life == 0 => PodState::Pending,
            (_, Some(usage)) if counts(&usage) => PodState::Ready,
            _ => PodState::Unready,
        };
        let all = w.cpu_request.unwrap_or(1_000 * u64::from(w.concurrency));
        let millis = |u: Usage| {
            let (busy, window) = (u.busy.max(0).unsigned_abs(), u128::from(u.window.as_nanos()) * u128::from(w.concurrency));
            (u128::from(all) * u128::from(busy)).div_ceil(window.max(1)) as i64
        };
        Pod { state, usage: usage.map(millis), request: w.cpu_request.map(|r| r as i64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::scaling_rules::ScalingPolicy;
    use svcsim_engine::random::Streams;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(seconds)
    }

    fn autoscaler(behavior: Option<ScalingBehavior>) -> Autoscaler {
        let targets = vec![CpuTarget::Utilization(50)];
        let spec = AutoscalerSpec { field: String::new(), min_replicas: 1, max_replicas: 100, targets, behavior };
        Autoscaler::new(&spec, &AutoscalingSpec::default(), Streams::new(0, 0).stream(1, 1))
    }

    #[test]
    fn without_behavior_replicas_at_most_double_and_shrink_after_five_minutes() {
        let (mut a, common) = (autoscaler(None), AutoscalingSpec::default());
        assert_eq!(a.normalized(at(0), 1, 50, &common), 4, "never held below four");
        assert_eq!(a.normalized(at(15), 10, 50, &common), 20);
        assert_eq!(a.normalized(at(30), 20, 5, &common), 40, "50 were asked for not long ago");
        assert_eq!(a.normalized(at(315), 40, 5, &common), 5, "the last look that asked for 50 is 300 s ago");
    }

    #[test]
    fn policies_count_what_changed_within_their_own_period() {
        let minute = SimDuration::from_secs(60);
        let up = ScalingRules { policies: vec![(ScalingPolicy::Pods(3), minute)], ..ScalingRules::default_up() };
        let mut a = autoscaler(Some(ScalingBehavior { up, down: ScalingRules::default_down() }));
        let common = AutoscalingSpec::default();
        assert_eq!(a.normalized(at(0), 2, 50, &common), 5);
        a.remember(at(0), 3);
        assert_eq!(a.normalized(at(59), 5, 50, &common), 5, "three in a minute, and there were");
        assert_eq!(a.normalized(at(60), 5, 50, &common), 8);
    }

    #[test]
    fn a_direction_that_is_disabled_stays() {
        let down = ScalingRules { select: SelectPolicy::Disabled, stabilization: Some(SimDuration::ZERO), ..ScalingRules::default_down() };
        let mut a = autoscaler(Some(ScalingBehavior { up: ScalingRules::default_up(), down }));
        assert_eq!(a.normalized(at(0), 10, 2, &AutoscalingSpec::default()), 10);
        assert_eq!(a.normalized(at(0), 10, 12, &AutoscalingSpec::default()), 12);
    }
}
