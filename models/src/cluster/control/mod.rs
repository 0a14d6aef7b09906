//! What the control plane does: Pods come and go, and Nodes learn of it, each in its own time.

mod autoscaler;
mod drain;
mod endpoints;
mod events;
mod eviction;
mod kubelet;
mod load_balancers;
mod nodes;
mod scheduler;
mod workloads;

pub(super) use autoscaler::{Autoscaler, Meter};
pub(super) use events::Planned;
pub(super) use eviction::Evictions;
pub(super) use nodes::Condition;
pub(super) use scheduler::Asks;
pub(super) use workloads::Version;
