//! What the experiment makes happen. To add something: a variant of [`Action`], its [`Deed`], and what it does in `begin` and,
//! if it can be repaired, in `repair`.

use crate::cluster::build::{dist, list};
use crate::cluster::run::stream;
use crate::cluster::{Cluster, Ctx, Event, Purpose};
use crate::ids::{EventId, NodeId, PodId, ReplicaId, ServiceId, WorkloadId, ZoneId};
use crate::network::Degradation;
use crate::spec::{Action, ClusterSpec, Controller, EventSpec, LinkTarget, PodTarget, ServiceType, SpecError, WorkloadSpec};
use svcsim_engine::random::{Dist, Stream, Streams};
use svcsim_engine::{Id, SimDuration, SimTime};

/// Random events are at least so far apart on average: bounds what a slip of the keyboard can ask for.
const LEAST_GAP_NS: f64 = 1e6;

/// An event of the experiment.
pub(in crate::cluster) struct Planned {
    name: String,
    when: When,
    lasts: Option<Dist>,
    deed: Deed,
    stream: Stream,
    /// What each occurrence broke, until it is repaired.
    broken: Vec<Broken>,
}

enum When {
    At(SimTime),
    Again { gap: Dist, after_repair: bool, from: SimTime, until: SimTime, left: u32 },
}

/// An [`Action`] whose names are resolved.
#[derive(Clone)]
enum Deed {
    PodCrash(Victim),
    PodOom(Victim),
    PodPause(Victim),
    PodSlow(Victim, f64),
    PodDelete(Victim),
    PodEvict(Victim),
    Rollout { workload: WorkloadId, fails: bool },
    Scale { workload: WorkloadId, size: Size },
    SwitchSelector { service: ServiceId, backends: Vec<WorkloadId> },
    Drain(Option<NodeId>),
    NodeCrash(Option<NodeId>),
    NodeCut(Option<NodeId>),
    ZoneOutage(Option<ZoneId>),
    ZonePartition(Option<ZoneId>),
    LoadBalancerFailure(ServiceId),
    LinkDegrade { links: String, known: u32 },
    DnsFailure,
    ControlPlaneOutage,
}

/// How many Pods a workload is to have.
#[derive(Clone, Copy)]
enum Size {
    Of(u32),
    By(i32),
}

#[derive(Clone, Copy)]
enum Victim {
    Certain(ReplicaId),
    AnyOf(WorkloadId),
}

/// What an occurrence broke and a repair mends.
#[derive(Clone, Copy)]
enum Broken {
    Nothing,
    Paused(PodId),
    Slow(PodId, f64),
    Scaled(WorkloadId, u32),
    /// By so many, for which the first Pod created, if any, was this.
    ScaledBy(WorkloadId, i32, PodId),
    Drained(NodeId),
    Crashed(NodeId),
    Cut(NodeId),
    ZoneDown(ZoneId),
    ZoneCut(ZoneId),
    LoadBalancer(ServiceId),
    Links(u32),
    Dns,
    ControlPlane,
}

impl Deed {
    /// Whether it is asked of the API server, which has to answer.
    const fn asks_api(&self) -> bool {
        matches!(
            self,
            Self::PodDelete(_)
                | Self::PodEvict(_)
                | Self::Rollout { .. }
                | Self::Scale { .. }
                | Self::SwitchSelector { .. }
                | Self::Drain(_)
        )
    }

    /// Whether it is over as soon as it has happened.
    const fn is_momentary(&self) -> bool {
        matches!(
            self,
            Self::PodCrash(_)
                | Self::PodOom(_)
                | Self::PodDelete(_)
                | Self::PodEvict(_)
                | Self::Rollout { .. }
                | Self::SwitchSelector { .. }
        )
    }

    /// Whether it can make a Node unreachable.
    const fn hits_nodes(&self) -> bool {
        matches!(self, Self::NodeCrash(_) | Self::NodeCut(_) | Self::ZoneOutage(_) | Self::ZonePartition(_))
    }
}

impl Planned {
    /// Whether the time to the next occurrence begins with the repair of this one.
    const fn counts_from_repairs(&self) -> bool {
        matches!(self.when, When::Again { after_repair: true, .. })
    }

