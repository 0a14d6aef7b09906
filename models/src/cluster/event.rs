//! [`Event`]: everything that can happen.

use crate::ids::{BalancerId, EventId, NodeId, PodId, ServiceId, SourceId, VertexId, WorkloadId};
use crate::load_balancer::Target;
use svcsim_engine::Key;

/// A jump in time. Steps within one instant are plain calls, not events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A source sends its next request.
    RequestArrives {
        /// Which source.
        source: SourceId,
    },
    /// A request or its response is at a vertex: at a queueing link's entrance or where its leg ends.
    MessageReaches {
        /// Whose message.
        request: Key,
        /// Where it is.
        vertex: VertexId,
    },
    /// A FIFO server of a Pod is done with a request.
    ServiceCompletes {
        /// The Pod.
        pod: PodId,
        /// The request served.
        request: Key,
    },
    /// The next completion of a Pod under processor sharing, unless it has moved since.
    SharingCompletes {
        /// The Pod.
        pod: PodId,
        /// The schedule this belongs to; an older one is void.
        epoch: u64,
    },
    /// The time-out of a packet that was lost passes at its sender.
    SentAgain {
        /// Whose packet.
        request: Key,
    },
    /// A client's probe of a Pod, or the answer to it, is at the next vertex of its way.
    LoadProbeMoves {
        /// Which.
        probe: Key,
    },
    /// A request that has no answer yet is sent once more.
    Hedges {
        /// Which.
        request: Key,
    },
    /// A user has thought long enough.
    UserSends {
        /// Of which source.
        source: SourceId,
        /// Which.
        user: u32,
    },
    /// The loads of Pods are written where a source's clients read them.
    LoadsReported {
        /// Whose clients.
        source: SourceId,
    },
    /// The pause before another try is over.
    TriesAgain {
        /// The try.
        request: Key,
    },
    /// The time-out of another try passes, or of its request.
    TryExpires {
        /// The try.
        request: Key,
    },
    /// A proxying load balancer has waited long enough for the oldest of its unanswered requests.
    GatewayTimesOut {
        /// Whose requests.
        source: SourceId,
    },
    /// One of a client's connections was idle for too long, or is too old.
    ConnectionsDue {
        /// Whose client.
        source: SourceId,
        /// Which of its clients.
        client: u32,
    },
    /// The oldest outstanding deadline of a source passes.
    DeadlinesPass {
        /// Which source.
        source: SourceId,
    },
    /// A load balancer checks one of its targets.
    HealthCheck {
        /// Which load balancer.
        balancer: BalancerId,
        /// The target.
        target: Target,
    },
    /// A load balancer's check of a target has had no answer for too long.
    CheckTimesOut {
        /// Which load balancer.
        balancer: BalancerId,
        /// The target.
        target: Target,
    },
    /// A target is registered with a load balancer.
    TargetRegistered {
        /// Which load balancer.
        balancer: BalancerId,
        /// The target.
        target: Target,
    },
    /// A target gets no new connections any more.
    TargetDeregistered {
        /// Which load balancer.
        balancer: BalancerId,
        /// The target.
        target: Target,
    },
    /// A deregistered target's connections are reset.
    TargetCut {
        /// Which load balancer.
        balancer: BalancerId,
        /// The target.
        target: Target,
    },
    /// Something that the experiment makes happen.
    Happens {
        /// What.
        event: EventId,
    },
    /// It is repaired.
    Repaired {
        /// What.
        event: EventId,
        /// Which of its occurrences, counted from 0.
        occurrence: u32,
    },
    /// Whoever drains a Node asks again.
    DrainGoesOn {
        /// Which.
        node: NodeId,
    },
    /// A workload's controller has something to do.
    Reconcile {
        /// Whose.
        workload: WorkloadId,
    },
    /// A rollout may have made no progress for too long.
    ProgressDeadline {
        /// Whose.
        workload: WorkloadId,
        /// To which version.
        revision: u32,
    },
    /// metrics-server asks kubelets for the CPU of Pods.
    MetricsScraped,
    /// A workload's autoscaler looks at it.
    AutoscalerSyncs {
        /// Whose.
        workload: WorkloadId,
    },
    /// The control plane takes a Node for lost, if it still is.
    NodeUnreachable {
        /// Which.
        node: NodeId,
        /// The failure that this belongs to; another is void.
        failure: u32,
    },
    /// The control plane looks at zones' lost Nodes, and taints whom it may.
    TaintsReviewed,
    /// The Pods of a lost Node are deleted, if it still is.
    NodeEvicts {
        /// Which.
        node: NodeId,
        /// The failure that this belongs to; another is void.
        failure: u32,
    },
    /// A Pod's container starts: its image is there, and a back-off is over.
    ContainerStarts {
        /// The Pod.
        pod: PodId,
        /// The part of its life that this belongs to; in another it is void.
        life: u32,
    },
    /// A Pod's process listens.
    PodListens {
        /// The Pod.
        pod: PodId,
        /// The part of its life that this belongs to; in another it is void.
        life: u32,
    },
    /// A Pod's readiness probe has succeeded.
    ProbeSucceeds {
        /// The Pod.
        pod: PodId,
        /// The part of its life that this belongs to; in another it is void.
        life: u32,
    },
    /// A Pod's readiness probe has failed.
    ProbeFails {
        /// The Pod.
        pod: PodId,
        /// The part of its life that this belongs to; in another it is void.
        life: u32,
    },
    /// A Pod's startup or liveness probe has failed, or the grace period after that is over: its container is killed.
    ContainerKilled {
        /// The Pod.
        pod: PodId,
        /// The part of its life that this belongs to; in another it is void.
        life: u32,
    },
    /// The kubelet notices that a Pod's container has died.
    CrashDetected {
        /// The Pod.
        pod: PodId,
        /// The part of its life that this belongs to; in another it is void.
        life: u32,
    },
    /// A Pod that slept serves.
    PodAwake {
        /// Which.
        pod: PodId,
    },
    /// A Pod may have used up its CPU quota.
    QuotaSpent {
        /// The Pod.
        pod: PodId,
    },
    /// The period is over whose CPU quota it had used up.
    QuotaRefills {
        /// The Pod.
        pod: PodId,
    },
    /// A terminating Pod's `preStop` is over: it gets SIGTERM.
    PodStops {
        /// The Pod.
        pod: PodId,
    },
    /// A terminating Pod's grace period is over: it gets SIGKILL.
    PodKilled {
        /// The Pod.
        pod: PodId,
    },
    /// The EndpointSlice controller looks at a Service.
    EndpointsPublished {
        /// The Service.
        service: ServiceId,
    },
    /// The last of a Service's changed EndpointSlices is written.
    SlicesWritten {
        /// The Service.
        service: ServiceId,
    },
    /// A published change reaches DNS.
    DnsHears {
        /// The Service.
        service: ServiceId,
    },
    /// A Node that was lost lists what it missed.
    NodeCatchesUp {
        /// Which.
        node: NodeId,
    },
    /// A Node's proxy begins to write its rules.
    SyncStarts {
        /// Which Node.
        node: NodeId,
    },
    /// It has written them.
    SyncEnds {
        /// Which Node.
        node: NodeId,
    },
    /// A published change reaches the next Nodes.
    EndpointsReachNodes {
        /// Which change.
        update: u32,
    },
}

impl Event {
    /// Whether it is the doing of the API server or a controller, which wait while the control plane is out.
    pub(super) const fn needs_control_plane(self) -> bool {
        matches!(
            self,
            Self::EndpointsPublished { .. }
                | Self::SlicesWritten { .. }
                | Self::DnsHears { .. }
                | Self::EndpointsReachNodes { .. }
                | Self::NodeUnreachable { .. }
                | Self::TaintsReviewed
                | Self::NodeEvicts { .. }
                | Self::AutoscalerSyncs { .. }
                | Self::ProgressDeadline { .. }
        )
    }
}

const _: () = assert!(size_of::<Event>() <= 16, "an entry of the event list is time plus event: 24 bytes");
