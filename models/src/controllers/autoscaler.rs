//! How many replicas one metric asks of a horizontal Pod autoscaler.
//!
//! Amounts are whole thousandths (`MilliValue`), as the controller reads them. Divisions of totals truncate
//! before ratios are taken; sums and results saturate.

use std::fmt;
use svcsim_engine::{SimDuration, SimTime};

/// How far the ratio of a metric to its target may be from 1 without a change.
///
/// Source: `pkg/controller/podautoscaler/replica_calculator.go`, `Tolerances`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Below 1.
    pub down: f64,
    /// Above 1.
    pub up: f64,
}

impl Tolerance {
    /// The same in both directions. The controller's default is 0.1.
    pub fn both(tolerance: f64) -> Self {
        Self { down: tolerance, up: tolerance }
    }

    fn covers(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// What a metric of Pods measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// CPU, of which Pods that start use more than they will: those that are not ready do not count.
    Cpu,
    /// Anything else, where readiness is not looked at.
    Other,
}

/// What the autoscaler makes of a Pod before it looks at its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodState {
    /// It runs, and its CPU sample is good ([`cpu_sample_counts`]).
    Ready,
    /// It runs, but its CPU sample says little yet.
    Unready,
    /// Its containers do not run yet.
    Pending,
    /// It has failed, has succeeded or is being deleted: as if it were not there.
    Gone,
}

/// A Pod as the autoscaler sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pod {
    /// Whether it counts.
    pub state: PodState,
    /// Its metric, if there is one.
    pub usage: Option<i64>,
    /// Its resource request, if it makes one. Only utilisation asks for it.
    pub request: Option<i64>,
}

/// What one metric asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// The replicas.
    pub replicas: i32,
    /// The metric as it is reported: a percentage for utilisation, else thousandths.
    pub observed: i64,
}

/// Why a metric asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricError {
    /// There are no Pods.
    NoPods,
    /// No Pod that counts has a metric.
    NoMetrics,
    /// A Pod makes no request for the resource whose utilisation is wanted.
    NoRequest,
    /// The requests come to nothing.
    ZeroRequests,
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MetricError::NoPods => "there are no Pods to measure",
            MetricError::NoMetrics => "no Pod that counts has a metric",
            MetricError::NoRequest => "a Pod requests none of the resource",
            MetricError::ZeroRequests => "the requests of the measured Pods are zero",
        })
    }
}

impl std::error::Error for MetricError {}

/// A Pod's life as far as it tells whether its CPU sample is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuSample {
    /// When the kubelet took the Pod on.
    pub started: SimTime,
    /// Whether it is ready.
    pub ready: bool,
    /// When that last changed.
    pub ready_changed: SimTime,
    /// When the sample was taken.
    pub taken: SimTime,
    /// How far back from there the sample goes.
    pub window: SimDuration,
}

/// Whether a CPU sample counts. In the Pod's first `initialization` it must be ready, and the sample must lie
/// wholly after it became so; later only a Pod that has never been ready is left out: one whose readiness last
/// changed within `readiness_delay` of its start.
///
/// Source: `replica_calculator.go`, `groupPods`; the defaults are 5 min and 30 s.
pub fn cpu_sample_counts(sample: &CpuSample, now: SimTime, initialization: SimDuration, readiness_delay: SimDuration) -> bool {
    if now.since(sample.started) < initialization {
        sample.ready && sample.taken.since(sample.ready_changed) >= sample.window && sample.taken >= sample.ready_changed
    } else {
        sample.ready || sample.ready_changed.since(sample.started) >= readiness_delay
    }
}

