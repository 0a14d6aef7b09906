//! How Nodes realise Services: one [`Proxy`] a Node, with its own view of the endpoints.
//!
//! A data plane is one file with a `Spec` (serde, `Default`) and a type of the variant's name that is made from it and is a
//! [`DataPlane`], and one line in the list below. What it does not say otherwise is as in kube-proxy's iptables mode.

mod address;
mod affinity;
mod candidates;
mod conntrack;
mod cost;
mod expiry;
mod icmp;
mod proxy;
mod views;

pub use address::{Address, Destination, NodeAddresses, NodePortAddresses, Packet, Sender, ServiceTable, VirtualServer};
pub use candidates::{Candidates, Question, Scope, kube_proxy};
pub use conntrack::{Conntrack, ConntrackSpec, Entry, Full, UdpCleanup, is_stale};
pub use cost::{Change, RuleSet, SyncSpec};
pub use expiry::ExpiryCount;
pub use icmp::IcmpLimit;
pub use proxy::{Approach, Forward, Proxy, ProxySpec, Refusal, Verdict};
pub use views::EndpointTable;

use crate::api::Endpoint;
use crate::ids::PodId;
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// What a data plane decides, for one Node.
pub trait DataPlane {
    /// Whether node ports are served only at the Node's primary address unless told otherwise.
    fn node_ports_at_primary_only(&self) -> bool {
        false
    }

    /// Whether node ports can be served at 127.0.0.1.
    fn serves_loopback(&self) -> bool {
        false
    }

    /// What meets a packet to a live cluster IP at a port that the Service does not have; none: it is not this data plane's.
    fn wrong_port(&self) -> Option<Refusal> {
        None
    }

    /// What meets a packet to an address of the Service CIDR that no Service has.
    fn unallocated(&self) -> Option<Refusal> {
        None
    }

    /// Whether Services' addresses mean anything here at all.
    fn has_services(&self) -> bool {
        true
    }

    /// What meets a packet from `sender` to such an address before any endpoint is looked at.
    fn refuses(&self, address: Address, sender: Sender) -> Option<Refusal> {
        let _ = (address, sender);
        None
    }

    /// Whether `loadBalancerSourceRanges` also hold for Pods and this Node.
    fn guards_inside(&self) -> bool {
        true
    }

    /// Which endpoints may be chosen.
    fn candidates<'a>(&self, question: &Question<'a>) -> Candidates<'a> {
        kube_proxy(question)
    }

    /// What an empty list means, where `has_any` tells whether some endpoint is usable somewhere.
    fn nothing(&self, has_any: bool) -> Refusal {
        if has_any { Refusal::Drop } else { Refusal::Reject }
    }

    /// Chooses among the candidates, which are not empty: a place in `choice.candidates`, or none if the connection fails.
    fn choose(&mut self, choice: &Choice<'_>, stream: &mut Stream) -> Option<usize>;

    /// In words, what [`Self::choose`] is about to do: the rule, and the draw or state it goes by.
    fn explain(&self, choice: &Choice<'_>, stream: Stream) -> String;

    /// Last word on `forward`: whether the client keeps its address and is answered directly, and what the lookup took.
    /// `local` says that the Pod is on this Node, `inside` that a Pod or this Node dials.
    fn finish(&self, packet: &Packet, local: bool, inside: bool, forward: &mut Forward) {
        let _ = (packet, local, inside, forward);
    }

    /// A connection through `server` to `pod` was opened.
    fn opened(&mut self, server: VirtualServer, pod: PodId, now: SimTime) {
        let _ = (server, pod, now);
    }

    /// It was closed.
    fn closed(&mut self, server: VirtualServer, pod: PodId, now: SimTime) {
        let _ = (server, pod, now);
    }

    /// Whose session-affinity entries `server` shares.
    fn affinity_scope(&self, server: VirtualServer) -> VirtualServer {
        VirtualServer { address: Address::ClusterIP, ..server }
    }

    /// How many clients' entries an endpoint can have at most; none: no limit that matters.
    fn affinity_list(&self) -> Option<usize> {
        None
    }

    /// Whether connections of Pods on this Node are translated in `connect()`, so that no packet of theirs needs conntrack.
    fn translates_at_socket(&self) -> bool {
        false
    }

    /// The time that finding the rule takes for the first packet of a flow, where `position` is uniform over 32 bits and
    /// says where in an arbitrary order the Service stands since the last sync, and `place` is the place chosen.
    fn lookup(&self, rules: &RuleSet, address: Address, position: u32, place: usize) -> SimDuration;

    /// How this Node's rules follow changes.
    fn sync(&self) -> &SyncSpec;
}

/// What a choice is made from.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The virtual server dialled.
    pub server: VirtualServer,
    /// Who dials.
    pub sender: Sender,
    /// The flow's first packet.
    pub packet: Packet,
    /// The port's endpoints.
    pub endpoints: &'a [Endpoint],
    /// Indices of those that may be chosen; not empty.
    pub candidates: &'a [u32],
    /// Which list they are.
    pub scope: Scope,
    /// The version of the endpoints: what was derived from another is void.
    pub version: u64,
    /// Now.
    pub now: SimTime,
}

