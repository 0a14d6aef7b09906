//! Small worlds to test in, and the statistics by which a test decides.

use std::collections::BTreeMap;
use std::fmt::Display;
pub(crate) use svcsim_engine::SimDuration;
pub(crate) use svcsim_engine::random::DistSpec;
use svcsim_engine::random::Streams;
use svcsim_models::cluster::{Outcome, run};
use svcsim_models::dataplane::{ConntrackSpec, DataPlaneSpec, ProxySpec, SyncSpec, iptables};
use svcsim_models::load_balancer::{HealthCheck, LoadBalancerSpec, Parameters};
use svcsim_models::network::{LinkSpec, NetworkSpec, OneSwitchSpec, ShapeSpec, SiteSpec, ZonesSpec};
use svcsim_models::record::{RunResult, SeriesResult};
pub(crate) use svcsim_models::spec::*;
use svcsim_models::units::{Bytes, Rate};
use svcsim_models::workload::{ArrivalsSpec, poisson};

/// Of every test that does not say otherwise; a failure message repeats it.
pub(crate) const SEED: u64 = 20_260;

pub(crate) const fn us(n: u64) -> SimDuration {
    SimDuration::from_micros(n)
}

pub(crate) const fn ms(n: u64) -> SimDuration {
    SimDuration::from_millis(n)
}

pub(crate) const fn secs(n: u64) -> SimDuration {
    SimDuration::from_secs(n)
}

/// A pure delay.
pub(crate) fn delay(of: SimDuration) -> LinkSpec {
    LinkSpec { delay: DistSpec::Constant(of), bandwidth: None, queue: None }
}

pub(crate) fn constant<Q>(value: Q) -> DistSpec<Q> {
    DistSpec::Constant(value)
}

pub(crate) fn poisson(per_second: f64) -> ArrivalsSpec {
    ArrivalsSpec::Poisson(poisson::Spec { rate: Rate(per_second) })
}

pub(crate) fn node(name: &str, zone: &str) -> NodeSpec {
    NodeSpec { name: name.to_owned(), zone: zone.to_owned(), ..NodeSpec::default() }
}

/// Nodes `n0`, `n1`, ... in these zones.
pub(crate) fn nodes_in(zones: &[&str]) -> Vec<NodeSpec> {
    zones.iter().enumerate().map(|(i, zone)| node(&format!("n{i}"), zone)).collect()
}

pub(crate) fn behaviour(service_time: DistSpec<SimDuration>, concurrency: u32) -> PodBehaviour {
    PodBehaviour { startup: constant(SimDuration::ZERO), ..PodBehaviour::new(service_time, concurrency) }
}

/// The Pods of the Service `web`, which runs one on each Node named in `placed_on`.
pub(crate) fn web(placed_on: &[&str], pod: PodBehaviour) -> WorkloadSpec {
    WorkloadSpec {
        name: "web".to_owned(),
        field: "deployments.web".to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        replicas: placed_on.len() as u32,
        controller: Controller::Deployment,
        rollout: RolloutSpec::default(),
        budget: None,
        autoscaler: None,
        cpu_request: None,
        scheduling: SchedulingSpec::default(),
        probes: prompt_probes(),
        readiness_gate: false,
        node_selector: BTreeMap::new(),
        placed_on: placed_on.iter().map(|&n| n.to_owned()).collect(),
        ports: Vec::new(),
        termination_grace: secs(30),
        pre_stop: SimDuration::ZERO,
        pod,
    }
}

/// A Pod is ready as soon as it listens, give or take a tenth of a millisecond, and not before.
pub(crate) fn prompt_probes() -> Probes {
    Probes { readiness: Some(ProbeSpec { period: us(100), ..ProbeSpec::default() }), ..Probes::default() }
}

/// A workload that no Service selects: somewhere to send from.
pub(crate) fn callers(placed_on: &[&str]) -> WorkloadSpec {
    let labels = BTreeMap::from([("app".to_owned(), "caller".to_owned())]);
    WorkloadSpec { name: "caller".to_owned(), field: "deployments.caller".to_owned(), labels, ..web(placed_on, quick()) }
}

