//! What a whole run promises, one file a behaviour. Every test simulates ordinary specs from the outside.

mod autoscaling;
mod balance;
mod balancers;
mod call_graphs;
mod churn;
mod clients;
mod closed_forms;
mod common_random_numbers;
mod conntrack;
mod dataplanes;
mod dns;
mod explaining;
mod failures;
mod invariants;
mod network;
mod paths;
mod placement;
mod policies;
mod propagation;
mod protection;
mod rollouts;
mod scheduling;
mod services;
mod spec_errors;
mod timeline;
mod world;
