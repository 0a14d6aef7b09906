//! [`Cluster`]: all state of a simulated cluster, and the one match from event to verb.
//!
//! ```text
//! RequestArrives    arrive    draw demand; reuse a connection, or go to whoever chooses
//! MessageReaches    travel    the next queueing link; or the leg's end:
//!                               load balancer: choose a Node;  entry Node: its Proxy chooses a Pod
//!                                 Reject -> back as Rejected;  Drop -> lost until the client gives up
//!                               Pod: admit -> ServiceCompletes, `demand` later;  client: end(result)
//! ServiceCompletes  complete  the next in line starts; the response goes back
//! SentAgain         again     TCP sends once more what was lost;  TriesAgain: so does a client that retries
//! DeadlinesPass     expire    who has no answer by now: end(TimedOut), or what it was lost to
//! Happens, Pod...   control   publish the Service's endpoints; EndpointsReachNodes, each in its own time
//! ```
//! Nouns (`Pod`, `Proxy`, `Network`) decide, verbs (the functions in `journey` and `control`) schedule, the
//! recorder listens. Every request leaves through `end`, once.

mod addresses;
mod build;
mod control;
mod decisions;
mod divergence;
mod event;
mod journey;
mod lint;
mod probe;
mod request;
mod run;

pub use decisions::{Candidate, Decision};
pub(crate) use decisions::{candidate, decision};
pub use divergence::{Divergence, first_divergence};
pub use event::Event;
pub use lint::{Lint, lint};
pub use request::{Back, Connection, Outcome, Phase, Request, Stage};
pub use run::{Followed, check, decisions, explain, pods_by_node, run, run_followed};

use crate::api::{EndpointSet, Pod};
use crate::balance::{Balance, BalancingSpec, Report};
use crate::circuit_breaker::{Breaker, CircuitBreakerSpec};
use crate::control_plane::proxy_sync::SyncRunner;
use crate::control_plane::rate_limit::RateLimit;
use crate::control_plane::slices::ServiceSlices;
use crate::cpu_quota::CpuQuotaSpec;
use crate::dataplane::{Address, Approach, Conntrack, ConntrackSpec, EndpointTable, IcmpLimit, Proxy, RuleSet, ServiceTable};
use crate::dns::{Answer, Resolver};
use crate::ids::{BalancerId, EventId, NodeId, PodId, ReplicaId, ServiceId, SourceId, VertexId, WorkloadId, ZoneId};
use crate::limiter::LimiterSpec;
use crate::load_balancer::{self, LoadBalancer, Target};
use crate::network::Network;
use crate::outlier_detection::{OutlierDetectionSpec, Outliers};
use crate::pool::{Limits, Pool};
use crate::record::{Recorder, Segment};
use crate::retry::Retrier;
use crate::spec::{
    AtSigterm, AutoscalingSpec, ContainerPortSpec, Controller, Discipline, DisruptionBudgetSpec, NodeLifecycleSpec, NodeSpec, Probes,
    Protocol, RolloutSpec, TcpSpec, Via, WarmUp,
};
use crate::workload::{Arrivals, Calls};
use control::{Asks, Autoscaler, Condition, Evictions, Meter, Planned, Version};
use decisions::Decisions;
use journey::{Board, Call, Calling};
use probe::Probe;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use svcsim_engine::queueing::DelayLine;
use svcsim_engine::random::{Dist, Stream, Streams};
use svcsim_engine::{Context, IdVec, Key, Model, SimDuration, SimTime, Slab};

