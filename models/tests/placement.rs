//! Where Pods go when nobody says where they are.

use crate::world::*;
use svcsim_models::cluster::pods_by_node;

/// Pods on each Node of `zones`, of `replicas` placed by the model.
fn placed(zones: &[&str], replicas: u32, change: impl Fn(&mut ClusterSpec)) -> Vec<u32> {
    let workload = WorkloadSpec { replicas, ..web(&[], quick()) };
    let mut spec = spec(nodes_in(zones), vec![workload], traffic(Origin::Cluster, Via::ClusterIP, 10.0));
    change(&mut spec);
    let pods = pods_by_node(&spec);
    // What is said before the run is what the run then has.
    let run = run_one(&spec, 0);
    let found = |i: usize| run.pods.iter().filter(|p| p.node == format!("n{i}")).count() as u32;
    assert_eq!(pods, (0..zones.len()).map(found).collect::<Vec<u32>>());
    pods
}

#[test]
fn pods_spread_over_zones_then_over_nodes() {
    assert_eq!(placed(&["a", "a", "a", "b"], 6, |_| ()), [1, 1, 1, 3], "zones are filled alike, and Nodes within them");
    assert_eq!(placed(&["a", "a", "b", "b"], 2, |_| ()), [1, 0, 1, 0]);
    assert_eq!(placed(&["", "", ""], 7, |_| ()), [3, 2, 2]);
}

#[test]
fn pods_go_where_they_may() {
    let select = |s: &mut ClusterSpec| {
        s.workloads[0].node_selector.insert("disk".into(), "fast".into());
        s.nodes[2].labels.insert("disk".into(), "fast".into());
    };
    assert_eq!(placed(&["a", "a", "b", "b"], 5, select), [0, 0, 5, 0]);
    assert_eq!(placed(&["a", "a", "b", "b"], 4, |s| s.nodes[0].unschedulable = true), [0, 2, 1, 1]);
    assert_eq!(placed(&["a", "a", "b"], 2, |s| s.workloads[0].placed_on = vec!["n1".into(), "n1".into()]), [0, 2, 0]);
    assert_eq!(placed(&["a", "a", "b"], 4, |s| s.workloads[0].placed_on = vec!["n1".into(), "n1".into()]), [0, 2, 2]);
    assert_eq!(
        placed(&["a", "a", "b"], 9, |s| s.workloads[0].controller = Controller::DaemonSet),
        [1, 1, 1],
        "a DaemonSet asks for no number"
    );
}

/// A replacement goes by the same rule, in which the Pod that leaves counts no more.
#[test]
fn replacements_spread_too() {
    let mut spec = spec(nodes_in(&["", "", ""]), vec![web(&["n0", "n0", "n0"], quick())], traffic(Origin::Cluster, Via::ClusterIP, 10.0));
    deletions(&mut spec, "web", constant(ms(100)));
    let run = run_one(&spec, 0);
    let mut nodes: Vec<&str> = run.pods.iter().map(|p| p.node.as_str()).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["n0", "n1", "n2"], "after a hundred deletions each Node has one");
}
