//! Identifiers of everything a cluster is made of.

use svcsim_engine::define_id;

define_id! {
    /// A Kubernetes Node.
    pub struct NodeId;
}
define_id! {
    /// A zone of the cluster: a value of the label `topology.kubernetes.io/zone`.
    pub struct ZoneId;
}
define_id! {
    /// One Pod, from its creation to its end; a replacement is another Pod.
    pub struct PodId;
}
define_id! {
    /// A replica's place in its workload, which successive Pods fill.
    pub struct ReplicaId;
}
define_id! {
    /// A Deployment, StatefulSet, DaemonSet or bare Pod: what creates Pods.
    pub struct WorkloadId;
}
define_id! {
    /// A Kubernetes Service.
    pub struct ServiceId;
}
define_id! {
    /// A load balancer: one port of a Service of type LoadBalancer.
    pub struct BalancerId;
}
define_id! {
    /// Something that the experiment makes happen.
    pub struct EventId;
}
define_id! {
    /// A client site outside the cluster.
    pub struct SiteId;
}
define_id! {
    /// A traffic source.
    pub struct SourceId;
}
define_id! {
    /// A vertex of the network: a site, a switch or router, or a Node.
    pub struct VertexId;
}
define_id! {
    /// A directed link between two vertices.
    pub struct LinkId;
}
