//! How many replicas the HorizontalPodAutoscaler wants (`pkg/controller/podautoscaler/replica_calculator.go`, `horizontal.go`).

use std::collections::BTreeMap;

/// What a Pod is to the autoscaler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodState {
    /// Ready.
    Ready,
    /// Not Ready; its CPU usage is not believed.
    Unready,
    /// In the window after its start in which CPU usage is not believed.
    Starting,
    /// Without a metric.
    Missing,
    /// In phase Failed: ignored.
    Failed,
    /// Being deleted: ignored.
    Deleting,
}

/// One Pod of the workload that is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodMetric {
    /// What it is.
    pub state: PodState,
    /// Its usage, in the metric's unit (CPU: thousandths of a core); none if unknown.
    pub usage: Option<i64>,
    /// What its containers request, in the same unit; for utilisation.
    pub request: Option<i64>,
}

/// What is to be kept at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Usage in percent of requests; `cpu` says whether unready Pods' metrics are set aside.
    Utilization {
        /// Whether the resource is CPU.
        cpu: bool,
    },
    /// Average usage of Pods.
    Average {
        /// Whether the metric is CPU usage.
        cpu: bool,
    },
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Replicas.
    pub desired: i64,
    /// The metric's value as reported.
    pub observed: i64,
}

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMetrics {
    /// No Pod that counts has a metric.
    NoPods,
    /// Requests are missing, or add up to nothing.
    NoRequests,
}

/// The wish by a metric of each Pod (`GetResourceReplicas`, `GetRawResourceReplicas`, `GetMetricReplicas`).
///
/// # Errors
/// No metric to go by.
pub fn by_pods(metric: Metric, current: i64, target: i64, tolerance: f64, pods: &[PodMetric]) -> Result<Wish, NoMetrics> {
    let (Metric::Utilization { cpu } | Metric::Average { cpu }) = metric;
    let mut usage: BTreeMap<usize, i64> = BTreeMap::new();
    let (mut ready, mut unready, mut missing) = (0i64, Vec::new(), Vec::new());
    for (i, pod) in pods.iter().enumerate() {
        match (pod.state, pod.usage) {
            (PodState::Failed | PodState::Deleting, _) => {}
            (PodState::Missing, _) | (_, None) => missing.push(i),
            (PodState::Unready | PodState::Starting, _) if cpu => unready.push(i),
            (_, Some(value)) => {
                ready += 1;
                usage.insert(i, value);
            }
        }
    }
    if usage.is_empty() {
        return Err(NoMetrics::NoPods);
    }
    let ratio_of = |usage: &BTreeMap<usize, i64>| ratio(metric, target, pods, usage);
    let (first, observed) = ratio_of(&usage)?;
    let keep = Wish { desired: current, observed };
    let up_with_unready = !unready.is_empty() && first > 1.0;
    if !up_with_unready && missing.is_empty() {
        return Ok(if tolerated(first, tolerance) { keep } else { Wish { desired: ceil(first * ready as f64), observed } });
    }
    for &i in &missing {
        if first < 1.0 {
            // Towards fewer replicas they are thought to use all they ask for, or the target if that is more.
            let full = match metric {
                Metric::Utilization { .. } => pods[i].request.unwrap_or(0).saturating_mul(target.max(100)) / 100,
                Metric::Average { .. } => target,
            };
            usage.insert(i, full);
        } else if first > 1.0 {
            usage.insert(i, 0);
        }
    }
    if up_with_unready {
        usage.extend(unready.iter().map(|i| (*i, 0)));
    }
    let (second, _) = ratio_of(&usage)?;
    let turned = (first < 1.0 && second > 1.0) || (first > 1.0 && second < 1.0);
    if tolerated(second, tolerance) || turned {
        return Ok(keep);
    }
    let desired = ceil(second * usage.len() as f64);
    let against = (second < 1.0 && desired > current) || (second > 1.0 && desired < current);
    Ok(if against { keep } else { Wish { desired, observed } })
}

/// How far usage is from the target, and the value reported: whole percents, and whole units.
fn ratio(metric: Metric, target: i64, pods: &[PodMetric], usage: &BTreeMap<usize, i64>) -> Result<(f64, i64), NoMetrics> {
    let total: i128 = usage.values().map(|v| i128::from(*v)).sum();
    let value = match metric {
        Metric::Utilization { .. } => {
            let requests: i128 = usage.keys().filter_map(|i| pods[*i].request).map(i128::from).sum();
            if requests == 0 {
                return Err(NoMetrics::NoRequests);
            }
            total * 100 / requests
        }
        Metric::Average { .. } => total / (usage.len() as i128).max(1),
    };
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    Ok((value as f64 / target as f64, value))
}

/// The wish by one value for all Pods together, such as a queue's length: it is multiplied with the *ready* Pods
/// (`GetObjectMetricReplicas`, `GetExternalMetricReplicas`).
#[must_use]
pub fn by_value(current: i64, target: i64, tolerance: f64, value: i64, ready: i64) -> Wish {
    let ratio = value as f64 / target as f64;
    let desired = match current {
        0 => ceil(ratio),
        _ if tolerated(ratio, tolerance) => current,
        _ => ceil(ratio * ready as f64),
    };
    Wish { desired, observed: value }
}

/// The wish by one value that is to be shared evenly (`GetObjectPerPodMetricReplicas`, `GetExternalPerPodMetricReplicas`).
#[must_use]
pub fn by_share(current: i64, target: i64, tolerance: f64, value: i64) -> Wish {
    let ratio = value as f64 / (target as f64 * current as f64);
    let desired = if tolerated(ratio, tolerance) { current } else { ceil(value as f64 / target as f64) };
    Wish { desired, observed: ceil(value as f64 / current as f64) }
}

fn tolerated(ratio: f64, tolerance: f64) -> bool {
    (1.0 - tolerance..=1.0 + tolerance).contains(&ratio)
}

/// Rounded up; what no number of Pods can be is 0 or as many as there can be.
fn ceil(x: f64) -> i64 {
    libm::ceil(x) as i64
}

/// The most replicas that the default policies allow: 4 more, or twice as many, than at the start of the 15 s that end now, of
/// which `added` came since (`calculateScaleUpLimitWithScalingRules`).
#[must_use]
pub fn scale_up_limit(current: i64, added: i64) -> i64 {
    let start = current.saturating_sub(added);
    start.saturating_add(4).max(start.saturating_mul(2))
}
