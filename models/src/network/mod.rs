//! The network that joins client sites and Nodes: vertices, links, routes.
//!
//! ```text
//!   site ==== edge ==== switches ==== switch ---- Node        ==== link (one Link each way), queueing if it has a bandwidth
//!                                       '-------- Node
//! ```
//!
//! Nodes and sites hang on one switch each; between switches a message takes a shortest path by *mean* delay, then
//! by hops, the same for all its life, chosen among equals by its flow. A message is told apart by its [`Leg`] and
//! moved by [`Network::advance`], which says when it arrives, or when it must be handed back.
//!
//! Not modelled: routing protocols, which would lead around links that fail, and packets; what crosses a link is a whole message.

mod degradation;
mod link;
mod routes;
mod shapes;
mod spec;

pub use degradation::Degradation;
pub use link::Link;
pub use spec::{
    FatTreeSpec, FileSpec, GraphEdge, GraphSpec, GraphVertex, LinkSpec, MissingSpec, NetworkSpec, OneSwitchSpec, RacksSpec, RegionsSpec,
    ShapeSpec, SiteSpec, ZonesSpec,
};

use crate::ids::{LinkId, NodeId, SiteId, VertexId};
use crate::spec::{NodeSpec, SpecError};
use crate::units::{Bandwidth, Bytes};
use link::{CONSTANT, PURE_DELAY, Transmitter};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::unionfind::UnionFind;
use routes::{Cost, Routes};
use shapes::{LinkClass, some_of};
use std::collections::BTreeMap;
use svcsim_engine::random::{Dist, Stream};
use svcsim_engine::{Id, IdVec, SimDuration, SimTime};

/// A network in use: its links count what they carry, and those with a bandwidth have a line.
///
/// Building finds all routes; for another run of the same network a clone of a fresh one is cheaper.
#[derive(Clone, Debug)]
pub struct Network {
    /// Switches, then sites, then Nodes.
    vertices: IdVec<VertexId, Vertex>,
    /// Those between switches, then for each site and Node the one up and the one down.
    links: IdVec<LinkId, Link>,
    /// The switch of each site and Node.
    attached: Vec<u32>,
    switches: u32,
    /// Links between switches.
    trunks: u32,
    sites: u32,
    edge: VertexId,
    routes: Routes,
    /// Delays that are not constant, each shared by all links of a kind.
    dists: Vec<Dist>,
    transmitters: Vec<Transmitter>,
    /// What faults can do to links.
    known: Vec<degradation::Known>,
    /// Whether one does.
    degraded: bool,
}

/// A place where messages are or turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Vertex {
    /// That of the Node, site or zone, or one the shape gave.
    pub name: String,
    /// What it is.
    pub kind: VertexKind,
    /// The zone of a Node or zone router; empty elsewhere.
    pub zone: String,
    /// Latitude and longitude in degrees, where known; a Node's and a site's are those of their switch.
    pub position: Option<(f64, f64)>,
}

/// What a vertex is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VertexKind {
    /// A client site outside.
    Site,
    /// A Kubernetes Node.
    Node,
    /// A switch or router with no meaning beyond that.
    Switch,
    /// A zone's router.
    Zone,
    /// A region's router.
    Region,
    /// The router to the outside.
    Edge,
}

/// Where a message is, where it goes, and what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Where it is.
    pub at: VertexId,
    /// Where it goes.
    pub to: VertexId,
    /// Among equally short ways, all messages of a flow (say, a connection) take the same.
    pub flow: u32,
}

/// What became of a message that was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transit {
    /// It is at `leg.to` at `at`, now or in the future, after `hops` more links.
    Arrived {
        /// When it is there.
        at: SimTime,
        /// Links it crossed in this call.
        hops: u32,
    },
    /// It must be handed back at `at`, because a link with a bandwidth comes next and others may be there before it.
    Continues {
        /// Where it then is.
        vertex: VertexId,
        /// When to hand it back.
        at: SimTime,
        /// Links it crossed in this call.
        hops: u32,
    },
    /// It is lost: the line before `link` was full, or the link lost it.
    Dropped {
        /// The link.
        link: LinkId,
    },
}

