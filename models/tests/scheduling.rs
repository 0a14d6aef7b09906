//! Where Pods are placed: room, taints, affinity, spreading; and Pods that fit nowhere.

use crate::world::*;
use svcsim_models::cluster::check;
use svcsim_models::record::RunResult;

/// Six Nodes, two in each of three zones; `replicas` Pods, which are placed as `scheduling` says.
fn world(replicas: u32, scheduling: SchedulingSpec) -> ClusterSpec {
    let mut spec = spec(
        nodes_in(&["a", "a", "b", "b", "c", "c"]),
        vec![web(&[], quick()), callers(&["n0"])],
        traffic(workload_origin("caller"), Via::ClusterIP, 50.0),
    );
    spec.workloads[0].replicas = replicas;
    spec.workloads[0].scheduling = scheduling;
    spec.run.duration = secs(30);
    spec
}

/// On how many Pods each Node was asked to run, by its place.
fn placed(spec: &ClusterSpec) -> [usize; 6] {
    let run = run_one(spec, 0);
    let mut counts = [0; 6];
    run.pods
        .iter()
        .filter(|p| p.name.starts_with("web"))
        .for_each(|p| counts[p.node[1..].parse::<usize>().expect("nodes are n0, n1, ...")] += 1);
    counts
}

fn term(key: &str) -> PodTerm {
    PodTerm { labels: [("app".to_owned(), "web".to_owned())].into(), topology_key: key.to_owned() }
}

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

fn spread(key: &str, max_skew: u32, hard: bool) -> SpreadConstraint {
    SpreadConstraint { term: term(key), max_skew, hard, min_domains: 1 }
}

#[test]
fn by_default_pods_are_spread_over_zones_and_then_nodes() {
    assert_eq!(placed(&world(4, SchedulingSpec::default())), [1, 1, 1, 0, 1, 0]);
    assert_eq!(placed(&world(6, SchedulingSpec::default())), [1, 1, 1, 1, 1, 1]);
}

#[test]
fn affinity_brings_pods_together_and_anti_affinity_apart() {
    let near = SchedulingSpec { near: vec![term(ZONE)], ..SchedulingSpec::default() };
    assert_eq!(placed(&world(4, near)), [2, 2, 0, 0, 0, 0]);
    let apart = SchedulingSpec { apart: vec![term(ZONE)], ..SchedulingSpec::default() };
    assert_eq!(placed(&world(3, apart.clone())), [1, 0, 1, 0, 1, 0]);
    let error = check(&world(4, apart)).expect_err("three zones");
    assert!(error.field == "deployments.web.spec.replicas" && error.problem.starts_with("3 of 4 Pods of web fit"), "{error}");
    let away = SchedulingSpec { pod_preferences: vec![(-100, term(HOST)), (50, term(ZONE))], ..SchedulingSpec::default() };
    assert_eq!(placed(&world(3, away)), [1, 1, 1, 0, 0, 0], "near by zone, but on no Node twice before another zone is used");
}

#[test]
fn others_anti_affinity_counts_too() {
    let mut spec = world(3, SchedulingSpec::default());
    spec.workloads[1].scheduling.apart = vec![term(ZONE)];
    spec.workloads.swap(0, 1);
    assert_eq!(placed(&spec)[..2], [0, 0], "the caller in zone a wants no web near it");
}

#[test]
fn taints_and_labels_choose_nodes() {
    let mut spec = world(4, SchedulingSpec::default());
    let taint = |effect| Taint { key: "spot".to_owned(), value: String::new(), effect };
    for node in &mut spec.nodes[2..] {
        node.taints = vec![taint(TaintEffect::NoSchedule)];
    }
    assert_eq!(placed(&spec), [2, 2, 0, 0, 0, 0]);
    spec.workloads[0].scheduling.tolerations = vec![Toleration { key: "spot".to_owned(), value: None, effect: None }];
    assert_eq!(placed(&spec), [1, 1, 1, 0, 1, 0]);
    spec.workloads[0].scheduling = SchedulingSpec::default();
    for node in &mut spec.nodes {
        node.taints = vec![taint(TaintEffect::PreferNoSchedule)];
    }
    spec.nodes[3].taints.clear();
    assert_eq!(placed(&spec), [0, 0, 0, 4, 0, 0]);
    let ssd = Requirement { key: "disk".to_owned(), operator: Operator::In, values: vec!["ssd".to_owned()] };
    spec.nodes[5].labels.insert("disk".to_owned(), "ssd".to_owned());
    spec.workloads[0].scheduling.node_terms = vec![vec![ssd]];
    assert_eq!(placed(&spec), [0, 0, 0, 0, 0, 4]);
}

