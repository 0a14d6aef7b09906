//! [`Event`]: everything that can happen.

use crate::ids::{NodeId, PodId, ServiceId, SourceId, VertexId, WorkloadId};
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
    /// The oldest outstanding deadline of a source passes.
    DeadlinesPass {
        /// Which source.
        source: SourceId,
    },
    /// A load balancer checks one of its targets.
    HealthCheck {
        /// The Service whose load balancer it is.
        service: ServiceId,
        /// The target.
        target: Target,
    },
    /// A load balancer's check of a target has had no answer for too long.
    CheckTimesOut {
        /// The Service whose load balancer it is.
        service: ServiceId,
        /// The target.
        target: Target,
    },
    /// A target is registered with a load balancer.
    TargetRegistered {
        /// The Service whose load balancer it is.
        service: ServiceId,
        /// The target.
        target: Target,
    },
    /// A target gets no new connections any more.
    TargetDeregistered {
        /// The Service whose load balancer it is.
        service: ServiceId,
        /// The target.
        target: Target,
    },
    /// A deregistered target's connections are reset.
    TargetCut {
        /// The Service whose load balancer it is.
        service: ServiceId,
        /// The target.
        target: Target,
    },
    /// One of a workload's Pods crashes.
    Crash {
        /// The workload.
        workload: WorkloadId,
    },
    /// One of a workload's Pods is deleted.
    Terminate {
        /// The workload.
        workload: WorkloadId,
    },
    /// A Pod becomes Ready.
    PodReady {
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
    /// The kubelet notices that a Pod crashed.
    CrashDetected {
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

const _: () = assert!(size_of::<Event>() <= 16, "an entry of the event list is time plus event: 24 bytes");