impl Choice<'_> {
    /// The candidate at a place of the list.
    #[must_use]
    pub fn endpoint(&self, place: usize) -> &Endpoint {
        &self.endpoints[self.candidates[place] as usize]
    }
}

/// Declares the data planes: the module, the word in the experiment file and the dispatch.
macro_rules! data_planes {
    ($($(#[$doc:meta])* $name:ident in $module:ident as $word:literal;)*) => {
        $(pub mod $module;)*

        /// How Nodes realise Services, as the experiment file names it: a bare word, or a word with settings.
        #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
        #[schemars(transform = crate::schema::or_word)]
        pub enum DataPlaneSpec {
            $($(#[$doc])* #[serde(rename = $word)] $name($module::Spec),)*
        }

        impl DataPlaneSpec {
            /// The words of all data planes.
            pub const NAMES: &[&str] = &[$($word),*];

            /// Its word.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $word,)*
                }
            }

            /// The data plane that goes by `word`, with the settings it has by default.
            #[must_use]
            pub fn by_name(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name($module::Spec::default())),)*
                    _ => None,
                }
            }

            /// One Node's state.
            pub(crate) fn build(&self) -> AnyDataPlane {
                match self {
                    $(Self::$name(spec) => AnyDataPlane::$name($module::$name::new(spec)),)*
                }
            }
        }

        impl<'de> Deserialize<'de> for DataPlaneSpec {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                enum Settings {
                    $(#[serde(rename = $word)] $name($module::Spec),)*
                }
                struct Either;
                impl<'de> serde::de::Visitor<'de> for Either {
                    type Value = DataPlaneSpec;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(f, "one of {}, or one of them with its settings", DataPlaneSpec::NAMES.join(", "))
                    }

                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<DataPlaneSpec, E> {
                        DataPlaneSpec::by_name(word).ok_or_else(|| E::unknown_variant(word, DataPlaneSpec::NAMES))
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<DataPlaneSpec, A::Error> {
                        let settings = Settings::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                        Ok(match settings { $(Settings::$name(spec) => DataPlaneSpec::$name(spec),)* })
                    }
                }
                deserializer.deserialize_any(Either)
            }
        }

        /// The data plane of one Node at work.
        #[derive(Clone, Debug)]
        pub(crate) enum AnyDataPlane {
            $($name($module::$name),)*
        }

        impl AnyDataPlane {
            #[inline]
            pub(crate) fn get(&self) -> &dyn DataPlane {
                match self {
                    $(Self::$name(plane) => plane,)*
                }
            }

            #[inline]
            pub(crate) fn get_mut(&mut self) -> &mut dyn DataPlane {
                match self {
                    $(Self::$name(plane) => plane,)*
                }
            }
        }
    };
}

data_planes! {
    /// kube-proxy in iptables mode, the default on Linux.
    Iptables in iptables as "iptables";
    /// kube-proxy in nftables mode.
    Nftables in nftables as "nftables";
    /// kube-proxy in IPVS mode.
    Ipvs in ipvs as "ipvs";
    /// Cilium in place of kube-proxy.
    Cilium in cilium as "cilium";
    /// None: nothing answers at Services' virtual addresses; clients balance by DNS.
    Unproxied in none as "none";
}

impl Default for DataPlaneSpec {
    fn default() -> Self {
        Self::Iptables(iptables::Spec::default())
    }
}

/// A bare word is a data plane with its defaults.
impl std::str::FromStr for DataPlaneSpec {
    type Err = serde::de::value::Error;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::deserialize(word.into_deserializer())
    }
}
