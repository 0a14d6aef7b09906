//! Kubernetes nouns as the data plane sees them.

pub mod allocator;
pub mod endpoint;
pub mod endpoint_set;
pub mod pod;
pub mod service;

pub use endpoint::{Conditions, Endpoint, Hints};
pub use endpoint_set::{Categories, EndpointSet, HintLevel, Policies, PortEndpoints, Vantage};
pub use pod::{Pod, Process};
pub use service::Service;