    /// Whether it can make a Node unreachable.
    pub(in crate::cluster) const fn hits_nodes(&self) -> bool {
        self.deed.hits_nodes()
    }
}

impl Cluster {
    pub(in crate::cluster) fn add_event(
        &mut self,
        name: &str,
        spec: &EventSpec,
        all: &ClusterSpec,
        streams: &Streams,
    ) -> Result<(), SpecError> {
        let field = |f: &str| format!("events.{name}.{f}");
        let end = SimTime::ZERO + all.run.duration;
        let again = match (&spec.every, &spec.uptime) {
            (Some(_), Some(_)) => {
                let problem = "`every` and `uptime` are both there; expected one";
                return Err(SpecError::new(field("uptime"), problem, "leave one of them out"));
            }
            (Some(every), None) => Some(("every", every, false)),
            (None, uptime) => uptime.as_ref().map(|uptime| ("uptime", uptime, true)),
        };
        let when = match (spec.at, again) {
            (Some(at), None) => {
                let given = [("from", spec.from.is_some()), ("until", spec.until.is_some()), ("times", spec.times.is_some())];
                if let Some((only, _)) = given.iter().find(|(_, given)| *given) {
                    let problem = format!("`{only}` says when random events may happen, but this one happens at {at}");
                    return Err(SpecError::new(field(only), problem, "leave it out, or give `every` instead of `at`"));
                }
                When::At(SimTime::ZERO + at)
            }
            (None, Some((name, gap, after_repair))) => {
                let gap = dist(&field(name), gap)?;
                if gap.mean() < LEAST_GAP_NS {
                    let problem = format!("something every {:.0} ns on average; expected 1ms or more", gap.mean());
                    return Err(SpecError::new(field(name), problem, "give the time from one occurrence to the next, such as 30s"));
                }
                let (from, until) = (spec.from.unwrap_or_default(), spec.until.unwrap_or(SimDuration::MAX));
                if until <= from {
                    let problem = format!("it ends at {until} and begins at {from}: nothing can happen");
                    return Err(SpecError::new(field("until"), problem, "give a time after `from`"));
                }
                if after_repair && spec.lasts.is_none() {
                    let fix = "say `for` how long it is down, or give `every` instead";
                    return Err(SpecError::new(field("uptime"), "it is counted from repairs, and nothing is repaired", fix));
                }
                When::Again {
                    gap,
                    after_repair,
                    from: SimTime::ZERO + from,
                    until: (SimTime::ZERO + until).min(end),
                    left: spec.times.unwrap_or(u32::MAX),
                }
            }
            (Some(_), Some((name, ..))) => {
                let problem = format!("`at` and `{name}` are both there; expected one");
                return Err(SpecError::new(field(name), problem, "leave one of them out"));
            }
            (None, None) => {
                let fix = "give `at: 30s` for one time, or `every: 30s` for again and again";
                return Err(SpecError::new(format!("events.{name}"), "it does not say when", fix));
            }
        };
        let lasts = spec.lasts.as_ref().map(|d| dist(&field("for"), d)).transpose()?;
        let deed = self.deed(name, &spec.action, all, streams)?;
        if lasts.is_some() && deed.is_momentary() {
            let problem = "this is over as soon as it has happened, and the cluster mends it by itself";
            return Err(SpecError::new(field("for"), problem, "leave `for` out"));
        }
        let stream = stream(streams, Purpose::Event, name);
        self.planned.push(Planned { name: name.to_owned(), when, lasts, deed, stream, broken: Vec::new() });
        Ok(())
    }