/// What a random stream is for. With seed, replication and the name of the thing that draws, it keys the
/// stream, so that designs under comparison meet the same arrivals, demands and incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Gaps between a source's requests.
    Arrivals = 1,
    /// Which client sends.
    Clients = 2,
    /// Service demands of a source's requests.
    Demand = 3,
    /// Sizes of a source's requests and responses.
    Sizes = 4,
    /// Link delays that a source's messages meet.
    Network = 5,
    /// Ports of new connections, and the Node dialled.
    Flow = 6,
    /// Choices of one Node's proxy.
    Proxy = 7,
    /// Choices of one load balancer.
    LoadBalancer = 8,
    /// When an event of the experiment occurs, to what, and for how long.
    Event = 9,
    /// When a Node's kubelet renews its lease, and how late it sees what its containers do.
    Kubelet = 10,
    /// How long a workload's Pods take to start.
    Startup = 11,
    /// How long changes take to reach Nodes.
    Propagation = 12,
    /// Lookups of names, and which of several answers is taken.
    Dns = 13,
    /// When in each of their periods metrics-server and autoscalers look.
    Autoscaler = 14,
    /// When in each of its periods a Node's proxy writes all its rules.
    FullSync = 28,
    /// How long changes take to reach DNS.
    DnsView = 29,
    /// What a degraded link does to messages.
    Degradation = 30,
    /// Pauses before retries of a source's clients.
    Retries = 40,
    /// When in their intervals a source's clients look whom to use again.
    OutlierSweeps = 41,
    /// Which of its client's connections a request takes.
    Lanes = 65,
    /// How old connections grow.
    ConnectionAges = 66,
    /// Choices of one client that balances.
    Balancing = 42,
    /// Link delays that a source's probes of Pods meet.
    LoadProbes = 43,
    /// The lots of a source's requests, and what is drawn by one.
    Calls = 44,
    /// How long users think, and how many requests they make.
    Users = 45,
    /// Keys of a source's requests.
    Keys = 46,
    /// What a Pod's surroundings take of it.
    Interference = 67,
    /// Which of its requests a Pod fails.
    Errors = 68,
    /// How long a Pod that sleeps takes to wake up.
    ColdStarts = 69,
}

/// The model: every state there is.
pub struct Cluster {
    streams: Streams,
    nodes: IdVec<NodeId, Node>,
    /// Names of the zones.
    zones: IdVec<ZoneId, String>,
    table: ServiceTable,
    /// How many rules the Services need, by the EndpointSlices last written.
    rules: RuleSet,
    endpoints: IdVec<ServiceId, EndpointState>,
    /// The EndpointSlices last written.
    published: IdVec<ServiceId, Rc<EndpointSet>>,
    /// Those that DNS has heard of last, and answers by.
    known_to_dns: IdVec<ServiceId, Rc<EndpointSet>>,
    /// The newest endpoints that all Nodes know, which they share.
    common: Rc<EndpointTable>,
    /// Each zone's part of the Nodes' CPU, for hints in its proportion.
    cpu_ratios: Option<BTreeMap<ZoneId, f64>>,
    load_balancers: IdVec<BalancerId, Balancer>,
    workloads: IdVec<WorkloadId, Workload>,
    replicas: IdVec<ReplicaId, Replica>,
    pods: IdVec<PodId, Pod>,
    sources: IdVec<SourceId, Source>,
    requests: Slab<Request>,
    /// Requests that wait for what they called, with the places that are free, and the critical paths of those that do no more.
    callings: Vec<Calling>,
    free_callings: Vec<u32>,
    /// Pods that can accept another connection, and are to do so.
    vacated: Vec<PodId>,
    paths: BTreeMap<Key, Vec<Segment>>,
    /// Copies of one request, each with the other.
    siblings: BTreeMap<Key, Key>,
    /// Probes of Pods' loads, under way.
    load_probes: Slab<LoadProbe>,
    updates: Vec<Update>,
    network: Network,
    propagation: Propagation,
    planned: IdVec<EventId, Planned>,
    /// Faults of Nodes and zones that are not repaired: while there are none, no message is asked where it goes.
    faults: u32,
    /// The Node at each vertex of the network.
    node_at: Vec<Option<NodeId>>,
    node_lifecycle: NodeLifecycleSpec,
    evictions: Evictions,
    /// Workloads with Pods that fit on no Node.
    pending: BTreeSet<WorkloadId>,
    autoscaling: AutoscalingSpec,
    /// When in each of its periods metrics-server looks, as a part of it.
    scrape_phase: f64,
    /// The CPU of Pods whose workloads have autoscalers.
    meters: BTreeMap<PodId, Meter>,
    /// Most places of a workload: bounds what a slip of the keyboard can ask for.
    most_places: usize,
    /// Blocks of Pods' addresses that Nodes have.
    pod_blocks: u32,
    /// Failures of DNS that are not repaired.
    dns_out: u32,
    /// Outages of the control plane that are not repaired, and what waits for its return.
    control_plane_out: u32,
    put_by: Vec<Event>,
    conntrack_spec: ConntrackSpec,
    recorder: Recorder,
    /// Choices of policies, where somebody wants to know.
    decisions: Option<Decisions>,
    /// Follows one request, where somebody wants to know; most runs have none.
    probe: Option<Box<Probe>>,
    /// The data plane's word, and the load balancer's.
    data_plane: &'static str,
    load_balancer: &'static str,
    /// Sources send nothing at or after this time.
    sending_until: SimTime,
}

