//! Balancing algorithms: how an instance, a client, a sidecar, a gateway's Pod, chooses among the Pods that it knows.
//!
//! A [`Picker`] is one algorithm with one instance's state. It is told what its instance sees, and nothing else: which hosts there
//! are ([`Picker::changed`]), what it sent ([`Picker::sent`]) and what came back ([`Picker::answered`]), what its probes found
//! ([`Picker::probed`]). Many instances share nothing. [`Balance`] is an instance at work: its hosts, and its picker.
//!
//! An algorithm is one file with a `Spec` (serde, `Default`) that has `KNOWS` and `build`, a type that is a [`Picker`], and one line
//! in the list below. Where a policy is tried from outside, [`PolicySpec::custom`] takes any picker.

mod bins;
mod instance;
mod locality;
mod seen;
mod subset;

pub use bins::Bins;
pub use instance::{Balance, Instance};
pub use locality::LocalitySpec;
pub use seen::{Answer, Ask, Host, Knows, Probing, Report, SignalSpec, SlowStartSpec, World};
pub use subset::SubsetSpec;

use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::sync::Arc;
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// One algorithm with the state of one instance. Hosts are named by their place in [`Ask::hosts`], which is the place in the slice
/// that [`Self::changed`] was last told.
pub trait Picker: fmt::Debug {
    /// The hosts are `hosts` from now on, never none; the one at place `i` was at `before[i]`, or is new. Called before the first
    /// pick.
    fn changed(&mut self, hosts: &[Host], before: &[Option<usize>], now: SimTime) {
        let _ = (hosts, before, now);
    }

    /// The place of the host for a request; none if it may be sent to nobody.
    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize>;

    /// A request was sent to the host at this place, whoever chose it.
    fn sent(&mut self, host: usize, now: SimTime) {
        let _ = (host, now);
    }

    /// A request to the host at this place is over.
    fn answered(&mut self, host: usize, answer: &Answer) {
        let _ = (host, answer);
    }

    /// Which hosts to probe now; asked after each request. The answers come by [`Self::probed`].
    fn probes(&mut self, hosts: &[Host], now: SimTime, stream: &mut Stream) -> Vec<usize> {
        let _ = (hosts, now, stream);
        Vec::new()
    }

    /// A probe of the host at this place found `report`, taken at `taken`.
    fn probed(&mut self, host: usize, report: Report, taken: SimTime, now: SimTime) {
        let _ = (host, report, taken, now);
    }

    /// What the choice goes by, for each host; less is better. None where hosts have no scores.
    fn scores(&self, ask: &Ask<'_>) -> Option<Vec<f64>> {
        let _ = ask;
        None
    }
}

/// Declares the algorithms: the module, the word in the experiment file and how a picker is made.
macro_rules! policies {
    ($($(#[$doc:meta])* $name:ident in $module:ident as $word:literal;)*) => {
        $(pub mod $module;)*

        /// An algorithm as the experiment file names it: a bare word, or a word with settings.
        #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
        #[schemars(transform = crate::schema::or_word)]
        pub enum PolicySpec {
            $($(#[$doc])* #[serde(rename = $word)] $name($module::Spec),)*
            /// A picker from outside.
            #[serde(skip)]
            Custom(Custom),
        }

        impl PolicySpec {
            /// The words of all algorithms.
            pub const NAMES: &[&str] = &[$($word),*];

            /// Its word, or what its author calls it.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$name(_) => $word,)*
                    Self::Custom(custom) => &custom.name,
                }
            }

            /// The algorithm that goes by `word`, with the settings it has by default.
            #[must_use]
            pub fn by_name(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name($module::Spec::default())),)*
                    _ => None,
                }
            }

            /// What it has to know to choose.
            #[must_use]
            pub const fn knows(&self) -> Knows {
                match self {
                    $(Self::$name(_) => $module::Spec::KNOWS,)*
                    Self::Custom(_) => Knows::EVERYTHING,
                }
            }

            /// One instance's picker.
            ///
            /// # Errors
            /// A setting that makes no sense, named below `field`.
            pub fn build(&self, field: &str) -> Result<Box<dyn Picker>, SpecError> {
                match self {
                    $(Self::$name(spec) => Ok(Box::new(spec.build(&format!("{field}.{}", $word))?)),)*
                    Self::Custom(custom) => Ok((custom.make)()),
                }
            }
        }

        impl<'de> Deserialize<'de> for PolicySpec {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                enum Settings {
                    $(#[serde(rename = $word)] $name($module::Spec),)*
                }
                struct Either;
                impl<'de> serde::de::Visitor<'de> for Either {
                    type Value = PolicySpec;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "one of {}, or one of them with its settings", PolicySpec::NAMES.join(", "))
                    }

                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<PolicySpec, E> {
                        PolicySpec::by_name(word).ok_or_else(|| E::unknown_variant(word, PolicySpec::NAMES))
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<PolicySpec, A::Error> {
                        let settings = Settings::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                        Ok(match settings { $(Settings::$name(spec) => PolicySpec::$name(spec),)* })
                    }
                }
                deserializer.deserialize_any(Either)
            }
        }
    };
}

