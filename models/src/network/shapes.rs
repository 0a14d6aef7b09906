//! From a [`ShapeSpec`] to a [`Plan`]: the switches, the links between them, and where each Node is.

use super::spec::{FatTreeSpec, GraphSpec, LinkSpec, OneSwitchSpec, RacksSpec, RegionsSpec, ShapeSpec, ZonesSpec};
use super::{Vertex, VertexKind};
use crate::spec::{NodeSpec, SpecError};
use crate::units::{Bandwidth, Bytes};
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;
use svcsim_engine::random::Dist;

/// Routes are kept for all pairs of switches: 64 MB at this many.
const SWITCHES_MAX: usize = 4_096;

/// A network before it has numbers.
#[derive(Debug)]
pub(super) struct Plan {
    /// Everything but Nodes and sites.
    pub(super) switches: Vec<Vertex>,
    pub(super) links: Vec<PlannedLink>,
    pub(super) classes: Vec<LinkClass>,
    /// The switch of each Node, in their order.
    pub(super) nodes: Vec<usize>,
    pub(super) node_class: usize,
    /// The switch where the outside is.
    pub(super) edge: usize,
}

/// A link between two switches, both directions.
#[derive(Debug)]
pub(super) struct PlannedLink {
    pub(super) ends: [usize; 2],
    /// Class from the first end to the second, and back.
    pub(super) classes: [usize; 2],
    /// Whether it is one of a full mesh, which routes cross as few of as they can.
    pub(super) direct: bool,
}

/// A [`LinkSpec`], checked.
#[derive(Clone, Debug)]
pub(super) struct LinkClass {
    pub(super) delay_mean: SimDuration,
    /// `None` if the delay is always `delay_mean`.
    pub(super) dist: Option<Dist>,
    pub(super) bandwidth: Option<Bandwidth>,
    pub(super) queue: Option<Bytes>,
}

/// Plans `shape` for `nodes`, of which there is at least one.
pub(super) fn plan(shape: &ShapeSpec, nodes: &[NodeSpec]) -> Result<Plan, SpecError> {
    match shape {
        ShapeSpec::OneSwitch(s) => one_switch(s, nodes),
        ShapeSpec::Racks(s) => racks(s, nodes),
        ShapeSpec::Zones(s) => zones(s, nodes),
        ShapeSpec::Regions(s) => regions(s, nodes),
        ShapeSpec::FatTree(s) => fat_tree(s, nodes),
        ShapeSpec::Graph(s) => graph(s, nodes),
        ShapeSpec::File(s) => {
            let problem = format!("the topology file `{}` was never read", s.path);
            Err(SpecError::new(
                "network.shape.file",
                problem,
                "replace `file` by the `graph` that the file holds before a cluster is built",
            ))
        }
    }
}

impl Plan {
    /// An empty plan; `node` is the link from each Node, at `field`.
    fn new(node: &LinkSpec, field: &str) -> Result<Self, SpecError> {
        let mut plan = Self { switches: Vec::new(), links: Vec::new(), classes: Vec::new(), nodes: Vec::new(), node_class: 0, edge: 0 };
        plan.node_class = plan.class(node, field)?;
        Ok(plan)
    }

    /// Checks a link of which there may be many.
    pub(super) fn class(&mut self, link: &LinkSpec, field: &str) -> Result<usize, SpecError> {
        let dist = link.delay.build().map_err(|problem| SpecError::new(format!("{field}.delay"), problem, "correct the distribution"))?;
        if !dist.mean().is_finite() {
            let problem = "the delay has no finite mean, and routes are chosen by mean delay";
            return Err(SpecError::new(
                format!("{field}.delay"),
                problem,
                "choose a distribution with a finite mean, such as boundedPareto",
            ));
        }
        if link.queue.is_some() && link.bandwidth.is_none() {
            let problem = "a queue is limited on a link without bandwidth, where nothing ever waits";
            return Err(SpecError::new(format!("{field}.queue"), problem, "add `bandwidth`, or leave `queue` out"));
        }
        if link.queue == Some(Bytes(0)) {
            let problem = "a queue of no bytes drops every message, because the one being sent counts";
            return Err(SpecError::new(format!("{field}.queue"), problem, "allow at least the largest message"));
        }
        let delay_mean = SimDuration::from_nanos_f64(dist.mean());
        let dist = if dist.is_constant().is_some() { None } else { Some(dist) };
        self.classes.push(LinkClass { delay_mean, dist, bandwidth: link.bandwidth, queue: link.queue });
        Ok(self.classes.len() - 1)
    }

