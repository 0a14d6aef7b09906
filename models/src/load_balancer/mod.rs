//! What stands in front of Services of type LoadBalancer: one balancer with [`Parameters`], and presets that set them to
//! what a product does by default. A preset is one file and one line in the list below.
//!
//! In an experiment file: `loadBalancer: awsNlbIp`, or `loadBalancer: {awsNlbIp: {crossZone: true, healthCheck: {interval: 5s}}}`
//! where any parameter may be set.
//!
//! | file | |
//! |---|---|
//! | `parameters.rs`, `check.rs` | what a balancer does, as plain data; what makes no sense of it |
//! | `balancer.rs` | one Service's balancer at work: targets come and go, health, choice |
//! | `health.rs` | when answers in a row change a target's health |
//! | `table.rs`, `flow.rs` | the algorithms, and what they may know of a connection |

mod balancer;
mod check;
mod flow;
mod health;
mod parameters;
mod table;
#[cfg(test)]
mod tests;

pub use balancer::{Checked, Deregistration, Facts, LoadBalancer, NodeFact, Target};
pub use flow::FlowKey;
pub use health::Probe;
pub use parameters::{Algorithm, Arrival, ClientAddress, HealthCheck, LocalTargets, Parameters, Proxies, Targets};

use parameters::Settings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use svcsim_engine::random::{Stream, Streams};

/// Declares the presets: the file, the variant and the word in the experiment file. A file offers `parameters()`.
macro_rules! load_balancers {
    ($($(#[$doc:meta])* $name:ident = $word:literal in $module:ident;)*) => {
        $(mod $module;)*

        /// The presets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
        #[schemars(rename = "LoadBalancerPreset")]
        pub enum Preset {
            $($(#[$doc])* #[schemars(rename = $word)] $name,)*
        }

        impl Preset {
            /// All presets.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its word in an experiment file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What the product does by default.
            #[must_use]
            pub fn parameters(self) -> Parameters {
                match self {
                    $(Self::$name => $module::parameters(),)*
                }
            }
        }

        impl LoadBalancerSpec {
            /// The words of all presets.
            pub const NAMES: &[&str] = &[$($word),*];
        }
    };
}

load_balancers! {
    /// A layer-4 balancer whose targets are Nodes, reached through their node ports; no product in particular.
    InstanceTargets = "instanceTargets" in instance_targets;
    /// A layer-4 balancer whose targets are Pods; no product in particular.
    IpTargets = "ipTargets" in ip_targets;
    /// AWS Network Load Balancer, target type `instance`.
    AwsNlbInstance = "awsNlbInstance" in aws_nlb_instance;
    /// AWS Network Load Balancer, target type `ip`.
    AwsNlbIp = "awsNlbIp" in aws_nlb_ip;
    /// AWS Application Load Balancer, target type `instance`.
    AwsAlbInstance = "awsAlbInstance" in aws_alb_instance;
    /// AWS Application Load Balancer, target type `ip`.
    AwsAlbIp = "awsAlbIp" in aws_alb_ip;
    /// Google Cloud passthrough Network Load Balancer.
    GooglePassthrough = "googlePassthrough" in google_passthrough;
    /// Google Cloud proxy load balancer over network endpoint groups of Pods.
    GoogleNeg = "googleNeg" in google_neg;
    /// Google Cloud Application Load Balancer over network endpoint groups of Pods.
    GoogleAlb = "googleAlb" in google_alb;
    /// Envoy as the cluster's gateway.
    Envoy = "envoy" in envoy;
    /// MetalLB in layer 2 mode.
    MetallbL2 = "metallbL2" in metallb_l2;
    /// MetalLB in BGP mode.
    MetallbBgp = "metallbBgp" in metallb_bgp;
}

/// Which load balancer the cluster has: a preset, and its parameters with whatever the experiment sets otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancerSpec {
    /// Where the parameters come from; names the balancer in files and errors.
    pub preset: Preset,
    /// What it does.
    pub parameters: Parameters,
}

impl LoadBalancerSpec {
    /// `preset` with nothing set otherwise.
    #[must_use]
    pub fn of(preset: Preset) -> Self {
        Self { preset, parameters: preset.parameters() }
    }

    /// The preset of that name with nothing set otherwise.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Preset::ALL.iter().find(|p| p.name() == name).map(|p| Self::of(*p))
    }

    /// The name of its preset.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.preset.name()
    }
}

impl Default for LoadBalancerSpec {
    fn default() -> Self {
        Self::of(Preset::InstanceTargets)
    }
}

impl Serialize for LoadBalancerSpec {
    /// With every parameter, so that what is written means the same when defaults have changed.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(1))?;
        map.serialize_entry(self.name(), &self.parameters)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for LoadBalancerSpec {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(NameOrMap)
    }
}

impl JsonSchema for LoadBalancerSpec {
    fn schema_name() -> Cow<'static, str> {
        "LoadBalancer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let preset = generator.subschema_for::<Preset>();
        let settings = generator.subschema_for::<Settings>();
        let properties: BTreeMap<_, _> = Self::NAMES.iter().map(|name| (*name, settings.clone())).collect();
        let map = json_schema!({ "type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1, "maxProperties": 1 });
        json_schema!({ "description": "A preset, or one with settings of its own.", "anyOf": [preset, map] })
    }
}

struct NameOrMap;

impl<'de> Visitor<'de> for NameOrMap {
    type Value = LoadBalancerSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a load balancer, such as awsNlbIp, or one with settings, such as `awsNlbIp: {crossZone: true}`")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<LoadBalancerSpec, E> {
        LoadBalancerSpec::by_name(name).ok_or_else(|| E::unknown_variant(name, LoadBalancerSpec::NAMES))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LoadBalancerSpec, A::Error> {
        let Some(name) = map.next_key::<String>()? else { return Err(A::Error::invalid_length(0, &self)) };
        let mut spec: LoadBalancerSpec = self.visit_str(&name)?;
        map.next_value::<Settings>()?.apply(&mut spec.parameters);
        match map.next_key::<String>()? {
            None => Ok(spec),
            Some(second) => Err(A::Error::custom(format!("one load balancer is expected here, found two: `{name}` and `{second}`"))),
        }
    }
}

/// The stream of a load balancer's own draws: delays and health-check phases.
#[must_use]
pub fn stream(streams: &Streams, service: &str) -> Stream {
    streams.stream(crate::cluster::Purpose::LoadBalancer as u64, svcsim_engine::random::entity(service))
}
