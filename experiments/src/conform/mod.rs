//! What the model says of the conformance vectors' cases.

pub mod service;
