//! What is wrong with a spec is said by field, and what only looks wrong is said too.

use crate::world::*;
use svcsim_models::cluster::{check, lint};
use svcsim_models::network::{LinkSpec, OneSwitchSpec, ShapeSpec};
use svcsim_models::units::{Bandwidth, Bytes, Rate};
use svcsim_models::workload::{ArrivalsSpec, poisson};

/// Two Pods on two Nodes, called from outside; nothing is wrong with it.
fn sound() -> ClusterSpec {
    let workloads = vec![web(&["n0", "n1"], behaviour(constant(ms(5)), 4)), callers(&["n0"])];
    let mut spec = spec(nodes_in(&["a", "b"]), workloads, traffic(internet(), Via::LoadBalancer, 100.0));
    spec.events.insert("crashes".to_owned(), EventSpec::every(constant(secs(5)), Action::PodCrash(any_pod_of("web"))));
    spec
}

fn event(s: &mut ClusterSpec) -> &mut EventSpec {
    s.events.get_mut("crashes").expect("the sound spec has it")
}

fn at_20s(action: Action) -> EventSpec {
    EventSpec::at(secs(20), action)
}

fn named(name: &str) -> Option<String> {
    Some(name.to_owned())
}

type Change = fn(&mut ClusterSpec);

/// A change that breaks the sound spec, the field that must be named, and a word of the problem.
const WRONG: &[(Change, &str, &str)] = &[
    (|s| s.run.duration = SimDuration::ZERO, "run.duration", "0s"),
    (|s| s.run.warm_up = s.run.duration, "run.warmUp", "leaves nothing"),
    (|s| s.run.window = SimDuration::ZERO, "run.window", "windows"),
    (|s| s.run.window = us(1), "run.window", "at most 100000"),
    (|s| s.nodes[1].name = "n0".into(), "nodes.n0", "twice"),
    (|s| s.nodes.clear(), "network.shape", "no Nodes"),
    (|s| s.network.shape = narrow(Some(Bytes(9)), None), "network.shape.oneSwitch.node.queue", "without bandwidth"),
    (|s| s.network.shape = narrow(Some(Bytes(0)), Some(1)), "network.shape.oneSwitch.node.queue", "drops every"),
    (|s| drop(s.network.sites.insert("n0".into(), s.network.sites["internet"].clone())), "network.sites.n0", "two vertices"),
    (|s| site_attach(s, "moon"), "network.sites.internet.attach", "no vertex `moon`"),
    (|s| s.propagation.publish = NOT_A_DIST, "propagation.publish", "mean"),
    (|s| s.propagation.to_node = NOT_A_DIST, "propagation.toNode", "mean"),
    (|s| s.workloads[0].pod.concurrency = 0, "pods.web.concurrency", "concurrency of 0"),
    (|s| s.workloads[0].pod.concurrency = 1_000_001, "pods.web.concurrency", "1 to 1000000"),
    (|s| s.workloads[0].pod.service_time = NOT_A_DIST, "pods.web.serviceTime", "mean"),
    (|s| s.workloads[0].pod.startup = NOT_A_DIST, "pods.web.startup", "mean"),
    (|s| s.workloads[0].replicas = 1_000_001, "deployments.web.spec.replicas", "1000001 Pods"),
    (|s| s.workloads[0].placed_on[1] = "moon".into(), "deployments.web", "Node `moon`"),
    (select_no_node, "deployments.web.spec.template.spec.nodeSelector", "no schedulable Node"),
    (cordon_all, "deployments.web.spec.template.spec.nodeSelector", "no schedulable Node"),
    (|s| event(s).every = Some(NOT_A_DIST), "events.crashes.every", "mean"),
    (|s| event(s).lasts = Some(NOT_A_DIST), "events.crashes.for", "mean"),
    (|s| event(s).lasts = Some(constant(secs(1))), "events.crashes.for", "over as soon as it has happened"),
    (|s| event(s).every = Some(constant(us(999))), "events.crashes.every", "1ms or more"),
    (|s| event(s).every = Some(constant(SimDuration::ZERO)), "events.crashes.every", "1ms or more"),
    (|s| event(s).every = None, "events.crashes", "does not say when"),
    (|s| event(s).at = Some(secs(1)), "events.crashes.every", "both there"),
    (|s| *event(s) = EventSpec { times: Some(3), ..at_20s(event(s).action.clone()) }, "events.crashes.times", "happens at 20s"),
    (|s| (event(s).from, event(s).until) = (Some(secs(3)), Some(secs(3))), "events.crashes.until", "nothing can happen"),
    (|s| event(s).action = Action::PodCrash(any_pod_of("moon")), "events.crashes.do.podCrash.workload", "no workload `moon`"),
    (
        |s| event(s).action = Action::PodDelete(PodTarget { place: Some(2), ..any_pod_of("web") }),
        "events.crashes.do.podDelete.place",
        "web has 2 Pods",
    ),
    (|s| event(s).action = Action::NodeCrash(NodeTarget { node: named("moon") }), "events.crashes.do.nodeCrash.node", "no Node `moon`"),
    (|s| event(s).action = Action::NodeCut(NodeTarget { node: named("moon") }), "events.crashes.do.nodeCut.node", "no Node `moon`"),
    (|s| event(s).action = Action::ZoneOutage(ZoneTarget { zone: named("c") }), "events.crashes.do.zoneOutage.zone", "no zone `c`"),
    (|s| event(s).action = Action::ZonePartition(ZoneTarget { zone: named("c") }), "events.crashes.do.zonePartition.zone", "no zone `c`"),
    (|s| s.services.push(s.services[0].clone()), "services.web", "two Services"),
    (|s| balancer(s).delay = NOT_A_DIST, "loadBalancer.instanceTargets.delay", "mean"),
    (|s| health_check(s).interval = SimDuration::ZERO, "loadBalancer.instanceTargets.localHealthCheck.interval", "0s"),
    (|s| health_check(s).healthy_threshold = 0, "loadBalancer.instanceTargets.localHealthCheck.healthyThreshold", "threshold of 0"),
    (|s| health_check(s).unhealthy_threshold = 0, "loadBalancer.instanceTargets.localHealthCheck.unhealthyThreshold", "threshold of 0"),
    (|s| s.traffic.clear(), "traffic", "no traffic"),
    (|s| source(s).to = "moon".into(), "traffic.clients.to", "no Service `moon`"),
    (|s| source(s).from = Origin::Site("moon".into()), "traffic.clients.from", "no client site `moon`"),
    (|s| source(s).from = Origin::Workload("moon".into()), "traffic.clients.from", "no workload `moon`"),
    (from_nobody, "traffic.clients.from", "no Pods that could send"),
    (|s| source(s).via = Via::ClusterIP, "traffic.clients.via", "from outside"),
    (|s| dial(s, Via::NodePort, ServiceType::ClusterIP), "traffic.clients.via", "of type ClusterIP and has no NodePort"),
    (|s| dial(s, Via::LoadBalancer, ServiceType::ClusterIP), "traffic.clients.via", "of type ClusterIP and has no LoadBalancer"),
    (|s| dial(s, Via::LoadBalancer, ServiceType::NodePort), "traffic.clients.via", "of type NodePort and has no LoadBalancer"),
    (|s| source(s).port = Some("https".into()), "traffic.clients.port", "no port `https`"),
    (|s| source(s).port = Some("8080".into()), "traffic.clients.port", "no port `8080`"),
    (|s| source(s).clients = 0, "traffic.clients.clients", "0 clients"),
    (|s| source(s).clients = 1_000_001, "traffic.clients.clients", "1 to 1000000"),
    (|s| source(s).timeout = Some(SimDuration::ZERO), "traffic.clients.timeout", "timeout of 0s"),
    (|s| source(s).request_size = DistSpec::Exponential { mean: Bytes(0) }, "traffic.clients.requestSize", "mean"),
    (|s| source(s).response_size = DistSpec::Exponential { mean: Bytes(0) }, "traffic.clients.responseSize", "mean"),
    (|s| source(s).arrivals = at_rate(0.0), "traffic.clients.arrivals.poisson.rate", "rate of 0"),
    (|s| source(s).arrivals = at_rate(f64::NAN), "traffic.clients.arrivals.poisson.rate", "rate of NaN"),
    (|s| source(s).arrivals = at_rate(2e9), "traffic.clients.arrivals.poisson.rate", "at most 1e9"),
];

