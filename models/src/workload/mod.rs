//! When requests arrive. One file a process, one line in the list below.

use crate::spec::SpecError;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// Declares the arrival processes: the module, the variant of the experiment file's enum and the dispatch.
/// A module offers `Spec` (serde, with `build(&self, field)` and `rate(&self)`) and a process of the
/// variant's name with `gap(&mut self, &mut Stream) -> SimDuration`.
macro_rules! arrivals {
    ($($(#[$doc:meta])* $name:ident in $module:ident;)*) => {
        $(pub mod $module;)*

        /// How the experiment file names an arrival process, e.g. `poisson: {rate: 2000/s}`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub enum ArrivalsSpec {
            $($(#[$doc])* $name($module::Spec),)*
        }

        impl ArrivalsSpec {
            /// Checks the parameters and makes the process.
            ///
            /// # Errors
            /// A parameter that makes no sense, named below `field`.
            pub fn build(&self, field: &str) -> Result<Arrivals, SpecError> {
                match self {
                    $(Self::$name(spec) => spec.build(field).map(Arrivals::$name),)*
                }
            }

            /// Long-run mean rate, requests per second.
            #[must_use]
            pub fn rate(&self) -> f64 {
                match self {
                    $(Self::$name(spec) => spec.rate(),)*
                }
            }
        }

        /// An arrival process at work.
        #[derive(Clone, Debug)]
        pub enum Arrivals {
            $($(#[$doc])* $name($module::$name),)*
        }

        impl Arrivals {
            /// Time from the last arrival to the next.
            #[inline]
            pub fn gap(&mut self, stream: &mut Stream) -> SimDuration {
                match self {
                    $(Self::$name(process) => process.gap(stream),)*
                }
            }
        }
    };
}

arrivals! {
    /// Independent exponential gaps: many users who do not know of each other.
    Poisson in poisson;
}