/// Pods that are never busy: 1 ms, as many at once as come.
pub(crate) fn quick() -> PodBehaviour {
    behaviour(constant(ms(1)), 10_000)
}

/// The Service `web`, of the given type, with policy Cluster.
pub(crate) fn service(service_type: ServiceType) -> ServiceSpec {
    ServiceSpec {
        name: "web".to_owned(),
        field: "services.web".to_owned(),
        service_type,
        selector: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        ports: vec![ServicePortSpec { node_port: Some(30_080), ..ServicePortSpec::tcp("http", 80) }],
        ..ServiceSpec::default()
    }
}

/// A connection for each request, no timeout.
pub(crate) fn traffic(from: Origin, via: Via, per_second: f64) -> TrafficSpec {
    TrafficSpec {
        from,
        to: "web".to_owned(),
        via,
        port: None,
        arrivals: poisson(per_second),
        clients: 10,
        connections: ConnectionsSpec::PerRequest,
        handshake: None,
        request_size: constant(Bytes(1_000)),
        response_size: constant(Bytes(10_000)),
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
    }
}

pub(crate) fn internet() -> Origin {
    Origin::Site("internet".to_owned())
}

pub(crate) fn workload_origin(name: &str) -> Origin {
    Origin::Workload(name.to_owned())
}

/// iptables whose rules are found and written in no time, so that latencies are sums of links and services.
pub(crate) fn free_iptables() -> DataPlaneSpec {
    DataPlaneSpec::Iptables(iptables::Spec { per_rule: SimDuration::ZERO, sync: SyncSpec::INSTANT })
}

/// One switch with zero delays, Nodes `n0`, ..., the Service `web` of type LoadBalancer, a source `clients`, 10 s.
pub(crate) fn spec(nodes: Vec<NodeSpec>, workloads: Vec<WorkloadSpec>, traffic: TrafficSpec) -> ClusterSpec {
    let sites = BTreeMap::from([("internet".to_owned(), SiteSpec { link: delay(SimDuration::ZERO), attach: None })]);
    ClusterSpec {
        nodes,
        workloads,
        services: vec![service(ServiceType::LoadBalancer)],
        network: NetworkSpec { shape: ShapeSpec::OneSwitch(OneSwitchSpec { node: delay(SimDuration::ZERO) }), sites },
        data_plane: free_iptables(),
        proxy: ProxySpec::default(),
        conntrack: ConntrackSpec::default(),
        load_balancer: LoadBalancerSpec::default(),
        propagation: PropagationSpec { publish: constant(ms(50)), to_node: constant(ms(450)), to_dns: constant(SimDuration::ZERO) },
        endpoint_slices: EndpointSlicesSpec::default(),
        autoscaling: AutoscalingSpec::default(),
        traffic: BTreeMap::from([("clients".to_owned(), traffic)]),
        node_lifecycle: NodeLifecycleSpec::default(),
        events: BTreeMap::new(),
        run: RunSpec { duration: secs(10), warm_up: SimDuration::ZERO, window: secs(1) },
        sample: 0,
    }
}

/// A random Pod of `workload` is deleted again and again.
pub(crate) fn deletions(spec: &mut ClusterSpec, workload: &str, every: DistSpec<SimDuration>) {
    spec.events.insert(format!("delete-{workload}"), EventSpec::every(every, Action::PodDelete(any_pod_of(workload))));
}

/// A random Pod of `workload` crashes again and again.
pub(crate) fn crashes(spec: &mut ClusterSpec, workload: &str, every: DistSpec<SimDuration>) {
    spec.events.insert(format!("crash-{workload}"), EventSpec::every(every, Action::PodCrash(any_pod_of(workload))));
}