impl Network {
    /// The network that `spec` describes, for `nodes`; their ids are their places.
    ///
    /// # Errors
    /// Names the field of what cannot be built: no Nodes, names that are not unique, links and places that lead to
    /// no vertex, vertices that cannot reach each other, links from a vertex to itself, a queue without bandwidth,
    /// a wrong distribution, a shape too small for the Nodes or too large to route.
    pub fn build(spec: &NetworkSpec, nodes: &[NodeSpec]) -> Result<Self, SpecError> {
        if nodes.is_empty() {
            return Err(SpecError::new("network.shape", "there are no Nodes to join", "give the cluster at least one Node"));
        }
        let mut plan = shapes::plan(&spec.shape, nodes)?;
        let mut leaves = Vec::with_capacity(spec.sites.len() + nodes.len());
        for (name, site) in &spec.sites {
            let class = plan.class(&site.link, &format!("network.sites.{name}.link"))?;
            let at = match &site.attach {
                None => plan.edge,
                Some(to) => plan.switches.iter().position(|s| s.name == *to).ok_or_else(|| nowhere(name, to, &plan, spec, nodes))?,
            };
            let position = plan.switches[at].position;
            leaves.push((Vertex { name: name.clone(), kind: VertexKind::Site, zone: String::new(), position }, at, class));
        }
        for (node, &at) in nodes.iter().zip(&plan.nodes) {
            let position = plan.switches[at].position;
            leaves.push((
                Vertex { name: node.name.clone(), kind: VertexKind::Node, zone: node.zone.clone(), position },
                at,
                plan.node_class,
            ));
        }
        unique_names(plan.switches.iter().chain(leaves.iter().map(|(vertex, ..)| vertex)))?;
        connected(&plan)?;

        let mut wiring = Wiring::new(&plan.classes);
        let mut graph: DiGraph<(), (Cost, LinkId)> = DiGraph::with_capacity(plan.switches.len(), 2 * plan.links.len());
        for _ in &plan.switches {
            graph.add_node(());
        }
        for planned in &plan.links {
            let [a, b] = planned.ends;
            for (from, to, class) in [(a, b, planned.classes[0]), (b, a, planned.classes[1])] {
                let link = wiring.link(from, to, class);
                let cost = Cost { direct: u32::from(planned.direct), delay_ns: plan.classes[class].delay_mean.as_nanos(), hops: 1 };
                graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), (cost, link));
            }
        }
        let trunks = wiring.links.len() as u32;
        let mut vertices: IdVec<VertexId, Vertex> = plan.switches.iter().cloned().collect();
        let mut attached = Vec::with_capacity(leaves.len());
        for (vertex, at, class) in leaves {
            let leaf = vertices.push(vertex).index();
            attached.push(at as u32);
            wiring.link(leaf, at, class);
            wiring.link(at, leaf, class);
        }
        Ok(Self {
            vertices,
            links: wiring.links,
            attached,
            switches: plan.switches.len() as u32,
            trunks,
            sites: spec.sites.len() as u32,
            edge: VertexId::from_index(plan.edge),
            routes: Routes::build(&graph),
            dists: wiring.dists,
            transmitters: wiring.transmitters,
            known: Vec::new(),
            degraded: false,
        })
    }

    /// The vertex of a Node.
    #[inline]
    #[must_use]
    pub fn node_vertex(&self, node: NodeId) -> VertexId {
        VertexId(self.switches + self.sites + node.0)
    }

    /// The vertex of a client site.
    #[inline]
    #[must_use]
    pub fn site_vertex(&self, site: SiteId) -> VertexId {
        VertexId(self.switches + site.0)
    }

    /// The client site of that name.
    #[must_use]
    pub fn site_id(&self, name: &str) -> Option<SiteId> {
        (0..self.sites).map(SiteId).find(|site| self.vertices[self.site_vertex(*site)].name == name)
    }

    /// The vertex where sites and load balancers are by default.
    #[must_use]
    pub fn edge(&self) -> VertexId {
        self.edge
    }

    /// All vertices.
    #[must_use]
    pub fn vertices(&self) -> &IdVec<VertexId, Vertex> {
        &self.vertices
    }

    /// All links, with what they carried since [`Self::reset_counters`].
    ///
    /// A message counts from when [`Self::advance`] took it, which on a pure delay may be a little before it is there.
    #[must_use]
    pub fn links(&self) -> &IdVec<LinkId, Link> {
        &self.links
    }

    /// The bandwidth of a link, if it has one.
    #[must_use]
    pub fn bandwidth(&self, link: LinkId) -> Option<Bandwidth> {
        self.transmitter(link).map(|t| t.bandwidth)
    }

    /// The limit of the line before a link, if it has one.
    #[must_use]
    pub fn queue_limit(&self, link: LinkId) -> Option<Bytes> {
        self.transmitter(link).and_then(|t| t.limit)
    }

    /// For how long a link sent, from [`Self::reset_counters`] to `now`; zero for one without bandwidth.
    #[must_use]
    pub fn busy(&self, link: LinkId, now: SimTime) -> SimDuration {
        self.transmitter(link).map_or(SimDuration::ZERO, |t| t.busy(now))
    }

    /// Starts all counters of links again, at `now`.
    pub fn reset_counters(&mut self, now: SimTime) {
        for link in self.links.iter_mut() {
            (link.messages, link.bytes, link.dropped) = (0, 0, 0);
        }
        self.transmitters.iter_mut().for_each(|t| t.reset(now));
    }

    /// The links a message of `leg` will cross.
    pub fn route(&self, leg: Leg) -> impl Iterator<Item = LinkId> {
        let mut vertex = leg.at;
        std::iter::from_fn(move || {
            let link = (vertex != leg.to).then(|| self.next_link(vertex, leg.to, leg.flow))?;
            vertex = self.links[link].to;
            Some(link)
        })
    }

    /// Sum of the mean one-way propagation delays between two vertices; without sending and waiting.
    #[must_use]
    pub fn delay_mean(&self, from: VertexId, to: VertexId) -> SimDuration {
        self.route(Leg { at: from, to, flow: 0 }).fold(SimDuration::ZERO, |sum, link| sum + self.links[link].delay_mean)
    }

    /// Moves a message of `bytes` that is at `leg.at` at time `at`, which is not before `now`.
    ///
    /// Pure delays are summed without an event. A link with a bandwidth is entered only at `now`, so that messages
    /// stand in its line in the order in which they came; later, the message [`Transit::Continues`].
    #[inline]
    pub fn advance(&mut self, now: SimTime, at: SimTime, leg: Leg, bytes: u64, stream: &mut Stream) -> Transit {
        debug_assert!(at >= now, "a message was moved in the past");
        let (mut vertex, mut at, mut hops) = (leg.at, at, 0);
        while vertex != leg.to {
            let id = self.next_link(vertex, leg.to, leg.flow);
            let link = &mut self.links[id];
            let transmitter = match link.transmitter {
                PURE_DELAY => None,
                _ if at > now => return Transit::Continues { vertex, at, hops },
                place => Some(&mut self.transmitters[place as usize]),
            };
            let propagation = match link.dist {
                CONSTANT => link.delay_mean,
                dist => self.dists[dist as usize].sample_duration(stream),
            };
            let propagation = if self.degraded { degradation::degraded(&mut self.known, id, propagation) } else { Some(propagation) };
            let arrival = match (transmitter, propagation) {
                (None, propagation) => propagation.map(|propagation| at + propagation),
                (Some(transmitter), propagation) => {
                    let sent = transmitter.take(now, bytes);
                    sent.zip(propagation).map(|(sent, propagation)| transmitter.in_order(sent + propagation))
                }
            };
            let Some(arrival) = arrival else {
                link.dropped += 1;
                return Transit::Dropped { link: id };
            };
            at = arrival;
            link.messages += 1;
            link.bytes += bytes;
            vertex = link.to;
            hops += 1;
        }
        Transit::Arrived { at, hops }
    }

    #[inline]
    fn next_link(&self, at: VertexId, to: VertexId, flow: u32) -> LinkId {
        if at.0 >= self.switches {
            return LinkId(self.trunks + 2 * (at.0 - self.switches));
        }
        if to.0 < self.switches {
            return self.routes.next(at.0, to.0, flow);
        }
        let leaf = to.0 - self.switches;
        let switch = self.attached[leaf as usize];
        if switch == at.0 { LinkId(self.trunks + 2 * leaf + 1) } else { self.routes.next(at.0, switch, flow) }
    }

    fn transmitter(&self, link: LinkId) -> Option<&Transmitter> {
        self.transmitters.get(self.links[link].transmitter as usize)
    }
}

