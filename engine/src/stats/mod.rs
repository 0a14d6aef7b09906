//! Measurement: exact where integers allow, bounded in error where not.

pub mod fairness;
pub mod histogram;
pub mod interval;
pub mod tally;
pub mod time_average;

pub use histogram::Histogram;
pub use interval::{Interval, t_interval};
pub use tally::Tally;
pub use time_average::TimeAverage;