/// Zones whose links all have delays of their own: 10 µs to a Node, 100 µs to the edge, 1 ms between zones,
/// 10 ms from the site `internet` to the edge.
pub(crate) fn zoned(spec: &mut ClusterSpec) {
    spec.network.shape = ShapeSpec::Zones(ZonesSpec { node: delay(us(10)), zone: delay(us(100)), inter_zone: delay(ms(1)) });
    spec.network.sites = BTreeMap::from([("internet".to_owned(), SiteSpec { link: delay(ms(10)), attach: None })]);
}

/// Time in the load balancer, each way.
pub(crate) fn load_balancer_delay(spec: &mut ClusterSpec, delay: SimDuration) {
    balancer(spec).delay = constant(delay);
}

/// What the load balancer does.
pub(crate) fn balancer(spec: &mut ClusterSpec) -> &mut Parameters {
    &mut spec.load_balancer.parameters
}

/// How it checks Nodes under policy Local.
pub(crate) fn health_check(spec: &mut ClusterSpec) -> &mut HealthCheck {
    balancer(spec).local_health_check.as_mut().expect("instanceTargets checks health")
}

pub(crate) fn source(spec: &mut ClusterSpec) -> &mut TrafficSpec {
    spec.traffic.get_mut("clients").expect("every world has this source")
}

/// One run to its end.
pub(crate) fn run_one(spec: &ClusterSpec, replication: u64) -> RunResult {
    let result = run(spec, &Streams::new(SEED, replication), &|| true);
    match result {
        Ok(Some(result)) => result,
        Ok(None) => panic!("nobody stopped the run"),
        Err(e) => panic!("the spec does not build: {e}"),
    }
}

/// The only source's series of one run.
pub(crate) fn series(spec: &ClusterSpec, replication: u64) -> SeriesResult {
    run_one(spec, replication).series.remove(0)
}

/// Independent runs.
pub(crate) fn replicate(spec: &ClusterSpec, replications: u64) -> Vec<RunResult> {
    (0..replications).map(|r| run_one(spec, r)).collect()
}

/// Measured requests that ended so.
pub(crate) fn count(series: &SeriesResult, outcome: Outcome) -> u64 {
    series.outcomes[outcome as usize]
}

/// Measured requests that ended in any other way than these.
pub(crate) fn others(series: &SeriesResult, outcomes: &[Outcome]) -> u64 {
    series.ended() - outcomes.iter().map(|o| count(series, *o)).sum::<u64>()
}

/// `part` of `whole`.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// The sum of all measured demands that were served, s.
pub(crate) fn served_s(series: &SeriesResult) -> f64 {
    series.service.sum() as f64 / 1e9
}

/// The replications' mean must lie within four standard errors of `expected`, and the standard error must be at
/// most `power` of it: a bound that anything satisfies proves nothing.
#[track_caller]
pub(crate) fn assert_near(what: impl Display, found: impl IntoIterator<Item = f64>, expected: f64, power: f64) {
    let found: Vec<f64> = found.into_iter().collect();
    let n = found.len() as f64;
    assert!(n >= 20.0, "{what}: {n} replications are too few for a standard error");
    let mean = found.iter().sum::<f64>() / n;
    let error = (found.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0) / n).sqrt();
    assert!(
        (mean - expected).abs() <= 4.0 * error,
        "{what}: expected {expected}, found {mean}, standard error {error} over {n} replications of seed {SEED}"
    );
    assert!(
        error <= power * expected.abs(),
        "{what}: standard error {error} is too large to tell {mean} from {expected} to within {power} (seed {SEED})"
    );
}

/// `hits` of `trials` independent chances of `p` must lie within four standard errors of it.
#[track_caller]
pub(crate) fn assert_chance(what: impl Display, hits: u64, trials: u64, p: f64) {
    let error = (p * (1.0 - p) / trials as f64).sqrt();
    let found = share(hits, trials);
    assert!(
        (found - p).abs() <= 4.0 * error,
        "{what}: expected {p}, found {found} ({hits} of {trials}), standard error {error}, seed {SEED}"
    );
    assert!(error <= 0.1 * p, "{what}: {trials} trials are too few to tell {found} from {p} (seed {SEED})");
}
