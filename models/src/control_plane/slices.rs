//! Which Pods are in a Service's EndpointSlices, and how endpoints are packed into them.

/// Endpoints that a slice takes unless `--max-endpoints-per-slice` says otherwise.
pub const DEFAULT_MAX: usize = 100;

/// Whether a Pod is an endpoint though the Node it names may not exist; where a Pod is not, its Service is queued again
/// (EPS `reconciler.go` `reconcileByAddressType`).
#[must_use]
pub const fn admits(node_exists: bool, publish_not_ready_addresses: bool) -> bool {
    node_exists || publish_not_ready_addresses
}

/// What becomes of the endpoints of a slice that exists. One that neither keeps nor loses any is an empty placeholder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExistingSlice {
    /// Endpoints that are still wanted.
    pub kept: usize,
    /// Endpoints that are not.
    pub removed: usize,
    /// Something else than the set of endpoints changed: one's conditions, say.
    pub endpoint_changed: bool,
    /// The endpoints now have other ports, so they belong into other slices.
    pub port_set_changed: bool,
}

/// Slices after a reconciliation, and the API writes that lead there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// How many endpoints each slice has.
    pub lengths: Vec<usize>,
    /// Slices created.
    pub creates: usize,
    /// Slices written.
    pub updates: usize,
    /// Slices deleted.
    pub deletes: usize,
}

/// Packs a Service's endpoints of one port set into slices of at most `max` (EPS `reconciler.go` `reconcileByPortMapping`,
/// KEP-0752).
///
/// Few writes are preferred to few slices: `new` endpoints first go into slices that are written anyway, fullest first; a
/// rest below `max` goes as a whole into that untouched slice which it fills best; else slices are created.
/// A `max` of zero counts as one.
#[must_use]
pub fn pack(existing: &[ExistingSlice], new: usize, max: usize) -> Packing {
    let max = max.max(1);
    let moved = existing.iter().filter(|s| s.port_set_changed).map(|s| s.kept);
    let mut left = moved.fold(new, usize::saturating_add);
    let (keep, drop): (Vec<&ExistingSlice>, Vec<_>) = existing.iter().partition(|s| s.kept > 0 && !s.port_set_changed);
    let (touched, untouched): (Vec<_>, Vec<_>) = keep.into_iter().partition(|s| s.removed > 0 || s.endpoint_changed);
    let lengths = |slices: Vec<&ExistingSlice>| slices.iter().map(|s| s.kept).collect::<Vec<_>>();
    let (mut written, mut untouched, mut created) = (lengths(touched), lengths(untouched), Vec::new());

    written.sort_unstable_by(|a, b| b.cmp(a));
    for length in &mut written {
        let room = max.saturating_sub(*length).min(left);
        *length += room;
        left -= room;
    }
    while left > 0 {
        let best = (0..untouched.len()).filter(|i| left < max && untouched[*i] <= max - left).max_by_key(|i| untouched[*i]);
        let batch = left.min(max);
        match best {
            Some(i) => written.push(untouched.swap_remove(i) + batch),
            None => created.push(batch),
        }
        left -= batch;
    }
    finalize(existing, drop.len(), written, untouched, created)
}

/// Adds the placeholder if nothing else is left, and reuses slices that would be deleted for those that would be created
/// (EPS `reconciler.go` `reconcileByAddressType`, `finalize`).
fn finalize(existing: &[ExistingSlice], drop: usize, written: Vec<usize>, untouched: Vec<usize>, mut created: Vec<usize>) -> Packing {
    if drop == existing.len() && created.is_empty() {
        if let [ExistingSlice { kept: 0, removed: 0, .. }] = existing {
            return Packing { lengths: vec![0], ..Packing::default() };
        }
        created.push(0);
    }
    let reused = drop.min(created.len());
    Packing {
        creates: created.len() - reused,
        updates: written.len() + reused,
        deletes: drop - reused,
        lengths: [written, untouched, created].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(kept: usize, removed: usize) -> ExistingSlice {
        ExistingSlice { kept, removed, ..ExistingSlice::default() }
    }

    fn packed(existing: &[ExistingSlice], new: usize) -> (Vec<usize>, [usize; 3]) {
        let mut found = pack(existing, new, 100);
        found.lengths.sort_unstable();
        (found.lengths, [found.creates, found.updates, found.deletes])
    }

    #[test]
    fn a_rest_goes_whole_into_the_slice_it_fills_best() {
        assert_eq!(packed(&[slice(40, 0), slice(80, 0), slice(95, 0)], 20), (vec![40, 95, 100], [0, 1, 0]));
        assert_eq!(packed(&[slice(81, 0)], 20), (vec![20, 81], [1, 0, 0]));
        assert_eq!(packed(&[slice(10, 0)], 100), (vec![10, 100], [1, 0, 0]));
        assert_eq!(packed(&[slice(10, 0)], 110), (vec![20, 100], [1, 1, 0]));
    }

    #[test]
    fn slices_that_are_written_anyway_are_filled_first() {
        assert_eq!(packed(&[slice(50, 1), slice(90, 1), slice(70, 0)], 30), (vec![70, 70, 100], [0, 2, 0]));
        assert_eq!(packed(&[slice(120, 1)], 5), (vec![5, 120], [1, 1, 0]));
    }

    #[test]
    fn another_port_set_repacks_everything() {
        let old = ExistingSlice { kept: 30, port_set_changed: true, ..ExistingSlice::default() };
        assert_eq!(packed(&[old; 10], 0), (vec![100; 3], [0, 3, 7]));
    }

    #[test]
    fn one_empty_slice_remains_of_a_service_without_endpoints() {
        assert_eq!(packed(&[], 0), (vec![0], [1, 0, 0]));
        assert_eq!(packed(&[slice(0, 3), slice(0, 4)], 0), (vec![0], [0, 1, 1]));
        assert_eq!(packed(&[slice(0, 0)], 0), (vec![0], [0, 0, 0]));
        assert_eq!(packed(&[slice(0, 0)], 100), (vec![100], [0, 1, 0]));
    }
}
