//! One Service's load balancer at work. It is told the time and what happens, and answers with values; whoever asks
//! schedules what follows.
//!
//! A target's life: [`register`](LoadBalancer::register), when that is done [`registered`](LoadBalancer::registered), then
//! [`checked`](LoadBalancer::checked) again and again; [`deregister`](LoadBalancer::deregister), when that is done
//! [`deregistered`](LoadBalancer::deregistered). A balancer without health checks (MetalLB, which watches EndpointSlices)
//! uses whatever is registered: there the cluster registers a Node when it may announce and deregisters it when it may
//! not, and tells of a Node's death by [`failed`](LoadBalancer::failed). Answers to what is out of date change nothing.

use super::flow::fold;
use super::health::Health;
use super::table::{Candidate, Load, Table};
use super::{ClientAddress, FlowKey, HealthCheck, LoadBalancerSpec, Parameters, Probe};
use crate::ids::{NodeId, PodId, ZoneId};
use crate::maglev::{TableSize, mix64};
use crate::outlier_detection::Outliers;
use crate::spec::SpecError;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use svcsim_engine::random::{Dist, Stream};
use svcsim_engine::{SimDuration, SimTime};

/// What a load balancer has to know of the Service it stands in front of, and of the cluster.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its own address, the Service's.
    pub address: IpAddr,
    /// Whether the Service's external policy is Local.
    pub local_policy: bool,
    /// The Nodes that may become targets.
    pub nodes: Vec<NodeFact>,
}

/// A Node by its name.
#[derive(Clone, Debug)]
pub struct NodeFact {
    /// Which Node.
    pub id: NodeId,
    /// `metadata.name`: decides who leads.
    pub name: String,
}

/// Where a connection may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A Node, whose proxy chooses a Pod.
    Node(NodeId),
    /// A Pod.
    Pod(PodId),
}

/// What follows from the order to deregister a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deregistration {
    /// It gets new connections until then; [`LoadBalancer::deregistered`] is due.
    pub no_new_after: SimTime,
    /// Connections that it still has are reset then; none if they are kept until they end.
    pub cut_at: Option<SimTime>,
}

/// What follows from a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// From now until the next check of the target is sent.
    pub next: SimDuration,
    /// Whether the target's connections are reset now.
    pub cut: bool,
}

/// One load balancer's state.
#[derive(Clone, Debug)]
pub struct LoadBalancer {
    parameters: Parameters,
    check: Option<HealthCheck>,
    /// The most Nodes it uses.
    subset: Option<u32>,
    delay: Dist,
    registration_delay: Dist,
    deregistration_delay: Dist,
    failure_detection: Dist,
    failover: Option<Dist>,
    table_size: Option<TableSize>,
    address: IpAddr,
    salt: u64,
    names: BTreeMap<NodeId, String>,
    members: BTreeMap<Target, Member>,
    /// One for all targets, or one for the targets of each zone.
    tables: BTreeMap<Option<ZoneId>, Table>,
    /// The zones whose balancer node clients reach.
    fronts: Vec<Option<ZoneId>>,
    /// Choices made.
    choices: u64,
    /// Targets that fail, where it proxies and avoids them.
    outliers: Option<Outliers<Target>>,
    stream: Stream,
}

#[derive(Clone, Debug)]
struct Member {
    zone: Option<ZoneId>,
    rank: (u64, u64),
    stage: Stage,
    health: Health,
    load: Load,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Registering {
        until: SimTime,
    },
    Registered,
    /// In use until that is done.
    Leaving(Deregistration),
}

impl LoadBalancer {
    /// The balancer of one Service, without targets.
    ///
    /// # Errors
    /// A parameter that makes no sense, with its field.
    pub fn build(spec: &LoadBalancerSpec, service: &Facts, stream: Stream) -> Result<Self, SpecError> {
        let prepared = spec.prepare()?;
        let p = spec.parameters.clone();
        Ok(Self {
            check: p.health_check(service.local_policy),
            subset: if service.local_policy { p.local_subset } else { p.subset },
            delay: prepared.delay,
            registration_delay: prepared.registration_delay,
            deregistration_delay: prepared.deregistration_delay,
            failure_detection: prepared.failure_detection,
            failover: prepared.failover,
            table_size: prepared.table_size,
            address: service.address,
            salt: mix64(fold(service.address)),
            names: service.nodes.iter().map(|n| (n.id, n.name.clone())).collect(),
            members: BTreeMap::new(),
            tables: BTreeMap::new(),
            fronts: Vec::new(),
            choices: 0,
            outliers: p.proxies.and_then(|p| p.outlier_detection).map(|o| Outliers::new(o, SimTime::ZERO + o.interval)),
            stream,
            parameters: p,
        })
    }

