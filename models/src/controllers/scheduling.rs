//! What Pods ask of Nodes: tolerations, affinity, spreading (`pkg/scheduler/framework/plugins`).

use std::collections::BTreeMap;

/// What a workload's Pods ask of the Nodes that they are placed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulingSpec {
    /// `tolerations`.
    pub tolerations: Vec<Toleration>,
    /// Required node affinity: one of these terms must hold, all requirements of it; none: no such affinity.
    pub node_terms: Vec<Vec<Requirement>>,
    /// Preferred node affinity: each term with its weight.
    pub node_preferences: Vec<(i32, Vec<Requirement>)>,
    /// Required affinity to Pods, and required anti-affinity.
    pub near: Vec<PodTerm>,
    /// The latter.
    pub apart: Vec<PodTerm>,
    /// Preferred affinity to Pods, or, with a weight below zero, anti-affinity.
    pub pod_preferences: Vec<(i32, PodTerm)>,
    /// `topologySpreadConstraints`.
    pub spread: Vec<SpreadConstraint>,
    /// Memory that each Pod requests, bytes.
    pub memory_request: Option<u64>,
}

/// A taint of a Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; empty if it has none.
    pub value: String,
    /// Whether it keeps Pods away (NoSchedule, NoExecute), or only is avoided (PreferNoSchedule).
    pub effect: TaintEffect,
}

/// What a taint does to Pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaintEffect {
    /// They are not placed on the Node.
    NoSchedule,
    /// They are placed on other Nodes first.
    PreferNoSchedule,
    /// They are not placed on the Node, and leave it.
    NoExecute,
}

/// What taints a Pod tolerates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toleration {
    /// The key; empty with `value: None`: every key.
    pub key: String,
    /// The value (operator Equal), or none for any (Exists).
    pub value: Option<String>,
    /// The effect; none: all.
    pub effect: Option<TaintEffect>,
}

impl Toleration {
    /// Whether it tolerates `taint` (`k8s.io/component-helpers/scheduling/corev1`, `ToleratesTaint`).
    #[must_use]
    pub fn tolerates(&self, taint: &Taint) -> bool {
        let key = self.key == taint.key || (self.key.is_empty() && self.value.is_none());
        key && self.effect.is_none_or(|effect| effect == taint.effect) && self.value.as_ref().is_none_or(|value| *value == taint.value)
    }
}

/// Whether a Node with such taints takes a Pod (plugin `TaintToleration`).
#[must_use]
pub fn tolerated(taints: &[Taint], tolerations: &[Toleration]) -> bool {
    let keeps_away = |taint: &&Taint| taint.effect != TaintEffect::PreferNoSchedule;
    taints.iter().filter(keeps_away).all(|taint| tolerations.iter().any(|t| t.tolerates(taint)))
}

/// Taints that a Pod would rather avoid.
#[must_use]
pub fn avoided(taints: &[Taint], tolerations: &[Toleration]) -> usize {
    let soft = taints.iter().filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
    soft.filter(|taint| !tolerations.iter().any(|t| t.tolerates(taint))).count()
}

/// One requirement of a node selector term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What holds of it.
    pub operator: Operator,
    /// The values it is compared with.
    pub values: Vec<String>,
}

/// How a label is compared with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It is one of them.
    In,
    /// It is none of them, or not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
    /// It is a larger whole number.
    Gt,
    /// It is a smaller one.
    Lt,
}

impl Requirement {
    /// Whether it holds (`k8s.io/apimachinery/pkg/labels`, `Requirement.Matches`).
    #[must_use]
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let label = labels.get(&self.key);
        let listed = label.is_some_and(|label| self.values.contains(label));
        let number = |text: &String| text.parse::<i64>().ok();
        let pair = || label.and_then(number).zip(self.values.first().and_then(number));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::Gt => pair().is_some_and(|(label, value)| label > value),
            Operator::Lt => pair().is_some_and(|(label, value)| label < value),
        }
    }
}