/// Replicas for a resource's utilisation in percent of the requests (`Resource`, target `Utilization`).
/// On the way down Pods without a metric count as using all of their request, or the target where that is more.
///
/// Source: `replica_calculator.go`, `GetResourceReplicas`; `metrics/utilization.go`, `GetResourceUtilizationRatio`.
pub fn by_utilization(
    measure: Measure,
    current: i32,
    target_percent: i32,
    tolerance: Tolerance,
    pods: &[Pod],
) -> Result<Proposal, MetricError> {
    let ratio = |measured: &[Measured]| {
        if pods.iter().any(|pod| pod.request.is_none()) {
            return Err(MetricError::NoRequest);
        }
        let requests: i128 = measured.iter().map(|pod| i128::from(pod.request)).sum();
        let usage: i128 = measured.iter().map(|pod| i128::from(pod.usage)).sum();
        let percent = (usage * 100).checked_div(requests).ok_or(MetricError::ZeroRequests)?;
        let percent = percent.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        Ok((f64::from(percent) / f64::from(target_percent), i64::from(percent)))
    };
    by_pods(measure, current, tolerance, pods, ratio, |request| request.saturating_mul(target_percent.max(100).into()) / 100)
}

/// Replicas for the average of a metric over the Pods (`Pods`, and `Resource` with target `AverageValue`).
/// On the way down Pods without a metric count as being on target.
///
/// Source: `replica_calculator.go`, `calcPlainMetricReplicas`; `metrics/utilization.go`, `GetMetricUsageRatio`.
pub fn by_average(measure: Measure, current: i32, target: i64, tolerance: Tolerance, pods: &[Pod]) -> Result<Proposal, MetricError> {
    let ratio = |measured: &[Measured]| {
        let usage: i128 = measured.iter().map(|pod| i128::from(pod.usage)).sum();
        let average = usage.checked_div(measured.len() as i128).ok_or(MetricError::NoMetrics)?;
        let average = average.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Ok((average as f64 / target as f64, average))
    };
    by_pods(measure, current, tolerance, pods, ratio, |_| target)
}

/// Replicas for one value that all Pods share (`Object` and `External`, target `Value`). The ratio multiplies
/// the Pods that are ready, not the replicas; with no replicas it is itself the number wanted.
///
/// Source: `replica_calculator.go`, `GetObjectMetricReplicas`, `GetExternalMetricReplicas`,
/// `getUsageRatioReplicaCount`.
pub fn by_value(current: i32, target: i64, tolerance: Tolerance, value: i64, ready_pods: u32) -> Proposal {
    let ratio = value as f64 / target as f64;
    let replicas = match current {
        0 => ceil(ratio),
        _ if tolerance.covers(ratio) => current,
        _ => ceil(ratio * f64::from(ready_pods)),
    };
    Proposal { replicas, observed: value }
}

/// Replicas for a value that is to be shared out among them (`Object` and `External`, target `AverageValue`).
/// What is reported is each replica's share, rounded up.
///
/// Source: `replica_calculator.go`, `GetObjectPerPodMetricReplicas`, `GetExternalPerPodMetricReplicas`,
/// `getPerPodUsage`.
pub fn by_share(current: i32, target: i64, tolerance: Tolerance, value: i64) -> Proposal {
    let ratio = value as f64 / (target as f64 * f64::from(current));
    let replicas = if tolerance.covers(ratio) { current } else { ceil(value as f64 / target as f64) };
    let observed = match current {
        _ if value == i64::MAX => value,
        0 => 0,
        _ => libm::ceil(value as f64 / f64::from(current)) as i64,
    };
    Proposal { replicas, observed }
}

/// What several metrics together ask for: the most of any. A metric that failed (`None`) forbids to go below
/// the `current` replicas, and then nothing is asked for; so too if all failed.
///
/// Source: `pkg/controller/podautoscaler/horizontal.go`, `computeReplicasForMetrics`.
pub fn most_wanted(current: i32, proposals: impl IntoIterator<Item = Option<i32>>) -> Option<i32> {
    let (most, failed) = proposals.into_iter().fold((None, false), |(most, failed), next| (most.max(next), failed | next.is_none()));
    most.filter(|&replicas| !failed || replicas >= current)
}

/// A Pod's part in a total.
#[derive(Clone, Copy)]
struct Measured {
    usage: i64,
    request: i64,
}