    /// What it does.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// How it checks the health of this Service's targets; none if it does not.
    #[must_use]
    pub const fn health_check(&self) -> Option<HealthCheck> {
        self.check
    }

    /// The run starts with these targets, registered long since and known to be healthy or not. Without health checks all
    /// are used.
    pub fn start(&mut self, targets: impl Iterator<Item = (Target, Option<ZoneId>, bool)>) {
        for (target, zone, healthy) in targets {
            let member = self.member(target, zone, Stage::Registered);
            self.members.insert(target, Member { health: Health::new(healthy || self.check.is_none()), ..member });
        }
        self.rebuild(SimTime::ZERO);
    }

    /// The first check of a target that was there from the start is due after this long, at a random phase: targets are
    /// checked in no common rhythm. None without health checks.
    pub fn first_check(&mut self, target: Target, now: SimTime) -> Option<SimDuration> {
        let (check, member) = (self.check?, self.members.get_mut(&target)?);
        let phase = SimDuration::from_nanos_f64(check.interval.as_nanos() as f64 * self.stream.uniform());
        member.health.expect_check(now + phase);
        Some(phase)
    }

    /// `target` is to become a target; [`Self::registered`] is due at the time returned. One on its way out is taken back
    /// at once, which is an assumption.
    pub fn register(&mut self, target: Target, zone: Option<ZoneId>, now: SimTime) -> SimTime {
        match self.members.get_mut(&target) {
            Some(Member { stage: Stage::Registering { until }, .. }) => *until,
            Some(member) => {
                member.stage = Stage::Registered;
                now
            }
            None => {
                let until = now + self.registration_delay.sample_duration(&mut self.stream);
                let member = self.member(target, zone, Stage::Registering { until });
                self.members.insert(target, member);
                until
            }
        }
    }

    /// The registration of `target` is done. Returns when its first health check is due; until enough of them are good it is
    /// unhealthy. None without health checks, where it is used from now on, and for a registration that was taken back.
    pub fn registered(&mut self, target: Target, now: SimTime) -> Option<SimDuration> {
        match self.members.get_mut(&target) {
            Some(member) if matches!(member.stage, Stage::Registering { until } if now >= until) => member.stage = Stage::Registered,
            _ => return None,
        }
        self.rebuild(now);
        self.first_check(target, now)
    }

    /// `target` is to be a target no longer.
    pub fn deregister(&mut self, target: Target, now: SimTime) -> Deregistration {
        let after = self.deregistration_delay.sample_duration(&mut self.stream);
        self.leave(target, now, now + after)
    }

    /// A Node that is a target has died. None if health checks are to find out; otherwise it is deregistered once that is
    /// noticed.
    pub fn failed(&mut self, target: Target, now: SimTime) -> Option<Deregistration> {
        if self.check.is_some() {
            return None;
        }
        let after = self.failure_detection.sample_duration(&mut self.stream);
        Some(self.leave(target, now, now + after))
    }

    /// Asked twice, the first order counts.
    fn leave(&mut self, target: Target, now: SimTime, until: SimTime) -> Deregistration {
        let draining = self.parameters.draining;
        match self.members.get_mut(&target) {
            Some(Member { stage: Stage::Leaving(order), .. }) => *order,
            Some(member) if member.stage == Stage::Registered => {
                let order = Deregistration { no_new_after: until, cut_at: draining.map(|draining| (now + draining).max(until)) };
                member.stage = Stage::Leaving(order);
                order
            }
            _ => {
                self.members.remove(&target);
                Deregistration { no_new_after: now, cut_at: None }
            }
        }
    }

    /// The time of [`Deregistration::no_new_after`] has come.
    pub fn deregistered(&mut self, target: Target, now: SimTime) {
        if matches!(self.members.get(&target), Some(Member { stage: Stage::Leaving(order), .. }) if now >= order.no_new_after) {
            self.members.remove(&target);
            if let Some(outliers) = &mut self.outliers {
                outliers.keep(|t| t != target);
            }
            self.rebuild(now);
        }
    }

