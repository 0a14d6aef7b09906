//! [`Balance`]: one instance at work.

use super::locality::{self, LocalitySpec, Zone};
use super::{Answer, Ask, BalancingSpec, Host, Picker, Report, World};
use crate::api::{EndpointSet, PortEndpoints};
use crate::cluster::{Candidate, candidate};
use crate::ids::{PodId, ZoneId};
use crate::spec::SpecError;
use std::collections::BTreeMap;
use std::rc::Rc;
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// Who balances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Which of the instances.
    pub index: u32,
    /// How many there are.
    pub of: u32,
    /// Where it runs.
    pub zone: Option<ZoneId>,
    /// How many run in each zone.
    pub peers: Rc<[(Option<ZoneId>, u32)]>,
}

/// One instance: the hosts that it knows, its pickers, and its chance.
#[derive(Debug)]
pub struct Balance {
    instance: Instance,
    spec: BalancingSpec,
    /// One of all hosts; where it prefers some, one of the hosts of each zone.
    groups: Vec<Group>,
    /// The part of the requests that goes to each group; none with one group.
    parts: Vec<f64>,
    /// By Pod, its group and place there.
    places: BTreeMap<PodId, (usize, usize)>,
    /// The endpoints that the hosts were made of, and how many of them were left out.
    view: Option<(Rc<EndpointSet>, u64)>,
    stream: Stream,
}

/// Hosts that are chosen among.
#[derive(Debug)]
struct Group {
    zone: Option<ZoneId>,
    hosts: Vec<Host>,
    picker: Box<dyn Picker>,
}

impl Balance {
    /// An instance that knows nobody yet.
    ///
    /// # Errors
    /// A setting that makes no sense, below `field`.
    pub fn build(spec: &BalancingSpec, instance: Instance, stream: Stream, field: &str) -> Result<Self, SpecError> {
        spec.policy.build(&format!("{field}.policy"))?;
        let (groups, parts, places) = (Vec::new(), Vec::new(), BTreeMap::new());
        Ok(Self { instance, spec: spec.clone(), groups, parts, places, view: None, stream })
    }