policies! {
    /// Any host, all alike.
    Random in random as "random";
    /// One after the other.
    RoundRobin in round_robin as "roundRobin";
    /// The host with the fewest requests under way, of all or of some drawn at random.
    LeastRequest in least_request as "leastRequest";
    /// As Envoy does it: two drawn at random, or by weight and bias.
    EnvoyLeastRequest in envoy_least_request as "envoyLeastRequest";
    /// As HAProxy does it: all are looked at, equals take turns.
    LeastConnections in least_connections as "leastConnections";
    /// The product of response time and requests under way.
    LeastResponseTime in least_response_time as "leastResponseTime";
    /// Latency that jumps to peaks and forgets them slowly, of two drawn at random (Finagle, Linkerd).
    PeakEwma in peak_ewma as "peakEwma";
    /// Any host that said it was idle.
    JoinIdleQueue in join_idle_queue as "joinIdleQueue";
    /// Probes, hot and cold (Google).
    Prequal in prequal as "prequal";
    /// Response time, service time and the cube of the queue.
    C3 in c3 as "c3";
    /// By weight and spread out, as nginx does it.
    SmoothWeightedRoundRobin in smooth_weighted_round_robin as "smoothWeightedRoundRobin";
    /// By weight, as Envoy does it.
    Edf in edf as "edf";
    /// By weight, by a list made once, as HAProxy does it.
    StaticRr in static_rr as "staticRr";
    /// The first that has room.
    First in first as "first";
    /// A hash modulo the weights.
    HashMap in hash_map as "hashMap";
    /// The next point on a consistent-hash ring.
    Ring in ring as "ring";
    /// The same, but for hosts that are full.
    BoundedLoads in bounded_loads as "boundedLoads";
    /// A place in a Maglev table.
    MaglevHash in maglev_hash as "maglev";
    /// The highest hash of host and request.
    Rendezvous in rendezvous as "rendezvous";
    /// A hash that jumps from host to host.
    Jump in jump as "jump";
    /// The host with the least unfinished work: an oracle.
    LeastWork in least_work as "leastWork";
    /// The host with the most requests under way: a negative control.
    Busiest in busiest as "busiest";
}

/// A bare word is an algorithm with its defaults.
impl std::str::FromStr for PolicySpec {
    type Err = serde::de::value::Error;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::deserialize(word.into_deserializer())
    }
}

impl Default for PolicySpec {
    fn default() -> Self {
        Self::Random(random::Spec::default())
    }
}

impl PolicySpec {
    /// A picker from outside under a name of its own; `make` makes one for each instance.
    pub fn custom<P: Picker + 'static>(name: impl Into<String>, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self::Custom(Custom { name: name.into(), make: Arc::new(move || Box::new(make())) })
    }
}

/// How pickers from outside are made; see [`PolicySpec::custom`].
#[derive(Clone)]
pub struct Custom {
    name: String,
    make: Arc<dyn Fn() -> Box<dyn Picker> + Send + Sync>,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Custom").field(&self.name).finish()
    }
}

/// The same if they were made as one.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.make, &other.make)
    }
}

/// How each instance of a source chooses the Pod of each request, `balancing:`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BalancingSpec {
    /// The algorithm.
    pub policy: PolicySpec,
    /// What instances know of how busy hosts are.
    pub signal: SignalSpec,
    /// Whether each instance uses only some of the hosts; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<SubsetSpec>,
    /// Which hosts are preferred.
    pub locality: LocalitySpec,
    /// New hosts get less for a while; absent: they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<SlowStartSpec>,
    /// What policies that hash go by.
    pub hash_on: HashOn,
    /// Hosts' weights by their Pods' places in the workload, over and over; absent: all alike.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<u32>,
}

impl BalancingSpec {
    /// Finds what makes no sense of it.
    ///
    /// # Errors
    /// What that is, below `field`.
    pub fn check(&self, field: &str) -> Result<(), SpecError> {
        self.policy.build(&format!("{field}.policy"))?;
        if !self.weights.is_empty() && self.weights.iter().all(|w| *w == 0) {
            let fix = "give weights such as [1, 1, 2], or leave them out: all hosts are alike";
            return Err(SpecError::new(format!("{field}.weights"), "all weights are 0: no host could be chosen", fix));
        }
        self.slow_start.map_or(Ok(()), |s| s.check(&format!("{field}.slowStart")))?;
        self.signal.check(&format!("{field}.signal"))
    }

    /// The weight of the Pod at a place of its workload.
    #[must_use]
    pub fn weight(&self, place: usize) -> u32 {
        self.weights.get(place.checked_rem(self.weights.len()).unwrap_or(0)).copied().unwrap_or(1)
    }
}

/// What of a request a policy hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HashOn {
    /// The client's address.
    #[default]
    Client,
    /// The request's key: a header, a path, a row (`keys:` of the source).
    Key,
}

/// State by host carried over a change: what stood at `before[i]` comes to place `i`, and `new` makes what is new.
pub fn carried<T: Clone>(old: &[T], before: &[Option<usize>], mut new: impl FnMut(usize) -> T) -> Vec<T> {
    before.iter().enumerate().map(|(i, place)| place.and_then(|p| old.get(p)).cloned().unwrap_or_else(|| new(i))).collect()
}

#[cfg(test)]
mod tests;
