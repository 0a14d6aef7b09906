//! The workloads that svcsim is measured on, as ordinary specs.
//!
//! They are those of the comparison with other engines in `benches/README.md`: W1 (hold), W2 (M/M/10) and
//! W3 (a Service of 100 Pods on a network of two hops each way; W3xK has K times the Nodes and Pods).

use std::collections::BTreeMap;
use svcsim_engine::random::{DistSpec, Stream};
use svcsim_engine::{Context, Model, SimDuration, Simulation};
use svcsim_models::dataplane::{ConntrackSpec, DataPlaneSpec, ProxySpec};
use svcsim_models::load_balancer::LoadBalancerSpec;
use svcsim_models::network::{LinkSpec, NetworkSpec, OneSwitchSpec, ShapeSpec};
use svcsim_models::spec::*;
use svcsim_models::units::{Bytes, Rate};
use svcsim_models::workload::{ArrivalsSpec, poisson};

const fn us(n: u64) -> SimDuration {
    SimDuration::from_micros(n)
}

/// W1: events that each schedule one successor an exponential time later; one event a microsecond on average.
pub struct Hold {
    stream: Stream,
    mean_ns: f64,
}

impl Model for Hold {
    type Event = u32;
    fn handle(&mut self, event: u32, ctx: &mut Context<'_, u32>) {
        ctx.schedule_in(self.gap(), event);
    }
}

impl Hold {
    /// A simulation with `pending` events, which stay that many.
    #[must_use]
    pub fn simulation(pending: u32, stream: Stream) -> Simulation<Self> {
        let mut sim = Simulation::new(Self { stream, mean_ns: f64::from(pending) * 1_000.0 });
        for event in 0..pending {
            sim.act(|model, ctx| ctx.schedule_in(model.gap(), event));
        }
        sim
    }

    fn gap(&mut self) -> SimDuration {
        SimDuration::from_nanos_f64(self.mean_ns * self.stream.exponential())
    }
}

/// W2: ten servers, mean demand 1 ms, 9,000 requests/s; one Pod on one Node, its clients beside it.
#[must_use]
pub fn w2(requests: u64) -> ClusterSpec {
    let pod = behaviour(SimDuration::from_millis(1), 10);
    let link = LinkSpec { delay: DistSpec::Constant(SimDuration::ZERO), bandwidth: None, queue: None };
    cluster(vec![node("node", "any")], vec![workload("server", 1, "any", pod)], link, Origin::Cluster, 1, 9_000.0, requests)
}

/// W3 at `scale`: 20 client Nodes of 2,800 requests/s each, 100 Pods of four servers, mean demand 5 ms; every
/// hop takes 20 µs and an exponential time of mean 30 µs.
#[must_use]
pub fn w3(scale: u32, requests: u64) -> ClusterSpec {
    let nodes = |role: &'static str| (0..20 * scale).map(move |i| node(&format!("{role}-{i}"), role));
    let hop = DistSpec::Shifted { by: us(20), dist: Box::new(DistSpec::Exponential { mean: us(30) }) };
    let link = LinkSpec { delay: hop, bandwidth: None, queue: None };
    let clients = workload("client", 20 * scale, "client", behaviour(us(1), 1));
    let servers = workload("server", 100 * scale, "server", behaviour(SimDuration::from_millis(5), 4));
    let rate = 56_000.0 * f64::from(scale);
    let from = Origin::Workload("client".to_owned());
    cluster(nodes("client").chain(nodes("server")).collect(), vec![clients, servers], link, from, 20 * scale, rate, requests)
}

fn behaviour(mean: SimDuration, concurrency: u32) -> PodBehaviour {
    PodBehaviour::new(DistSpec::Exponential { mean }, concurrency)
}

fn node(name: &str, role: &str) -> NodeSpec {
    let labels = BTreeMap::from([("role".to_owned(), role.to_owned())]);
    NodeSpec { name: name.to_owned(), labels, ..NodeSpec::default() }
}

fn workload(name: &str, replicas: u32, role: &str, pod: PodBehaviour) -> WorkloadSpec {
    WorkloadSpec {
        name: name.to_owned(),
        field: format!("deployments.{name}"),
        labels: BTreeMap::from([("app".to_owned(), name.to_owned())]),
        replicas,
        controller: Controller::Deployment,
        rollout: RolloutSpec::default(),
        budget: None,
        autoscaler: None,
        cpu_request: None,
        scheduling: SchedulingSpec::default(),
        probes: Probes::default(),
        readiness_gate: false,
        node_selector: BTreeMap::from([("role".to_owned(), role.to_owned())]),
        placed_on: Vec::new(),
        ports: Vec::new(),
        termination_grace: SimDuration::from_secs(30),
        pre_stop: SimDuration::ZERO,
        pod,
    }
}

fn cluster(
    nodes: Vec<NodeSpec>,
    workloads: Vec<WorkloadSpec>,
    link: LinkSpec,
    from: Origin,
    clients: u32,
    rate: f64,
    requests: u64,
) -> ClusterSpec {
    let duration = SimDuration::from_nanos_f64(requests as f64 / rate * 1e9);
    let service = ServiceSpec {
        name: "server".to_owned(),
        field: "services.server".to_owned(),
        selector: BTreeMap::from([("app".to_owned(), "server".to_owned())]),
        ports: vec![ServicePortSpec::tcp("", 80)],
        ..ServiceSpec::default()
    };
    let traffic = TrafficSpec {
        from,
        to: "server".to_owned(),
        via: Via::ClusterIP,
        port: None,
        arrivals: ArrivalsSpec::Poisson(poisson::Spec { rate: Rate(rate) }),
        clients,
        connections: ConnectionsSpec::PerRequest,
        handshake: None,
        request_size: DistSpec::Constant(Bytes(1_000)),
        response_size: DistSpec::Constant(Bytes(10_000)),
        timeout: None,
        keys: None,
        priority: 0,
        popularity: Popularity::Even,
        behind_addresses: None,
        first_address: None,
        dns: None,
        balancing: None,
        tcp: TcpSpec::default(),
        retries: None,
        hedging: None,
        service_time: None,
        circuit_breaker: None,
        outlier_detection: None,
    };
    ClusterSpec {
        nodes,
        workloads,
        services: vec![service],
        network: NetworkSpec { shape: ShapeSpec::OneSwitch(OneSwitchSpec { node: link }), sites: BTreeMap::new() },
        data_plane: DataPlaneSpec::default(),
        proxy: ProxySpec::default(),
        // Thousands of connections a second through one Node would fill a real Node's table within seconds.
        conntrack: ConntrackSpec { min: u32::MAX, ..ConntrackSpec::default() },
        load_balancer: LoadBalancerSpec::default(),
        propagation: PropagationSpec::default(),
        endpoint_slices: EndpointSlicesSpec::default(),
        autoscaling: AutoscalingSpec::default(),
        traffic: BTreeMap::from([("clients".to_owned(), traffic)]),
        node_lifecycle: NodeLifecycleSpec::default(),
        events: BTreeMap::new(),
        sample: 0,
        run: RunSpec { duration, warm_up: SimDuration::ZERO, window: SimDuration::from_secs(1) },
    }
}
