//! Which Pods are in a Service's EndpointSlices, and how endpoints are packed into them.

use crate::api::{Conditions, EndpointSet, Hints};
use crate::ids::PodId;
use std::cmp::Reverse;
use std::collections::BTreeMap;

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
    /// Which of the existing slices each of them was; none for one that takes new endpoints only.
    pub from: Vec<Option<usize>>,
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
    let (keep, drop): (Vec<_>, Vec<_>) = existing.iter().enumerate().partition(|(_, s)| s.kept > 0 && !s.port_set_changed);
    let (touched, untouched): (Vec<_>, Vec<_>) = keep.into_iter().partition(|(_, s)| s.removed > 0 || s.endpoint_changed);
    let lengths = |slices: Vec<(usize, &ExistingSlice)>| slices.iter().map(|(i, s)| (s.kept, Some(*i))).collect::<Vec<Packed>>();
    let (mut written, mut untouched, mut created) = (lengths(touched), lengths(untouched), Vec::new());

    written.sort_by_key(|(length, _)| Reverse(*length));
    for (length, _) in &mut written {
        let room = max.saturating_sub(*length).min(left);
        *length += room;
        left -= room;
    }
    while left > 0 {
        let best = (0..untouched.len()).filter(|i| left < max && untouched[*i].0 <= max - left).max_by_key(|i| untouched[*i].0);
        let batch = left.min(max);
        match best {
            Some(i) => {
                let (length, from) = untouched.swap_remove(i);
                written.push((length + batch, from));
            }
            None => created.push((batch, None)),
        }
        left -= batch;
    }
    finalize(existing, drop.len(), written, untouched, created)
}

/// A slice's length and which of the existing ones it was.
type Packed = (usize, Option<usize>);

/// Adds the placeholder if nothing else is left, and reuses slices that would be deleted for those that would be created
/// (EPS `reconciler.go` `reconcileByAddressType`, `finalize`).
fn finalize(existing: &[ExistingSlice], drop: usize, written: Vec<Packed>, untouched: Vec<Packed>, mut created: Vec<Packed>) -> Packing {
    if drop == existing.len() && created.is_empty() {
        if let [ExistingSlice { kept: 0, removed: 0, .. }] = existing {
            return Packing { lengths: vec![0], from: vec![Some(0)], ..Packing::default() };
        }
        created.push((0, None));
    }
    let (creates, updates) = (created.len(), written.len());
    let reused = drop.min(creates);
    let (lengths, from) = [written, untouched, created].concat().into_iter().unzip();
    Packing { lengths, from, creates: creates - reused, updates: updates + reused, deletes: drop - reused }
}

/// The numbers of a Service's ports at one Pod; Pods where they differ are in different slices.
type PortSet = Vec<Option<u16>>;
/// What a slice says of a Pod besides its address and ports.
type Content = (Conditions, Hints);
type Slice = BTreeMap<PodId, Content>;

/// The EndpointSlices of one Service, as they were last written.
#[derive(Clone, Debug, Default)]
pub struct ServiceSlices {
    slices: BTreeMap<PortSet, Vec<Slice>>,
}

impl ServiceSlices {
    /// Brings the slices, of at most `max` endpoints, to what `set` says. Returns how many API writes that takes: what would
    /// be deleted is written anew as what would be created (EPS `reconciler.go` `finalize`).
    pub fn reconcile(&mut self, set: &EndpointSet, max: usize) -> usize {
        let mut wanted = by_port_set(set);
        if wanted.is_empty() {
            wanted.insert(PortSet::new(), Slice::new());
        }
        let (mut creates, mut updates, mut deletes) = (0, 0, 0);
        self.slices.retain(|ports, slices| {
            let kept = wanted.contains_key(ports);
            deletes += if kept { 0 } else { slices.len() };
            kept
        });
        for (ports, endpoints) in wanted {
            let packing = repack(self.slices.entry(ports).or_default(), endpoints, max);
            creates += packing.creates;
            updates += packing.updates;
            deletes += packing.deletes;
        }
        updates + creates.max(deletes)
    }

    /// How many slices there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slices.values().map(Vec::len).sum()
    }
}