/// Turns link classes into links, with one distribution for each class.
struct Wiring<'a> {
    classes: &'a [LinkClass],
    /// [`Link::dist`] of each class.
    class_dists: Vec<u32>,
    links: IdVec<LinkId, Link>,
    dists: Vec<Dist>,
    transmitters: Vec<Transmitter>,
}

impl<'a> Wiring<'a> {
    fn new(classes: &'a [LinkClass]) -> Self {
        let mut dists = Vec::new();
        let class_dists = classes.iter().map(|class| {
            class.dist.as_ref().map_or(CONSTANT, |dist| {
                dists.push(dist.clone());
                dists.len() as u32 - 1
            })
        });
        let class_dists = class_dists.collect();
        Self { classes, class_dists, links: IdVec::new(), dists, transmitters: Vec::new() }
    }

    fn link(&mut self, from: usize, to: usize, class: usize) -> LinkId {
        let LinkClass { delay_mean, bandwidth, queue, .. } = self.classes[class];
        let transmitter = bandwidth.map_or(PURE_DELAY, |bandwidth| {
            self.transmitters.push(Transmitter::new(bandwidth, queue));
            self.transmitters.len() as u32 - 1
        });
        let (from, to) = (VertexId::from_index(from), VertexId::from_index(to));
        self.links.push(Link { from, to, delay_mean, messages: 0, bytes: 0, dropped: 0, dist: self.class_dists[class], transmitter })
    }
}