const NOT_A_DIST: DistSpec<SimDuration> = DistSpec::Exponential { mean: SimDuration::ZERO };

fn narrow(queue: Option<Bytes>, bandwidth: Option<u64>) -> ShapeSpec {
    ShapeSpec::OneSwitch(OneSwitchSpec { node: LinkSpec { queue, bandwidth: bandwidth.map(Bandwidth), ..delay(us(1)) } })
}

fn site_attach(s: &mut ClusterSpec, to: &str) {
    s.network.sites.get_mut("internet").expect("the sound spec has it").attach = Some(to.to_owned());
}

fn select_no_node(s: &mut ClusterSpec) {
    s.workloads[0].placed_on.clear();
    s.workloads[0].node_selector.insert("disk".to_owned(), "fast".to_owned());
}

fn cordon_all(s: &mut ClusterSpec) {
    s.workloads[0].placed_on.pop();
    s.nodes.iter_mut().for_each(|n| n.unschedulable = true);
}

fn from_nobody(s: &mut ClusterSpec) {
    s.workloads[1].replicas = 0;
    source(s).from = workload_origin("caller");
}

fn dial(s: &mut ClusterSpec, via: Via, service_type: ServiceType) {
    s.services[0].service_type = service_type;
    source(s).via = via;
}

fn at_rate(rate: f64) -> ArrivalsSpec {
    ArrivalsSpec::Poisson(poisson::Spec { rate: Rate(rate) })
}

