//! Whom endpoints are hinted to by `trafficDistribution`, and whether the older annotations go before it.

use crate::api::{Endpoint, Hints};
use crate::spec::TrafficDistribution;

/// Writes the hints of `trafficDistribution` (EPS `trafficdist/trafficdist.go`, KEP-4444, KEP-3015).
///
/// Ready endpoints are hinted to where they are, as far as that is known; unready ones keep what they had.
/// Without a preference all hints go.
pub fn prefer(distribution: Option<TrafficDistribution>, endpoints: &mut [Endpoint]) {
    let Some(distribution) = distribution else { return clear(endpoints) };
    for e in endpoints.iter_mut().filter(|e| e.conditions.ready) {
        let node = e.node.filter(|_| distribution == TrafficDistribution::PreferSameNode);
        e.hints = Hints { zones: e.zone.into_iter().collect(), nodes: node.into_iter().collect() };
    }
}

/// Whether a Service's annotations `service.kubernetes.io/topology-mode` and `.../topology-aware-hints` ask for
/// hints in proportion to CPU; the second, the older one, decides where both are present (EPS `utils.go` `hintsEnabled`).
#[must_use]
pub fn hints_enabled(topology_mode: Option<&str>, topology_aware_hints: Option<&str>) -> bool {
    matches!(topology_aware_hints.or(topology_mode), Some("Auto" | "auto"))
}

/// Removes the hints of all endpoints, ready or not.
pub(super) fn clear(endpoints: &mut [Endpoint]) {
    for e in endpoints {
        e.hints = Hints::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::tests::endpoint;
    use crate::ids::{NodeId, ZoneId};

    #[test]
    fn ready_endpoints_are_hinted_to_where_they_are() {
        let mut list = [endpoint(0, Some(1), true), endpoint(1, None, true)];
        prefer(Some(TrafficDistribution::PreferSameZone), &mut list);
        assert_eq!(list[0].hints, Hints { zones: vec![ZoneId(1)], nodes: vec![] });
        assert_eq!(list[1].hints, Hints::default());
        prefer(Some(TrafficDistribution::PreferSameNode), &mut list);
        assert_eq!(list[0].hints, Hints { zones: vec![ZoneId(1)], nodes: vec![NodeId(0)] });
        assert_eq!(list[1].hints, Hints { zones: vec![], nodes: vec![NodeId(1)] });
    }

    #[test]
    fn unready_endpoints_keep_their_hints_until_there_is_no_preference() {
        let old = Hints { zones: vec![ZoneId(7)], nodes: vec![NodeId(7)] };
        let mut list = [endpoint(0, Some(1), false)];
        list[0].hints = old.clone();
        prefer(Some(TrafficDistribution::PreferSameNode), &mut list);
        assert_eq!(list[0].hints, old);
        prefer(None, &mut list);
        assert_eq!(list[0].hints, Hints::default());
    }

    #[test]
    fn the_older_annotation_decides() {
        assert!(hints_enabled(Some("disabled"), Some("Auto")));
        assert!(!hints_enabled(Some("Auto"), Some("")));
        assert!(!hints_enabled(Some("AUTO"), None));
        assert!(!hints_enabled(None, None));
    }
}
