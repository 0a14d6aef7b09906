//! How fast an autoscaler may follow what its metrics ask for (`behavior`).

/// One limit on the change within a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalingPolicy {
    /// So many Pods.
    Pods(i32),
    /// So many percent of the replicas at the start of the period.
    Percent(i32),
}

/// Which of several policies decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: replicas do not change this way.
    Disabled,
}

/// The default policies for more replicas: 4 Pods or 100%.
///
/// Source: `pkg/apis/autoscaling/v2/defaults.go`, `scaleUpRules`.
pub const DEFAULT_UP: [ScalingPolicy; 2] = [ScalingPolicy::Pods(4), ScalingPolicy::Percent(100)];

/// The default policy for fewer replicas: 100%.
///
/// Source: `pkg/apis/autoscaling/v2/defaults.go`, `scaleDownRules`.
pub const DEFAULT_DOWN: [ScalingPolicy; 1] = [ScalingPolicy::Percent(100)];

/// The period of every default policy, in seconds.
pub const DEFAULT_PERIOD_SECONDS: u64 = 15;

/// How the replicas have changed within the period of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// How many there are.
    pub current: i32,
    /// How many were added.
    pub added: i32,
    /// How many were taken away.
    pub removed: i32,
}

impl Changes {
    /// The replicas at the start of the period.
    fn at_start(self) -> i32 {
        self.current.saturating_sub(self.added).saturating_add(self.removed)
    }
}

/// The most replicas that may be asked for; percentages round up, or few replicas would never become more.
///
/// Source: `pkg/controller/podautoscaler/horizontal.go`, `calculateScaleUpLimitWithScalingRules`.
pub fn scale_up_limit(changes: Changes, select: SelectPolicy, policies: &[ScalingPolicy]) -> i32 {
    let start = changes.at_start();
    let limits = policies.iter().map(|policy| match *policy {
        ScalingPolicy::Pods(pods) => start.saturating_add(pods),
        ScalingPolicy::Percent(percent) => libm::ceil(f64::from(start) * (1.0 + f64::from(percent) / 100.0)) as i32,
    });
    match select {
        SelectPolicy::Max => limits.max().unwrap_or(i32::MIN),
        SelectPolicy::Min => limits.min().unwrap_or(i32::MAX),
        SelectPolicy::Disabled => changes.current,
    }
}

/// The fewest replicas that may be asked for; percentages are truncated.
///
/// Source: `horizontal.go`, `calculateScaleDownLimitWithBehaviors`.
pub fn scale_down_limit(changes: Changes, select: SelectPolicy, policies: &[ScalingPolicy]) -> i32 {
    let start = changes.at_start();
    let limits = policies.iter().map(|policy| match *policy {
        ScalingPolicy::Pods(pods) => start.saturating_sub(pods),
        ScalingPolicy::Percent(percent) => (f64::from(start) * (1.0 - f64::from(percent) / 100.0)) as i32,
    });
    match select {
        SelectPolicy::Max => limits.min().unwrap_or(i32::MAX),
        SelectPolicy::Min => limits.max().unwrap_or(i32::MIN),
        SelectPolicy::Disabled => changes.current,
    }
}

/// The replicas asked for, kept within the limits of rate and of number. A limit that the replicas are
/// already beyond moves nothing back.
///
/// Source: `horizontal.go`, `convertDesiredReplicasWithBehaviorRate`.
pub fn limited(current: i32, desired: i32, (down_limit, up_limit): (i32, i32), (fewest, most): (i32, i32)) -> i32 {
    if desired > current {
        desired.min(most.min(up_limit.max(current)))
    } else if desired < current {
        desired.max(fewest.max(down_limit.min(current)))
    } else {
        desired
    }
}

/// The replicas asked for when recent recommendations are heard too: as few as none of the last minutes asked
/// more than (`highest`, by default of 300 s), as many as none asked fewer than (`lowest`, by default of 0 s).
/// `None` stands for a window with no recommendations in it.
///
/// Source: `horizontal.go`, `stabilizeRecommendationWithBehaviors`.
pub fn stabilized(current: i32, desired: i32, lowest: Option<i32>, highest: Option<i32>) -> i32 {
    let up = lowest.map_or(desired, |lowest| lowest.min(desired));
    let down = highest.map_or(desired, |highest| highest.max(desired));
    current.max(up).min(down)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changes(current: i32, added: i32, removed: i32) -> Changes {
        Changes { current, added, removed }
    }

    #[test]
    fn default_limits_are_taken_at_the_start_of_the_period() {
        let up = |c| scale_up_limit(c, SelectPolicy::Max, &DEFAULT_UP);
        assert_eq!([up(changes(3, 0, 0)), up(changes(10, 2, 0)), up(changes(10, 2, 1)), up(changes(0, 0, 0))], [7, 16, 18, 4]);
        assert_eq!(scale_down_limit(changes(10, 0, 5), SelectPolicy::Max, &DEFAULT_DOWN), 0);
    }

    #[test]
    fn percentages_round_up_upwards_and_are_truncated_downwards() {
        let tenth = [ScalingPolicy::Percent(10)];
        assert_eq!(scale_up_limit(changes(5, 0, 0), SelectPolicy::Max, &tenth), 6);
        assert_eq!(scale_down_limit(changes(5, 0, 0), SelectPolicy::Max, &tenth), 4);
        assert_eq!(scale_down_limit(changes(5, 0, 0), SelectPolicy::Min, &[tenth[0], ScalingPolicy::Pods(3)]), 4);
        assert_eq!(scale_up_limit(changes(5, 1, 0), SelectPolicy::Disabled, &DEFAULT_UP), 5);
    }

    #[test]
    fn limits_move_nothing_back() {
        assert_eq!(limited(20, 30, (0, 10), (1, 100)), 20);
        assert_eq!(limited(5, 30, (0, 10), (1, 8)), 8);
        assert_eq!(limited(5, 0, (2, 10), (1, 8)), 2);
        assert_eq!(limited(5, 0, (0, 10), (1, 8)), 1);
    }

    #[test]
    fn the_highest_recent_recommendation_holds_on_the_way_down() {
        assert_eq!(stabilized(10, 3, None, Some(7)), 7);
        assert_eq!(stabilized(10, 3, None, Some(12)), 10);
        assert_eq!(stabilized(10, 15, None, Some(12)), 15);
        assert_eq!(stabilized(10, 15, Some(11), None), 11);
    }

    proptest! {
        #[test]
        fn no_input_panics(n in any::<[i32; 4]>()) {
            for policy in [ScalingPolicy::Pods(n[3]), ScalingPolicy::Percent(n[3])] {
                scale_up_limit(changes(n[0], n[1], n[2]), SelectPolicy::Max, &[policy]);
                scale_down_limit(changes(n[0], n[1], n[2]), SelectPolicy::Min, &[policy]);
            }
        }
    }
}
