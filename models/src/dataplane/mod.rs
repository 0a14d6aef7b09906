//! How Nodes realise Services: one [`Proxy`] a Node, with its own view of the endpoints.
//!
//! A data plane is one file with a type of `choose(&self, candidates, &mut Stream)`, and one line below.

mod candidates;

pub use candidates::{Candidates, Destination, Sender, candidates};

use crate::api::{Endpoint, EndpointSet, Service};
use crate::ids::{NodeId, PodId, ServiceId};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use svcsim_engine::IdVec;
use svcsim_engine::random::Stream;

/// Declares the data planes: the module, the word in the experiment file and the dispatch.
macro_rules! data_planes {
    ($($(#[$doc:meta])* $name:ident in $module:ident;)*) => {
        $(pub mod $module;)*

        /// How Nodes realise Services, as the experiment file names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum DataPlaneSpec {
            $($(#[$doc])* $name,)*
        }

        impl DataPlaneSpec {
            /// All data planes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Chooses among `candidates`, which are not empty, for the first packet of a new flow.
            #[inline]
            fn choose(self, candidates: &[Endpoint], stream: &mut Stream) -> PodId {
                match self {
                    $(Self::$name => $module::choose(candidates, stream),)*
                }
            }
        }
    };
}

data_planes! {
    /// kube-proxy in iptables mode, the default on Linux.
    Iptables in iptables;
}

/// What a Node does with the first packet of a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Translated to `pod`; `snat`: its source becomes the Node's address, so replies come back this way.
    Forward {
        /// The chosen Pod.
        pod: PodId,
        /// Whether the client's address is lost.
        snat: bool,
    },
    /// ICMP port unreachable: the client sees "connection refused" at once.
    Reject,
    /// Silence: the client waits until it gives up.
    Drop,
}

/// The data plane of one Node: its own random draws and its own, possibly stale, view of every Service.
#[derive(Clone, Debug)]
pub struct Proxy {
    node: NodeId,
    data_plane: DataPlaneSpec,
    stream: Stream,
    views: IdVec<ServiceId, Rc<EndpointSet>>,
}

impl Proxy {
    /// The proxy of `node`, which has seen no Service yet.
    #[must_use]
    pub fn new(node: NodeId, data_plane: DataPlaneSpec, stream: Stream) -> Self {
        Self { node, data_plane, stream, views: IdVec::new() }
    }

    /// The Node is up to date with `views`, one for each Service.
    pub fn see(&mut self, views: IdVec<ServiceId, Rc<EndpointSet>>) {
        self.views = views;
    }

    /// Decides on the first packet of a new flow to one of `service`'s addresses. Later packets of the flow
    /// follow its conntrack entry and never come here.
    pub fn decide(&mut self, id: ServiceId, service: &Service, destination: Destination, sender: Sender) -> Verdict {
        let view = &self.views[id];
        let Candidates { list, snat } = candidates(service, view, self.node, destination, sender);
        if !list.is_empty() {
            return Verdict::Forward { pod: self.data_plane.choose(list, &mut self.stream), snat };
        }
        // Nothing usable anywhere: reject. Something elsewhere, but not for this policy here: drop
        // (iptables and nftables proxier_test.go agree).
        if view.cluster().is_empty() { Verdict::Reject } else { Verdict::Drop }
    }

    /// The endpoints of `service` as this Node sees them now.
    #[must_use]
    pub fn view(&self, service: ServiceId) -> &EndpointSet {
        &self.views[service]
    }

    /// A new version of the endpoints arrives; one older than the view (it was delayed longer) changes
    /// nothing. Returns whether the view changed.
    pub fn learn(&mut self, service: ServiceId, set: &Rc<EndpointSet>) -> bool {
        let newer = set.version > self.views[service].version;
        if newer {
            self.views[service] = Rc::clone(set);
        }
        newer
    }
}