/// A Node with what runs on it for the data plane.
struct Node {
    spec: NodeSpec,
    vertex: VertexId,
    zone: Option<ZoneId>,
    proxy: Proxy,
    conntrack: Conntrack,
    /// How often it says that it rejects.
    icmp: IcmpLimit,
    /// When the proxy writes its rules, and from when on it writes all of them.
    sync: SyncRunner,
    full_sync: SimTime,
    /// Changes that it has heard of, and those that it is writing.
    news: Vec<(ServiceId, Rc<EndpointSet>)>,
    writing: Vec<(ServiceId, Rc<EndpointSet>)>,
    /// Its Pods' addresses.
    addresses: addresses::PodAddresses,
    /// What is wrong with it.
    condition: Condition,
    /// Drains that are not repaired: while there are any, it takes no new Pods.
    cordons: u32,
    /// When in each of their periods its leases are renewed.
    lease_phase: SimDuration,
    /// How late its kubelet sees what containers do.
    kubelet: Stream,
    /// Images on it, by workload and revision, and until when it is pulling.
    images: BTreeSet<(WorkloadId, u32)>,
    pulling_until: SimTime,
}

/// How far the world knows a Service's endpoints.
#[derive(Default)]
struct EndpointState {
    /// Counts the changes of its Pods.
    version: u64,
    /// Whether its EndpointSlices are about to be written, with all that changes until then.
    publishing: bool,
    /// Its EndpointSlices.
    slices: ServiceSlices,
    /// What is being written to them, and until when; then it is public.
    writing: Option<(SimTime, Rc<EndpointSet>)>,
    /// The oldest change of a Pod that no slice tells yet.
    trigger: Option<SimTime>,
    /// The oldest change that not all Nodes know.
    unknown_since: Option<SimTime>,
    /// Nodes that know the newest version.
    fresh_nodes: u32,
    /// Most stale Nodes since the timeline's window began.
    stale_most: u32,
    /// Ready Pods now.
    ready: u32,
    /// Fewest ready Pods since the timeline's window began.
    ready_fewest: u32,
    /// The load balancers in front, by port; none if it has none.
    balancers: Vec<BalancerId>,
    /// What is on its way to DNS, and when the last of it will be there.
    to_dns: VecDeque<Rc<EndpointSet>>,
    at_dns: SimTime,
}

/// The load balancer of one port of a Service, and what it was told to have as targets.
struct Balancer {
    service: ServiceId,
    port: u16,
    lb: LoadBalancer,
    targets: BTreeSet<Target>,
    /// Targets that are being registered or deregistered, and when what made that necessary happened.
    orders: Vec<(Target, SimTime)>,
    /// Failures of it that are not repaired.
    failures: u32,
    /// Limits on what it has under way.
    breaker: Option<Breaker>,
}