/// What all metrics that average over Pods have in common: the ratio is taken of the Pods that count and have
/// a metric; then those left out are put in as they would least favour a change, which is made only if it
/// still goes the same way.
fn by_pods(
    measure: Measure,
    current: i32,
    tolerance: Tolerance,
    pods: &[Pod],
    ratio_of: impl Fn(&[Measured]) -> Result<(f64, i64), MetricError>,
    usage_if_missing: impl Fn(i64) -> i64,
) -> Result<Proposal, MetricError> {
    if pods.is_empty() {
        return Err(MetricError::NoPods);
    }
    let (mut measured, mut unready, mut missing) = (vec![], vec![], vec![]);
    for pod in pods {
        let request = pod.request.unwrap_or(0);
        match (pod.state, pod.usage) {
            (PodState::Gone, _) => {}
            (PodState::Pending, _) => unready.push(request),
            (_, None) => missing.push(request),
            (PodState::Unready, _) if measure == Measure::Cpu => unready.push(request),
            (_, Some(usage)) => measured.push(Measured { usage, request }),
        }
    }
    if measured.is_empty() {
        return Err(MetricError::NoMetrics);
    }
    let (ratio, observed) = ratio_of(&measured)?;
    let keep = Ok(Proposal { replicas: current, observed });
    let up_with_unready = ratio > 1.0 && !unready.is_empty();
    if !up_with_unready && missing.is_empty() {
        let replicas = if tolerance.covers(ratio) { current } else { ceil(ratio * measured.len() as f64) };
        return Ok(Proposal { replicas, observed });
    }
    if ratio < 1.0 {
        measured.extend(missing.iter().map(|&request| Measured { usage: usage_if_missing(request), request }));
    } else if ratio > 1.0 {
        measured.extend(missing.iter().chain(&unready).map(|&request| Measured { usage: 0, request }));
    }
    let (adjusted, _) = ratio_of(&measured)?;
    if tolerance.covers(adjusted) || (ratio < 1.0 && adjusted > 1.0) || (ratio > 1.0 && adjusted < 1.0) {
        return keep;
    }
    let replicas = ceil(adjusted * measured.len() as f64);
    if (adjusted < 1.0 && replicas > current) || (adjusted > 1.0 && replicas < current) {
        return keep;
    }
    Ok(Proposal { replicas, observed })
}

