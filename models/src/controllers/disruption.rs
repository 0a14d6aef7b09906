//! PodDisruptionBudgets: how many Pods may be evicted (`pkg/controller/disruption/disruption.go`).

use super::deployment::{AmountError, IntOrString, Round};

/// What a PodDisruptionBudget guarantees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Budget {
    /// `minAvailable`: so many stay healthy.
    MinAvailable(IntOrString),
    /// `maxUnavailable`: so many may be unhealthy.
    MaxUnavailable(IntOrString),
}

impl Budget {
    /// Healthy Pods that must stay of `expected`; percentages round up either way (`getExpectedPodCount`).
    ///
    /// # Errors
    /// A string that is no percentage.
    pub fn desired_healthy(&self, expected: i32) -> Result<i32, AmountError> {
        match self {
            Self::MinAvailable(least) => least.resolve(expected, Round::Up),
            Self::MaxUnavailable(most) => Ok((expected - most.resolve(expected, Round::Up)?).max(0)),
        }
    }
}

/// A PodDisruptionBudget of one or several workloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisruptionBudgetSpec {
    /// `metadata.name`: workloads with a budget of one name share it.
    pub name: String,
    /// What it guarantees.
    pub budget: Budget,
    /// `unhealthyPodEvictionPolicy: AlwaysAllow`: Pods that are not ready may always go. Else (`IfHealthyBudget`) only while as many
    /// as it guarantees are healthy.
    pub always_allow_unhealthy: bool,
}

impl DisruptionBudgetSpec {
    /// A budget with the default policy for Pods that are not ready.
    #[must_use]
    pub fn new(name: &str, budget: Budget) -> Self {
        Self { name: name.to_owned(), budget, always_allow_unhealthy: false }
    }
}

/// Whether a running Pod may be evicted, where `healthy` of `expected` Pods are.
///
/// Source: `pkg/registry/core/pod/storage/eviction.go`, `Create` (KEP-3017); a Pod that does not run yet is not asked about.
#[must_use]
pub fn may_evict(spec: &DisruptionBudgetSpec, expected: i32, healthy: i32, pod_is_healthy: bool) -> bool {
    if pod_is_healthy {
        return allowed(&spec.budget, expected, healthy) > 0;
    }
    let desired = spec.budget.desired_healthy(expected);
    spec.always_allow_unhealthy
        || desired.is_ok_and(|desired| desired > 0 && healthy >= desired)
        || allowed(&spec.budget, expected, healthy) > 0
}

/// Whether the budget forbids every eviction, even where all `expected` Pods are healthy.
#[must_use]
pub fn forbids_all(budget: &Budget, expected: i32) -> bool {
    allowed(budget, expected, expected) == 0
}

/// Evictions that a budget allows now (`status.disruptionsAllowed`); none if it cannot be read.
#[must_use]
pub fn allowed(budget: &Budget, expected: i32, healthy: i32) -> i32 {
    budget.desired_healthy(expected).map_or(0, |desired| (healthy - desired).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_up_to_what_is_safer_for_min_available() {
        let percent = |p: &str| IntOrString::Text(p.to_owned());
        assert_eq!(Budget::MinAvailable(percent("50%")).desired_healthy(7), Ok(4));
        assert_eq!(Budget::MaxUnavailable(percent("30%")).desired_healthy(7), Ok(4), "ceil(2.1) = 3 may be away");
        assert_eq!(allowed(&Budget::MinAvailable(IntOrString::Int(5)), 5, 5), 0, "a budget that forbids every eviction");
        assert_eq!(allowed(&Budget::MaxUnavailable(IntOrString::Int(1)), 5, 5), 1);
        assert_eq!(allowed(&Budget::MaxUnavailable(IntOrString::Int(1)), 5, 4), 0);
    }

    #[test]
    fn pods_that_are_not_ready_may_go_while_enough_others_are() {
        let mut spec = DisruptionBudgetSpec::new("b", Budget::MinAvailable(IntOrString::Int(3)));
        assert!(may_evict(&spec, 4, 3, false), "three are healthy without it");
        assert!(!may_evict(&spec, 4, 2, false) && !may_evict(&spec, 4, 3, true));
        spec.always_allow_unhealthy = true;
        assert!(may_evict(&spec, 4, 2, false));
        assert!(forbids_all(&Budget::MinAvailable(IntOrString::Text("90%".to_owned())), 3) && !forbids_all(&spec.budget, 4));
    }
}
