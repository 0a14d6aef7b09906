//! How traffic divides between Pods, Nodes and zones, as exact sums over the endpoints that each Node may use.

use super::functions::{Results, all, read};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;
use svcsim_engine::stats::fairness::{jain, max_over_mean};
use svcsim_models::api::{Conditions, Endpoint, Hints, Policies, PortEndpoints, Vantage};
use svcsim_models::control_plane::hints::prefer;
use svcsim_models::ids::{NodeId, PodId, ZoneId};
use svcsim_models::spec::TrafficDistribution;
use svcsim_models::spec::TrafficPolicy::{self, Cluster, Local};

/// More Nodes, or Pods, than any of these vectors needs.
const MOST: usize = 5_000;

/// Pods by Node, each Node in its zone.
struct Placement {
    zones: Vec<ZoneId>,
    pods: Vec<usize>,
}

/// What becomes of traffic that Nodes decide about.
struct Shares {
    /// Of all traffic, by Pod, Node by Node.
    pods: Vec<f64>,
    cross_node: f64,
    cross_zone: f64,
    dropped: f64,
}

impl Placement {
    fn new(zones: Vec<ZoneId>, pods: Vec<usize>) -> Result<Self, String> {
        let all = pods.iter().try_fold(0, |sum: usize, n| sum.checked_add(*n)).unwrap_or(usize::MAX);
        if pods.len() > MOST || all == 0 || all > MOST {
            return Err(format!("more than {MOST} Nodes, or not from 1 to {MOST} Pods"));
        }
        Ok(Self { zones, pods })
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0u32..).take(self.pods.len()).map(NodeId)
    }

    /// The endpoints as `distribution` hints them.
    fn endpoints(&self, distribution: Option<TrafficDistribution>) -> PortEndpoints {
        let hosts = self.nodes().zip(&self.pods).flat_map(|(node, n)| std::iter::repeat_n(node, *n));
        let endpoint = |(i, node): (u32, NodeId)| Endpoint {
            pod: PodId(i),
            ip: Ipv4Addr::from_bits(i).into(),
            port: 80,
            node: Some(node),
            zone: Some(self.zones[node.0 as usize]),
            conditions: Conditions { ready: true, serving: true, terminating: false },
            hints: Hints::default(),
        };
        let mut endpoints: Vec<Endpoint> = (0..).zip(hosts).map(endpoint).collect();
        prefer(distribution, &mut endpoints);
        PortEndpoints::new(endpoints)
    }

    /// Of traffic that comes to Nodes in these parts, each of which chooses evenly by `policy`.
    fn shares(&self, parts: &[f64], distribution: Option<TrafficDistribution>, policy: TrafficPolicy) -> Shares {
        let set = self.endpoints(distribution);
        let mut shares = Shares { pods: vec![0.0; set.endpoints.len()], cross_node: 0.0, cross_zone: 0.0, dropped: 0.0 };
        let policies = Policies { internal: policy, external: policy, externally_accessible: true };
        for (node, part) in self.nodes().zip(parts) {
            let zone = self.zones[node.0 as usize];
            let lists = set.categorize(Vantage { node, zone: Some(zone), node_hints: true }, policies);
            let list = if policy == Local { lists.local } else { lists.cluster }.unwrap_or_default();
            let each = part / list.len() as f64;
            if list.is_empty() {
                shares.dropped += part;
            }
            for i in list {
                let endpoint = &set.endpoints[*i as usize];
                shares.pods[*i as usize] += each;
                shares.cross_node += if endpoint.node == Some(node) { 0.0 } else { each };
                shares.cross_zone += if endpoint.zone == Some(zone) { 0.0 } else { each };
            }
        }
        shares
    }
}

/// Clients on Nodes call a Service under each policy and preference; and a load balancer gives all Nodes equal parts.
pub(super) fn by_policy(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        nodes: Vec<Node>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Node {
        zone: String,
        client_weight: f64,
        pods: usize,
    }
    let Params { nodes } = read(params)?;
    let names: std::collections::BTreeSet<&str> = nodes.iter().map(|n| n.zone.as_str()).collect();
    let zone = |n: &Node| ZoneId(names.iter().position(|z| *z == n.zone).unwrap_or_default() as u32);
    let placement = Placement::new(nodes.iter().map(zone).collect(), nodes.iter().map(|n| n.pods).collect())?;
    let parts: Vec<f64> = nodes.iter().map(|n| n.client_weight).collect();
    let even = vec![1.0 / nodes.len() as f64; nodes.len()];
    let policies = [
        ("Cluster", None, Cluster),
        ("SameZone", Some(TrafficDistribution::PreferSameZone), Cluster),
        ("SameNode", Some(TrafficDistribution::PreferSameNode), Cluster),
        ("InternalLocal", None, Local),
    ];
    let mut results = all([("NodePortCluster.extra_hop", placement.shares(&even, None, Cluster).cross_node.into())]);
    for (name, distribution, policy) in policies {
        let shares = placement.shares(&parts, distribution, policy);
        let values = [
            ("cross_node", Some(shares.cross_node)),
            ("cross_zone", Some(shares.cross_zone)),
            ("dropped", Some(shares.dropped)),
            ("max_over_mean_pod_share", max_over_mean(&shares.pods)),
            ("jain_of_pod_shares", jain(&shares.pods)),
        ];
        results.extend(values.into_iter().filter_map(|(what, value)| Some((format!("{name}.{what}"), value?.into()))));
    }
    Ok(results)
}

/// A load balancer gives Nodes with Pods equal parts, and each keeps its own.
pub(super) fn external_local(params: &Map<String, Value>) -> Result<Results, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Params {
        pods_per_node: Vec<usize>,
    }
    let Params { pods_per_node } = read(params)?;
    let n = pods_per_node.len();
    let placement = Placement::new(vec![ZoneId(0); n], pods_per_node)?;
    let set = placement.endpoints(None);
    // What a health check of `healthCheckNodePort` finds.
    let healthy: Vec<bool> = placement.nodes().map(|node| !set.ready_on(node).is_empty()).collect();
    let with_pods = healthy.iter().filter(|h| **h).count() as f64;
    let parts: Vec<f64> = healthy.iter().map(|h| if *h { 1.0 / with_pods } else { 0.0 }).collect();
    let shares = placement.shares(&parts, None, Local);
    let unchecked = placement.shares(&vec![1.0 / n as f64; n], None, Local);
    let by_node: Vec<f64> = placement.nodes().map(|node| set.ready_on(node).first().map_or(0.0, |i| shares.pods[*i as usize])).collect();
    let uneven = max_over_mean(&shares.pods).ok_or("no Pod gets anything")?;
    Ok(all([
        ("share_per_pod_by_node", json!(by_node)),
        ("jain_of_pod_shares", json!(jain(&shares.pods))),
        ("max_over_mean_share", uneven.into()),
        ("extra_hop_fraction", shares.cross_node.into()),
        ("refused_fraction_if_all_nodes_get_traffic", unchecked.dropped.into()),
        // The hottest Pod is full when the mean is at this part.
        ("capacity_fraction", (1.0 / uneven).into()),
    ]))
}
