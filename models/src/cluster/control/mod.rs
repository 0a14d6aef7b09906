//! What the control plane does: Pods come and go, and Nodes learn of it, each in its own time.

mod endpoints;
mod kubelet;
mod load_balancers;
