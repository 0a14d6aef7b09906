//! Who sends what, how often, over which connections.

use super::defaults;
use crate::circuit_breaker::CircuitBreakerSpec;
use crate::outlier_detection::OutlierDetectionSpec;
use crate::units::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// One source of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrafficSpec {
    /// Where the clients are.
    pub from: Origin,
    /// The Service they call, by name.
    pub to: String,
    /// Which of the Service's addresses they dial.
    pub via: Via,
    /// Which port, by name or number; absent: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Arrivals: when requests are sent.
    pub arrivals: crate::workload::ArrivalsSpec,
    /// Independent clients among whom the requests are spread evenly at random; each has its own connections.
    #[serde(default = "defaults::clients")]
    pub clients: u32,
    /// How often each client sends.
    #[serde(default, skip_serializing_if = "Popularity::is_even")]
    pub popularity: Popularity,
    /// What policies that hash may go by; absent: every request has the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeysSpec>,
    /// Where Pods serve by priority: 0 before 1, and so on.
    #[serde(default, skip_serializing_if = "is_first")]
    pub priority: u8,
    /// How many translating addresses all clients outside are behind (carrier-grade NAT, a proxy); absent: each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_addresses: Option<u32>,
    /// The address of the first client outside, or of the first that translates; the next ones follow it. Absent: made up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_address: Option<std::net::Ipv4Addr>,
    /// How clients look the Service's name up; absent: they know its address, or, for `PodIP` and `ExternalName`, defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<crate::dns::DnsSpec>,
    /// How each client chooses the Pod of each request, where it does: via `Endpoints`, or `PodIP` where it is the answers' turn
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancing: Option<crate::balance::BalancingSpec>,
    /// A connection for each request, or some that are kept.
    #[serde(default)]
    pub connections: ConnectionsSpec,
    /// Round trips before the first data of a new connection; absent: none, but those of TCP where connections are multiplexed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake: Option<HandshakeSpec>,
    /// Size of a request on the wire.
    #[serde(default = "defaults::request_size")]
    pub request_size: DistSpec<Bytes>,
    /// Size of a response on the wire.
    #[serde(default = "defaults::response_size")]
    pub response_size: DistSpec<Bytes>,
    /// The demand of its requests, where they are a class of their own; absent: what the Pods' `serviceTime` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_time: Option<DistSpec<SimDuration>>,
    /// A client gives up this long after the intended start; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SimDuration>,
    /// What the client's kernel does about packets that are lost.
    #[serde(default, skip_serializing_if = "TcpSpec::is_default")]
    pub tcp: TcpSpec,
    /// Whether failed requests are tried again; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<crate::retry::RetrySpec>,
    /// Whether slow requests are sent a second time; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedging: Option<HedgingSpec>,
    /// Limits on what each client has under way, as in Envoy; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreakerSpec>,
    /// When a client avoids a Pod that fails, as in Envoy; absent: never. Only where the client chooses the Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetectionSpec>,
}

impl TrafficSpec {
    /// A source without anything that may be left out; whom it calls is to be said.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            from: Origin::Cluster,
            to: String::new(),
            via: Via::ClusterIP,
            port: None,
            arrivals: crate::workload::ArrivalsSpec::Poisson(crate::workload::poisson::Spec { rate: crate::units::Rate(1.0) }),
            clients: defaults::clients(),
            popularity: Popularity::Even,
            keys: None,
            priority: 0,
            behind_addresses: None,
            first_address: None,
            dns: None,
            balancing: None,
            connections: ConnectionsSpec::default(),
            handshake: None,
            request_size: defaults::request_size(),
            response_size: defaults::response_size(),
            service_time: None,
            timeout: None,
            tcp: TcpSpec::default(),
            retries: None,
            hedging: None,
            circuit_breaker: None,
            outlier_detection: None,
        }
    }
}