    /// A health check of `target` ended. None if it is no target any more: then no further check is due.
    pub fn checked(&mut self, target: Target, probe: Probe, now: SimTime) -> Option<Checked> {
        let (check, member) = (self.check?, self.members.get_mut(&target)?);
        if matches!(member.stage, Stage::Registering { .. }) {
            return None;
        }
        let (next, turned) = member.health.checked(probe, &check, now)?;
        let cut = turned && !member.health.good && self.parameters.cut_unhealthy;
        let good = probe == Probe::Passed && member.health.good;
        let returned = good && self.outliers.as_mut().is_some_and(|o| o.found_good(target));
        if turned || returned {
            self.rebuild(now);
        }
        Some(Checked { next, cut })
    }

    /// Whether `target` is registered and judged healthy.
    #[must_use]
    pub fn is_healthy(&self, target: Target) -> bool {
        self.members.get(&target).is_some_and(|m| m.health.good && !matches!(m.stage, Stage::Registering { .. }))
    }

    /// The target of a new connection; none if there is nothing to choose from.
    #[inline]
    pub fn choose(&mut self, flow: FlowKey, now: SimTime) -> Option<Target> {
        if self.outliers.as_mut().is_some_and(|o| o.sweep(now)) {
            self.rebuild(now);
        }
        let digest = flow.digest(self.salt);
        let key = self.table_of(self.front(digest)?);
        let target = self.tables.get_mut(&key)?.take(digest, flow.client, now)?;
        if !self.parameters.algorithm.is_stateless() {
            self.choices += 1;
            let chosen = self.choices;
            self.reload(target, |load| load.chosen = chosen);
        }
        Some(target)
    }

    /// Where a packet of a connection that was established to a target goes now. With connection tracking it is the same;
    /// otherwise it may be another Node, whose proxy has no entry for the connection.
    #[inline]
    #[must_use]
    pub fn route(&self, flow: FlowKey, established_to: Target, now: SimTime) -> Target {
        if self.parameters.connection_tracking {
            return established_to;
        }
        let digest = flow.digest(self.salt);
        let table = self.front(digest).and_then(|front| self.tables.get(&self.table_of(front)));
        table.and_then(|table| table.pick(digest, flow.client, now)).unwrap_or(established_to)
    }

    /// `target` has one more connection.
    #[inline]
    pub fn opened(&mut self, target: Target) {
        self.reload(target, |load| load.open = load.open.saturating_add(1));
    }

    /// `target` has one connection less.
    #[inline]
    pub fn closed(&mut self, target: Target) {
        self.reload(target, |load| load.open = load.open.saturating_sub(1));
    }

    /// A request that it sent to `target` ended well or badly, as far as it can tell.
    pub fn answered(&mut self, target: Target, good: bool, now: SimTime) {
        let hosts = self.members.values().filter(|m| !matches!(m.stage, Stage::Registering { .. })).count();
        let Some(outliers) = self.outliers.as_mut().filter(|_| self.members.contains_key(&target)) else { return };
        let returned = outliers.sweep(now);
        if outliers.ended(target, good, hosts, now) || returned {
            self.rebuild(now);
        }
    }

    /// Whether `target` is ejected for its failures.
    #[must_use]
    pub fn is_ejected(&self, target: Target) -> bool {
        self.outliers.as_ref().is_some_and(|o| o.is_ejected(target))
    }

    /// Time a message spends inside.
    #[inline]
    pub fn delay(&mut self) -> SimDuration {
        self.delay.sample_duration(&mut self.stream)
    }

    /// The address that targets see instead of the client's: that of the zone's balancer node. None if they see the client's.
    /// It may change when zones come and go: ask once a connection.
    ///
    /// Made up: 100.100.x.y, where x tells Services apart and y zones (in AWS, a private address of each enabled subnet).
    #[must_use]
    pub fn source_address(&self, flow: FlowKey) -> Option<IpAddr> {
        if self.parameters.client_address == ClientAddress::Kept {
            return None;
        }
        let zone = self.front(flow.digest(self.salt)).flatten();
        let y = zone.map_or(0, |z| z.0 % 255 + 1) as u8;
        Some(Ipv4Addr::new(100, 100, (self.salt >> 32) as u8, y).into())
    }

    /// The zone whose balancer node a connection comes to. Clients spread evenly over the addresses in DNS; that each
    /// connection does so by itself, and not each client, is an assumption.
    #[inline]
    fn front(&self, digest: u64) -> Option<Option<ZoneId>> {
        match *self.fronts {
            [only] => Some(only),
            _ => self.fronts.get(mix64(digest).checked_rem(self.fronts.len() as u64)? as usize).copied(),
        }
    }