/// Pods with certain labels, in the same domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTerm {
    /// Labels that they carry.
    pub labels: BTreeMap<String, String>,
    /// The Node label whose values are the domains.
    pub topology_key: String,
}

/// How evenly Pods are to be spread over domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadConstraint {
    /// Pods that count, and what the domains are.
    pub term: PodTerm,
    /// How many more a domain may have than the one with the fewest.
    pub max_skew: u32,
    /// Whether Pods rather wait than break it (`DoNotSchedule`).
    pub hard: bool,
    /// With fewer domains the fewest count as none.
    pub min_domains: u32,
}

impl SpreadConstraint {
    /// Whether one Pod more fits into a domain that has `here` of those that count, where `counts` are those of all domains that
    /// come into question (plugin `PodTopologySpread`, `Filter`); `itself`: whether the Pod counts too.
    #[must_use]
    pub fn allows(&self, here: u32, counts: &[u32], itself: bool) -> bool {
        let fewest = if counts.len() < self.min_domains as usize { 0 } else { counts.iter().copied().min().unwrap_or(0) };
        here + u32::from(itself) <= fewest.saturating_add(self.max_skew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(effect: TaintEffect) -> Taint {
        Taint { key: "gpu".to_owned(), value: "yes".to_owned(), effect }
    }

    fn toleration(key: &str, value: Option<&str>, effect: Option<TaintEffect>) -> Toleration {
        Toleration { key: key.to_owned(), value: value.map(str::to_owned), effect }
    }

    #[test]
    fn taints_keep_away_who_does_not_tolerate_them() {
        let taints = [taint(TaintEffect::NoSchedule)];
        let by = |t: Toleration| tolerated(&taints, &[t]);
        assert!(!tolerated(&taints, &[]) && tolerated(&[taint(TaintEffect::PreferNoSchedule)], &[]));
        assert!(by(toleration("gpu", Some("yes"), None)) && by(toleration("gpu", None, Some(TaintEffect::NoSchedule))));
        assert!(by(toleration("", None, None)), "an empty key that exists is every key");
        assert!(!by(toleration("gpu", Some("no"), None)) && !by(toleration("gpu", None, Some(TaintEffect::NoExecute))));
        assert_eq!(avoided(&[taint(TaintEffect::PreferNoSchedule)], &[]), 1);
    }

    #[test]
    fn requirements_compare_labels() {
        let labels = BTreeMap::from([("disk".to_owned(), "ssd".to_owned()), ("cores".to_owned(), "8".to_owned())]);
        let holds = |key: &str, operator, values: &[&str]| {
            Requirement { key: key.to_owned(), operator, values: values.iter().map(|v| (*v).to_owned()).collect() }.holds(&labels)
        };
        assert!(holds("disk", Operator::In, &["hdd", "ssd"]) && !holds("disk", Operator::NotIn, &["ssd"]));
        assert!(
            holds("zone", Operator::NotIn, &["a"]) && holds("zone", Operator::DoesNotExist, &[]) && holds("disk", Operator::Exists, &[])
        );
        assert!(holds("cores", Operator::Gt, &["4"]) && !holds("cores", Operator::Lt, &["8"]) && !holds("disk", Operator::Gt, &["1"]));
    }

    #[test]
    fn a_domain_may_lead_by_the_skew() {
        let term = PodTerm { labels: BTreeMap::new(), topology_key: "zone".to_owned() };
        let spread = SpreadConstraint { term, max_skew: 1, hard: true, min_domains: 1 };
        assert!(spread.allows(1, &[1, 1, 1], true) && !spread.allows(2, &[2, 1, 1], true) && spread.allows(2, &[2, 1, 1], false));
        let three = SpreadConstraint { min_domains: 3, ..spread };
        assert!(!three.allows(1, &[1, 1], true) && three.allows(0, &[1, 0], true), "two domains of three: the fewest is none");
    }
}