/// `hedging: {after: 50ms}` (gRFC A6 `hedgingDelay`, with `maxAttempts: 2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HedgingSpec {
    /// So long after the first copy the second is sent, unless the first is answered by then.
    pub after: SimDuration,
}

/// `keys: {count: 10000, zipf: 0.9}`: which row, path or user each request is about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeysSpec {
    /// How many there are.
    pub count: u32,
    /// The k-th is asked for in proportion to `k^-zipf`; 0: all alike.
    #[serde(default)]
    pub zipf: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
const fn is_first(priority: &u8) -> bool {
    *priority == 0
}

/// TCP of the clients' kernel. UDP sends nothing again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TcpSpec {
    /// Whether lost packets are sent again.
    pub retransmit: bool,
    /// How often a SYN is sent again with a time-out that has doubled (Linux `tcp_syn_retries`: 6).
    pub syn_retries: u8,
    /// How often it is sent again before that, each after a second (Linux `tcp_syn_linear_timeouts`: 4 since 6.5, none before).
    pub syn_linear_timeouts: u8,
    /// How long the client waits for a connection; absent: as long as its kernel, or its `timeout` if that is shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<SimDuration>,
    /// How answers set out over a connection that is new or was idle; absent: at once and whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<SlowStartSpec>,
}

impl TcpSpec {
    /// Linux `MAX_TCP_SYNCNT`.
    pub const MOST_SYN_RETRIES: u8 = 127;

    /// How often a SYN is sent again in all.
    #[must_use]
    pub fn syn_tries(&self) -> u8 {
        self.syn_retries.saturating_add(self.syn_linear_timeouts)
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for TcpSpec {
    fn default() -> Self {
        Self { retransmit: true, syn_retries: 6, syn_linear_timeouts: 4, connect_timeout: None, slow_start: None }
    }
}

/// Where clients are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// Outside the cluster, at the network's client site of this name.
    Site(String),
    /// In the Pods of the workload of this name.
    Workload(String),
    /// In Pods spread evenly over all Nodes.
    Cluster,
}

/// How requests are spread over clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Popularity {
    /// Every client sends as often as any other.
    #[default]
    Even,
    /// The k-th client sends in proportion to `k^-exponent`.
    Zipf {
        /// 0 is even; 1 is Zipf's law.
        exponent: f64,
    },
}

impl Popularity {
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
    fn is_even(&self) -> bool {
        *self == Self::Even
    }
}

/// Which address of a Service clients dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Via {
    /// The cluster IP: only from inside the cluster.
    ClusterIP,
    /// A Node's address and the node port; each new connection picks a Node evenly at random.
    NodePort,
    /// The load balancer's public address.
    LoadBalancer,
    /// One of `externalIPs`; from outside, the network spreads connections evenly over the Nodes.
    ExternalIP,
    /// A Pod's own address, by the answers of DNS: only for a headless Service.
    PodIP,
    /// A Pod's own address, by the EndpointSlices that the client, its sidecar or its gateway watches (gRPC with xDS, Envoy,
    /// Linkerd): as old as its Node's, before any sync of kube-proxy.
    Endpoints,
    /// The name of an ExternalName Service, which leads to another Service of the cluster.
    ExternalName,
}

impl Via {
    /// Whether clients dial Pods' own addresses, past all data planes.
    #[must_use]
    pub const fn is_to_pod(self) -> bool {
        matches!(self, Self::PodIP | Self::Endpoints)
    }
}

/// `handshake: {tcp: true, tls: tls13}`: what two ends say to each other before the first request of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HandshakeSpec {
    /// SYN and SYN-ACK are a round trip of their own; otherwise the first packet is the request (RFC 9293; as with TCP Fast Open).
    pub tcp: bool,
    /// TLS, over TCP.
    pub tls: Tls,
}

impl Default for HandshakeSpec {
    fn default() -> Self {
        Self { tcp: true, tls: Tls::None }
    }
}

