//! Chance: [`Streams`] hands out independent random streams by role, [`DistSpec`] says how a quantity
//! is distributed and builds the [`Dist`] that samples it.

pub mod dist;
pub mod stream;

pub use dist::{Dist, DistSpec, EmpiricalSpec, Quantity};
pub use stream::{Stream, Streams, entity};