/// What creates Pods.
struct Workload {
    name: String,
    discipline: Discipline,
    concurrency: u32,
    queue_limit: Option<u32>,
    shed_after: Option<SimDuration>,
    adaptive_limit: Option<LimiterSpec>,
    backlog: u32,
    max_connections: Option<u32>,
    cpu_quota: Option<CpuQuotaSpec>,
    /// When its Pods go to sleep, and how long they take to wake up.
    sleeps: Option<(SimDuration, Dist)>,
    sandbox_teardown: SimDuration,
    service_time: Dist,
    image_pull: Dist,
    startup: Dist,
    startup_stream: Stream,
    warm_up: Option<WarmUp>,
    /// How fast its Pods are, by place, over and over.
    speeds: Vec<f64>,
    interference: Option<Dist>,
    error_probability: f64,
    /// What its requests call, in the order of steps, and who sends these calls.
    calls: Vec<Call>,
    /// Whether requests leave their servers to others meanwhile.
    asynchronous: bool,
    at_sigterm: AtSigterm,
    probes: Probes,
    readiness_gate: bool,
    /// Whether its Pods keep how long requests take, since somebody asks.
    probed: bool,
    ports: Vec<ContainerPortSpec>,
    pre_stop: SimDuration,
    termination_grace: SimDuration,
    /// Nodes its Pods may be placed on.
    eligible: Vec<NodeId>,
    /// What its Pods ask of Nodes beyond that.
    asks: Asks,
    replicas: Vec<ReplicaId>,
    /// Its Pods that are not gone.
    pods: Vec<PodId>,
    services: Vec<ServiceId>,
    controller: Controller,
    /// How many Pods it is to have.
    desired: u32,
    rollout: RolloutSpec,
    budget: Option<DisruptionBudgetSpec>,
    autoscaler: Option<Autoscaler>,
    /// Thousandths of a core that each Pod requests.
    cpu_request: Option<u64>,
    /// Versions that have Pods or are to have some, oldest first.
    versions: Vec<Version>,
    /// When its rollout last made progress.
    progressed: SimTime,
    /// Revisions that never listen.
    failing: Vec<u32>,
    /// Whether its controller is at work, which changes of its Pods must not start again.
    reconciling: bool,
}

/// A place in a workload.
struct Replica {
    name: String,
    workload: WorkloadId,
    /// The Pod that fills it now, or is about to.
    pod: PodId,
    /// Which of the workload's places it is.
    place: u32,
    /// Pods that have filled it.
    pods: u32,
}

/// One source of requests.
struct Source {
    name: String,
    /// The Service dialled; for an ExternalName, the one it leads to.
    service: ServiceId,
    /// Place of the port dialled.
    port: u16,
    protocol: Protocol,
    via: Via,
    /// The load balancer that it dials, if there is one in front.
    balancer: Option<BalancerId>,
    /// How packets that a load balancer hands on are addressed, and those of others.
    address: Address,
    /// Cumulative shares of the requests' keys.
    keys: Option<Vec<f64>>,
    /// Cumulative shares of the clients; none: all send alike.
    shares: Option<Vec<f64>>,
    resolver: Option<Resolver>,
    /// How its clients choose Pods, where they do, and the loads that all of them read.
    balancing: Option<BalancingSpec>,
    board: Option<Board>,
    /// The demand of its requests, where it is not the workload's.
    service_time: Option<Dist>,
    /// The workload whose demand distribution its requests have; none if the Service selects nothing.
    workload: Option<WorkloadId>,
    clients: Vec<Client>,
    /// When it sends; not by itself where a workload's Pods call.
    arrivals: Option<Arrivals>,
    /// Who sends when the last request of theirs is over, with the places that are free.
    users: Vec<User>,
    free_users: Vec<u32>,
    /// Whether who calls can answer without it.
    optional: bool,
    /// How new clients of it protect themselves.
    circuit_breaker: Option<CircuitBreakerSpec>,
    outlier_detection: Option<OutlierDetectionSpec>,
    request_size: Dist,
    response_size: Dist,
    timeout: Option<SimDuration>,
    /// How long the first try may take: the request's time-out, or a try's if that is shorter.
    first_timeout: Option<SimDuration>,
    tcp: TcpSpec,
    retrier: Option<Retrier>,
    /// What its requests' priority is.
    priority: u8,
    /// After how long without an answer a request is sent once more.
    hedging: Option<SimDuration>,
    /// What a proxying load balancer waits for.
    gateway: DelayLine<Key>,
    /// Idle connections a client keeps; none with a connection per request.
    max_idle: Option<u32>,
    /// What clients know of their connections beyond that, where there is a reason to.
    pooling: Option<Pooling>,
    /// Round trips of a new connection before its first request.
    handshake: u8,
    deadlines: DelayLine<Key>,
    streams: SourceStreams,
}

