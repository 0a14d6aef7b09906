//! A deterministic discrete-event simulation engine. It knows no Kubernetes, no files and no threads.
//!
//! | module | what is in it |
//! |---|---|
//! | [`time`] | [`SimTime`], [`SimDuration`]: integer nanoseconds |
//! | [`event_queue`] | [`EventQueue`]: the future event list, ordered by time, then insertion |
//! | [`simulation`] | [`Model`], [`Context`], [`Simulation`]: the clock and the loop |
//! | [`id`], [`slab`] | identifiers that cannot be mixed up; reused slots with generations |
//! | [`random`] | [`Streams`]: one stream of chance per role; [`DistSpec`], [`Dist`]: distributions |
//! | [`queueing`] | [`Station`], [`ProcessorSharing`], [`DelayLine`] |
//! | [`stats`] | [`Tally`], [`TimeAverage`], [`Histogram`], [`stats::fairness`] |
//! | [`text`] | values written as text with a unit |
//!
//! # First example: the M/M/1 queue
//!
//! Jobs arrive at random, every 2 ms on average; one server needs 1 ms for each, on average. Half of the
//! time it is busy, and 1 / (1 - 1/2) - 1 = 1 job is there on average.
//!
//! ```
//! use svcsim_engine::{Arrival, Context, Dist, DistSpec, Model, SimDuration, SimTime, Simulation, Station, Stream, Streams, TimeAverage};
//!
//! #[derive(Clone, Copy)]
//! enum Event {
//!     Arrives,
//!     Completes,
//! }
//!
//! struct Queue {
//!     station: Station<()>,
//!     in_system: TimeAverage,
//!     interarrival: (Dist, Stream),
//!     demand: (Dist, Stream),
//! }
//!
//! impl Model for Queue {
//!     type Event = Event;
//!
//!     fn handle(&mut self, event: Event, ctx: &mut Context<'_, Event>) {
//!         let starts = match event {
//!             Event::Arrives => {
//!                 let (interarrival, stream) = &mut self.interarrival;
//!                 ctx.schedule_in(interarrival.sample_duration(stream), Event::Arrives);
//!                 self.station.arrive(ctx.now(), ()) == Arrival::Starts
//!             }
//!             Event::Completes => self.station.complete(ctx.now()).is_some(),
//!         };
//!         if starts {
//!             let (demand, stream) = &mut self.demand;
//!             ctx.schedule_in(demand.sample_duration(stream), Event::Completes);
//!         }
//!         self.in_system.set(ctx.now(), self.station.in_system() as u64);
//!     }
//! }
//!
//! let streams = Streams::new(/* seed */ 1, /* replication */ 0);
//! let exponential = |mean| DistSpec::Exponential { mean: SimDuration::from_millis(mean) }.build();
//! let mut simulation = Simulation::new(Queue {
//!     station: Station::new(1, None),
//!     in_system: TimeAverage::default(),
//!     interarrival: (exponential(2)?, streams.stream(0, 0)),
//!     demand: (exponential(1)?, streams.stream(1, 0)),
//! });
//! simulation.act(|_, ctx| ctx.schedule_in(SimDuration::ZERO, Event::Arrives));
//! let end = SimTime::ZERO + SimDuration::from_secs(100);
//! simulation.run_until(end);
//! let mean = simulation.model.in_system.mean(end).unwrap();
//! assert!((0.9..1.1).contains(&mean), "{mean}");
//! # Ok::<(), String>(())
//! ```

pub mod event_queue;
pub mod id;
pub mod queueing;
pub mod random;
pub mod simulation;
pub mod slab;
pub mod stats;
pub mod text;
pub mod time;

#[doc(hidden)]
pub use serde;

pub use event_queue::EventQueue;
pub use id::{Id, IdVec};
pub use queueing::{Arrival, DelayLine, ProcessorSharing, Reschedule, Station};
pub use random::{Dist, DistSpec, EmpiricalSpec, Quantity, Stream, Streams, entity};
pub use simulation::{Advance, Context, Model, Simulation};
pub use slab::{Key, Slab};
pub use stats::{Histogram, Tally, TimeAverage};
pub use time::{SimDuration, SimTime};