#[test]
fn every_error_names_its_field() {
    assert_eq!(check(&sound()), Ok(()), "the spec that the changes break");
    for (i, (change, field, word)) in WRONG.iter().enumerate() {
        let mut spec = sound();
        change(&mut spec);
        let Err(found) = check(&spec) else { panic!("change {i} builds; expected an error at {field}") };
        assert_eq!(found.field, *field, "change {i}: {found}");
        assert!(found.problem.contains(word), "change {i}: expected `{word}` in: {found}");
        assert!(!found.fix.is_empty() && found.to_string().starts_with(&format!("{field}: ")), "change {i}: {found}");
        let ran = svcsim_models::cluster::run(&spec, &svcsim_engine::Streams::new(SEED, 0), &|| true);
        assert_eq!(ran.err(), Some(found), "change {i}: a run refuses what a check refuses");
    }
}

/// What the errors' neighbours allow.
#[test]
fn what_is_odd_but_possible_builds() {
    let right: &[Change] = &[
        |s| source(s).port = Some("http".into()),
        |s| source(s).port = Some("80".into()),
        |s| dial(s, Via::NodePort, ServiceType::NodePort),
        |s| dial(s, Via::NodePort, ServiceType::LoadBalancer),
        |s| (source(s).from, source(s).via) = (Origin::Cluster, Via::ClusterIP),
        |s| s.workloads[0].replicas = 0,
        |s| s.services[0].selector.clear(),
        |s| s.nodes.iter_mut().for_each(|n| n.unschedulable = true),
        |s| s.workloads[0].controller = Controller::DaemonSet,
        |s| s.workloads.clear(),
        |s| event(s).every = Some(constant(ms(1))),
        |s| s.run.warm_up = s.run.duration.saturating_sub(SimDuration::from_nanos(1)),
    ];
    for (i, change) in right.iter().enumerate() {
        let mut spec = sound();
        spec.workloads.iter_mut().for_each(|w| w.pre_stop = ms(1));
        change(&mut spec);
        if spec.workloads.is_empty() {
            spec.events.clear();
        }
        assert_eq!(check(&spec), Ok(()), "change {i}");
        run_one(&spec, 0);
    }
}