/// The connections of a source's clients.
struct Pooling {
    limits: Limits,
    max_age: Option<Dist>,
    /// Which of several connections a request takes.
    spread: Stream,
    ages: Stream,
    /// By client.
    pools: Vec<Pool>,
}

struct SourceStreams {
    arrivals: Stream,
    clients: Stream,
    demand: Stream,
    sizes: Stream,
    network: Stream,
    flow: Stream,
    dns: Stream,
    probes: Stream,
    lots: Stream,
    users: Stream,
    keys: Stream,
}

/// Somebody who sends when the last request is over.
#[derive(Clone, Copy)]
struct User {
    client: u32,
    /// Requests that are still to be made.
    left: Calls,
}

/// One client of a source.
struct Client {
    vertex: VertexId,
    /// The Node it runs on, inside the cluster.
    node: Option<NodeId>,
    address: IpAddr,
    /// How its packets meet a Node's rules: the same at every Node that they can reach.
    approach: Approach,
    resolved: Option<Answer>,
    /// Idle connections, most recently used last, with the time since when.
    idle: Vec<(SimTime, Connection)>,
    /// What keeps it from sending, or from sending to some; most clients know nothing of the kind.
    guard: Option<Box<Guard>>,
    /// How it chooses among Pods, where it does.
    balance: Option<Box<Balance>>,
}

/// A client asks a Pod how busy it is.
#[derive(Clone, Copy)]
struct LoadProbe {
    source: SourceId,
    client: u32,
    pod: PodId,
    /// Where the probe, or the answer, is.
    at: VertexId,
    /// The answer, and when the Pod gave it.
    report: Option<(Report, SimTime)>,
}

/// A client's own protection.
struct Guard {
    /// Limits on what it has under way.
    breaker: Option<Breaker>,
    /// Pods that fail.
    outliers: Option<Outliers<PodId>>,
}

/// A published change of endpoints on its way to the Nodes: one pending event for all of them.
struct Update {
    service: ServiceId,
    set: Rc<EndpointSet>,
    /// When it reaches which Node, latest first.
    wave: Vec<(SimTime, NodeId)>,
}

struct Propagation {
    publish: Dist,
    to_node: Dist,
    to_dns: Dist,
    dns_stream: Stream,
    batch_period: SimDuration,
    max_per_slice: usize,
    writes: RateLimit,
    stream: Stream,
}

type Ctx<'a> = Context<'a, Event>;

impl Model for Cluster {
    type Event = Event;

