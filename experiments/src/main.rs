//! `svcsim`: simulates the data plane of Kubernetes Services. Experiments in, reports out.

mod cli;
mod collect;
mod conform;
mod design;
mod execute;
mod expect;
mod input;
mod measures;
mod output;
#[cfg(feature = "parquet")]
mod parquet;
mod precision;
mod sensitivity;
mod steady;
mod units;
mod validate;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