impl HandshakeSpec {
    /// No round trip.
    pub const NONE: Self = Self { tcp: false, tls: Tls::None };

    /// Round trips in all.
    #[must_use]
    pub fn rounds(self) -> u8 {
        u8::from(self.tcp) + self.tls.rounds()
    }
}

/// Which handshake of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tls {
    /// None; or one resumed with early data (0-RTT), which costs no round trip either (RFC 8446, section 2.3).
    #[default]
    None,
    /// One round trip (RFC 8446, figure 1); so has a session of TLS 1.2 that is resumed (RFC 5246, figure 2).
    Tls13,
    /// Two round trips (RFC 5246, figure 1).
    Tls12,
}

impl Tls {
    const fn rounds(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Tls13 => 1,
            Self::Tls12 => 2,
        }
    }
}

/// `slowStart: {initialWindow: 10, afterIdle: true}`: TCP's slow start, of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SlowStartSpec {
    /// Segments that set out at once over a new connection (Linux `TCP_INIT_CWND`, RFC 6928: 10).
    pub initial_window: u32,
    /// Whether a window that was idle shrinks again (Linux `tcp_slow_start_after_idle`: yes).
    pub after_idle: bool,
}

impl Default for SlowStartSpec {
    fn default() -> Self {
        Self { initial_window: 10, after_idle: true }
    }
}

/// How a client uses connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConnectionsSpec {
    /// A new connection for each request.
    #[default]
    PerRequest,
    /// HTTP/1.1 keep-alive: the most recently idle connection is used again.
    KeepAlive(KeepAliveSpec),
    /// HTTP/1.1 over a fixed number of connections, opened before the first request.
    Fixed(FixedSpec),
    /// HTTP/2 and gRPC: many requests at once over one connection.
    Multiplexed(MultiplexedSpec),
}

/// A client's pool of connections to one Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeepAliveSpec {
    /// Idle connections a client keeps; more are closed.
    pub max_idle: u32,
    /// Connections of a client at once; who finds all of them taken waits in line. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// A connection that was idle for so long is closed; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<SimDuration>,
    /// A connection is closed after so many requests; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// A connection is closed, as soon as it is idle, when it is so old, drawn for each; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<DistSpec<SimDuration>>,
}

impl KeepAliveSpec {
    /// Nothing is limited but idle connections.
    #[must_use]
    pub fn idle(max_idle: u32) -> Self {
        Self { max_idle, ..Self::default() }
    }
}

/// Connections that each carry one request at a time; a request waits for the one that it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FixedSpec {
    /// Connections of each client.
    pub connections: u32,
    /// Which of them a request takes.
    #[serde(default)]
    pub spread: Spread,
}

/// Connections that carry many requests at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MultiplexedSpec {
    /// Connections of each client; where it chooses Pods, to each.
    pub connections: u32,
    /// Requests at once over one; more wait in line (`SETTINGS_MAX_CONCURRENT_STREAMS`; RFC 9113 recommends at least 100).
    pub max_streams: u32,
    /// Which of several connections a request takes.
    pub spread: Spread,
    /// Whether they stand before the first request; otherwise the first request of each opens it.
    pub opened: bool,
    /// A connection that was idle for so long is closed; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<SimDuration>,
    /// After so many requests a connection takes no more (GOAWAY), and is closed when those that it has are over; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// The same when it is so old, drawn for each; absent: never. gRPC servers' `MAX_CONNECTION_AGE` has a jitter of 10 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<DistSpec<SimDuration>>,
}

impl Default for MultiplexedSpec {
    fn default() -> Self {
        let (connections, max_streams) = (1, 100);
        Self { connections, max_streams, spread: Spread::default(), opened: false, idle_timeout: None, max_requests: None, max_age: None }
    }
}

/// Which of a client's connections a request takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Spread {
    /// One after another.
    #[default]
    RoundRobin,
    /// Evenly at random.
    Random,
}