/// The next whole number of replicas; what is no number is 0.
fn ceil(replicas: f64) -> i32 {
    libm::ceil(replicas) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOLERANCE: Tolerance = Tolerance { down: 0.1, up: 0.1 };

    fn pod(state: PodState, usage: Option<i64>) -> Pod {
        Pod { state, usage, request: Some(1000) }
    }

    fn ready(usage: i64) -> Pod {
        pod(PodState::Ready, Some(usage))
    }

    const MISSING: Pod = Pod { state: PodState::Ready, usage: None, request: Some(1000) };

    fn cpu(current: i32, target: i32, pods: &[Pod]) -> Result<(i32, i64), MetricError> {
        by_utilization(Measure::Cpu, current, target, TOLERANCE, pods).map(|p| (p.replicas, p.observed))
    }

    #[test]
    fn utilisation_is_truncated_before_the_ratio() {
        // 55.9% is 55%: exactly 1.1 times 50%, which is still within tolerance.
        assert_eq!(cpu(1, 50, &[ready(559)]), Ok((1, 55)));
        assert_eq!(cpu(1, 50, &[ready(560)]), Ok((2, 56)));
    }

    #[test]
    fn missing_pods_hold_back_both_ways() {
        assert_eq!(cpu(3, 50, &[ready(100), ready(100), MISSING]), Ok((3, 10)));
        assert_eq!(cpu(4, 50, &[ready(100), ready(100), ready(100), MISSING]), Ok((3, 10)));
        assert_eq!(cpu(3, 50, &[ready(1000), ready(1000), MISSING]), Ok((4, 100)));
        assert_eq!(cpu(3, 50, &[ready(500), MISSING, MISSING]), Ok((3, 50)));
        // A target above 100% is what a missing Pod is taken to use.
        assert_eq!(cpu(3, 200, &[ready(100), ready(100), MISSING]), Ok((2, 10)));
    }

    #[test]
    fn unready_pods_matter_only_on_the_way_up_and_only_for_cpu() {
        let unready = pod(PodState::Unready, Some(5000));
        assert_eq!(cpu(2, 50, &[ready(1000), unready]), Ok((2, 100)));
        assert_eq!(cpu(2, 50, &[ready(100), unready]), Ok((1, 10)));
        let memory = by_average(Measure::Other, 2, 1000, TOLERANCE, &[ready(1000), unready]);
        assert_eq!(memory, Ok(Proposal { replicas: 6, observed: 3000 }));
        let pending = pod(PodState::Pending, None);
        let memory = by_average(Measure::Other, 2, 1000, TOLERANCE, &[ready(3000), pending]);
        assert_eq!(memory, Ok(Proposal { replicas: 3, observed: 3000 }));
    }

    #[test]
    fn metrics_that_say_nothing_are_errors() {
        let gone = pod(PodState::Gone, Some(1));
        assert_eq!(cpu(1, 50, &[]), Err(MetricError::NoPods));
        assert_eq!(cpu(1, 50, &[gone, MISSING, pod(PodState::Unready, Some(1))]), Err(MetricError::NoMetrics));
        assert_eq!(cpu(1, 50, &[ready(1), Pod { request: None, ..gone }]), Err(MetricError::NoRequest));
        assert_eq!(cpu(1, 50, &[Pod { request: Some(0), ..ready(1) }]), Err(MetricError::ZeroRequests));
    }

    #[test]
    fn values_multiply_ready_pods_and_shares_divide() {
        assert_eq!(by_value(3, 10, TOLERANCE, 50, 1).replicas, 5);
        assert_eq!(by_value(0, 10, TOLERANCE, 11, 0).replicas, 2);
        assert_eq!(by_value(3, 10, TOLERANCE, 11, 7).replicas, 3);
        assert_eq!(by_value(3, 1, TOLERANCE, i64::MAX, 7).replicas, i32::MAX);
        assert_eq!(by_share(4, 10, TOLERANCE, 61), Proposal { replicas: 7, observed: 16 });
        assert_eq!(by_share(0, 10, TOLERANCE, 61), Proposal { replicas: 7, observed: 0 });
    }

    #[test]
    fn a_failed_metric_forbids_to_scale_down_only() {
        assert_eq!(most_wanted(3, [Some(2), Some(1)]), Some(2));
        assert_eq!(most_wanted(3, [Some(2), None]), None);
        assert_eq!(most_wanted(3, [Some(5), None]), Some(5));
        assert_eq!(most_wanted(3, [None]), None);
    }

    #[test]
    fn a_cpu_sample_counts_once_it_lies_after_readiness() {
        let at = |s: u64| SimTime::from_nanos(s * 1_000_000_000);
        let sample = |ready, changed, taken| CpuSample {
            started: at(100),
            ready,
            ready_changed: at(changed),
            taken: at(taken),
            window: SimDuration::from_secs(15),
        };
        let counts = |sample: CpuSample, now| cpu_sample_counts(&sample, at(now), SimDuration::from_secs(300), SimDuration::from_secs(30));
        assert!(!counts(sample(true, 110, 124), 130));
        assert!(counts(sample(true, 110, 125), 130));
        assert!(!counts(sample(false, 110, 125), 130));
        assert!(!counts(sample(false, 129, 400), 400));
        assert!(counts(sample(false, 130, 400), 400));
        assert!(counts(sample(true, 399, 390), 400));
    }

    proptest! {
        #[test]
        fn no_input_panics(n in any::<[i32; 2]>(), l in any::<[i64; 4]>(), tolerance in any::<f64>(), ready_pods in any::<u32>()) {
            let tolerance = Tolerance::both(tolerance);
            let one = Pod { state: PodState::Ready, usage: Some(l[0]), request: Some(l[1]) };
            let pods = [one, Pod { usage: Some(l[2]), ..one }, Pod { usage: None, ..one }, Pod { state: PodState::Unready, ..one }];
            for current in [0, n[0]] {
                for target in [0, l[3]] {
                    let _ = by_utilization(Measure::Cpu, current, target as i32, tolerance, &pods);
                    let _ = by_average(Measure::Cpu, current, target, tolerance, &pods);
                    by_value(current, target, tolerance, l[2], ready_pods);
                    by_share(current, target, tolerance, l[2]);
                }
            }
        }
    }
}
