//! The arithmetic of a Deployment's rolling update.
//!
//! Counts are `i32` as in the API, sums saturate. The replicas of a ReplicaSet are the number asked for
//! (`spec.replicas`), its available Pods those it reports.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A number of Pods, or a percentage of the desired ones. A string is read only when it is resolved.
///
/// Source: `staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go`, `IntOrString`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum IntOrString {
    /// So many Pods.
    Int(i32),
    /// A whole number followed by `%`.
    Text(String),
}

/// Why an [`IntOrString`] has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AmountError {
    /// It must be set here.
    Unset,
    /// The string is not a whole number followed by `%`.
    NotAPercentage(String),
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AmountError::Unset => write!(f, "neither a number nor a percentage is given"),
            AmountError::NotAPercentage(text) => write!(f, "{text:?} is not a percentage"),
        }
    }
}

impl std::error::Error for AmountError {}

/// Where a percentage that falls between two numbers of Pods goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// To the larger number.
    Up,
    /// To the smaller number.
    Down,
}

impl IntOrString {
    /// The number of Pods meant, with percentages taken of `total`.
    ///
    /// Source: `intstr.go`, `GetScaledValueFromIntOrPercent`.
    pub fn resolve(&self, total: i32, round: Round) -> Result<i32, AmountError> {
        match self {
            IntOrString::Int(count) => Ok(*count),
            IntOrString::Text(text) => {
                let percent = text.strip_suffix('%').and_then(|digits| digits.parse::<i64>().ok());
                let percent = percent.ok_or_else(|| AmountError::NotAPercentage(text.clone()))?;
                let exact = percent as f64 * f64::from(total) / 100.0;
                Ok(match round {
                    Round::Up => libm::ceil(exact),
                    Round::Down => libm::floor(exact),
                } as i32)
            }
        }
    }
}

/// How a Deployment replaces its Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Strategy {
    /// New Pods come while old ones go.
    RollingUpdate,
    /// All old Pods go, then new ones come.
    Recreate,
}

/// How far a rolling update may stray from the desired number of Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fenceposts {
    /// Pods above the desired number.
    pub surge: i32,
    /// Available Pods below the desired number.
    pub unavailable: i32,
}

/// Resolves both limits; an unset one is 0. A surge rounds up, unavailability down. Where both come to 0
/// one Pod may be unavailable, or nothing could ever move.
///
/// Source: `pkg/controller/deployment/util/deployment_util.go`, `ResolveFenceposts`.
pub fn fenceposts(max_surge: Option<&IntOrString>, max_unavailable: Option<&IntOrString>, desired: i32) -> Result<Fenceposts, AmountError> {
    let surge = max_surge.map_or(Ok(0), |amount| amount.resolve(desired, Round::Up))?;
    let unavailable = max_unavailable.map_or(Ok(0), |amount| amount.resolve(desired, Round::Down))?;
    Ok(Fenceposts { surge, unavailable: if surge == 0 && unavailable == 0 { 1 } else { unavailable } })
}

/// The available Pods that a Deployment may do without: never more than it wants, none outside a rolling
/// update, and none where the limits cannot be read.
///
/// Source: `deployment_util.go`, `MaxUnavailable`.
pub fn max_unavailable(strategy: Strategy, max_surge: Option<&IntOrString>, max_unavailable: Option<&IntOrString>, desired: i32) -> i32 {
    if strategy == Strategy::Recreate || desired == 0 {
        return 0;
    }
    fenceposts(max_surge, max_unavailable, desired).map_or(0, |posts| posts.unavailable).min(desired)
}

/// The new ReplicaSet's replicas with as many Pods added as the surge leaves room for. It takes none away.
///
/// Source: `deployment_util.go`, `NewRSNewReplicas`.
pub fn new_replica_set_size(
    strategy: Strategy,
    max_surge: Option<&IntOrString>,
    desired: i32,
    old_total: i32,
    new_replicas: i32,
) -> Result<i32, AmountError> {
    if strategy == Strategy::Recreate {
        return Ok(desired);
    }
    let surge = max_surge.ok_or(AmountError::Unset)?.resolve(desired, Round::Up)?;
    let room = desired.saturating_add(surge).saturating_sub(old_total.saturating_add(new_replicas));
    if room <= 0 {
        return Ok(new_replicas);
    }
    Ok(new_replicas.saturating_add(room.min(desired.saturating_sub(new_replicas))))
}