    fn switch(&mut self, name: impl Into<String>, kind: VertexKind) -> usize {
        self.switches.push(Vertex { name: name.into(), kind, zone: String::new(), position: None });
        self.switches.len() - 1
    }

    fn link(&mut self, a: usize, b: usize, class: usize) {
        self.links.push(PlannedLink { ends: [a, b], classes: [class, class], direct: false });
    }

    fn direct_path(&mut self, a: usize, b: usize, there: usize, back: usize) {
        self.links.push(PlannedLink { ends: [a, b], classes: [there, back], direct: true });
    }
}

fn one_switch(spec: &OneSwitchSpec, nodes: &[NodeSpec]) -> Result<Plan, SpecError> {
    let mut plan = Plan::new(&spec.node, "network.shape.oneSwitch.node")?;
    plan.edge = plan.switch("switch", VertexKind::Switch);
    plan.nodes = vec![plan.edge; nodes.len()];
    Ok(plan)
}

fn racks(spec: &RacksSpec, nodes: &[NodeSpec]) -> Result<Plan, SpecError> {
    let field = "network.shape.racks";
    for (name, value) in [("nodesPerRack", spec.nodes_per_rack), ("spines", spec.spines)] {
        if value == 0 {
            return Err(SpecError::new(format!("{field}.{name}"), "is 0, and must be at least 1", "write a positive number"));
        }
    }
    let racks = nodes.len().div_ceil(spec.nodes_per_rack as usize);
    few_enough(racks + spec.spines as usize + 1, field, "use fewer spines, or more Nodes in a rack")?;
    let mut plan = Plan::new(&spec.node, &format!("{field}.node"))?;
    let uplink = plan.class(&spec.uplink, &format!("{field}.uplink"))?;
    plan.edge = plan.switch("edge", VertexKind::Edge);
    let spines: Vec<_> = (0..spec.spines).map(|i| plan.switch(format!("spine-{i}"), VertexKind::Switch)).collect();
    let leaves: Vec<_> = (0..racks).map(|i| plan.switch(format!("rack-{i}"), VertexKind::Switch)).collect();
    for leaf in [plan.edge].iter().chain(&leaves) {
        spines.iter().for_each(|spine| plan.link(*leaf, *spine, uplink));
    }
    plan.nodes = (0..nodes.len()).map(|i| leaves[i / spec.nodes_per_rack as usize]).collect();
    Ok(plan)
}

/// The value of a topology label of `node`, or an error that asks for it.
fn label<'a>(node: &NodeSpec, value: &'a str, label: &str, shape: &str) -> Result<&'a str, SpecError> {
    if value.is_empty() {
        let problem =
            format!("Node `{}` has no label topology.kubernetes.io/{label}, which says where the shape `{shape}` puts it", node.name);
        return Err(SpecError::new(format!("network.shape.{shape}"), problem, "label every Node, or use the shape `oneSwitch`"));
    }
    Ok(value)
}

fn zones(spec: &ZonesSpec, nodes: &[NodeSpec]) -> Result<Plan, SpecError> {
    let field = "network.shape.zones";
    let mut plan = Plan::new(&spec.node, &format!("{field}.node"))?;
    let zone_class = plan.class(&spec.zone, &format!("{field}.zone"))?;
    let inter_zone = plan.class(&spec.inter_zone, &format!("{field}.interZone"))?;
    plan.edge = plan.switch("edge", VertexKind::Edge);
    let mut routers: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        let zone = label(node, &node.zone, "zone", "zones")?;
        let router = *routers.entry(zone).or_insert_with(|| {
            let router = plan.switch(zone, VertexKind::Zone);
            plan.switches[router].zone = zone.to_string();
            router
        });
        plan.nodes.push(router);
    }
    few_enough(plan.switches.len(), field, "give the Nodes fewer different zones")?;
    for a in 1..plan.switches.len() {
        plan.direct_path(plan.edge, a, zone_class, zone_class);
        (1..a).for_each(|b| plan.direct_path(b, a, inter_zone, inter_zone));
    }
    Ok(plan)
}

