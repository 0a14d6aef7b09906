//! Kubernetes Services as a simulation model. It knows no files, no terminal and no threads.
//!
//! | module | what is in it |
//! |---|---|
//! | [`spec`] | [`spec::ClusterSpec`]: what an experiment says of the world, as plain data |
//! | [`cluster`] | [`cluster::Cluster`]: all state, and the one match from event to verb; [`cluster::run`] |
//! | [`api`] | Kubernetes nouns: Pods, Services, EndpointSets |
//! | [`network`] | vertices, links, routes |
//! | [`dataplane`] | how a Node realises Services: one [`dataplane::Proxy`] a Node |
//! | [`load_balancer`] | what stands in front of the cluster |
//! | [`dns`] | how clients find addresses by name |
//! | [`workload`] | when requests arrive |
//! | [`record`] | what is measured |

pub mod api;
pub mod cluster;
pub mod dataplane;
pub mod dns;
pub mod ids;
pub mod load_balancer;
pub mod maglev;
pub mod network;
pub mod record;
pub mod spec;
pub mod units;
pub mod workload;