/// The new ReplicaSet's replicas after one step of the controller. Recreate waits until there are no old Pods.
///
/// Source: `pkg/controller/deployment/rolling.go`, `reconcileNewReplicaSet`; `recreate.go`, `rolloutRecreate`.
pub fn step_new_replica_set(
    strategy: Strategy,
    max_surge: Option<&IntOrString>,
    desired: i32,
    old_total: i32,
    new_replicas: i32,
) -> Result<i32, AmountError> {
    match strategy {
        Strategy::Recreate if old_total > 0 => Ok(new_replicas),
        _ if new_replicas >= desired => Ok(desired),
        _ => new_replica_set_size(strategy, max_surge, desired, old_total, new_replicas),
    }
}

/// A ReplicaSet as the Deployment's controller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaSet {
    /// How many Pods it is asked to have.
    pub replicas: i32,
    /// How many of its Pods it reports to be available.
    pub available: i32,
}

/// Takes away from the old ReplicaSets, oldest first, what one step of a rolling update may: first Pods that
/// are not available, then available ones for as long as enough stay. True if any set was scaled.
///
/// A step that has scaled the new set leaves the old ones for the next (`rolloutRolling`): the caller's part.
///
/// Source: `rolling.go`, `reconcileOldReplicaSets`.
pub fn step_old_replica_sets(old: &mut [ReplicaSet], new: ReplicaSet, desired: i32, max_unavailable: i32) -> bool {
    let before = total(old.iter().map(|set| set.replicas));
    if before == 0 {
        return false;
    }
    let least_available = desired.saturating_sub(max_unavailable);
    let new_unavailable = new.replicas.saturating_sub(new.available);
    let removable = before.saturating_add(new.replicas).saturating_sub(least_available).saturating_sub(new_unavailable);
    if removable <= 0 {
        return false;
    }
    let available = total(old.iter().filter(|set| set.replicas > 0).map(|set| set.available)).saturating_add(new.available);
    if remove_unhealthy(old, removable) {
        remove_healthy(old, available.saturating_sub(least_available));
    }
    total(old.iter().map(|set| set.replicas)) < before
}

/// Takes away Pods that are not available, at most `most`. False if a set reports more available Pods than
/// it should have: the controller then gives up for this step.
///
/// Source: `rolling.go`, `cleanupUnhealthyReplicas`.
fn remove_unhealthy(old: &mut [ReplicaSet], mut most: i32) -> bool {
    for set in old.iter_mut().filter(|set| set.replicas > 0) {
        if most <= 0 {
            break;
        }
        let removed = most.min(set.replicas.saturating_sub(set.available));
        if removed < 0 {
            return false;
        }
        set.replicas -= removed;
        most -= removed;
    }
    true
}

/// Takes away any Pods, at most `most`.
///
/// Source: `rolling.go`, `scaleDownOldReplicaSetsForRollingUpdate`.
fn remove_healthy(old: &mut [ReplicaSet], mut most: i32) {
    for set in old.iter_mut().filter(|set| set.replicas > 0) {
        let removed = most.min(set.replicas).max(0);
        set.replicas -= removed;
        most -= removed;
    }
}

