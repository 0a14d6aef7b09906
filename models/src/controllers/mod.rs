//! The arithmetic of workload controllers: how many Pods there should be.
//!
//! | module | what it decides |
//! |---|---|
//! | [`deployment`] | how a rolling update moves replicas from old ReplicaSets to the new one |
//! | [`autoscaler`] | how many replicas the HorizontalPodAutoscaler wants |

pub mod autoscaler;
pub mod deployment;