    fn deed(&mut self, event: &str, action: &Action, all: &ClusterSpec, streams: &Streams) -> Result<Deed, SpecError> {
        let field = |f: &str| format!("events.{event}.do.{f}");
        Ok(match action {
            Action::PodCrash(pod) => Deed::PodCrash(self.victim(&field("podCrash"), pod)?),
            Action::PodEvict(pod) => Deed::PodEvict(self.victim(&field("podEvict"), pod)?),
            Action::LoadBalancerFailure(t) => {
                let field = field("loadBalancerFailure.service");
                let service = self.called_service(&field, &t.service)?;
                if self.table.services[service].service_type != ServiceType::LoadBalancer {
                    let problem = format!("Service {} has no load balancer that could fail", t.service);
                    return Err(SpecError::new(field, problem, "name a Service of type LoadBalancer"));
                }
                Deed::LoadBalancerFailure(service)
            }
            Action::PodOom(pod) => Deed::PodOom(self.victim(&field("podOom"), pod)?),
            Action::PodPause(pod) => Deed::PodPause(self.victim(&field("podPause"), pod)?),
            Action::PodSlow(t) => {
                let pod = PodTarget { workload: t.workload.clone(), place: t.place };
                if !(1e-3..=1e6).contains(&t.factor) {
                    let problem = format!("a factor of {}; expected 0.001 to 1000000", t.factor);
                    return Err(SpecError::new(
                        field("podSlow.factor"),
                        problem,
                        "say how many times its demand a request takes, such as 3",
                    ));
                }
                Deed::PodSlow(self.victim(&field("podSlow"), &pod)?, t.factor)
            }
            Action::Rollout(t) => Deed::Rollout { workload: self.workload_id(&field("rollout.workload"), &t.workload)?, fails: t.fails },
            Action::Scale(t) => {
                let workload = self.workload_id(&field("scale.workload"), &t.workload)?;
                let (size, name, most) = match (t.replicas, t.by) {
                    (Some(n), None) => (Size::Of(n), "scale.replicas", n),
                    (None, Some(n)) => (Size::By(n), "scale.by", n.unsigned_abs()),
                    _ => {
                        let fix = "give `replicas: 5` for five Pods, or `by: 2` for two more";
                        return Err(SpecError::new(field("scale"), "expected one of `replicas` and `by`", fix));
                    }
                };
                if most as usize > self.most_places || self.workloads[workload].controller == Controller::DaemonSet {
                    let problem = format!("{most} Pods of {}, which it can never have", t.workload);
                    return Err(SpecError::new(field(name), problem, "scale a Deployment or StatefulSet, to a million at most"));
                }
                Deed::Scale { workload, size }
            }
            Action::SwitchSelector(t) => {
                let service = self.called_service(&field("switchSelector.service"), &t.service)?;
                let matches = |w: &&WorkloadSpec| t.selector.iter().all(|(k, v)| w.labels.get(k) == Some(v));
                let names: Vec<&str> = all.workloads.iter().filter(matches).map(|w| w.name.as_str()).collect();
                let backends = self.workloads.enumerate().filter(|(_, w)| names.contains(&w.name.as_str())).map(|(id, _)| id).collect();
                if names.is_empty() || t.selector.is_empty() {
                    let problem = "no workload's Pods carry these labels, so the Service would have no endpoints";
                    return Err(SpecError::new(field("switchSelector.selector"), problem, "give labels of a workload's Pods"));
                }
                Deed::SwitchSelector { service, backends }
            }
            Action::Drain(t) => Deed::Drain(self.node_meant(&field("drain.node"), t.node.as_deref())?),
            Action::PodDelete(pod) => Deed::PodDelete(self.victim(&field("podDelete"), pod)?),
            Action::NodeCrash(t) => Deed::NodeCrash(self.node_meant(&field("nodeCrash.node"), t.node.as_deref())?),
            Action::NodeCut(t) => Deed::NodeCut(self.node_meant(&field("nodeCut.node"), t.node.as_deref())?),
            Action::ZoneOutage(t) => Deed::ZoneOutage(self.zone_meant(&field("zoneOutage.zone"), t.zone.as_deref())?),
            Action::ZonePartition(t) => Deed::ZonePartition(self.zone_meant(&field("zonePartition.zone"), t.zone.as_deref())?),
            Action::LinkDegrade(t) => {
                let degradation = self.degradation(&field("linkDegrade"), t, stream(streams, Purpose::Degradation, event))?;
                Deed::LinkDegrade { links: t.link.clone(), known: self.network.know(degradation) }
            }
            Action::DnsFailure(_) => {
                if !self.sources.iter().any(|s| s.resolver.is_some()) {
                    let fix = "give the traffic that looks names up a `dns`";
                    return Err(SpecError::new(field("dnsFailure"), "nobody asks DNS, so its failure changes nothing", fix));
                }
                Deed::DnsFailure
            }
            Action::ControlPlaneOutage(_) => Deed::ControlPlaneOutage,
        })
    }

