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
}