fn regions(spec: &RegionsSpec, nodes: &[NodeSpec]) -> Result<Plan, SpecError> {
    let field = "network.shape.regions";
    let mut plan = Plan::new(&spec.node, &format!("{field}.node"))?;
    let zone_class = plan.class(&spec.zone, &format!("{field}.zone"))?;
    let wan = plan.class(&spec.wan, &format!("{field}.wan"))?;
    plan.edge = plan.switch("edge", VertexKind::Edge);
    let mut regions: BTreeMap<&str, usize> = BTreeMap::new();
    let mut zones: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for node in nodes {
        let region = label(node, &node.region, "region", "regions")?;
        let zone = label(node, &node.zone, "zone", "regions")?;
        let at_region = *regions.entry(region).or_insert_with(|| plan.switch(region, VertexKind::Region));
        if at_region == 1 && plan.links.is_empty() {
            plan.link(plan.edge, at_region, zone_class);
        }
        let (of, router) = *zones.entry(zone).or_insert_with(|| {
            let router = plan.switch(zone, VertexKind::Zone);
            plan.switches[router].zone = zone.to_string();
            plan.link(router, at_region, zone_class);
            (region, router)
        });
        if of != region {
            let problem = format!("zone `{zone}` has Nodes in region `{of}` and, with Node `{}`, in region `{region}`", node.name);
            return Err(SpecError::new(field, problem, "give each region zones of its own"));
        }
        plan.nodes.push(router);
    }
    few_enough(plan.switches.len(), field, "give the Nodes fewer different zones")?;

    let mut special: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (pair, delay) in &spec.latencies {
        let at = format!("{field}.latencies.{pair}");
        let known: Vec<_> = pair.split('/').map(|name| regions.get(name).copied()).collect();
        let [Some(from), Some(to)] = known[..] else {
            let problem = format!("`{pair}` does not name two regions that have Nodes");
            return Err(SpecError::new(at, problem, format!("write `from/to`, each one of {}", some_of(regions.keys().copied()))));
        };
        if from == to {
            return Err(SpecError::new(at, "the path leads from a region to itself", "name two regions, or remove it"));
        }
        let class = plan.class(&LinkSpec { delay: delay.clone(), ..spec.wan.clone() }, &at).map_err(|mut e| {
            // The map's value is the delay itself.
            e.field = e.field.trim_end_matches(".delay").to_string();
            e
        })?;
        special.insert((from, to), class);
    }
    let routers: Vec<_> = (0..plan.switches.len()).filter(|i| plan.switches[*i].kind == VertexKind::Region).collect();
    for (i, &b) in routers.iter().enumerate() {
        for &a in &routers[..i] {
            let (there, back) = (special.get(&(a, b)), special.get(&(b, a)));
            plan.direct_path(a, b, *there.or(back).unwrap_or(&wan), *back.or(there).unwrap_or(&wan));
        }
    }
    Ok(plan)
}

fn fat_tree(spec: &FatTreeSpec, nodes: &[NodeSpec]) -> Result<Plan, SpecError> {
    let field = "network.shape.fatTree";
    let k = spec.k as usize;
    if k == 0 || !k.is_multiple_of(2) {
        return Err(SpecError::new(
            format!("{field}.k"),
            format!("is {k}, and must be even and positive"),
            "write an even number, such as 4 or 8",
        ));
    }
    let half = k / 2;
    let hosts = k.saturating_pow(3) / 4;
    if nodes.len() > hosts {
        let enough = (k..).step_by(2).find(|k| k.pow(3) / 4 >= nodes.len()).unwrap_or(k);
        let problem = format!("a fat tree of k = {k} has room for {hosts} Nodes, and there are {}", nodes.len());
        return Err(SpecError::new(format!("{field}.k"), problem, format!("use k: {enough}")));
    }
    few_enough(k.saturating_mul(k).saturating_add(half.saturating_mul(half)).saturating_add(1), &format!("{field}.k"), "use a smaller k")?;
    let mut plan = Plan::new(&spec.node, &format!("{field}.node"))?;
    let class = plan.class(&spec.switch, &format!("{field}.switch"))?;
    plan.edge = plan.switch("edge", VertexKind::Edge);
    let cores: Vec<_> = (0..half * half).map(|i| plan.switch(format!("core-{i}"), VertexKind::Switch)).collect();
    cores.iter().for_each(|core| plan.link(plan.edge, *core, class));
    for pod in 0..k {
        let above: Vec<_> = (0..half).map(|i| plan.switch(format!("aggregation-{pod}-{i}"), VertexKind::Switch)).collect();
        for (i, aggregation) in above.iter().enumerate() {
            cores[i * half..(i + 1) * half].iter().for_each(|core| plan.link(*aggregation, *core, class));
        }
        for i in 0..half {
            let leaf = plan.switch(format!("leaf-{pod}-{i}"), VertexKind::Switch);
            above.iter().for_each(|aggregation| plan.link(leaf, *aggregation, class));
            let room = nodes.len() - plan.nodes.len();
            plan.nodes.extend((0..half.min(room)).map(|_| leaf));
        }
    }
    Ok(plan)
}