    fn handle(&mut self, event: Event, ctx: &mut Ctx<'_>) {
        if self.control_plane_waits(event.needs_control_plane(), event) {
            return;
        }
        match event {
            Event::RequestArrives { source } => self.arrive(source, ctx),
            Event::MessageReaches { request, vertex } => self.message_reaches(request, vertex, ctx),
            Event::ServiceCompletes { pod, request } => self.complete(pod, request, ctx),
            Event::SharingCompletes { pod, epoch } => self.complete_sharing(pod, epoch, ctx),
            Event::SentAgain { request } => self.send_again(request, ctx),
            Event::LoadProbeMoves { probe } => self.load_probe_moves(probe, ctx),
            Event::Hedges { request } => self.hedge(request, ctx),
            Event::UserSends { source, user } => self.user_sends(source, user, ctx),
            Event::LoadsReported { source } => self.write_loads(source, ctx),
            Event::TriesAgain { request } => self.try_again(request, ctx),
            Event::TryExpires { request } => self.expire_try(request, ctx),
            Event::GatewayTimesOut { source } => self.gateway_times_out(source, ctx),
            Event::ConnectionsDue { source, client } => self.connections_due(source, client, ctx),
            Event::DeadlinesPass { source } => self.expire(source, ctx),
            Event::HealthCheck { balancer, target } => self.check_health(balancer, target, ctx),
            Event::CheckTimesOut { balancer, target } => self.checked(balancer, target, load_balancer::Probe::TimedOut, ctx),
            Event::TargetRegistered { balancer, target } => self.target_registered(balancer, target, ctx),
            Event::TargetDeregistered { balancer, target } => self.target_deregistered(balancer, target, ctx),
            Event::TargetCut { balancer, target } => self.draining_ends(balancer, target, ctx),
            Event::Happens { event } => self.happens(event, ctx),
            Event::Repaired { event, occurrence } => self.repaired(event, occurrence, ctx),
            Event::DrainGoesOn { node } => self.drain_goes_on(node, ctx),
            Event::Reconcile { workload } => self.reconcile(workload, ctx),
            Event::ProgressDeadline { workload, revision } => self.progress_deadline(workload, revision, ctx),
            Event::MetricsScraped => self.scrape_metrics(ctx),
            Event::AutoscalerSyncs { workload } => self.autoscaler_syncs(workload, ctx),
            Event::DnsHears { service } => self.dns_hears(service),
            Event::NodeCatchesUp { node } => self.catch_up(node, ctx),
            Event::NodeUnreachable { node, failure } => self.node_unreachable(node, failure, ctx),
            Event::TaintsReviewed => self.review_taints(ctx),
            Event::NodeEvicts { node, failure } => self.node_evicts(node, failure, ctx),
            Event::ContainerStarts { pod, life } => self.container_starts(pod, life, ctx),
            Event::PodListens { pod, life } => self.pod_listens(pod, life, ctx),
            Event::ProbeSucceeds { pod, life } => self.probe_succeeds(pod, life, ctx),
            Event::ProbeFails { pod, life } => self.probe_fails(pod, life, ctx),
            Event::ContainerKilled { pod, life } => self.container_killed(pod, life, ctx),
            Event::CrashDetected { pod, life } => self.crash_detected(pod, life, ctx),
            Event::PodAwake { pod } => self.pod_awake(pod, ctx),
            Event::QuotaSpent { pod } => self.quota_spent(pod, ctx),
            Event::QuotaRefills { pod } => self.quota_refills(pod, ctx),
            Event::PodStops { pod } => self.pod_stops(pod, ctx),
            Event::PodKilled { pod } => self.pod_killed(pod, ctx),
            Event::EndpointsPublished { service } => self.endpoints_published(service, ctx),
            Event::SlicesWritten { service } => self.slices_written(service, ctx),
            Event::SyncStarts { node } => self.start_sync(node, ctx),
            Event::SyncEnds { node } => self.finish_sync(node, ctx),
            Event::EndpointsReachNodes { update } => self.endpoints_reach_nodes(update, ctx),
        }
        while let Some(pod) = self.vacated.pop() {
            self.accept_next(pod, ctx);
        }
    }
}
