//! What an experiment says of the network: [`NetworkSpec`], as it stands under `network:`.

use crate::units::{Bandwidth, Bytes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// The network that joins client sites and Nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkSpec {
    /// Switches, routers and links inside, and where Nodes are in them.
    pub shape: ShapeSpec,
    /// Places outside the cluster where clients are, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sites: BTreeMap<String, SiteSpec>,
}

/// A place outside the cluster where clients are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SiteSpec {
    /// The link that joins it to the network, in both directions.
    pub link: LinkSpec,
    /// Name of the switch, router or zone it is joined to; absent: the shape's edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<String>,
}

/// A link; both of its directions are alike and independent of each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkSpec {
    /// One-way propagation delay, drawn for each message. Its mean must be finite: routes go by it.
    pub delay: DistSpec<SimDuration>,
    /// Messages are sent one after another at this rate, then propagate, and never overtake each other.
    /// Absent: the link is a pure delay, on which nothing queues and messages may overtake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// With `bandwidth`: a message is dropped if with it more than this would wait, the one being sent
    /// included whole. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Bytes>,
}

/// How switches and routers are joined. Each shape has an *edge*, where sites and load balancers are by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ShapeSpec {
    /// Every Node on one switch, `switch`, which is also the edge.
    OneSwitch(OneSwitchSpec),
    /// Racks of Nodes under leaf switches, each linked to every spine.
    Racks(RacksSpec),
    /// A router per zone, all of them and an edge router linked to each other.
    Zones(ZonesSpec),
    /// Zones under a router per region, regions linked by direct paths.
    Regions(RegionsSpec),
    /// A k-ary fat tree of equal switches.
    FatTree(FatTreeSpec),
    /// Any graph.
    Graph(GraphSpec),
    /// A graph in a GraphML or GML file, which whoever reads files must turn into [`ShapeSpec::Graph`].
    File(FileSpec),
}

/// Every Node on one switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OneSwitchSpec {
    /// From each Node to the switch.
    pub node: LinkSpec,
}

/// A leaf-spine network: Nodes fill racks in their order; a route between racks crosses one spine, chosen by flow.
///
/// Vertices are named `rack-0`, `rack-1`, ..., `spine-0`, ... and `edge`, a leaf of its own for what is outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RacksSpec {
    /// Nodes under one leaf switch.
    pub nodes_per_rack: u32,
    /// Spine switches.
    pub spines: u32,
    /// From each Node to its leaf switch.
    pub node: LinkSpec,
    /// From each leaf switch, the edge's included, to each spine.
    pub uplink: LinkSpec,
}

/// A router for each value of the Nodes' label `topology.kubernetes.io/zone`, named as the zone, and the router `edge`.
///
/// Two zones talk over the link between them even where a detour would be faster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZonesSpec {
    /// From each Node to its zone's router.
    pub node: LinkSpec,
    /// From each zone's router to the edge.
    pub zone: LinkSpec,
    /// Between each two zones' routers.
    pub inter_zone: LinkSpec,
}

/// A router for each region (label `topology.kubernetes.io/region`) and each zone, named as they are, and the
/// router `edge` beside the zones of the first Node's region.
///
/// Two regions talk over the direct path between them even where a detour would be faster, because tables of
/// measured latencies violate the triangle inequality and nobody takes the detours they seem to offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegionsSpec {
    /// From each Node to its zone's router.
    pub node: LinkSpec,
    /// From each zone's router, and from the edge, to the region's router.
    pub zone: LinkSpec,
    /// Between each two regions' routers.
    pub wan: LinkSpec,
    /// One-way delays that differ from `wan.delay`, by `from/to`. One given for a single direction holds for both.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latencies: BTreeMap<String, DistSpec<SimDuration>>,
}

/// The k-ary fat tree of Al-Fares, Loukissas and Vahdat, "A scalable, commodity data center network
/// architecture", SIGCOMM 2008: `k` pods (groups of switches, not Kubernetes Pods), `(k/2)²` core switches and at
/// most `k³/4` Nodes, which fill it in their order.
///
/// Vertices are named `leaf-<pod>-<i>`, `aggregation-<pod>-<i>`, `core-<i>` and `edge`, a router beside the tree
/// linked to every core switch. Routing is ECMP by flow instead of the paper's two-level tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FatTreeSpec {
    /// Ports of a switch; even.
    pub k: u32,
    /// From each Node to its leaf switch.
    pub node: LinkSpec,
    /// Between each two switches that are linked.
    pub switch: LinkSpec,
}