fn graph(spec: &GraphSpec, nodes: &[NodeSpec]) -> Result<Plan, SpecError> {
    let field = "network.shape.graph";
    let mut plan = Plan::new(&spec.node, &format!("{field}.node"))?;
    if spec.vertices.is_empty() {
        return Err(SpecError::new(format!("{field}.vertices"), "the graph has no vertices", "name at least one"));
    }
    few_enough(spec.vertices.len(), &format!("{field}.vertices"), "leave out vertices that no route needs")?;
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, vertex) in spec.vertices.iter().enumerate() {
        let at = plan.switch(&vertex.name, VertexKind::Switch);
        plan.switches[at].position = vertex.position.map(|[latitude, longitude]| (latitude, longitude));
        if names.insert(&vertex.name, at).is_some() {
            let problem = format!("a second vertex is named `{}`", vertex.name);
            return Err(SpecError::new(format!("{field}.vertices[{i}].name"), problem, "give each vertex a name of its own"));
        }
    }
    let find = |name: &str, at: String| match names.get(name) {
        Some(vertex) => Ok(*vertex),
        None => Err(SpecError::new(at, format!("there is no vertex `{name}`"), format!("use one of {}", some_of(names.keys().copied())))),
    };
    for (i, edge) in spec.edges.iter().enumerate() {
        let at = format!("{field}.edges[{i}]");
        let (from, to) = (find(&edge.from, format!("{at}.from"))?, find(&edge.to, format!("{at}.to"))?);
        if from == to {
            return Err(SpecError::new(at, format!("the edge leads from `{}` to itself", edge.from), "remove it: no route would take it"));
        }
        let class = plan.class(&edge.link, &format!("{at}.link"))?;
        plan.link(from, to, class);
    }
    if let Some(edge) = &spec.edge {
        plan.edge = find(edge, format!("{field}.edge"))?;
    }
    let mut places: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for (what, vertex) in &spec.place {
        places.insert(what, (find(vertex, format!("{field}.place.{what}"))?, false));
    }
    let mut next = 0;
    for node in nodes {
        let by_zone = Some(node.zone.as_str()).filter(|zone| !zone.is_empty());
        let key = [Some(node.name.as_str()), by_zone].into_iter().flatten().find(|key| places.contains_key(key));
        let at = match key.and_then(|key| places.get_mut(key)) {
            Some((vertex, used)) => {
                *used = true;
                *vertex
            }
            None => {
                next += 1;
                (next - 1) % spec.vertices.len()
            }
        };
        plan.nodes.push(at);
    }
    if let Some((what, _)) = places.iter().find(|(_, (_, used))| !used) {
        // A zone may be unused because each of its Nodes has a place of its own.
        if !nodes.iter().any(|n| n.zone == *what) {
            let problem = format!("`{what}` is neither a Node nor a zone of one");
            return Err(SpecError::new(
                format!("{field}.place.{what}"),
                problem,
                "name a Node or the value of its label topology.kubernetes.io/zone",
            ));
        }
    }
    Ok(plan)
}

fn few_enough(switches: usize, field: &str, fix: &str) -> Result<(), SpecError> {
    if switches > SWITCHES_MAX {
        let problem = format!("the shape has {switches} switches, and routes are kept for at most {SWITCHES_MAX}");
        return Err(SpecError::new(field, problem, fix));
    }
    Ok(())
}