#[test]
fn spread_constraints_hold_or_are_tried() {
    let mut spec = world(5, SchedulingSpec { spread: vec![spread(ZONE, 1, true)], ..SchedulingSpec::default() });
    spec.nodes[4].unschedulable = true;
    spec.nodes[5].unschedulable = true;
    // Zone c takes no Pods, but is a domain all the same, with none: taints do not count (`nodeTaintsPolicy: Ignore`).
    let error = check(&spec).expect_err("no third Pod");
    assert!(error.field == "deployments.web.spec.replicas" && error.problem.starts_with("2 of 5 Pods"), "{error}");
    let not_c = Requirement { key: "zone".to_owned(), operator: Operator::NotIn, values: vec!["c".to_owned()] };
    for node in &mut spec.nodes {
        node.labels.insert("zone".to_owned(), node.zone.clone());
    }
    spec.workloads[0].scheduling.node_terms = vec![vec![not_c]];
    assert_eq!(placed(&spec), [2, 1, 1, 1, 0, 0], "labels that it asks for do");
    spec.workloads[0].scheduling.spread[0].min_domains = 3;
    assert_eq!(check(&spec).expect_err("two domains of three").field, "deployments.web.spec.replicas");
    spec.workloads[0].scheduling.spread = vec![spread(HOST, 1, false)];
    assert_eq!(placed(&spec), [2, 1, 1, 1, 0, 0]);
}

#[test]
fn nodes_have_room_for_what_is_requested() {
    let mut spec = world(6, SchedulingSpec { memory_request: Some(1 << 30), ..SchedulingSpec::default() });
    spec.workloads[0].cpu_request = Some(500);
    for node in &mut spec.nodes {
        (node.cpu_millis, node.memory, node.most_pods) = (Some(1_000), Some(8 << 30), Some(10));
    }
    spec.nodes[0].cpu_millis = Some(400);
    spec.nodes[1].memory = Some(1 << 29);
    spec.nodes[2].most_pods = Some(0);
    assert_eq!(placed(&spec), [0, 0, 0, 2, 2, 2]);
    spec.workloads[0].replicas = 7;
    assert!(check(&spec).expect_err("half a core each").problem.starts_with("6 of 7"));
}

/// When Pods of `web` were created, in seconds.
fn created(run: &RunResult) -> Vec<u64> {
    let creations = run.incidents.iter().filter(|i| i.event == "create" && i.pod.starts_with("web"));
    creations.map(|i| i.time.as_nanos() / 1_000_000_000).collect()
}

/// One Pod a zone: a fourth waits, until a zone is free of them.
#[test]
fn a_pod_that_fits_nowhere_waits_until_there_is_room() {
    let mut spec = world(3, SchedulingSpec { apart: vec![term(ZONE)], ..SchedulingSpec::default() });
    spec.workloads[0].termination_grace = secs(3);
    spec.workloads[0].pod.at_sigterm = AtSigterm::Ignore;
    let more = Action::Scale(ScaleTarget::to("web", 4));
    spec.events.insert("more".to_owned(), EventSpec::at(secs(5), more));
    let run = run_one(&spec, 0);
    assert_eq!(created(&run), [0; 0]);
    let told: Vec<_> = run.marks.iter().map(|m| (m.name.as_str(), m.time.as_nanos() / 1_000_000_000, m.what.as_str())).collect();
    assert!(told.contains(&("scheduler", 5, "no Node has a place for another Pod of web")), "{told:?}");
    let cordon = EventSpec::at(secs(2), Action::Drain(NodeTarget { node: Some("n2".to_owned()) })).lasting(constant(secs(20)));
    spec.events.insert("drain".to_owned(), cordon);
    spec.nodes[3].unschedulable = true;
    assert_eq!(created(&run_one(&spec, 0)), [22], "zone b has no other Node than the one that is drained: it waits for it");
}
