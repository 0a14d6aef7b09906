//! What the control plane does: Pods come and go, and Nodes learn of it, each in its own time.

mod endpoints;
mod events;
mod kubelet;
mod load_balancers;
mod scheduler;
mod workloads;
