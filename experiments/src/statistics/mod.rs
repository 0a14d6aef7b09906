//! Statistics over replications.

mod interval;

pub(crate) use interval::t_interval;