fn nowhere(site: &str, to: &str, plan: &shapes::Plan, spec: &NetworkSpec, nodes: &[NodeSpec]) -> SpecError {
    let field = format!("network.sites.{site}.attach");
    let fix = format!("attach it to one of {}", some_of(plan.switches.iter().map(|s| s.name.as_str())));
    if spec.sites.contains_key(to) || nodes.iter().any(|n| n.name == to) {
        return SpecError::new(field, format!("`{to}` is a Node or a site, and sites attach to switches, routers and zones"), fix);
    }
    SpecError::new(field, format!("there is no vertex `{to}`"), fix)
}

fn unique_names<'a>(vertices: impl Iterator<Item = &'a Vertex>) -> Result<(), SpecError> {
    let mut seen: BTreeMap<&str, VertexKind> = BTreeMap::new();
    for vertex in vertices {
        if let Some(kind) = seen.insert(&vertex.name, vertex.kind) {
            let problem = format!("two vertices are named `{}`: a {kind:?} and a {:?}", vertex.name, vertex.kind);
            let site = vertex.kind == VertexKind::Site || kind == VertexKind::Site;
            let field = if site { format!("network.sites.{}", vertex.name) } else { "network.shape".to_string() };
            return Err(SpecError::new(field, problem, "rename one of them"));
        }
    }
    Ok(())
}

