//! The clock and the loop: [`Model`] says what events do, [`Simulation`] hands them over in order.

use crate::event_queue::EventQueue;
use crate::time::{SimDuration, SimTime};

/// What happens: a model owns all state and handles one event at a time.
pub trait Model {
    /// Everything that can happen, as one small `Copy` type; keep it at 16 bytes or fewer.
    type Event: Copy;

    /// Handles `event` at `ctx.now()` and schedules what follows from it.
    fn handle(&mut self, event: Self::Event, ctx: &mut Context<'_, Self::Event>);
}

/// What a model sees of the simulation while it handles an event.
pub struct Context<'a, E> {
    now: SimTime,
    queue: &'a mut EventQueue<E>,
}

impl<E: Copy> Context<'_, E> {
    /// The current simulated time.
    #[inline]
    #[must_use]
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Schedules `event` for `delay` from now; zero means after everything already due at this instant.
    #[inline]
    pub fn schedule_in(&mut self, delay: SimDuration, event: E) {
        self.queue.push(self.now + delay, event);
    }

    /// Schedules `event` for `time`.
    ///
    /// # Panics
    /// If `time` has passed: a model that writes history is wrong.
    #[inline]
    pub fn schedule_at(&mut self, time: SimTime, event: E) {
        assert!(time >= self.now, "an event was scheduled for {time:?}, before now ({:?})", self.now);
        self.queue.push(time, event);
    }
}

/// A model, its pending events and its clock.
pub struct Simulation<M: Model> {
    /// The model; between runs it may be asked and changed freely.
    pub model: M,
    queue: EventQueue<M::Event>,
    now: SimTime,
    events: u64,
}

/// How far [`Simulation::advance`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// Nothing more is due, or wanted.
    Done,
    /// It handled as many events as it was told to; there may be more.
    Paused,
}

impl<M: Model> Simulation<M> {
    /// A simulation at time zero with nothing pending.
    pub fn new(model: M) -> Self {
        Self { model, queue: EventQueue::new(), now: SimTime::ZERO, events: 0 }
    }

    /// Lets `f` act on the model at the current time, as an event would.
    pub fn act<R>(&mut self, f: impl FnOnce(&mut M, &mut Context<'_, M::Event>) -> R) -> R {
        f(&mut self.model, &mut Context { now: self.now, queue: &mut self.queue })
    }

    /// Handles every event due at or before `end`, then sets the clock to `end`.
    pub fn run_until(&mut self, end: SimTime) {
        while self.advance(end, u64::MAX, |_| true) == Advance::Paused {}
        self.now = self.now.max(end);
    }

    /// Handles events due at or before `end` while `more` says so of the model, at most `most` of them; the clock stays at the
    /// last one. Whoever calls it again and again can look after other things in between, and see whether time moves.
    pub fn advance(&mut self, end: SimTime, most: u64, mut more: impl FnMut(&M) -> bool) -> Advance {
        let last = self.events.saturating_add(most);
        while more(&self.model)
            && let Some((time, event)) = self.queue.pop_until(end)
        {
            self.step(time, event);
            if self.events == last {
                return Advance::Paused;
            }
        }
        Advance::Done
    }

    #[inline]
    fn step(&mut self, time: SimTime, event: M::Event) {
        debug_assert!(time >= self.now, "the event list went back in time");
        self.now = time;
        self.events += 1;
        self.model.handle(event, &mut Context { now: time, queue: &mut self.queue });
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Events handled so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Events pending.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }
}