    #[inline]
    const fn table_of(&self, zone: Option<ZoneId>) -> Option<ZoneId> {
        if self.parameters.cross_zone { None } else { zone }
    }

    #[inline]
    fn reload(&mut self, target: Target, change: impl FnOnce(&mut Load)) {
        let Some(member) = self.members.get_mut(&target) else { return };
        let before = member.load;
        change(&mut member.load);
        let (zone, after) = (member.zone, member.load);
        let key = self.table_of(zone);
        if let Some(table) = self.tables.get_mut(&key) {
            table.reload(target, before, after);
        }
    }

    fn member(&self, target: Target, zone: Option<ZoneId>, stage: Stage) -> Member {
        let name = match target {
            Target::Node(id) => self.names.get(&id).cloned().unwrap_or_else(|| format!("node-{}", id.0)),
            Target::Pod(id) => format!("pod-{}", id.0),
        };
        let rank = rank(&name, self.address);
        Member { zone, rank, stage, health: Health::new(self.check.is_none()), load: Load::default() }
    }

    /// Finds who may be chosen, and prepares the choice among them. A zone without a healthy target is left out of DNS if
    /// zones are kept apart; if no zone has one, all are used (AWS user guide, *Health checks for Network Load Balancer
    /// target groups*).
    fn rebuild(&mut self, now: SimTime) {
        let subset = self.subset.map(|most| self.subset(most));
        let in_use = |(target, member): &(&Target, &Member)| {
            !matches!(member.stage, Stage::Registering { .. }) && subset.as_ref().is_none_or(|subset| subset.contains(*target))
        };
        let good = |(target, m): &(&Target, &Member)| m.health.good && !self.is_ejected(**target);
        let used = self.members.iter().filter(in_use);
        let all = match &self.outliers {
            Some(outliers) => outliers.spec().panics(used.clone().filter(good).count(), used.count()),
            None => self.parameters.fail_open && !used.clone().any(|m| good(&m)),
        };
        let mut groups: BTreeMap<Option<ZoneId>, Vec<Candidate>> = self.tables.keys().map(|zone| (*zone, Vec::new())).collect();
        let mut fronts = BTreeSet::new();
        for (target, m) in self.members.iter().filter(in_use) {
            if all || good(&(target, m)) {
                fronts.insert(m.zone);
                let candidate = Candidate { target: *target, rank: m.rank, load: m.load };
                groups.entry(self.table_of(m.zone)).or_default().push(candidate);
            }
        }
        self.fronts = fronts.into_iter().collect();
        for (zone, candidates) in groups {
            let table = self.tables.entry(zone).or_insert_with(|| Table::new(&self.parameters.algorithm, self.table_size));
            let (failover, stream) = (&self.failover, &mut self.stream);
            table.rebuild(&candidates, now, || failover.as_ref().map_or(SimDuration::ZERO, |d| d.sample_duration(stream)));
        }
    }

    /// The Nodes that are used, `most` at most: zone by zone in turn, in the order of their hashes (ingress-gce,
    /// `pkg/neg/syncers/subsets.go`, which moreover prefers Nodes that are in use already).
    fn subset(&self, most: u32) -> BTreeSet<Target> {
        let mut zones: BTreeMap<Option<ZoneId>, Vec<_>> = BTreeMap::new();
        for (target, m) in self.members.iter().filter(|(_, m)| !matches!(m.stage, Stage::Registering { .. })) {
            zones.entry(m.zone).or_default().push((m.rank, *target));
        }
        zones.values_mut().for_each(|zone| zone.sort_unstable());
        let mut all: Vec<_> = zones.into_values().flat_map(|zone| zone.into_iter().enumerate()).collect();
        all.sort_unstable();
        all.into_iter().take(most as usize).map(|(_, (_, target))| target).collect()
    }
}

/// The order in which MetalLB's speakers lead an address: by SHA-256 of the Node's name and the address
/// (`speaker/layer2_controller.go`); its first 16 bytes decide.
fn rank(name: &str, address: IpAddr) -> (u64, u64) {
    let digest = Sha256::digest(format!("{name}#{address}"));
    let half = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b));
    (half(&digest[..8]), half(&digest[8..16]))
}
