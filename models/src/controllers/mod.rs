//! What Kubernetes controllers decide, as functions of what they see. Nothing here has state or acts.
//!
//! | module | what is in it |
//! |---|---|
//! | [`deployment`] | how many Pods a rolling update adds and takes away in one step |
//! | [`autoscaler`] | how many replicas one metric asks of a horizontal Pod autoscaler |
//! | [`scaling_rules`] | how fast the autoscaler may follow |
//! | [`disruption`] | whether a PodDisruptionBudget lets a Pod go |
//! | [`scheduling`] | tolerations, affinity, spreading |

pub mod autoscaler;
pub mod deployment;
pub mod disruption;
pub mod scaling_rules;
pub mod scheduling;
