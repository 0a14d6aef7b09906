//! What one Node knows of Services' endpoints: a table that all Nodes share, and what differs from it here.

use crate::api::EndpointSet;
use crate::ids::ServiceId;
use std::collections::BTreeMap;
use std::rc::Rc;
use svcsim_engine::IdVec;

/// The endpoints of every Service.
pub type EndpointTable = IdVec<ServiceId, Rc<EndpointSet>>;

/// One Node's view. Its memory grows with the Services of which it knows something else than the shared table says, not with
/// all Services.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    common: Rc<EndpointTable>,
    own: BTreeMap<ServiceId, Rc<EndpointSet>>,
}

impl Views {
    /// The endpoints of `service` as the Node sees them.
    #[inline]
    pub(super) fn of(&self, service: ServiceId) -> &Rc<EndpointSet> {
        if self.own.is_empty() {
            return &self.common[service];
        }
        self.own.get(&service).unwrap_or_else(|| &self.common[service])
    }

    /// The Node hears of `set`; an older one than it knows changes nothing. Returns whether the view changed.
    pub(super) fn learn(&mut self, service: ServiceId, set: &Rc<EndpointSet>) -> bool {
        let newer = set.version > self.of(service).version;
        if newer {
            self.own.insert(service, Rc::clone(set));
        }
        newer
    }

    /// From now on `common` is what is shared: nothing that the Node has not heard of. What it knows otherwise stays its own.
    pub(super) fn share(&mut self, common: &Rc<EndpointTable>) {
        self.common = Rc::clone(common);
        self.own.retain(|service, set| set.version != common[*service].version);
    }

    /// Services of which the Node has a view of its own.
    pub(super) fn own(&self) -> usize {
        self.own.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(version: u64) -> Rc<EndpointSet> {
        Rc::new(EndpointSet { version, ..EndpointSet::default() })
    }

    fn versions(views: &Views) -> [u64; 2] {
        [0, 1].map(|i| views.of(ServiceId(i)).version)
    }

    #[test]
    fn a_view_of_its_own_is_kept_only_where_it_differs() {
        let mut views = Views::default();
        views.share(&Rc::new([set(1), set(1)].into_iter().collect()));
        assert!(views.learn(ServiceId(1), &set(3)) && views.learn(ServiceId(0), &set(2)));
        assert_eq!((versions(&views), views.own()), ([2, 3], 2));
        views.share(&Rc::new([set(2), set(1)].into_iter().collect()));
        assert_eq!((versions(&views), views.own()), ([2, 3], 1), "what is now common is no longer its own");
        views.share(&Rc::new([set(2), set(3)].into_iter().collect()));
        assert_eq!((versions(&views), views.own()), ([2, 3], 0));
    }

    #[test]
    fn a_view_never_goes_back() {
        let mut views = Views::default();
        views.share(&Rc::new([set(5), set(1)].into_iter().collect()));
        assert!(!views.learn(ServiceId(0), &set(4)) && !views.learn(ServiceId(0), &set(5)));
        assert!(views.learn(ServiceId(0), &set(7)) && !views.learn(ServiceId(0), &set(6)));
        assert_eq!(versions(&views), [7, 1]);
    }
}