    /// The hosts that it knows.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.groups.iter().flat_map(|g| &g.hosts)
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
        let first = self.view.is_none();
        self.view = Some((Rc::clone(set), turn));
        let Some(endpoints) = set.ports.get(port) else { return };
        let since = (!first).then_some(now);
        let mut hosts = self.hosts_of(endpoints, &avoids, weight, since);
        if let Some(subset) = self.spec.subset {
            hosts = subset.of(hosts, &self.instance);
        }
        if self.spec.locality == LocalitySpec::None {
            return self.regroup(vec![(None, hosts)], now);
        }
        let zones = locality::by_zone(hosts);
        let all = |zone| endpoints.endpoints.iter().filter(|e| e.zone == zone).count();
        let facts: Vec<Zone> = zones.iter().map(|(zone, of)| Zone { zone: *zone, well: of.len(), all: all(*zone) }).collect();
        self.parts = self.spec.locality.parts(&facts, &self.instance);
        self.regroup(zones, now);
    }

    /// Who takes requests, in the order of their addresses.
    fn hosts_of(
        &self,
        endpoints: &PortEndpoints,
        avoids: impl Fn(PodId) -> bool,
        weight: impl Fn(PodId) -> u32,
        since: Option<SimTime>,
    ) -> Vec<Host> {
        let ready = endpoints.ready().iter().map(|i| &endpoints.endpoints[*i as usize]);
        ready
            .filter(|e| !avoids(e.pod))
            .map(|e| {
                let known = self.places.get(&e.pod).map(|(group, at)| &self.groups[*group].hosts[*at]);
                Host {
                    id: e.pod,
                    address: format!("{}:{}", e.ip, e.port),
                    weight: weight(e.pod),
                    zone: e.zone,
                    since: known.map_or(since, |h| h.since),
                    active: known.map_or(0, |h| h.active),
                }
            })
            .collect()
    }

    /// Each group has these hosts from now on; a group keeps its picker, which is told who is new.
    fn regroup(&mut self, zones: Vec<(Option<ZoneId>, Vec<Host>)>, now: SimTime) {
        let mut old = std::mem::take(&mut self.groups);
        for (zone, hosts) in zones {
            let group = match old.iter().position(|g| g.zone == zone) {
                Some(at) => {
                    let Group { hosts: were, mut picker, .. } = old.swap_remove(at);
                    let before: Vec<Option<usize>> = hosts.iter().map(|h| were.iter().position(|w| w.id == h.id)).collect();
                    if !hosts.is_empty()
                        && (before.len() != were.len() || before.iter().enumerate().any(|(i, b)| *b != Some(i)) || hosts != were)
                    {
                        picker.changed(&hosts, &before, now);
                    }
                    Group { zone, hosts, picker }
                }
                None => {
                    let Ok(mut picker) = self.spec.policy.build("policy") else { continue };
                    if !hosts.is_empty() {
                        picker.changed(&hosts, &vec![None; hosts.len()], now);
                    }
                    Group { zone, hosts, picker }
                }
            };
            self.groups.push(group);
        }
        let groups = self.groups.iter().enumerate();
        self.places = groups.flat_map(|(g, of)| of.hosts.iter().enumerate().map(move |(at, h)| (h.id, (g, at)))).collect();
    }

    /// The Pod for a request; none if there is nobody to send it to.
    pub fn pick(&mut self, hash: u64, demand: SimDuration, world: &dyn World, now: SimTime) -> Option<PodId> {
        let at = if self.groups.len() > 1 { locality::draw(&self.parts, &mut self.stream) } else { 0 };
        let group = self.groups.get_mut(at).filter(|g| !g.hosts.is_empty())?;
        let ask = Ask::new(&group.hosts, world, self.spec.signal, hash, demand, now);
        let ask = ask.among(self.instance.of).with_slow_start(self.spec.slow_start);
        let place = group.picker.pick(&ask, &mut self.stream)?;
        group.hosts.get(place).map(|h| h.id)
    }

    /// What a choice would be made from now, and how old the loads are.
    pub(crate) fn candidates(&self, hash: u64, demand: SimDuration, world: &dyn World, now: SimTime) -> (Vec<Candidate>, SimDuration) {
        let mut age = SimDuration::ZERO;
        let mut all = Vec::new();
        for group in &self.groups {
            let ask = Ask::new(&group.hosts, world, self.spec.signal, hash, demand, now);
            let ask = ask.among(self.instance.of).with_slow_start(self.spec.slow_start);
            let scores = group.picker.scores(&ask);
            let score = |at: usize| scores.as_ref().and_then(|s| s.get(at)).copied();
            all.extend(group.hosts.iter().enumerate().map(|(at, h)| candidate(h, ask.load(at), score(at), ask.work(at))));
            age = ask.age();
        }
        (all, age)
    }

    /// A request was sent to `pod`. Whom to probe now.
    pub fn sent(&mut self, pod: PodId, now: SimTime) -> Vec<PodId> {
        let Some(&(group, at)) = self.places.get(&pod) else { return Vec::new() };
        let Group { hosts, picker, .. } = &mut self.groups[group];
        hosts[at].active += 1;
        picker.sent(at, now);
        let probed = picker.probes(hosts, now, &mut self.stream);
        probed.into_iter().filter_map(|at| hosts.get(at)).map(|h| h.id).collect()
    }

    /// A request to `pod` is over.
    pub fn answered(&mut self, pod: PodId, answer: &Answer) {
        if let Some(&(group, at)) = self.places.get(&pod) {
            let Group { hosts, picker, .. } = &mut self.groups[group];
            hosts[at].active = hosts[at].active.saturating_sub(1);
            picker.answered(at, answer);
        }
    }

    /// A probe of `pod`, taken at `taken`, has come back.
    pub fn probed(&mut self, pod: PodId, report: Report, taken: SimTime, now: SimTime) {
        if let Some(&(group, at)) = self.places.get(&pod) {
            self.groups[group].picker.probed(at, report, taken, now);
        }
    }
}
