//! What a whole run promises, one file a behaviour. Every test simulates ordinary specs from the outside.

mod balance;
mod churn;
mod closed_forms;
mod common_random_numbers;
mod dataplanes;
mod explaining;
mod invariants;
mod network;
mod paths;
mod placement;
mod spec_errors;
mod timeline;
mod world;
