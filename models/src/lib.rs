//! Kubernetes Services as a simulation model. It knows no files, no terminal and no threads.
//!
//! | module | what is in it |
//! |---|---|
//! | [`spec`] | [`spec::ClusterSpec`]: what an experiment says of the world, as plain data |
//! | [`cluster`] | [`cluster::Cluster`]: all state, and the one match from event to verb; [`cluster::run`] |
//! | [`api`] | Kubernetes nouns: Pods, Services, EndpointSets |
//! | [`controllers`] | how many Pods there should be |
//! | [`network`] | vertices, links, routes |
//! | [`control_plane`] | what happens between a Pod's change and a Node's rules: slices, hints, syncs, health checks |
//! | [`dataplane`] | how a Node realises Services: one [`dataplane::Proxy`] a Node |
//! | [`load_balancer`] | what stands in front of the cluster |
//! | [`dns`] | how clients find addresses by name |
//! | [`explain`] | one request followed step by step |
//! | [`maglev`] | Maglev tables, for load balancers and data planes |
//! | [`balance`] | how a client, a sidecar or a gateway chooses a Pod: policies, one file each |
//! | [`lab`] | policies of your own, tried and compared in a test |
//! | [`workload`] | when requests arrive |
//! | [`retry`] | how clients try again |
//! | [`scale_to_zero`] | Pods that sleep while nobody needs them |
//! | [`limiter`] | how Pods limit what they take in by their latency |
//! | [`circuit_breaker`], [`outlier_detection`] | how clients and proxies fail fast, and avoid who fails |
//! | [`record`] | what is measured |

pub mod api;
pub mod balance;
pub mod circuit_breaker;
pub mod cluster;
pub mod control_plane;
pub mod controllers;
pub mod cpu_quota;
pub mod dataplane;
pub mod dns;
pub mod explain;
pub mod ids;
pub mod lab;
pub mod limiter;
pub mod load_balancer;
pub mod maglev;
pub mod network;
pub mod outlier_detection;
pub mod pool;
pub mod record;
pub mod retry;
pub mod scale_to_zero;
mod schema;
pub mod spec;
pub mod units;
pub mod workload;
