//! What stands in front of Services of type LoadBalancer. One file a kind, one line in the list below.

use crate::ids::NodeId;
use crate::spec::SpecError;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::{Stream, Streams};

/// Declares the load balancers: the module, the variant of the experiment file's enum and the dispatch.
/// A module offers `Spec` (serde, `Default`) and a balancer of the variant's name.
macro_rules! load_balancers {
    ($($(#[$doc:meta])* $name:ident in $module:ident;)*) => {
        $(pub mod $module;)*

        /// Which load balancer the cluster has, and its settings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum LoadBalancerSpec {
            $($(#[$doc])* $name($module::Spec),)*
        }

        impl LoadBalancerSpec {
            /// The balancer of one Service over all Nodes, where `health` says what each Node answers now.
            ///
            /// # Errors
            /// A setting that makes no sense, with its field.
            pub fn build(&self, health: Vec<bool>, stream: Stream) -> Result<LoadBalancer, SpecError> {
                match self {
                    $(Self::$name(spec) => spec.build(health, stream).map(LoadBalancer::$name),)*
                }
            }
        }

        /// The load balancer of one Service at work.
        #[derive(Clone, Debug)]
        pub enum LoadBalancer {
            $($(#[$doc])* $name($module::$name),)*
        }

        impl LoadBalancer {
            /// The Node that a new connection is sent to.
            #[inline]
            pub fn choose(&mut self) -> NodeId {
                match self {
                    $(Self::$name(balancer) => balancer.choose(),)*
                }
            }

            /// Time a message spends inside the load balancer.
            #[inline]
            pub fn delay(&mut self) -> SimDuration {
                match self {
                    $(Self::$name(balancer) => balancer.delay(),)*
                }
            }

            /// A health check of `node` was answered; returns when the next is due.
            pub fn checked(&mut self, node: NodeId, healthy: bool) -> SimDuration {
                match self {
                    $(Self::$name(balancer) => balancer.checked(node, healthy),)*
                }
            }

            /// When the first health check of a Node is due: its targets are checked in no common rhythm.
            pub fn first_check(&mut self) -> SimDuration {
                match self {
                    $(Self::$name(balancer) => balancer.first_check(),)*
                }
            }
        }
    };
}

load_balancers! {
    /// A layer-4 balancer whose targets are Nodes, reached through their node ports.
    InstanceTargets in instance_targets;
}

impl Default for LoadBalancerSpec {
    fn default() -> Self {
        Self::InstanceTargets(instance_targets::Spec::default())
    }
}

/// The stream of a load balancer's own draws: health-check phases and connection hashes.
#[must_use]
pub fn stream(streams: &Streams, service: &str) -> Stream {
    streams.stream(crate::cluster::Purpose::LoadBalancer as u64, svcsim_engine::random::entity(service))
}
