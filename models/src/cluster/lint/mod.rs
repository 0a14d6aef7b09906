//! What is legal but looks wrong: said before the run, and again in its report.

mod surprises;

use crate::controllers::disruption::forbids_all;
use crate::spec::{Action, ClusterSpec, EventSpec, TrafficPolicy, Via, WorkloadSpec};

/// Something legal but odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Dotted path, as in [`crate::spec::SpecError`].
    pub field: String,
    /// What was found, and why it matters.
    pub problem: String,
    /// Whether it is about a setting that has no effect: in a sweep that is only odd if it has none at any point.
    pub of_no_effect: bool,
}

impl Lint {
    const fn new(field: String, problem: String) -> Self {
        Self { field, problem, of_no_effect: false }
    }
}

/// Looks through a spec that builds.
#[must_use]
pub fn lint(spec: &ClusterSpec) -> Vec<Lint> {
    let mut lints = Vec::new();
    let mut say = |field: String, problem: String| lints.push(Lint::new(field, problem));
    for s in &spec.services {
        let called: Vec<&String> = spec.traffic.iter().filter(|(_, t)| t.to == s.name).map(|(name, _)| name).collect();
        if called.is_empty() {
            continue;
        }
        let backends: Vec<&WorkloadSpec> = spec.workloads.iter().filter(|w| selects(&s.selector, &w.labels)).collect();
        let pods: u64 = backends.iter().map(|w| pods_of(spec, w)).sum();
        if backends.is_empty() {
            let problem = "the selector matches no Pod: every request to this Service will be rejected";
            say(format!("{}.spec.selector", s.field), problem.to_owned());
        } else if pods == 0 {
            let problem = "the Service's workloads have zero Pods: every request to it will be rejected";
            say(format!("{}.spec.replicas", backends[0].field), problem.to_owned());
        }
        if s.external_traffic_policy == TrafficPolicy::Local && pods > 0 && pods < spec.nodes.len() as u64 {
            let by_port = |name: &&&String| spec.traffic[**name].via == Via::NodePort;
            for name in called.iter().filter(by_port) {
                let problem = format!(
                    "clients pick any of {} Nodes, but with externalTrafficPolicy Local only those that run one of the {pods} Pods \
                     answer: connections to the others vanish until the client gives up",
                    spec.nodes.len()
                );
                say(format!("traffic.{name}.via"), problem);
            }
        }
        // The mean demand decides; a distribution that does not build was refused before.
        let capacity: f64 = backends.iter().filter_map(|w| capacity(spec, w)).sum();
        let offered: f64 = called.iter().map(|name| spec.traffic[*name].arrivals.rate()).sum();
        if capacity > 0.0 && offered >= capacity {
            let problem = format!(
                "offered load is {:.0} % of what {pods} Pods can serve ({offered:.0} of {capacity:.0} requests/s): lines grow without end, \
                 and no average over such a run means anything",
                100.0 * offered / capacity
            );
            say(format!("traffic.{}.arrivals", called[0]), problem);
        }
    }
    for (name, event) in &spec.events {
        if let Some(at) = event.at.or(event.from).filter(|at| *at >= spec.run.duration) {
            say(format!("events.{name}"), format!("it would happen at {at}, when the run of {} is over: it never does", spec.run.duration));
        }
    }
    for w in &spec.workloads {
        if w.pre_stop > w.termination_grace {
            let problem = format!(
                "preStop ({}) is longer than the grace period ({}): Pods are killed before it ends",
                w.pre_stop, w.termination_grace
            );
            say(format!("{}.spec.template.spec.terminationGracePeriodSeconds", w.field), problem);
        }
    }
    lints.extend(spec.events.iter().filter_map(|(name, event)| blocked_for_ever(spec, name, event)));
    lints.extend(surprises::surprises(spec));
    lints
}

/// An eviction that a PodDisruptionBudget forbids however long it is asked for.
fn blocked_for_ever<'a>(spec: &'a ClusterSpec, name: &str, event: &EventSpec) -> Option<Lint> {
    let (field, on) = match &event.action {
        Action::PodEvict(pod) => ("podEvict", Some(&pod.workload)),
        Action::Drain(_) => ("drain", None),
        _ => return None,
    };
    let scaled = |w: &WorkloadSpec| {
        let by_events = spec.events.values().filter_map(|e| match &e.action {
            Action::Scale(t) if t.workload == w.name => t.replicas.or_else(|| Some(w.replicas.saturating_add_signed(t.by?))),
            _ => None,
        });
        by_events.chain(w.autoscaler.as_ref().map(|a| a.max_replicas)).collect::<Vec<_>>()
    };
    let concerned = spec.workloads.iter().filter(|w| !w.is_daemon() && w.replicas > 0 && on.is_none_or(|name| *name == w.name));
    let forbidden = |w: &'a WorkloadSpec| {
        let budget = w.budget.as_ref()?;
        let sharing = spec.workloads.iter().filter(|o| o.budget.as_ref().is_some_and(|b| b.name == budget.name));
        let all: u64 = sharing.map(|o| pods_of(spec, o)).sum();
        let counts = scaled(w).into_iter().map(|n| all - pods_of(spec, w) + u64::from(n));
        std::iter::once(all).chain(counts).all(|n| forbids_all(&budget.budget, n.min(1 << 30) as i32)).then_some((w, budget))
    };
    let (w, budget) = concerned.filter_map(forbidden).next()?;
    let problem = format!(
        "the PodDisruptionBudget {} forbids to evict any of the {} Pods of {}, even when all are healthy: this is asked for ever in vain",
        budget.name,
        pods_of(spec, w),
        w.name
    );
    Some(Lint::new(format!("events.{name}.do.{field}"), problem))
}

/// The first few of `names`.
fn list_of(names: &[String]) -> String {
    match names.len() {
        0..=4 => names.join(", "),
        n => format!("{} and {} more", names[..3].join(", "), n - 3),
    }
}

fn selects(selector: &std::collections::BTreeMap<String, String>, labels: &std::collections::BTreeMap<String, String>) -> bool {
    !selector.is_empty() && selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}

fn pods_of(spec: &ClusterSpec, w: &WorkloadSpec) -> u64 {
    let matching = |n: &&crate::spec::NodeSpec| w.node_selector.iter().all(|(k, v)| n.labels.get(k) == Some(v));
    if w.is_daemon() { spec.nodes.iter().filter(matching).count() as u64 } else { u64::from(w.replicas) }
}

/// Requests per second that the workload's Pods can serve.
fn capacity(spec: &ClusterSpec, w: &WorkloadSpec) -> Option<f64> {
    let mean_s = w.pod.service_time.build().ok()?.mean() / 1e9;
    (mean_s > 0.0).then(|| pods_of(spec, w) as f64 * f64::from(w.pod.concurrency) / mean_s)
}