#[test]
fn what_looks_wrong_is_said_by_field() {
    assert_eq!(lint(&sound()), [], "nothing is odd about the sound spec");
    let odd: &[(Change, &str, &str)] = &[
        (|s| drop(s.services[0].selector.insert("app".into(), "moon".into())), "services.web.spec.selector", "matches no Pod"),
        (|s| *event(s) = at_20s(Action::PodCrash(any_pod_of("web"))), "events.crashes", "it never does"),
        (|s| s.services[0].selector.clear(), "services.web.spec.selector", "matches no Pod"),
        (|s| s.workloads[0].replicas = 0, "deployments.web.spec.replicas", "zero Pods"),
        (local_node_port, "traffic.clients.via", "any of 2 Nodes"),
        // Two Pods of four servers at 5 ms serve 1,600 a second.
        (|s| source(s).arrivals = poisson(1_600.0), "traffic.clients.arrivals", "100 %"),
        (|s| source(s).arrivals = poisson(4_000.0), "traffic.clients.arrivals", "250 %"),
        (
            |s| s.workloads[0].pre_stop = secs(31),
            "deployments.web.spec.template.spec.terminationGracePeriodSeconds",
            "preStop (31s) is longer than the grace period (30s)",
        ),
        (|s| budgeted(s, 2, drain()), "events.crashes.do.drain", "keep forbids to evict any of the 2 Pods of web"),
        (|s| budgeted(s, 2, Action::PodEvict(any_pod_of("web"))), "events.crashes.do.podEvict", "in vain"),
    ];
    for (i, (change, field, word)) in odd.iter().enumerate() {
        let mut spec = sound();
        change(&mut spec);
        assert_eq!(check(&spec), Ok(()), "lint {i} is about a spec that builds");
        let found = lint(&spec);
        assert_eq!(found.len(), 1, "lint {i}: {found:?}");
        assert_eq!(found[0].field, *field, "lint {i}");
        assert!(found[0].problem.contains(word), "lint {i}: expected `{word}` in: {}", found[0].problem);
    }
}

fn drain() -> Action {
    Action::Drain(NodeTarget { node: named("n0") })
}

/// A budget that keeps so many Pods of the two.
fn budgeted(s: &mut ClusterSpec, least: i32, action: Action) {
    s.workloads[0].budget = Some(DisruptionBudgetSpec::new("keep", Budget::MinAvailable(IntOrString::Int(least))));
    *event(s) = EventSpec::at(secs(2), action);
}

fn local_node_port(s: &mut ClusterSpec) {
    s.services[0].external_traffic_policy = TrafficPolicy::Local;
    source(s).via = Via::NodePort;
    s.workloads[0].replicas = 1;
}

/// No lint where the odd thing is not there, or nobody calls the Service.
#[test]
fn what_looks_right_is_not_mentioned() {
    let right: &[Change] = &[
        |s| source(s).arrivals = poisson(1_599.0),
        |s| s.workloads[0].pre_stop = secs(30),
        |s| budgeted(s, 1, drain()),
        |s| budgeted(s, 2, Action::PodEvict(any_pod_of("caller"))),
        |s| {
            budgeted(s, 2, drain());
            let more = Action::Scale(ScaleTarget::to("web", 3));
            s.events.insert("more".to_owned(), EventSpec::at(secs(1), more));
        },
        |s| {
            local_node_port(s);
            s.workloads[0].controller = Controller::DaemonSet;
        },
        |s| {
            local_node_port(s);
            source(s).via = Via::LoadBalancer;
        },
        |s| s.services.push(ServiceSpec { name: "idle".into(), selector: Default::default(), ..s.services[0].clone() }),
    ];
    for (i, change) in right.iter().enumerate() {
        let mut spec = sound();
        change(&mut spec);
        assert_eq!((check(&spec), lint(&spec)), (Ok(()), vec![]), "change {i}");
    }
}