/// The first few of `names`, for an error message.
pub(super) fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.take(9).map(|n| format!("`{n}`")).collect();
    if names.len() == 9 {
        names[8] = "...".into();
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::spec::{FileSpec, GraphEdge, GraphVertex, NetworkSpec};
    use super::super::tests::{build, delay, nodes};
    use super::super::{Leg, Network};
    use super::*;
    use crate::ids::{NodeId, VertexId};
    use std::collections::BTreeSet;
    use svcsim_engine::random::DistSpec;

    /// Mean one-way delay between two Nodes in microseconds.
    fn apart(network: &Network, a: u32, b: u32) -> u64 {
        network.delay_mean(network.node_vertex(NodeId(a)), network.node_vertex(NodeId(b))).as_nanos() / 1_000
    }

    fn from_edge(network: &Network, node: u32) -> u64 {
        network.delay_mean(network.edge(), network.node_vertex(NodeId(node))).as_nanos() / 1_000
    }

    /// Vertices and links, each direction counted.
    fn size(network: &Network) -> (usize, usize) {
        (network.vertices().len(), network.links().len())
    }

    fn named(network: &Network, name: &str) -> VertexId {
        network.vertices().enumerate().find(|(_, v)| v.name == name).unwrap().0
    }

    #[test]
    fn one_switch_joins_all() {
        let network = build(ShapeSpec::OneSwitch(OneSwitchSpec { node: delay(7) }), &nodes(&[("-", "-"); 4]));
        assert_eq!((size(&network), apart(&network, 0, 3), from_edge(&network, 0)), ((5, 8), 14, 7));
    }

    #[test]
    fn racks_talk_over_every_spine() {
        let shape = RacksSpec { nodes_per_rack: 3, spines: 2, node: delay(1), uplink: delay(10) };
        let network = build(ShapeSpec::Racks(shape), &nodes(&[("-", "-"); 7]));
        // Three racks, two spines, the edge; an uplink from each of the four leaves to each spine.
        assert_eq!(size(&network), (7 + 3 + 2 + 1, 2 * (7 + 8)));
        assert_eq!((apart(&network, 0, 2), apart(&network, 0, 6), from_edge(&network, 6)), (2, 22, 21));
        assert_eq!(cores(&network, 0, 6, "spine-"), 2);
    }

    /// How many different vertices of that name flows from `a` to `b` cross; all their routes are equally long.
    fn cores(network: &Network, a: u32, b: u32, name: &str) -> usize {
        let (from, to) = (network.node_vertex(NodeId(a)), network.node_vertex(NodeId(b)));
        let mut met = BTreeSet::new();
        for flow in 0..1_000 {
            let route: Vec<_> = network.route(Leg { at: from, to, flow }).collect();
            let length: u64 = route.iter().map(|l| network.links()[*l].delay_mean.as_nanos() / 1_000).sum();
            assert_eq!(length, apart(network, a, b));
            met.extend(route.iter().map(|l| network.links()[*l].to).filter(|v| network.vertices()[*v].name.starts_with(name)));
        }
        met.len()
    }

    #[test]
    fn zones_talk_directly_even_where_the_edge_is_nearer() {
        let shape = ShapeSpec::Zones(ZonesSpec { node: delay(1), zone: delay(10), inter_zone: delay(300) });
        let network = build(shape.clone(), &nodes(&[("a", "-"), ("b", "-"), ("c", "-"), ("a", "-")]));
        assert_eq!(size(&network), (4 + 3 + 1, 2 * (4 + 3 + 3)));
        assert_eq!((apart(&network, 0, 3), apart(&network, 0, 1), from_edge(&network, 2)), (2, 302, 11));
        assert_eq!(network.vertices()[named(&network, "b")].kind, VertexKind::Zone);
        let moved = build(shape, &nodes(&[("b", "-"), ("b", "-"), ("c", "-"), ("a", "-")]));
        assert_eq!((apart(&moved, 0, 3), apart(&moved, 0, 1)), (302, 2));
    }

    #[test]
    fn regions_talk_directly_even_where_a_detour_is_nearer() {
        let latencies = BTreeMap::from([
            ("r1/r2".to_string(), DistSpec::Constant(SimDuration::from_micros(9_000))),
            ("r3/r2".to_string(), DistSpec::Constant(SimDuration::from_micros(70))),
            ("r2/r3".to_string(), DistSpec::Constant(SimDuration::from_micros(80))),
        ]);
        let shape = RegionsSpec { node: delay(1), zone: delay(10), wan: delay(100), latencies };
        let network = build(ShapeSpec::Regions(shape), &nodes(&[("a", "r1"), ("b", "r2"), ("c", "r3"), ("d", "r1")]));
        // Four zones, three regions, the edge; four zone links, one from the edge, three paths.
        assert_eq!(size(&network), (4 + 4 + 3 + 1, 2 * (4 + 4 + 1 + 3)));
        assert_eq!((apart(&network, 0, 3), apart(&network, 0, 1), apart(&network, 1, 0)), (22, 9_022, 9_022));
        assert_eq!((apart(&network, 1, 2), apart(&network, 2, 1), apart(&network, 0, 2)), (102, 92, 122));
        assert_eq!((from_edge(&network, 0), from_edge(&network, 2)), (21, 121));
    }

    #[test]
    fn a_fat_tree_of_four_has_sixteen_hosts() {
        let shape = ShapeSpec::FatTree(FatTreeSpec { k: 4, node: delay(1), switch: delay(10) });
        let network = build(shape.clone(), &nodes(&[("-", "-"); 16]));
        // 8 leaves, 8 aggregation and 4 core switches, the edge; 16 links below, 16 above the aggregation, 4 to the edge.
        assert_eq!(size(&network), (16 + 20 + 1, 2 * (16 + 32 + 4)));
        assert_eq!((apart(&network, 0, 1), apart(&network, 0, 2), apart(&network, 0, 4), from_edge(&network, 15)), (2, 22, 42, 31));
        assert_eq!((cores(&network, 0, 15, "core-"), cores(&network, 0, 2, "aggregation-"), cores(&network, 0, 2, "core-")), (4, 2, 0));
        let spec = NetworkSpec { shape, sites: BTreeMap::new() };
        assert_eq!(Network::build(&spec, &nodes(&[("-", "-"); 17])).unwrap_err().fix, "use k: 6");
    }

    fn graph_of(vertices: &[&str], edges: &[(&str, &str, LinkSpec)]) -> GraphSpec {
        let vertices = vertices.iter().map(|name| GraphVertex { name: (*name).to_string(), position: None }).collect();
        let edge = |(from, to, link): &(&str, &str, LinkSpec)| GraphEdge { from: (*from).into(), to: (*to).into(), link: link.clone() };
        GraphSpec { vertices, edges: edges.iter().map(edge).collect(), place: BTreeMap::new(), node: delay(1), edge: None }
    }

    #[test]
    fn graphs_place_nodes_by_name_then_zone_then_in_turn() {
        let mut spec =
            graph_of(&["x", "y", "z"], &[("x", "y", delay(10)), ("y", "z", delay(10)), ("x", "z", delay(50)), ("x", "y", delay(10))]);
        spec.vertices[1].position = Some([48.0, 11.0]);
        spec.place = BTreeMap::from([("n1".to_string(), "z".to_string()), ("a".to_string(), "y".to_string())]);
        spec.edge = Some("z".into());
        let network = build(ShapeSpec::Graph(spec), &nodes(&[("a", "-"), ("a", "-"), ("b", "-"), ("-", "-"), ("b", "-"), ("b", "-")]));
        let at = |node| {
            let up = network.route(Leg { at: network.node_vertex(NodeId(node)), to: network.edge(), flow: 0 }).next().unwrap();
            network.vertices()[network.links()[up].to].name.as_str()
        };
        assert_eq!([at(0), at(1), at(2), at(3), at(4), at(5)], ["y", "z", "x", "y", "z", "x"]);
        assert_eq!((size(&network), apart(&network, 1, 2), from_edge(&network, 1)), ((9, 20), 22, 1));
        assert_eq!(network.vertices()[network.node_vertex(NodeId(0))].position, Some((48.0, 11.0)));
    }

    #[test]
    fn what_a_shape_gets_wrong_is_said() {
        let abc = || graph_of(&["a", "b", "c"], &[("a", "b", delay(1)), ("b", "c", delay(1))]);
        let with = |change: &dyn Fn(&mut GraphSpec)| {
            let mut spec = abc();
            change(&mut spec);
            ShapeSpec::Graph(spec)
        };
        let racks = |nodes_per_rack, spines| ShapeSpec::Racks(RacksSpec { nodes_per_rack, spines, node: delay(1), uplink: delay(1) });
        let tree = |k| ShapeSpec::FatTree(FatTreeSpec { k, node: delay(1), switch: delay(1) });
        let zones = ShapeSpec::Zones(ZonesSpec { node: delay(1), zone: delay(1), inter_zone: delay(1) });
        let regions = |pair: &str, delay_of: DistSpec<SimDuration>| {
            let latencies = BTreeMap::from([(pair.to_string(), delay_of)]);
            ShapeSpec::Regions(RegionsSpec { node: delay(1), zone: delay(1), wan: delay(1), latencies })
        };
        let us = DistSpec::Constant(SimDuration::from_micros(1));
        let endless = DistSpec::Pareto { min: SimDuration::from_micros(1), shape: 1.0 };
        let wrong = DistSpec::Exponential { mean: SimDuration::ZERO };
        let one_switch = |node| ShapeSpec::OneSwitch(OneSwitchSpec { node });
        let file = FileSpec {
            path: "x.gml".into(),
            place: BTreeMap::new(),
            node: delay(1),
            edge: None,
            bandwidth: None,
            queue: None,
            per_kilometre: SimDuration::from_micros(5),
            missing: None,
        };
        for (shape, field, word) in [
            (one_switch(LinkSpec { delay: wrong.clone(), ..delay(1) }), "oneSwitch.node.delay", "mean"),
            (one_switch(LinkSpec { delay: endless.clone(), ..delay(1) }), "oneSwitch.node.delay", "no finite mean"),
            (one_switch(LinkSpec { queue: Some(Bytes(9)), ..delay(1) }), "oneSwitch.node.queue", "without bandwidth"),
            (
                one_switch(LinkSpec { queue: Some(Bytes(0)), bandwidth: Some(Bandwidth(1)), ..delay(1) }),
                "oneSwitch.node.queue",
                "drops every",
            ),
            (racks(0, 1), "racks.nodesPerRack", "at least 1"),
            (racks(1, 0), "racks.spines", "at least 1"),
            (racks(1, u32::MAX), "racks", "at most 4096"),
            (zones, "zones", "no label topology.kubernetes.io/zone"),
            (regions("r1/r9", us.clone()), "regions.latencies.r1/r9", "does not name two regions"),
            (regions("r1", us.clone()), "regions.latencies.r1", "does not name two regions"),
            (regions("r1/r1", us), "regions.latencies.r1/r1", "to itself"),
            (regions("r1/r2", wrong), "regions.latencies.r1/r2", "mean"),
            (tree(3), "fatTree.k", "even"),
            (tree(0), "fatTree.k", "even"),
            (tree(2), "fatTree.k", "room for 2 Nodes"),
            (tree(u32::MAX - 1), "fatTree.k", "at most 4096"),
            (ShapeSpec::Graph(graph_of(&[], &[])), "graph.vertices", "no vertices"),
            (ShapeSpec::Graph(graph_of(&["a", "a"], &[])), "graph.vertices[1].name", "second vertex"),
            (with(&|g| g.edges[1].to = "moon".into()), "graph.edges[1].to", "no vertex `moon`"),
            (with(&|g| g.edges[1].from = "c".into()), "graph.edges[1]", "to itself"),
            (with(&|g| g.edges[0].link.delay = endless.clone()), "graph.edges[0].link.delay", "no finite mean"),
            (with(&|g| g.edge = Some("moon".into())), "graph.edge", "no vertex `moon`"),
            (with(&|g| drop(g.edges.pop())), "graph.edges", "`c` cannot reach `a`: no edge leads out of its component of size 1: `c`"),
            (with(&|g| drop(g.place.insert("n0".into(), "moon".into()))), "graph.place.n0", "no vertex `moon`"),
            (with(&|g| drop(g.place.insert("n9".into(), "a".into()))), "graph.place.n9", "neither a Node nor a zone"),
            (ShapeSpec::File(file), "file", "never read"),
        ] {
            let nodes = if field == "zones" { nodes(&[("-", "-"); 3]) } else { nodes(&[("z1", "r1"), ("z2", "r2"), ("z2", "r2")]) };
            let found = Network::build(&NetworkSpec { shape, sites: BTreeMap::new() }, &nodes).unwrap_err();
            assert_eq!(found.field, format!("network.shape.{field}"), "{found}");
            assert!(found.problem.contains(word) && !found.fix.is_empty(), "{found}");
        }
        let shape = ShapeSpec::Regions(RegionsSpec { node: delay(1), zone: delay(1), wan: delay(1), latencies: BTreeMap::new() });
        let found = Network::build(&NetworkSpec { shape, sites: BTreeMap::new() }, &nodes(&[("z", "r1"), ("z", "r2")])).unwrap_err();
        assert!(found.problem.contains("zone `z` has Nodes in region `r1` and"), "{found}");
    }
}
