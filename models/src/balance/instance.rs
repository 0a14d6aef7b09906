//! [`Balance`]: one instance at work.

use super::{Answer, Ask, BalancingSpec, Host, Picker, Report, SignalSpec, World};
use crate::api::{EndpointSet, PortEndpoints};
use crate::ids::{PodId, ZoneId};
use crate::spec::SpecError;
use std::collections::BTreeMap;
use std::rc::Rc;
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// Who balances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Which of the instances.
    pub index: u32,
    /// How many there are.
    pub of: u32,
    /// Where it runs.
    pub zone: Option<ZoneId>,
}

/// One instance: the hosts that it knows, its picker, and its chance.
#[derive(Debug)]
pub struct Balance {
    instance: Instance,
    signal: SignalSpec,
    picker: Box<dyn Picker>,
    hosts: Vec<Host>,
    places: BTreeMap<PodId, usize>,
    /// The endpoints that the hosts were made of, and how many of them were left out.
    view: Option<(Rc<EndpointSet>, u64)>,
    stream: Stream,
}

impl Balance {
    /// An instance that knows nobody yet.
    ///
    /// # Errors
    /// A setting that makes no sense, below `field`.
    pub fn build(spec: &BalancingSpec, instance: Instance, stream: Stream, field: &str) -> Result<Self, SpecError> {
        Ok(Self {
            instance,
            signal: spec.signal,
            picker: spec.policy.build(&format!("{field}.policy"))?,
            hosts: Vec::new(),
            places: BTreeMap::new(),
            view: None,
            stream,
        })
    }

    /// Which instance it is.
    #[must_use]
    pub const fn instance(&self) -> Instance {
        self.instance
    }

    /// The hosts that it knows.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The endpoints that the hosts were made of.
    #[must_use]
    pub fn endpoints(&self) -> Option<&Rc<EndpointSet>> {
        self.view.as_ref().map(|(set, _)| set)
    }

    /// The endpoints of `port` of `set` are what it knows now, but those for which `avoids` holds; `turn` says when that has
    /// changed. `weight` gives a Pod's weight.
    pub fn learn(
        &mut self,
        (set, port, turn): (&Rc<EndpointSet>, usize, u64),
        avoids: impl Fn(PodId) -> bool,
        weight: impl Fn(PodId) -> u32,
        now: SimTime,
    ) {
        if self.view.as_ref().is_some_and(|(known, of)| Rc::ptr_eq(known, set) && *of == turn) {
            return;
        }
        self.view = Some((Rc::clone(set), turn));
        let Some(endpoints) = set.ports.get(port) else { return };
        let hosts = self.hosts_of(endpoints, avoids, weight, now);
        let before: Vec<Option<usize>> = hosts.iter().map(|h| self.places.get(&h.id).copied()).collect();
        if before.iter().enumerate().all(|(i, b)| *b == Some(i)) && hosts == self.hosts {
            return;
        }
        self.places = hosts.iter().enumerate().map(|(i, h)| (h.id, i)).collect();
        self.hosts = hosts;
        if !self.hosts.is_empty() {
            self.picker.changed(&self.hosts, &before, now);
        }
    }

    /// Who takes requests, in the order of their addresses.
    fn hosts_of(
        &self,
        endpoints: &PortEndpoints,
        avoids: impl Fn(PodId) -> bool,
        weight: impl Fn(PodId) -> u32,
        now: SimTime,
    ) -> Vec<Host> {
        let ready = endpoints.ready().iter().map(|i| &endpoints.endpoints[*i as usize]);
        ready
            .filter(|e| !avoids(e.pod))
            .map(|e| {
                let known = self.places.get(&e.pod).map(|at| &self.hosts[*at]);
                Host {
                    id: e.pod,
                    address: format!("{}:{}", e.ip, e.port),
                    weight: weight(e.pod),
                    zone: e.zone,
                    since: known.map_or(now, |h| h.since),
                    active: known.map_or(0, |h| h.active),
                }
            })
            .collect()
    }

    /// The Pod for a request; none if there is nobody to send it to.
    pub fn pick(&mut self, hash: u64, demand: SimDuration, world: &dyn World, now: SimTime) -> Option<PodId> {
        if self.hosts.is_empty() {
            return None;
        }
        let ask = Ask::new(&self.hosts, world, self.signal, hash, demand, now);
        let place = self.picker.pick(&ask, &mut self.stream)?;
        self.hosts.get(place).map(|h| h.id)
    }

    /// A request was sent to `pod`. Whom to probe now.
    pub fn sent(&mut self, pod: PodId, now: SimTime) -> Vec<PodId> {
        if let Some(&at) = self.places.get(&pod) {
            self.hosts[at].active += 1;
            self.picker.sent(at, now);
        }
        let probed = self.picker.probes(&self.hosts, now, &mut self.stream);
        probed.into_iter().filter_map(|at| self.hosts.get(at)).map(|h| h.id).collect()
    }

    /// A request to `pod` is over.
    pub fn answered(&mut self, pod: PodId, answer: &Answer) {
        if let Some(&at) = self.places.get(&pod) {
            self.hosts[at].active = self.hosts[at].active.saturating_sub(1);
            self.picker.answered(at, answer);
        }
    }

    /// A probe of `pod`, taken at `taken`, has come back.
    pub fn probed(&mut self, pod: PodId, report: Report, taken: SimTime, now: SimTime) {
        if let Some(&at) = self.places.get(&pod) {
            self.picker.probed(at, report, taken, now);
        }
    }
}
