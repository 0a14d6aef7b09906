//! [`Request`]: what is in flight; [`Connection`]: what was chosen once and keep-alive uses again;
//! [`Outcome`]: how it ended.

use crate::ids::{NodeId, PodId, SourceId};
use crate::load_balancer::Target;
use serde::{Deserialize, Serialize};
use svcsim_engine::{SimDuration, SimTime};

/// A request from its intended start until client and cluster are both done with it. The cluster may work
/// on after the client gave up: `ended` tells.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Intended start.
    pub start: SimTime,
    /// When it was last sent; from then on, its arrival at the Pod.
    pub joined: SimTime,
    /// When this try of it began: a client chose whom to send it to.
    pub sent: SimTime,
    /// The service it needs, drawn at birth.
    pub demand: SimDuration,
    /// Time in the Pod beyond the demand.
    pub waited: SimDuration,
    /// Size on the wire.
    pub request_bytes: u32,
    /// Size of the answer on the wire.
    pub response_bytes: u32,
    /// Time that its Pod waited for Services that it called for it.
    pub called: SimDuration,
    /// Draws what becomes of it where it calls other Services.
    pub lot: u64,
    /// Who waits for it: the request of another Service, or a user of its source; [`NOBODY`]: none.
    pub caller: u32,
    /// What hashing policies may go by.
    pub key: u32,
    /// Who sent it.
    pub source: SourceId,
    /// Which of the source's clients.
    pub client: u32,
    /// How it travels.
    pub connection: Connection,
    /// Links crossed so far.
    pub hops: u8,
    /// What is being said.
    pub phase: Phase,
    /// Requests in the Pod when its answer left, which the answer tells.
    pub seen: u16,
    /// Where it is heading.
    pub stage: Stage,
    /// What the client learns when the answer arrives, or why none will.
    pub result: Outcome,
    /// Whether the connection is new, so that load balancer and proxy have yet to choose.
    pub fresh: bool,
    /// Whether its outcome has been recorded.
    pub ended: bool,
    /// Whether nothing of it is in the cluster any more; only the client still waits.
    pub lost: bool,
    /// How often TCP has sent it again since it last got through.
    pub tries: u8,
    /// Which of its client's retries it is; 0: the first try.
    pub attempt: u8,
    /// Where Pods serve by priority: 0 before 1.
    pub priority: u8,
}

/// What client and Pod say to each other: the round trips of a handshake, request and answer, the flights of an answer that a window
/// holds back.
///
/// One byte, since there are many requests: 0 is the exchange, 1 to 127 round trips of a handshake to go, 128 and on flights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase(u8);

impl Phase {
    /// A request and its whole answer.
    pub const EXCHANGE: Self = Self(0);
    /// The first flight of an answer.
    pub const FIRST_FLIGHT: Self = Self(128);

    /// A handshake of so many round trips; of none, the exchange.
    #[must_use]
    pub const fn handshake(rounds: u8) -> Self {
        Self(if rounds < 128 { rounds } else { 127 })
    }

    /// Whether a handshake is under way.
    #[must_use]
    pub const fn is_handshake(self) -> bool {
        self.0 > 0 && self.0 < 128
    }

    /// Which flight of its answer is under way, from 0.
    #[must_use]
    pub const fn flight(self) -> Option<u8> {
        self.0.checked_sub(128)
    }

    /// What comes after this round trip.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(if self.is_handshake() { self.0 - 1 } else { self.0.saturating_add(1) })
    }
}

/// No request.
pub(super) const NOBODY: u32 = u32::MAX;

const _: () = assert!(size_of::<Request>() <= 120);

/// A connection's path: the flow it hashes to, and the translation that the first packet got. The latter is
/// its conntrack entry, held at the Node that chose: later packets follow it whatever the rules say by then.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Hash of addresses and ports, by which switches choose among equal routes.
    pub flow: u32,
    /// The Node whose proxy decides.
    pub entry: NodeId,
    /// The chosen Pod; meaningless while the connection is fresh.
    pub pod: PodId,
    /// Whether the Pod sees another address than the client's.
    pub snat: bool,
    /// Whether the entry Node's data plane counts it as open.
    pub opened: bool,
    /// Whether the entry Node holds a conntrack entry for it.
    pub tracked: bool,
    /// Whether it has carried more than one request.
    pub reused: bool,
    /// Which of the Pod's processes has accepted it and counts it; 0: none.
    pub accepted_by: u8,
    /// What the load balancer chose, and counts as open: the entry Node, the Pod, or there is none in front.
    pub balanced_to: BalancedTo,
    /// How replies come back.
    pub back: Back,
    /// Where its client's pool keeps what it knows of it; [`crate::pool::NO_SLOT`]: nowhere.
    pub slot: u16,
}