    fn degradation(&self, field: &str, t: &LinkTarget, stream: Stream) -> Result<Degradation, SpecError> {
        let links = self.network.links_named(&t.link);
        if links.is_empty() {
            let names = list(self.network.vertices().iter().map(|v| v.name.as_str()));
            let problem = format!("no link is called `{}`", t.link);
            return Err(SpecError::new(format!("{field}.link"), problem, format!("name one of {names}, or two that are linked, as a/b")));
        }
        for (name, value, most) in [("delayFactor", t.delay_factor, 1e6), ("loss", t.loss, 1.0)] {
            if let Some(value) = value.filter(|v| !(0.0..=most).contains(v)) {
                let problem = format!("{value} is out of range; expected 0 to {most}");
                return Err(SpecError::new(format!("{field}.{name}"), problem, "0.01 of loss is one message of a hundred"));
            }
        }
        let added_delay = t.added_delay.as_ref().map(|d| dist(&format!("{field}.addedDelay"), d)).transpose()?;
        if t.delay_factor.is_none() && added_delay.is_none() && t.loss.is_none() && t.bandwidth.is_none() {
            let fix = "give at least one of delayFactor, addedDelay, loss, bandwidth";
            return Err(SpecError::new(field, "nothing says what gets worse", fix));
        }
        let (delay_factor, loss) = (t.delay_factor.unwrap_or(1.0), t.loss.unwrap_or(0.0));
        Ok(Degradation { links, delay_factor, added_delay, loss, bandwidth: t.bandwidth, stream })
    }

    fn victim(&self, field: &str, target: &PodTarget) -> Result<Victim, SpecError> {
        let workload = self.workload_id(&format!("{field}.workload"), &target.workload)?;
        let replicas = &self.workloads[workload].replicas;
        let Some(place) = target.place else { return Ok(Victim::AnyOf(workload)) };
        replicas.get(place as usize).map(|r| Victim::Certain(*r)).ok_or_else(|| {
            let problem = format!("{} has {} Pods, so there never is one at place {place}", target.workload, replicas.len());
            SpecError::new(format!("{field}.place"), problem, "count places from 0, or leave it out for a Pod at random")
        })
    }

    fn node_meant(&self, field: &str, name: Option<&str>) -> Result<Option<NodeId>, SpecError> {
        let Some(name) = name else { return Ok(None) };
        let found = self.nodes.enumerate().find(|(_, n)| n.spec.name == name).map(|(id, _)| id);
        found.map(Some).ok_or_else(|| {
            let names = list(self.nodes.iter().map(|n| n.spec.name.as_str()));
            SpecError::new(field, format!("there is no Node `{name}`"), format!("name one of {names}"))
        })
    }

    fn zone_meant(&self, field: &str, name: Option<&str>) -> Result<Option<ZoneId>, SpecError> {
        let names = || list(self.zones.iter().map(String::as_str));
        let found = name.and_then(|name| self.zones.enumerate().find(|(_, z)| *z == name).map(|(id, _)| id));
        match name {
            Some(name) if found.is_none() => {
                Err(SpecError::new(field, format!("there is no zone `{name}`"), format!("name one of {}", names())))
            }
            None if self.zones.is_empty() => {
                let fix = "label Nodes with topology.kubernetes.io/zone";
                Err(SpecError::new(field, "no Node is in a zone", fix))
            }
            _ => Ok(found),
        }
    }

    /// The events' first occurrences are due.
    pub(in crate::cluster) fn open_events(&mut self, ctx: &mut Ctx<'_>) {
        for event in self.planned.ids() {
            match self.planned[event].when {
                When::At(at) if at < self.sending_until => ctx.schedule_at(at, Event::Happens { event }),
                When::At(_) => {}
                When::Again { from, .. } => self.schedule_next(event, from, ctx),
            }
        }
    }

    fn schedule_next(&mut self, event: EventId, after: SimTime, ctx: &mut Ctx<'_>) {
        let planned = &mut self.planned[event];
        let When::Again { gap, until, left, .. } = &mut planned.when else { return };
        let next = after + gap.sample_duration(&mut planned.stream);
        if next < *until && *left > 0 {
            *left -= 1;
            ctx.schedule_at(next, Event::Happens { event });
        }
    }

