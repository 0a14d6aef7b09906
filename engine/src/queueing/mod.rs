//! Stations and lines: nouns that are told `now`, answer with a value and schedule nothing themselves.

pub mod delay_line;
pub mod processor_sharing;
pub mod station;

pub use delay_line::DelayLine;
pub use processor_sharing::{ProcessorSharing, Reschedule};
pub use station::{Arrival, Station};
