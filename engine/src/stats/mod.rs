//! Measurement: exact where integers allow, bounded in error where not.

pub mod batch_means;
pub mod distributions;
pub mod fairness;
pub mod histogram;
pub mod interval;
pub mod log_linear;
pub mod mser;
pub mod paired;
pub mod proportion;
pub mod quantile;
pub mod ratio;
pub mod replications;
pub mod selection;
pub mod simultaneous;
pub mod stationarity;
pub mod tally;
pub mod time_average;

pub use histogram::Histogram;
pub use interval::{Interval, t_interval};
pub use tally::Tally;
pub use time_average::TimeAverage;