/// The Pods of `set` with what is said of them, by the numbers of their ports.
fn by_port_set(set: &EndpointSet) -> BTreeMap<PortSet, Slice> {
    let mut pods: BTreeMap<PodId, (PortSet, Content)> = BTreeMap::new();
    for (i, port) in set.ports.iter().enumerate() {
        for e in &port.endpoints {
            let new = || (vec![None; set.ports.len()], (e.conditions, e.hints.clone()));
            pods.entry(e.pod).or_insert_with(new).0[i] = Some(e.port);
        }
    }
    let mut by_ports: BTreeMap<PortSet, Slice> = BTreeMap::new();
    for (pod, (ports, content)) in pods {
        by_ports.entry(ports).or_default().insert(pod, content);
    }
    by_ports
}

/// Packs the endpoints `wanted` of one port set into `slices`.
fn repack(slices: &mut Vec<Slice>, mut wanted: Slice, max: usize) -> Packing {
    let mut old: Vec<Slice> = Vec::new();
    let mut existing: Vec<ExistingSlice> = Vec::new();
    for slice in std::mem::take(slices) {
        let (before, mut endpoint_changed) = (slice.len(), false);
        let mut kept = Slice::new();
        for (pod, content) in slice {
            if let Some(now) = wanted.remove(&pod) {
                endpoint_changed |= now != content;
                kept.insert(pod, now);
            }
        }
        existing.push(ExistingSlice { kept: kept.len(), removed: before - kept.len(), endpoint_changed, port_set_changed: false });
        old.push(kept);
    }
    let packing = pack(&existing, wanted.len(), max);
    let mut new = wanted.into_iter();
    for (&length, from) in packing.lengths.iter().zip(&packing.from) {
        let mut slice = from.map(|i| std::mem::take(&mut old[i])).unwrap_or_default();
        let room = length - slice.len();
        slice.extend(new.by_ref().take(room));
        slices.push(slice);
    }
    packing
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

    /// Pods `from..to`, of which those in `unready` are not ready.
    fn set(pods: std::ops::Range<u32>, unready: std::ops::Range<u32>) -> EndpointSet {
        let one = |i| crate::control_plane::tests::endpoint(i, None, !unready.contains(&i));
        EndpointSet { ports: vec![crate::api::PortEndpoints::new(pods.map(one).collect())], ..EndpointSet::default() }
    }

    #[test]
    fn slices_keep_their_pods_and_only_changed_ones_are_written() {
        let mut slices = ServiceSlices::default();
        assert_eq!((slices.reconcile(&set(0..1_000, 0..0), 100), slices.count()), (10, 10));
        assert_eq!(slices.reconcile(&set(0..1_000, 0..0), 100), 0, "nothing changed");
        assert_eq!(slices.reconcile(&set(0..1_000, 150..151), 100), 1, "one condition");
        assert_eq!(slices.reconcile(&set(0..1_000, 50..250), 100), 3, "conditions in three slices");
        assert_eq!(slices.reconcile(&set(50..1_050, 0..0), 100), 3, "what goes makes room for what comes");
        assert_eq!((slices.reconcile(&set(0..0, 0..0), 100), slices.count()), (10, 1), "a placeholder remains");
        assert_eq!((slices.reconcile(&set(0..5, 0..0), 100), slices.count()), (1, 1));
    }

    /// Rolling 1,000 Pods one at a time: each step writes the new Pod's slice and that of the one that leaves, once where they
    /// are the same, which they always are when the room that is left is filled first.
    #[test]
    fn a_roll_of_a_thousand_writes_a_slice_or_two_a_step() {
        let mut slices = ServiceSlices::default();
        slices.reconcile(&set(0..1_000, 0..0), 100);
        let writes: usize = (0..1_000).map(|i| slices.reconcile(&set(i + 1..1_001 + i, 0..0), 100)).sum();
        assert_eq!((writes, slices.count()), (1_000, 10));
        let surge: usize = (1_000..2_000)
            .map(|i| slices.reconcile(&set(i..i + 1_001, 0..0), 100) + slices.reconcile(&set(i + 1..i + 1_001, 0..0), 100))
            .sum();
        // The first new Pod finds ten full slices and gets one of its own; the next one finds the room that the last left.
        assert_eq!((surge, slices.count()), (2_000, 11));
    }

    #[test]
    fn one_empty_slice_remains_of_a_service_without_endpoints() {
        assert_eq!(packed(&[], 0), (vec![0], [1, 0, 0]));
        assert_eq!(packed(&[slice(0, 3), slice(0, 4)], 0), (vec![0], [0, 1, 1]));
        assert_eq!(packed(&[slice(0, 0)], 0), (vec![0], [0, 0, 0]));
        assert_eq!(packed(&[slice(0, 0)], 100), (vec![100], [0, 1, 0]));
    }
}
