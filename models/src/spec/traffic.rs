//! Who sends what, how often, over which connections.

use super::defaults;
use crate::circuit_breaker::CircuitBreakerSpec;
use crate::outlier_detection::OutlierDetectionSpec;
use crate::units::Bytes;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// One source of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// How many translating addresses all clients outside are behind (carrier-grade NAT, a proxy); absent: each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_addresses: Option<u32>,
    /// How clients look the Service's name up; absent: they know its address, or, for `PodIP` and `ExternalName`, defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<crate::dns::DnsSpec>,
    /// How each client chooses the Pod of each request, where it does: via `Endpoints`, or `PodIP` where it is the answers' turn
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancing: Option<crate::balance::BalancingSpec>,
    /// A connection for each request, or a pool kept alive.
    #[serde(default)]
    pub connections: ConnectionsSpec,
    /// Size of a request on the wire.
    #[serde(default = "defaults::request_size")]
    pub request_size: DistSpec<Bytes>,
    /// Size of a response on the wire.
    #[serde(default = "defaults::response_size")]
    pub response_size: DistSpec<Bytes>,
    /// A client gives up this long after the intended start; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SimDuration>,
    /// What the client's kernel does about packets that are lost.
    #[serde(default, skip_serializing_if = "TcpSpec::is_default")]
    pub tcp: TcpSpec,
    /// Whether failed requests are tried again; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<crate::retry::RetrySpec>,
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
            behind_addresses: None,
            dns: None,
            balancing: None,
            connections: ConnectionsSpec::default(),
            request_size: defaults::request_size(),
            response_size: defaults::response_size(),
            timeout: None,
            tcp: TcpSpec::default(),
            retries: None,
            circuit_breaker: None,
            outlier_detection: None,
        }
    }
}

/// TCP of the clients' kernel. UDP sends nothing again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        Self { retransmit: true, syn_retries: 6, syn_linear_timeouts: 4, connect_timeout: None }
    }
}

/// Where clients are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// How a client uses connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConnectionsSpec {
    /// A new connection for each request.
    #[default]
    PerRequest,
    /// HTTP/1.1 keep-alive: the most recently idle connection is used again.
    KeepAlive(KeepAliveSpec),
}

/// A client's pool of connections to one Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeepAliveSpec {
    /// Idle connections a client keeps; more are closed.
    pub max_idle: u32,
}