    /// An event occurs.
    pub(in crate::cluster) fn happens(&mut self, event: EventId, ctx: &mut Ctx<'_>) {
        if ctx.now() >= self.sending_until {
            return;
        }
        if self.control_plane_waits(self.planned[event].deed.asks_api(), Event::Happens { event }) {
            return;
        }
        if !self.planned[event].counts_from_repairs() {
            self.schedule_next(event, ctx.now(), ctx);
        }
        let planned = &mut self.planned[event];
        // Both are drawn whether they are needed or not, so that designs stay in step.
        let which = planned.stream.uniform();
        let lasts = planned.lasts.as_ref().map(|lasts| lasts.sample_duration(&mut planned.stream));
        let (name, deed, occurrence) = (planned.name.clone(), planned.deed.clone(), planned.broken.len() as u32);
        let (broken, what) = self.begin(&deed, which, ctx);
        self.planned[event].broken.push(broken);
        self.recorder.event(ctx.now(), &name, true, what);
        if let Some(lasts) = lasts {
            ctx.schedule_in(lasts, Event::Repaired { event, occurrence });
        }
    }

    /// Does it; returns what a repair mends, and what it was in a few words. `which` in [0, 1) picks among several.
    fn begin(&mut self, deed: &Deed, which: f64, ctx: &mut Ctx<'_>) -> (Broken, String) {
        let pick = |n: usize| (which * n as f64) as usize;
        match deed {
            Deed::PodCrash(victim) => self.strike(*victim, which, "crashes", ctx, |c, pod, ctx| {
                c.container_exits(pod, "crash", ctx);
                Broken::Nothing
            }),
            Deed::PodOom(victim) => self.strike(*victim, which, "is killed for its memory", ctx, |c, pod, ctx| {
                c.container_exits(pod, "oom", ctx);
                Broken::Nothing
            }),
            Deed::PodDelete(victim) => self.strike(*victim, which, "is deleted", ctx, |c, pod, ctx| {
                c.delete_pod(pod, ctx);
                Broken::Nothing
            }),
            Deed::PodEvict(victim) => self.strike(*victim, which, "is to be evicted", ctx, |c, pod, ctx| {
                if c.may_be_evicted(pod) {
                    c.tell(pod, "evict", ctx);
                    c.delete_pod(pod, ctx);
                }
                Broken::Nothing
            }),
            Deed::LoadBalancerFailure(service) => {
                self.balancer_fails(*service, true);
                (Broken::LoadBalancer(*service), format!("the load balancer of {} fails", self.table.services[*service].name))
            }
            Deed::PodPause(victim) => self.strike(*victim, which, "hangs", ctx, |c, pod, ctx| {
                c.freeze(pod, ctx);
                Broken::Paused(pod)
            }),
            Deed::PodSlow(victim, factor) => self.strike(*victim, which, &format!("is {factor} times as slow"), ctx, |c, pod, _| {
                c.pods[pod].pace.slow *= factor;
                Broken::Slow(pod, *factor)
            }),
            Deed::Rollout { workload, fails } => {
                let name = self.workloads[*workload].name.clone();
                self.roll_out(*workload, *fails, ctx);
                (Broken::Nothing, format!("{}new version of {name} is rolled out", if *fails { "bad " } else { "" }))
            }
            Deed::Scale { workload, size } => {
                let (name, before) = (self.workloads[*workload].name.clone(), self.workloads[*workload].desired);
                let first = PodId::from_index(self.pods.len());
                let (replicas, broken) = match *size {
                    Size::Of(n) => (n, Broken::Scaled(*workload, before)),
                    Size::By(n) => (self.scaled_by(*workload, n), Broken::ScaledBy(*workload, n, first)),
                };
                self.scale(*workload, replicas, ctx);
                (broken, format!("{name} is scaled from {before} to {replicas}"))
            }
            Deed::SwitchSelector { service, backends } => {
                self.switch_backends(*service, backends.clone(), ctx);
                (Broken::Nothing, format!("Service {} selects other Pods", self.table.services[*service].name))
            }
            Deed::Drain(node) => {
                let node = node.unwrap_or_else(|| NodeId::from_index(pick(self.nodes.len())));
                self.drain_node(node, ctx);
                (Broken::Drained(node), format!("Node {} is drained", self.nodes[node].spec.name))
            }
            Deed::NodeCrash(node) => {
                let node = node.unwrap_or_else(|| NodeId::from_index(pick(self.nodes.len())));
                self.crash_node(node, ctx);
                (Broken::Crashed(node), format!("Node {} crashes", self.nodes[node].spec.name))
            }
            Deed::NodeCut(node) => {
                let node = node.unwrap_or_else(|| NodeId::from_index(pick(self.nodes.len())));
                self.cut_node(node, ctx);
                (Broken::Cut(node), format!("Node {} is cut off", self.nodes[node].spec.name))
            }
            Deed::ZoneOutage(zone) => {
                let zone = zone.unwrap_or_else(|| ZoneId::from_index(pick(self.zones.len())));
                self.nodes_in(zone).for_each(|node| self.crash_node(node, ctx));
                (Broken::ZoneDown(zone), format!("zone {} goes down", self.zones[zone]))
            }
            Deed::ZonePartition(zone) => {
                let zone = zone.unwrap_or_else(|| ZoneId::from_index(pick(self.zones.len())));
                self.partition(zone, true);
                self.nodes_in(zone).for_each(|node| {
                    self.lease_stops(node, ctx);
                    self.balancers_notice(node, ctx);
                });
                (Broken::ZoneCut(zone), format!("zone {} is cut off", self.zones[zone]))
            }
            Deed::LinkDegrade { links, known } => {
                self.network.degrade(*known, true);
                (Broken::Links(*known), format!("links of {links} get worse"))
            }
            Deed::DnsFailure => {
                self.dns_out += 1;
                (Broken::Dns, "DNS fails".to_owned())
            }
            Deed::ControlPlaneOutage => {
                self.control_plane_out += 1;
                (Broken::ControlPlane, "the control plane is out".to_owned())
            }
        }
    }

