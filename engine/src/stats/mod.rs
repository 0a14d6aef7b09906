//! Measurement: exact where integers allow, bounded in error where not.

pub mod fairness;
pub mod histogram;
pub mod tally;
pub mod time_average;

pub use histogram::Histogram;
pub use tally::Tally;
pub use time_average::TimeAverage;
