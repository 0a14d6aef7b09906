//! What a Pod asks of other Services to answer a request.

use super::{ConnectionsSpec, HandshakeSpec, HedgingSpec, Origin, TcpSpec, TrafficSpec, Via, defaults};
use crate::balance::BalancingSpec;
use crate::circuit_breaker::CircuitBreakerSpec;
use crate::dns::DnsSpec;
use crate::outlier_detection::OutlierDetectionSpec;
use crate::retry::RetrySpec;
use crate::units::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// One step of `pods.<workload>.calls`: a call, or a list of calls made at once. The step is over when all of them are.
#[derive(Clone, Debug, PartialEq)]
pub struct StepSpec(pub Vec<CallSpec>);

/// One call of another Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallSpec {
    /// The Service, by name.
    pub to: String,
    /// Which of its addresses; absent: `ClusterIP`, or `PodIP` of a headless one, or `Endpoints` where the caller balances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// Which port, by name or number; absent: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// How likely the call is made at all.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub probability: f64,
    /// How many such calls are made at once (fan-out).
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub copies: u32,
    /// Whether nobody waits for its end.
    #[serde(default, rename = "async", skip_serializing_if = "std::ops::Not::not")]
    pub asynchronous: bool,
    /// Whether the caller can answer without it: if not, its failure is the caller's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Size of a request on the wire.
    #[serde(default = "defaults::request_size")]
    pub request_size: DistSpec<Bytes>,
    /// Size of a response on the wire.
    #[serde(default = "defaults::response_size")]
    pub response_size: DistSpec<Bytes>,
    /// The demand of its requests, where they are a class of their own; absent: what the Pods' `serviceTime` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_time: Option<DistSpec<SimDuration>>,
    /// The caller gives up so long after it began; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SimDuration>,
    /// A connection for each request, or a pool kept alive, of each Pod that calls.
    #[serde(default)]
    pub connections: ConnectionsSpec,
    /// Round trips before the first data of a new connection; absent: as in `traffic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake: Option<HandshakeSpec>,
    /// How each Pod that calls chooses among those called, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancing: Option<BalancingSpec>,
    /// How it finds the Service's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsSpec>,
    /// What its kernel does about lost packets.
    #[serde(default, skip_serializing_if = "TcpSpec::is_default")]
    pub tcp: TcpSpec,
    /// Whether failed calls are tried again; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetrySpec>,
    /// Whether slow calls are made a second time; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedging: Option<HedgingSpec>,
    /// Limits on what each Pod has under way to the Service; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreakerSpec>,
    /// When it avoids a Pod that fails; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetectionSpec>,
}

impl CallSpec {
    /// A call of this Service, with everything else left out.
    #[must_use]
    pub fn to(service: impl Into<String>) -> Self {
        Self {
            to: service.into(),
            via: None,
            port: None,
            probability: 1.0,
            copies: 1,
            asynchronous: false,
            optional: false,
            request_size: defaults::request_size(),
            response_size: defaults::response_size(),
            service_time: None,
            timeout: None,
            connections: ConnectionsSpec::default(),
            handshake: None,
            balancing: None,
            dns: None,
            tcp: TcpSpec::default(),
            retries: None,
            hedging: None,
            circuit_breaker: None,
            outlier_detection: None,
        }
    }

    /// The same as a source whose clients are the Pods of `workload`; it sends nothing by itself, so that its arrivals are never
    /// asked for.
    #[must_use]
    pub fn traffic(&self, workload: &str, clients: u32, headless: bool) -> TrafficSpec {
        let by_default = match (&self.balancing, headless) {
            (Some(_), _) => Via::Endpoints,
            (None, true) => Via::PodIP,
            (None, false) => Via::ClusterIP,
        };
        TrafficSpec {
            from: Origin::Workload(workload.to_owned()),
            to: self.to.clone(),
            via: self.via.unwrap_or(by_default),
            port: self.port.clone(),
            clients,
            connections: self.connections.clone(),
            handshake: self.handshake,
            request_size: self.request_size.clone(),
            response_size: self.response_size.clone(),
            service_time: self.service_time.clone(),
            timeout: self.timeout,
            balancing: self.balancing.clone(),
            dns: self.dns.clone(),
            tcp: self.tcp,
            retries: self.retries.clone(),
            hedging: self.hedging,
            circuit_breaker: self.circuit_breaker,
            outlier_detection: self.outlier_detection,
            ..TrafficSpec::nothing()
        }
    }
}

fn one() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
fn is_one(p: &f64) -> bool {
    *p == 1.0
}

const fn once() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
const fn is_once(n: &u32) -> bool {
    *n == 1
}

impl Serialize for StepSpec {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(s),
            many => many.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for StepSpec {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for StepSpec {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let call = generator.subschema_for::<CallSpec>();
        json_schema!({ "description": "A call, or a list of calls made at once.", "anyOf": [call, { "type": "array", "items": call }] })
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = StepSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a call such as `to: cart`, or a list of calls made at once")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StepSpec, A::Error> {
        CallSpec::deserialize(MapAccessDeserializer::new(map)).map(|call| StepSpec(vec![call]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<StepSpec, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(StepSpec)
    }
}