/// Any graph; routes take the shortest paths by mean delay, then by hops.
///
/// A Node is at the vertex `place` gives for its name, else for its zone; else Nodes go round robin over all
/// vertices in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GraphSpec {
    /// Switches and routers.
    pub vertices: Vec<GraphVertex>,
    /// Links between them; two edges with the same ends are two links.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<GraphEdge>,
    /// Vertex by name of a Node or a zone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub place: BTreeMap<String, String>,
    /// From each Node to its vertex.
    pub node: LinkSpec,
    /// The vertex that is the edge; absent: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<String>,
}

/// A switch or router of a [`GraphSpec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GraphVertex {
    /// Its name, unlike that of any other vertex, Node or site.
    pub name: String,
    /// Latitude and longitude in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<[f64; 2]>,
}

/// A link of a [`GraphSpec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GraphEdge {
    /// Name of the vertex at one end.
    pub from: String,
    /// Name of the vertex at the other.
    pub to: String,
    /// The link.
    pub link: LinkSpec,
}

/// A graph in a GraphML or GML file, such as those of the Internet Topology Zoo.
///
/// A link's delay follows from the great-circle distance of its ends; its bandwidth is the file's `LinkSpeedRaw`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileSpec {
    /// The file, relative to the experiment file.
    pub path: String,
    /// Vertex by name of a Node or a zone, as in [`GraphSpec`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub place: BTreeMap<String, String>,
    /// From each Node to its vertex.
    pub node: LinkSpec,
    /// The vertex that is the edge; absent: the first of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<String>,
    /// Bandwidth of links for which the file gives none; absent: they are pure delays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// Queue limit of links that have a bandwidth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Bytes>,
    /// Delay of a kilometre; by default 5 µs, light in fibre.
    #[serde(default = "per_kilometre")]
    pub per_kilometre: SimDuration,
    /// What to assume where the file does not say; absent: a vertex without position is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingSpec>,
}

/// What to assume where a topology file does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MissingSpec {
    /// One-way delay of a link with an end that has no position.
    pub delay: SimDuration,
}

fn per_kilometre() -> SimDuration {
    SimDuration::from_micros(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_read_and_written_back() {
        let link = r#"{"delay": "50us"}"#;
        let wire = r#"{"delay": {"exponential": {"mean": "1ms"}}, "bandwidth": "10Gbit/s", "queue": "1MB"}"#;
        for shape in [
            format!(r#"{{"oneSwitch": {{"node": {wire}}}}}"#),
            format!(r#"{{"racks": {{"nodesPerRack": 4, "spines": 2, "node": {link}, "uplink": {wire}}}}}"#),
            format!(r#"{{"zones": {{"node": {link}, "zone": {link}, "interZone": {link}}}}}"#),
            format!(r#"{{"regions": {{"node": {link}, "zone": {link}, "wan": {link}, "latencies": {{"eu/us": "40ms"}}}}}}"#),
            format!(r#"{{"fatTree": {{"k": 4, "node": {link}, "switch": {link}}}}}"#),
            format!(
                r#"{{"graph": {{"vertices": [{{"name": "a", "position": [48.1, 11.6]}}, {{"name": "b"}}],
                    "edges": [{{"from": "a", "to": "b", "link": {link}}}], "place": {{"zone-1": "b"}}, "node": {link}, "edge": "b"}}}}"#
            ),
            format!(r#"{{"file": {{"path": "Abilene.gml", "node": {link}, "missing": {{"delay": "1ms"}}}}}}"#),
        ] {
            let text = format!(r#"{{"shape": {shape}, "sites": {{"paris": {{"link": {link}, "attach": "a"}}}}}}"#);
            let spec: NetworkSpec = serde_json::from_str(&text).unwrap();
            let back = serde_json::from_str(&serde_json::to_string(&spec).unwrap());
            assert_eq!(spec, back.unwrap());
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        for shape in [
            r#"{"oneSwitch": {"node": {"delay": "1us"}, "zone": {"delay": "1us"}}}"#,
            r#"{"oneSwitch": {"node": {"delay": "1us", "jitter": "1us"}}}"#,
            r#"{"ring": {"node": {"delay": "1us"}}}"#,
        ] {
            assert!(serde_json::from_str::<ShapeSpec>(shape).is_err(), "{shape}");
        }
    }
}
