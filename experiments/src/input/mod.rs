//! What comes in: the experiment file, Kubernetes manifests, topology files; and what is said when they are wrong.

pub mod error;
pub mod experiment;
pub mod files;
pub mod kubernetes;
pub mod locate;
pub mod topology;
pub mod tree;
