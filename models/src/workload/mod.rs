//! When requests arrive. One file a process, one line in the list below.

mod paced;

pub use paced::{Calls, Paced};

use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// Declares the arrival processes: the module, the variant of the experiment file's enum and the dispatch.
/// A module offers `Spec` (serde, with `build(&self, field)` and `rate(&self)`) and a process of the
/// variant's name that is a [`Process`].
macro_rules! arrivals {
    ($($(#[$doc:meta])* $name:ident in $module:ident;)*) => {
        $(pub mod $module;)*

        /// How the experiment file names an arrival process, e.g. `poisson: {rate: 2000/s}`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub enum ArrivalsSpec {
            $($(#[$doc])* $name($module::Spec),)*
        }

        impl ArrivalsSpec {
            /// The words of all arrival processes, as types have them; files write them with a small first letter.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// Checks the parameters and makes the process.
            ///
            /// # Errors
            /// A parameter that makes no sense, named below `field`.
            pub fn build(&self, field: &str) -> Result<Arrivals, SpecError> {
                match self {
                    $(Self::$name(spec) => spec.build(&format!("{field}.{}", camel(stringify!($name)))).map(Arrivals::$name),)*
                }
            }

            /// Long-run mean rate, requests per second; of closed loops the most that there can be.
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
            #[inline]
            fn process(&mut self) -> &mut dyn Process {
                match self {
                    $(Self::$name(process) => process,)*
                }
            }
        }
    };
}

arrivals! {
    /// Independent exponential gaps: many users who do not know of each other.
    Poisson in poisson;
    /// Independent gaps of any distribution; with a constant one, a clock.
    Renewal in renewal;
    /// A Poisson process whose rate jumps between states.
    Mmpp in mmpp;
    /// A Poisson process whose rate follows a curve.
    Curve in curve;
    /// Senders that are on and off for long times: bursts at every scale.
    OnOff in on_off;
    /// Several at a time.
    Batch in batch;
    /// Recorded arrivals once more.
    Replay in replay;
    /// A fixed number of users, each of whom sends, waits for the answer, thinks, and sends again.
    ClosedLoop in closed_loop;
    /// Users who come, make some requests one after the other, and go.
    Sessions in sessions;
}

/// What an arrival process does.
trait Process {
    /// Time from the last arrival to the next; none if there is none any more, or if it waits for something else than time.
    fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration>;

    /// What is known of the request that arrives now, beyond its time.
    fn recorded(&self) -> Recorded {
        Recorded::default()
    }

    /// Who sends when the last request of theirs is over.
    fn paced(&self) -> Option<&Paced> {
        None
    }
}

/// What a trace says of a request; what it does not say is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Its demand.
    pub service_time: Option<SimDuration>,
    /// Its size.
    pub request_bytes: Option<u32>,
    /// Its answer's size.
    pub response_bytes: Option<u32>,
}

impl Arrivals {
    /// Time from the last arrival to the next; none if there is none any more, or if it waits for something else than time.
    #[inline]
    pub fn gap(&mut self, stream: &mut Stream) -> Option<SimDuration> {
        match self {
            Self::Poisson(process) => process.gap(stream),
            other => other.process().gap(stream),
        }
    }

    /// What is known of the request that arrives now, beyond its time.
    #[inline]
    pub fn recorded(&mut self) -> Recorded {
        match self {
            Self::Replay(process) => process.recorded(),
            _ => Recorded::default(),
        }
    }

    /// Who sends when the last request of theirs is over.
    #[inline]
    pub fn paced(&mut self) -> Option<&Paced> {
        match self {
            Self::Poisson(_) => None,
            other => other.process().paced(),
        }
    }
}

/// A type's name as a file writes it.
fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A rate that makes sense: more than nothing, and not more than one a nanosecond.
fn check_rate(field: &str, rate: f64) -> Result<(), SpecError> {
    if rate > 0.0 && rate <= 1e9 {
        return Ok(());
    }
    let problem = format!("a rate of {rate} per second; expected more than 0 and at most 1e9");
    Err(SpecError::new(field, problem, "give a rate such as 100/s, or remove the source if it sends nothing"))
}

#[cfg(test)]
mod tests;