fn total(counts: impl Iterator<Item = i32>) -> i32 {
    counts.fold(0, i32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn text(text: &str) -> IntOrString {
        IntOrString::Text(text.into())
    }

    #[test]
    fn surge_rounds_up_and_unavailability_down() {
        let quarter = text("25%");
        let found = |desired| fenceposts(Some(&quarter), Some(&quarter), desired).map(|posts| (posts.surge, posts.unavailable));
        assert_eq!([0, 1, 4, 10].map(found), [Ok((0, 1)), Ok((1, 0)), Ok((1, 1)), Ok((3, 2))]);
    }

    #[test]
    fn only_whole_numbers_with_one_sign_are_percentages() {
        for wrong in ["", "%", "5", "5%%", " 5%", "5 %", "5.5%", "0x5%", "99999999999999999999%"] {
            assert_eq!(text(wrong).resolve(10, Round::Up), Err(AmountError::NotAPercentage(wrong.into())), "{wrong}");
        }
        assert_eq!(["+50%", "-50%", "007%", "250%"].map(|t| text(t).resolve(10, Round::Down)), [Ok(5), Ok(-5), Ok(0), Ok(25)]);
    }

    #[test]
    fn unavailability_is_at_most_the_desired_number() {
        let (zero, five) = (IntOrString::Int(0), IntOrString::Int(5));
        let rolling = |surge, unavailable, desired| max_unavailable(Strategy::RollingUpdate, surge, unavailable, desired);
        assert_eq!(rolling(Some(&zero), Some(&five), 3), 3);
        assert_eq!(rolling(Some(&zero), Some(&zero), 3), 1);
        assert_eq!(rolling(None, None, 0), 0);
        assert_eq!(rolling(Some(&text("x")), Some(&five), 3), 0);
        assert_eq!(max_unavailable(Strategy::Recreate, None, Some(&five), 3), 0);
    }

    #[test]
    fn the_step_scales_down_where_the_sizing_does_not() {
        let one = IntOrString::Int(1);
        assert_eq!(new_replica_set_size(Strategy::RollingUpdate, Some(&one), 1, 0, 5), Ok(5));
        assert_eq!(step_new_replica_set(Strategy::RollingUpdate, Some(&one), 1, 0, 5), Ok(1));
        assert_eq!(step_new_replica_set(Strategy::RollingUpdate, None, 1, 0, 0), Err(AmountError::Unset));
        assert_eq!(step_new_replica_set(Strategy::Recreate, None, 3, 2, 0), Ok(0));
        assert_eq!(step_new_replica_set(Strategy::Recreate, None, 3, 0, 0), Ok(3));
    }

    #[test]
    fn unhealthy_old_pods_go_first_and_the_oldest_set_first() {
        let set = |replicas, available| ReplicaSet { replicas, available };
        let mut old = [set(4, 4), set(0, 0), set(6, 3)];
        assert!(step_old_replica_sets(&mut old, set(2, 2), 10, 2));
        // 12 - 8 = 4 may go: the 3 unhealthy ones, then 9 - 8 = 1 of the oldest set.
        assert_eq!(old.map(|s| s.replicas), [3, 0, 3]);
    }

    #[test]
    fn a_set_that_reports_too_many_available_pods_stops_the_step() {
        let mut old = [ReplicaSet { replicas: 2, available: 3 }];
        assert!(!step_old_replica_sets(&mut old, ReplicaSet { replicas: 8, available: 8 }, 8, 0));
        assert_eq!(old[0].replicas, 2);
    }

    proptest! {
        #[test]
        fn no_input_panics(n in any::<[i32; 6]>(), percent in any::<i64>()) {
            let amounts = [IntOrString::Int(n[0]), text(&format!("{percent}%"))];
            for amount in &amounts {
                let _ = fenceposts(Some(amount), Some(amount), n[1]);
                max_unavailable(Strategy::RollingUpdate, Some(amount), Some(amount), n[1]);
                let _ = step_new_replica_set(Strategy::RollingUpdate, Some(amount), n[1], n[2], n[3]);
            }
            let mut old = [ReplicaSet { replicas: n[2], available: n[3] }, ReplicaSet { replicas: n[4], available: n[5] }];
            step_old_replica_sets(&mut old, ReplicaSet { replicas: n[1], available: n[0] }, n[5], n[4]);
        }

        #[test]
        fn a_rolling_update_keeps_enough_pods_and_ends(desired in 1..40i32, surge in 0..100u8, unavailable in 0..100u8) {
            let (surge, unavailable) = (text(&format!("{surge}%")), text(&format!("{unavailable}%")));
            let posts = fenceposts(Some(&surge), Some(&unavailable), desired).unwrap();
            let most = max_unavailable(Strategy::RollingUpdate, Some(&surge), Some(&unavailable), desired);
            let (mut old, mut new) = ([ReplicaSet { replicas: desired, available: desired }], 0);
            for _ in 0..4 * desired {
                let size = step_new_replica_set(Strategy::RollingUpdate, Some(&surge), desired, old[0].replicas, new).unwrap();
                if size != new {
                    new = size;
                } else if !step_old_replica_sets(&mut old, ReplicaSet { replicas: new, available: new }, desired, most) {
                    break;
                }
                old[0].available = old[0].replicas;
                prop_assert!(old[0].replicas + new >= desired - most && old[0].replicas + new <= desired + posts.surge);
            }
            prop_assert_eq!((old[0].replicas, new), (0, desired));
        }
    }
}
