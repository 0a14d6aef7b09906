//! The program as its users meet it: the real binary, in directories of its own. One file a behaviour.

mod bad_input;
mod browser;
mod comparing;
mod conformance;
mod designs;
mod desk;
mod determinism;
mod expecting;
mod explaining;
mod features;
mod golden;
mod importing;
mod incidents;
mod interruption;
mod odd_input;
mod policies;
mod printing;
mod schema;
mod shards;
mod traces;
mod validation;
mod variants;