    /// Does something to a Pod, if there is one; `what` says what happens to it.
    fn strike(
        &mut self,
        victim: Victim,
        which: f64,
        what: &str,
        ctx: &mut Ctx<'_>,
        deed: impl FnOnce(&mut Self, PodId, &mut Ctx<'_>) -> Broken,
    ) -> (Broken, String) {
        match self.pod_meant(victim, which) {
            Some(pod) => (deed(self, pod, ctx), format!("{} {what}", self.replicas[self.pods[pod].replica].name)),
            None => (Broken::Nothing, format!("no Pod is there that {what}")),
        }
    }

    /// What an occurrence broke works again.
    pub(in crate::cluster) fn repaired(&mut self, event: EventId, occurrence: u32, ctx: &mut Ctx<'_>) {
        if self.planned[event].counts_from_repairs() {
            self.schedule_next(event, ctx.now(), ctx);
        }
        let planned = &mut self.planned[event];
        let broken = std::mem::replace(&mut planned.broken[occurrence as usize], Broken::Nothing);
        let name = planned.name.clone();
        let what = match broken {
            Broken::Nothing => return,
            Broken::Paused(pod) => {
                self.thaw(pod, ctx);
                format!("{} goes on", self.replicas[self.pods[pod].replica].name)
            }
            Broken::Slow(pod, factor) => {
                self.pods[pod].pace.slow /= factor;
                format!("{} is as fast as before", self.replicas[self.pods[pod].replica].name)
            }
            Broken::Scaled(workload, replicas) => {
                self.scale(workload, replicas, ctx);
                format!("{} is scaled back to {replicas}", self.workloads[workload].name)
            }
            Broken::ScaledBy(workload, by, first) => {
                self.scale_back(workload, by, first, ctx);
                format!("{} is scaled back to {}", self.workloads[workload].name, self.workloads[workload].desired)
            }
            Broken::Drained(node) => {
                self.uncordon(node, ctx);
                format!("Node {} is uncordoned", self.nodes[node].spec.name)
            }
            Broken::Crashed(node) => {
                self.boot_node(node, ctx);
                format!("Node {} is back", self.nodes[node].spec.name)
            }
            Broken::Cut(node) => {
                self.rejoin_node(node, ctx);
                format!("Node {} is connected again", self.nodes[node].spec.name)
            }
            Broken::ZoneDown(zone) => {
                self.nodes_in(zone).for_each(|node| self.boot_node(node, ctx));
                format!("zone {} is back", self.zones[zone])
            }
            Broken::ZoneCut(zone) => {
                self.partition(zone, false);
                self.nodes_in(zone).for_each(|node| self.is_back(node, ctx));
                format!("zone {} is connected again", self.zones[zone])
            }
            Broken::LoadBalancer(service) => {
                self.balancer_fails(service, false);
                format!("the load balancer of {} is back", self.table.services[service].name)
            }
            Broken::Links(known) => {
                self.network.degrade(known, false);
                "the links are as before".to_owned()
            }
            Broken::Dns => {
                self.dns_out -= 1;
                "DNS answers again".to_owned()
            }
            Broken::ControlPlane => {
                self.control_plane_returns(ctx);
                "the control plane is back".to_owned()
            }
        };
        self.recorder.event(ctx.now(), &name, false, what);
    }

    /// How many Pods the workload is to have with `by` more.
    fn scaled_by(&self, workload: WorkloadId, by: i32) -> u32 {
        self.workloads[workload].desired.saturating_add_signed(by).min(self.most_places as u32)
    }

    /// The workload is to have `by` Pods fewer again; those that came for these go first, as with a deletion cost below all others'
    /// (`controller.kubernetes.io/pod-deletion-cost`). `first` is the first of them.
    fn scale_back(&mut self, workload: WorkloadId, by: i32, first: PodId, ctx: &mut Ctx<'_>) {
        let replicas = self.scaled_by(workload, by.saturating_neg());
        let came = (first.0..).take(by.max(0) as usize).map(PodId).take_while(|p| p.index() < self.pods.len());
        let leaving: Vec<PodId> = came.filter(|p| self.pods[*p].workload == workload && self.pods[*p].exists()).collect();
        // Its controller looks when all of them are told to go, so that nobody comes for them and nobody else goes.
        let was = std::mem::replace(&mut self.workloads[workload].reconciling, true);
        for pod in leaving {
            if !self.pods[pod].terminating {
                self.delete_pod(pod, ctx);
            }
        }
        self.workloads[workload].reconciling = was;
        self.scale(workload, replicas, ctx);
    }

    /// Whether an event has to wait for the control plane, and is put by until that is back.
    pub(in crate::cluster) fn control_plane_waits(&mut self, needed: bool, event: Event) -> bool {
        let waits = needed && self.control_plane_out > 0;
        if waits {
            self.put_by.push(event);
        }
        waits
    }

    fn control_plane_returns(&mut self, ctx: &mut Ctx<'_>) {
        self.control_plane_out -= 1;
        if self.control_plane_out == 0 {
            std::mem::take(&mut self.put_by).into_iter().for_each(|event| ctx.schedule_in(SimDuration::ZERO, event));
        }
    }

    fn pod_meant(&self, victim: Victim, u: f64) -> Option<PodId> {
        match victim {
            Victim::AnyOf(workload) => self.nth_ready(workload, u),
            Victim::Certain(replica) => Some(self.replicas[replica].pod)
                .filter(|p| self.pods[*p].accepts() && !self.pods[*p].terminating && self.pods[*p].pace.frozen.is_none()),
        }
    }

    /// The ready Pod of the workload at fraction `u` of the list, in order of place.
    fn nth_ready(&self, workload: WorkloadId, u: f64) -> Option<PodId> {
        let pods = self.workloads[workload].replicas.iter().map(|r| self.replicas[*r].pod);
        let ready: Vec<PodId> =
            pods.filter(|p| self.pods[*p].is_active() && self.pods[*p].accepts() && self.pods[*p].pace.frozen.is_none()).collect();
        ready.get((u * ready.len() as f64) as usize).copied()
    }

    /// The Nodes of a zone.
    fn nodes_in(&self, zone: ZoneId) -> std::vec::IntoIter<NodeId> {
        let nodes: Vec<NodeId> = self.nodes.enumerate().filter(|(_, n)| n.zone == Some(zone)).map(|(id, _)| id).collect();
        nodes.into_iter()
    }
}
