//! A Deployment's rolling update, one step at a time (`pkg/controller/deployment/util/deployment_util.go`, `rolling.go`).

/// `maxSurge` or `maxUnavailable`: a number, or a percentage of the replicas desired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrPercent {
    /// So many Pods.
    Int(i64),
    /// As written, such as `25%`.
    Text(String),
}

/// Not a number and not a percentage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl IntOrPercent {
    /// So many of `total`; percentages are rounded `up` or down (`intstr.GetScaledValueFromIntOrPercent`).
    ///
    /// # Errors
    /// Text without a whole number before a percent sign.
    pub fn of(&self, total: i64, up: bool) -> Result<i64, Malformed> {
        match self {
            Self::Int(n) => Ok(*n),
            Self::Text(text) => {
                let percent: Option<i64> = text.strip_suffix('%').and_then(|n| n.parse::<i32>().ok()).map(i64::from);
                let scaled = percent.ok_or_else(|| Malformed(text.clone()))?.saturating_mul(total);
                Ok(if up { -(-scaled).div_euclid(100) } else { scaled.div_euclid(100) })
            }
        }
    }
}

/// How a Deployment replaces its Pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// New ones before or while old ones go.
    RollingUpdate,
    /// All old ones first.
    Recreate,
}

/// How far a rolling update may stray from the replicas desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenceposts {
    /// Pods above the number desired.
    pub surge: i64,
    /// Pods that may be missing.
    pub unavailable: i64,
}

/// Resolves both; surge rounds up and unavailable down, and where both come to nothing one Pod may be missing, since the
/// update could not proceed otherwise (`ResolveFenceposts`). Absent counts as 0.
///
/// # Errors
/// Either is malformed.
pub fn fenceposts(surge: Option<&IntOrPercent>, unavailable: Option<&IntOrPercent>, desired: i64) -> Result<Fenceposts, Malformed> {
    let of = |value: Option<&IntOrPercent>, up| value.map_or(Ok(0), |v| v.of(desired, up));
    let (surge, unavailable) = (of(surge, true)?, of(unavailable, false)?);
    Ok(Fenceposts { surge, unavailable: if surge == 0 && unavailable == 0 { 1 } else { unavailable } })
}

/// Pods that may be missing: at most all of them, none without a rolling update, nor where surge or unavailable are malformed,
/// which upstream ignores here (`MaxUnavailable`).
#[must_use]
pub fn max_unavailable(strategy: Strategy, surge: Option<&IntOrPercent>, unavailable: Option<&IntOrPercent>, desired: i64) -> i64 {
    if strategy != Strategy::RollingUpdate || desired == 0 {
        return 0;
    }
    fenceposts(surge, unavailable, desired).map_or(0, |f| f.unavailable.min(desired))
}

/// The size of the new ReplicaSet that `desired` and the surge allow; never smaller than it is (`NewRSNewReplicas`).
///
/// # Errors
/// The surge is malformed.
pub fn new_replica_set_size(
    strategy: Strategy,
    surge: Option<&IntOrPercent>,
    desired: i64,
    old_total: i64,
    new: i64,
) -> Result<i64, Malformed> {
    if strategy == Strategy::Recreate {
        return Ok(desired);
    }
    let most = desired.saturating_add(surge.map_or(Ok(0), |s| s.of(desired, true))?);
    let total = old_total.saturating_add(new);
    if total >= most {
        return Ok(new);
    }
    Ok(new.saturating_add((most - total).min(desired.saturating_sub(new))))
}

/// The size of the new ReplicaSet after one step of the controller, which also takes away what is above the number desired
/// (`reconcileNewReplicaSet`).
///
/// # Errors
/// The surge is malformed.
pub fn step_new(strategy: Strategy, surge: Option<&IntOrPercent>, desired: i64, old_total: i64, new: i64) -> Result<i64, Malformed> {
    if new >= desired { Ok(desired) } else { new_replica_set_size(strategy, surge, desired, old_total, new) }
}

/// The replicas of a ReplicaSet, and how many are available.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// `spec.replicas`.
    pub total: i64,
    /// Ready for at least `minReadySeconds`.
    pub available: i64,
}

/// The old Pods left after one step: first those that are not available go, then others, as far as enough stay available
/// (`reconcileOldReplicaSets`).
#[must_use]
pub fn step_old(surge: Option<&IntOrPercent>, unavailable: Option<&IntOrPercent>, desired: i64, old: Replicas, new: Replicas) -> i64 {
    let least = desired - max_unavailable(Strategy::RollingUpdate, surge, unavailable, desired);
    let spare = old.total + new.total - least - (new.total - new.available);
    if old.total <= 0 || spare <= 0 {
        return old.total;
    }
    let unhealthy = (old.total - old.available).clamp(0, spare);
    let left = old.total - unhealthy;
    let above = (old.available + new.available - least).max(0);
    left - left.min(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(text: &str) -> IntOrPercent {
        IntOrPercent::Text(text.to_owned())
    }

    #[test]
    fn surge_rounds_up_and_unavailable_down() {
        let quarter = percent("25%");
        assert_eq!(fenceposts(Some(&quarter), Some(&quarter), 7), Ok(Fenceposts { surge: 2, unavailable: 1 }));
        assert_eq!(fenceposts(None, None, 0), Ok(Fenceposts { surge: 0, unavailable: 1 }));
        for wrong in ["oops", "10", "%", "1.5%", "99999999999%"] {
            assert!(fenceposts(Some(&percent(wrong)), None, 10).is_err(), "{wrong}");
        }
    }

    /// A whole rolling update never falls below the least or rises above the most, and ends.
    #[test]
    fn a_rolling_update_stays_between_its_fenceposts_and_ends() {
        for (desired, surge, unavailable) in [(10, 3, 2), (1, 1, 0), (4, 0, 1), (7, 2, 7), (100, 25, 25)] {
            let (s, u) = (IntOrPercent::Int(surge), IntOrPercent::Int(unavailable));
            let (mut old, mut new) = (desired, 0);
            for step in 0.. {
                new = step_new(Strategy::RollingUpdate, Some(&s), desired, old, new).expect("numbers");
                assert!(old + new <= desired + surge, "{desired}: step {step} has {old} old and {new} new");
                let ready = |total| Replicas { total, available: total };
                old = step_old(Some(&s), Some(&u), desired, ready(old), ready(new));
                assert!(old + new >= desired - unavailable, "{desired}: step {step} leaves {old} old and {new} new");
                if (old, new) == (0, desired) {
                    break;
                }
                assert!(step < 1_000, "the update of {desired} does not end");
            }
        }
    }
}