/// What a load balancer chose for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalancedTo {
    /// No load balancer.
    Nothing,
    /// The entry Node.
    Entry,
    /// The Pod.
    Pod,
}

impl Connection {
    /// The load balancer's target.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        match self.balanced_to {
            BalancedTo::Nothing => None,
            BalancedTo::Entry => Some(Target::Node(self.entry)),
            BalancedTo::Pod => Some(Target::Pod(self.pod)),
        }
    }
}

/// How replies come back to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// Through the Node that put its own address in place of the client's.
    ThroughEntry,
    /// Through the load balancer.
    ThroughLoadBalancer,
    /// Straight to the client: the Pod's Node translates, or nobody did.
    Direct,
    /// Past the Node that translated, from an address that the client never dialled: it throws them away.
    Astray,
}

/// Where a message is heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From the client to the load balancer.
    ToLoadBalancer,
    /// To the Node whose proxy decides.
    ToEntry,
    /// To the Pod.
    ToPod,
    /// In the Pod.
    InPod,
    /// Back to the Node that translated.
    BackToEntry,
    /// Back to the load balancer.
    BackToLoadBalancer,
    /// Back to the client.
    ToClient,
    /// At the client: not sent yet, or waiting for a connection or for the next try.
    AtClient,
    /// At the client, in line for one of its connections, which is not up yet or has no room.
    AtPool,
    /// At the load balancer, waiting for one of its connections.
    AtLoadBalancer,
}

/// Declares the outcomes with the names they have in results.
macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// How a request ended. Each ends once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Outcome {
            $($(#[$doc])* $name,)*
        }

        impl Outcome {
            /// All outcomes, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in results; errors are `errors_<name>` there.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

outcomes! {
    /// The response arrived.
    Completed = "completed",
    /// The Pod was there but nothing listened: RST.
    Refused = "refused",
    /// The Pod died with the request in it, or closed the connection under it.
    Reset = "reset",
    /// A proxy had no endpoint anywhere: ICMP port unreachable.
    Rejected = "rejected",
    /// Policy Local and no endpoint on this Node: silence until the client gave up.
    PolicyDrop = "policy_drop",
    /// Sent to the address of a Pod that is no more: silence until the client gave up.
    Blackhole = "blackhole",
    /// Past the Node that translated it, the answer reached the client from an address it had not dialled.
    ReplyLost = "reply_lost",
    /// The Node's conntrack table was full: dropped.
    ConntrackFull = "conntrack_full",
    /// No source port was left for SNAT to the Pod: dropped.
    SnatExhausted = "snat_exhausted",
    /// No Node knows the address: silence until the client gave up.
    NoRoute = "no_route",
    /// DNS knows no such name: a headless Service without ready endpoints.
    NameError = "name_error",
    /// DNS did not answer.
    DnsFailure = "dns_failure",
    /// The load balancer has no target.
    NoTarget = "no_target",
    /// A link's queue was full or the link lost it, and nobody sent it again or all was lost.
    LinkDrop = "link_drop",
    /// The Pod hung and its accept queue was full: the kernel dropped the SYN.
    BacklogFull = "backlog_full",
    /// The Pod's line was full: 503.
    QueueFull = "queue_full",
    /// The Pod would not have answered in time, by its own judgement: 503.
    Shed = "shed",
    /// A Service that the Pod called failed it: 500.
    DependencyFailed = "dependency_failed",
    /// The Pod served it, and failed: 500.
    InternalError = "internal_error",
    /// The client gave up while the request was on its way, waiting or served.
    TimedOut = "timed_out",
    /// A proxying load balancer's target refused or reset its connection: 502.
    LbBadGateway = "lb_502",
    /// A proxying load balancer has no target: 503.
    LbUnavailable = "lb_503",
    /// A proxying load balancer's target did not answer in time: 504.
    LbTimeout = "lb_504",
    /// The circuit breaker of the client, or of a proxying load balancer (503), let it not pass.
    CircuitOpen = "circuit_open",
}

impl Outcome {
    /// Whether HTTP told it, over a connection that stands.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        matches!(
            self,
            Self::Completed
                | Self::QueueFull
                | Self::Shed
                | Self::DependencyFailed
                | Self::InternalError
                | Self::LbBadGateway
                | Self::LbUnavailable
                | Self::LbTimeout
                | Self::CircuitOpen
        )
    }
}