/// Every switch must reach every other, and with them all Nodes and sites.
fn connected(plan: &shapes::Plan) -> Result<(), SpecError> {
    let mut components = UnionFind::<usize>::new(plan.switches.len());
    for link in &plan.links {
        components.union(link.ends[0], link.ends[1]);
    }
    let component = components.into_labeling();
    let mut sizes = vec![0; component.len()];
    component.iter().for_each(|c| sizes[*c] += 1);
    // The rest is told from where most are; of equals the first, so that the message does not waver.
    let most = component.iter().copied().rev().max_by_key(|c| sizes[*c]);
    let lost = component.iter().copied().find(|c| Some(*c) != most);
    let (Some(most), Some(lost)) = (most, lost) else { return Ok(()) };
    let of = |which: usize| component.iter().zip(&plan.switches).filter(move |(c, _)| **c == which).map(|(_, s)| s.name.as_str());
    let problem = format!(
        "`{}` cannot reach `{}`: no edge leads out of its component of size {}: {}",
        of(lost).next().unwrap_or_default(),
        of(most).next().unwrap_or_default(),
        sizes[lost],
        some_of(of(lost))
    );
    Err(SpecError::new("network.shape.graph.edges", problem, "add an edge, or remove these vertices"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use svcsim_engine::random::{DistSpec, Streams};

    pub(super) fn delay(us: u64) -> LinkSpec {
        LinkSpec { delay: DistSpec::Constant(SimDuration::from_micros(us)), bandwidth: None, queue: None }
    }

    /// `zones` gives the zone and region of each Node, `-` for none; Nodes are named `n0`, `n1`, ...
    pub(super) fn nodes(zones: &[(&str, &str)]) -> Vec<NodeSpec> {
        let node = |(i, (zone, region)): (usize, &(&str, &str))| NodeSpec {
            name: format!("n{i}"),
            zone: zone.replace('-', ""),
            region: region.replace('-', ""),
            ..NodeSpec::default()
        };
        zones.iter().enumerate().map(node).collect()
    }

    pub(super) fn build(shape: ShapeSpec, nodes: &[NodeSpec]) -> Network {
        Network::build(&NetworkSpec { shape, sites: BTreeMap::new() }, nodes).unwrap()
    }

    fn one_switch(node: LinkSpec) -> Network {
        build(ShapeSpec::OneSwitch(OneSwitchSpec { node }), &nodes(&[("-", "-"); 3]))
    }

    fn leg(network: &Network, from: u32, to: u32) -> Leg {
        Leg { at: network.node_vertex(NodeId(from)), to: network.node_vertex(NodeId(to)), flow: 0 }
    }

    fn at(us: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_micros(us)
    }

    /// Hands the message back until its journey ends.
    fn travel(network: &mut Network, start: SimTime, leg: Leg, bytes: u64, stream: &mut Stream) -> Transit {
        let (mut now, mut here) = (start, leg.at);
        loop {
            match network.advance(now, now, Leg { at: here, ..leg }, bytes, stream) {
                Transit::Continues { vertex, at, .. } => (now, here) = (at, vertex),
                end => return end,
            }
        }
    }

    #[test]
    fn pure_delays_are_summed_at_once() {
        let (mut network, mut stream) = (one_switch(delay(50)), Streams::new(1, 0).stream(0, 0));
        let (there, here) = (leg(&network, 0, 1), leg(&network, 2, 2));
        assert_eq!(network.advance(at(10), at(20), there, 1_000, &mut stream), Transit::Arrived { at: at(120), hops: 2 });
        assert_eq!(network.advance(at(10), at(20), here, 1_000, &mut stream), Transit::Arrived { at: at(20), hops: 0 });
        let carried: Vec<_> = network.links().iter().map(|l| (l.messages, l.bytes)).collect();
        assert_eq!(carried, [(1, 1_000), (0, 0), (0, 0), (1, 1_000), (0, 0), (0, 0)]);
        network.reset_counters(at(10));
        assert!(network.links().iter().all(|l| l.messages == 0 && l.bytes == 0));
        assert!(network.links().ids().all(|l| network.bandwidth(l).is_none() && network.busy(l, at(9)) == SimDuration::ZERO));
    }

    #[test]
    fn a_link_with_bandwidth_is_entered_only_now() {
        let mut network = one_switch(LinkSpec { bandwidth: Some(Bandwidth(1_000_000_000)), queue: Some(Bytes(2_000)), ..delay(50) });
        let mut stream = Streams::new(1, 0).stream(0, 0);
        let up = leg(&network, 0, 1);
        let switch = network.edge();
        assert_eq!(network.advance(at(0), at(5), up, 1_000, &mut stream), Transit::Continues { vertex: up.at, at: at(5), hops: 0 });
        // 1000 bytes take 8 us; the second one waits for the first, the third finds the line full.
        assert_eq!(network.advance(at(5), at(5), up, 1_000, &mut stream), Transit::Continues { vertex: switch, at: at(63), hops: 1 });
        assert_eq!(network.advance(at(5), at(5), up, 1_000, &mut stream), Transit::Continues { vertex: switch, at: at(71), hops: 1 });
        let Transit::Dropped { link } = network.advance(at(5), at(5), up, 1_000, &mut stream) else { panic!("the line was full") };
        assert_eq!((network.links()[link].from, network.links()[link].dropped, network.links()[link].messages), (up.at, 1, 2));
        assert_eq!((network.bandwidth(link), network.queue_limit(link)), (Some(Bandwidth(1_000_000_000)), Some(Bytes(2_000))));
        assert_eq!(network.busy(link, at(15)), SimDuration::from_micros(10));
        let down = Leg { at: switch, ..up };
        assert_eq!(network.advance(at(63), at(63), down, 1_000, &mut stream), Transit::Arrived { at: at(121), hops: 1 });
    }

    #[test]
    fn a_saturated_link_is_d_d_1() {
        let mut network = one_switch(LinkSpec { bandwidth: Some(Bandwidth(1_000_000_000)), ..delay(50) });
        let (mut stream, up) = (Streams::new(1, 0).stream(0, 0), leg(&network, 0, 1));
        for n in 0..1_000 {
            // One every 5 us where each takes 8: the n-th is out at 8 (n + 1), across at 50 more, then waits for nobody.
            let end = network.advance(at(5 * n), at(5 * n), up, 1_000, &mut stream);
            assert_eq!(end, Transit::Continues { vertex: network.edge(), at: at(8 * (n + 1) + 50), hops: 1 });
        }
    }

    #[test]
    fn only_a_queueing_link_keeps_the_order() {
        for bandwidth in [None, Some(Bandwidth(100_000_000_000))] {
            let jitter = DistSpec::Exponential { mean: SimDuration::from_micros(50) };
            let mut network = one_switch(LinkSpec { delay: jitter, bandwidth, queue: None });
            let (mut stream, up) = (Streams::new(1, 0).stream(0, 0), leg(&network, 0, 1));
            let arrivals = (0..1_000).map(|n| match network.advance(at(n), at(n), Leg { to: network.edge(), ..up }, 100, &mut stream) {
                Transit::Arrived { at, .. } => at,
                other => panic!("{other:?}"),
            });
            assert_eq!(arrivals.collect::<Vec<_>>().is_sorted(), bandwidth.is_some());
        }
    }

    #[test]
    fn sites_attach_where_they_say() {
        let site = |us, attach: Option<&str>| SiteSpec { link: delay(us), attach: attach.map(String::from) };
        let sites = BTreeMap::from([("paris".to_string(), site(1_000, None)), ("oslo".to_string(), site(2_000, Some("b")))]);
        let shape = ShapeSpec::Zones(ZonesSpec { node: delay(1), zone: delay(10), inter_zone: delay(100) });
        let spec = NetworkSpec { shape, sites };
        let mut network = Network::build(&spec, &nodes(&[("a", "-"), ("b", "-")])).unwrap();
        let (oslo, paris) = (network.site_id("oslo").unwrap(), network.site_id("paris").unwrap());
        assert_eq!((oslo, paris, network.site_id("rome")), (SiteId(0), SiteId(1), None));
        let far = |site, node| network.delay_mean(network.site_vertex(site), network.node_vertex(NodeId(node))).as_nanos() / 1_000;
        assert_eq!((far(paris, 0), far(paris, 1), far(oslo, 0), far(oslo, 1)), (1_011, 1_011, 2_101, 2_001));
        let there = Leg { at: network.site_vertex(oslo), to: network.node_vertex(NodeId(0)), flow: 7 };
        let end = travel(&mut network, at(0), there, 1, &mut Streams::new(1, 0).stream(0, 0));
        assert_eq!(end, Transit::Arrived { at: at(2_101), hops: 3 });
    }

    #[test]
    fn what_sites_and_names_get_wrong_is_said() {
        let error = |sites: &[(&str, SiteSpec)], nodes: &[NodeSpec]| {
            let shape = ShapeSpec::OneSwitch(OneSwitchSpec { node: delay(1) });
            let sites = sites.iter().map(|(name, site)| ((*name).to_string(), site.clone())).collect();
            Network::build(&NetworkSpec { shape, sites }, nodes).unwrap_err()
        };
        let site = |attach: Option<&str>| SiteSpec { link: delay(1), attach: attach.map(String::from) };
        let two = nodes(&[("-", "-"), ("-", "-")]);
        let twins = [two[0].clone(), two[0].clone()];
        let bad = SiteSpec { link: LinkSpec { queue: Some(Bytes(1)), ..delay(1) }, attach: None };
        for (found, field, word) in [
            (error(&[("paris", site(Some("moon")))], &two), "network.sites.paris.attach", "no vertex `moon`"),
            (error(&[("paris", site(Some("n1")))], &two), "network.sites.paris.attach", "is a Node"),
            (error(&[("n1", site(None))], &two), "network.sites.n1", "two vertices"),
            (error(&[("switch", site(None))], &two), "network.sites.switch", "two vertices"),
            (error(&[], &twins), "network.shape", "two vertices"),
            (error(&[("paris", bad)], &two), "network.sites.paris.link.queue", "without bandwidth"),
            (error(&[], &[]), "network.shape", "no Nodes"),
        ] {
            assert_eq!(found.field, field, "{found}");
            assert!(found.problem.contains(word) && !found.fix.is_empty(), "{found}");
        }
    }

    #[test]
    fn a_large_network_takes_little_memory() {
        let rack = ShapeSpec::Racks(RacksSpec { nodes_per_rack: 25, spines: 4, node: delay(5), uplink: delay(5) });
        let network = build(rack, &nodes(&[("-", "-"); 5_000]));
        assert_eq!((network.vertices().len(), network.links().len()), (5_205, 2 * (5_000 + 201 * 4)));
        assert_eq!(network.route(leg(&network, 0, 4_999)).count(), 4);
        assert_eq!(network.route(leg(&network, 0, 24)).count(), 2);
        assert!(size_of::<Link>() <= 48);
    }
}
