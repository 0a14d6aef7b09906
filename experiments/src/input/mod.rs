//! What comes in: the experiment file, Kubernetes manifests, topology files; and what is said when they are wrong.

pub mod error;
pub mod experiment;
pub mod files;
#[cfg(test)]
mod hostile;
pub mod kubernetes;
pub mod locate;
mod reader;
pub mod reference;
mod replay;
pub mod sampling;
pub mod schema;
pub mod topology;
mod trace;
pub mod tree;
mod variant;
