//! A request calls other Services before it is answered: step by step, several at once in a step.
//!
//! Everything about the calls of a request is drawn from its lot when they begin, made or not, so that designs under comparison meet
//! the same calls. A step begins when the last call of the one before is over; the last of each step is on the critical path. Nobody
//! tells those called that their caller has given up: they work on.

use crate::cluster::request::NOBODY;
use crate::cluster::{Cluster, Connection, Ctx, Outcome, Phase, Purpose, Request, Stage};
use crate::ids::{PodId, SourceId, WorkloadId};
use crate::record::Segment;
use svcsim_engine::{Key, SimDuration, SimTime};

/// One call that a workload's requests make, maybe.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster) struct Call {
    /// Calls of one step are made at once.
    pub(in crate::cluster) step: u32,
    /// Who sends: the workload's Pods, to the Service called.
    pub(in crate::cluster) source: SourceId,
    pub(in crate::cluster) probability: f64,
    pub(in crate::cluster) copies: u32,
    pub(in crate::cluster) asynchronous: bool,
}

/// A request that waits for what it called.
#[derive(Clone, Debug, Default)]
pub(in crate::cluster) struct Calling {
    /// It, and where it is.
    request: Option<(Key, PodId)>,
    since: SimTime,
    /// The calls that are still to be made, in the order of steps, the last first.
    to_make: Vec<(Call, Draw)>,
    /// Calls of this step that are not over.
    waits_for: u32,
    failed: bool,
    /// The critical path so far, and that of the call of this step that ended last.
    path: Vec<Segment>,
    last: Vec<Segment>,
}

/// What was drawn for a call.
#[derive(Clone, Copy, Debug)]
struct Draw {
    demand: SimDuration,
    request_bytes: u32,
    response_bytes: u32,
    lot: u64,
}

impl Cluster {
    /// The Pod has done its own work for a request, and calls whom it needs.
    pub(super) fn begin_calls(&mut self, id: PodId, key: Key, ctx: &mut Ctx<'_>) {
        let Some(&request) = self.requests.get(key) else { return };
        let to_make = self.draw_calls(self.pods[id].workload, request.lot);
        let calling = Calling { request: Some((key, id)), since: ctx.now(), to_make, ..Calling::default() };
        let slot = match self.free_callings.pop() {
            Some(slot) => {
                self.callings[slot as usize] = calling;
                slot
            }
            None => {
                self.callings.push(calling);
                self.callings.len() as u32 - 1
            }
        };
        self.next_step(slot, ctx);
    }

    /// Which calls a request makes, the last first.
    fn draw_calls(&self, workload: WorkloadId, lot: u64) -> Vec<(Call, Draw)> {
        let mut stream = self.streams.stream(Purpose::Calls as u64, lot);
        let mut drawn = Vec::new();
        for &call in &self.workloads[workload].calls {
            let made = stream.chance(call.probability);
            for _ in 0..call.copies {
                let source = &self.sources[call.source];
                let service = source.service_time.as_ref().or(source.workload.map(|w| &self.workloads[w].service_time));
                let bytes = |x: f64| x.min(f64::from(u32::MAX)) as u32;
                let draw = Draw {
                    demand: service.map_or(SimDuration::ZERO, |dist| dist.sample_duration(&mut stream)),
                    request_bytes: bytes(source.request_size.sample(&mut stream)),
                    response_bytes: bytes(source.response_size.sample(&mut stream)),
                    lot: stream.next_u64(),
                };
                drawn.extend(made.then_some((call, draw)));
            }
        }
        drawn.reverse();
        drawn
    }

    /// Makes the calls of the next step; with none left the request is answered.
    fn next_step(&mut self, slot: u32, ctx: &mut Ctx<'_>) {
        let calling = &mut self.callings[slot as usize];
        calling.path.append(&mut calling.last);
        let found = calling.request.and_then(|(key, pod)| Some((pod, *self.requests.get(key)?)));
        let Some((pod, request)) = found.filter(|(pod, r)| r.is_inside(*pod)) else { return self.forget_calling(slot) };
        let step = calling.to_make.last().map(|(call, _)| call.step).filter(|_| !calling.failed);
        let Some(step) = step else { return self.end_calls(slot, ctx) };
        // What is called may be over before the next of the step is made: the step is not.
        calling.waits_for = 1;
        while let Some((call, draw)) = self.callings[slot as usize].to_make.pop_if(|(call, _)| call.step == step) {
            let caller = if call.asynchronous { NOBODY } else { slot };
            self.callings[slot as usize].waits_for += u32::from(!call.asynchronous);
            self.call(call.source, self.pods[pod].caller, caller, &request, draw, ctx);
        }
        self.call_over(slot, ctx);
    }

    fn call(&mut self, source: SourceId, client: u32, caller: u32, of: &Request, draw: Draw, ctx: &mut Ctx<'_>) {
        let Draw { demand, request_bytes, response_bytes, lot } = draw;
        let sizes = (request_bytes, response_bytes);
        let request =
            Request { lot, caller, key: of.key, priority: of.priority, ..Request::new(ctx.now(), (source, client), demand, sizes) };
        self.launch(request, ctx);
    }

    /// A call of a request is over, well or not; `path` is its part of the critical path.
    pub(super) fn call_returns(&mut self, call: &Request, outcome: Outcome, path: Vec<Segment>, ctx: &mut Ctx<'_>) {
        let calling = &mut self.callings[call.caller as usize];
        calling.last = path;
        calling.failed |= outcome != Outcome::Completed && !self.sources[call.source].optional;
        self.call_over(call.caller, ctx);
    }

    fn call_over(&mut self, slot: u32, ctx: &mut Ctx<'_>) {
        let calling = &mut self.callings[slot as usize];
        calling.waits_for -= 1;
        if calling.waits_for == 0 {
            self.next_step(slot, ctx);
        }
    }

    /// All calls are over: the request is answered, and whoever waits for its server gets it.
    fn end_calls(&mut self, slot: u32, ctx: &mut Ctx<'_>) {
        let Calling { request, since, failed, path, .. } = std::mem::take(&mut self.callings[slot as usize]);
        self.forget_calling(slot);
        let Some((key, pod)) = request else { return };
        let Some(request) = self.requests.get_mut(key) else { return };
        request.called = ctx.now().since(since);
        if !request.ended && !path.is_empty() {
            self.paths.insert(key, path);
        }
        if self.leaves_server_to_call(pod) {
            self.pods[pod].calling -= 1;
        } else {
            self.pods[pod].blocked -= 1;
            self.next_in_line(pod, ctx);
        }
        self.respond(pod, key, if failed { Outcome::DependencyFailed } else { Outcome::Completed }, ctx);
    }

    fn forget_calling(&mut self, slot: u32) {
        self.callings[slot as usize] = Calling::default();
        self.free_callings.push(slot);
    }

    /// A request is over: whoever called it goes on, or it was somebody's outside, who is told where the time went.
    pub(super) fn tell_caller(&mut self, key: Key, request: &Request, outcome: Outcome, ctx: &mut Ctx<'_>) {
        let paced = !self.sources[request.source].users.is_empty();
        if paced {
            self.user_goes_on(request.source, request.caller, ctx);
        }
        if self.callings.is_empty() {
            return;
        }
        let called = self.paths.remove(&key);
        let own = Segment { source: request.source, time: ctx.now().since(request.start).saturating_sub(request.called) };
        let path: Vec<Segment> = std::iter::once(own).chain(called.into_iter().flatten()).collect();
        if request.caller != NOBODY && !paced {
            self.call_returns(request, outcome, path, ctx);
        } else if outcome == Outcome::Completed && self.sources[request.source].arrivals.is_some() {
            self.recorder.critical_path(request, &path);
        }
    }

    /// Whether requests in the Pod leave their servers to others while they call.
    pub(super) fn leaves_server_to_call(&self, id: PodId) -> bool {
        let pod = &self.pods[id];
        self.workloads[pod.workload].asynchronous || pod.servers.shares()
    }
}

impl Request {
    /// A request as it is sent for the first time.
    pub(in crate::cluster) fn new(
        now: SimTime,
        (source, client): (SourceId, u32),
        demand: SimDuration,
        (request_bytes, response_bytes): (u32, u32),
    ) -> Self {
        Self {
            start: now,
            joined: now,
            sent: now,
            demand,
            waited: SimDuration::ZERO,
            called: SimDuration::ZERO,
            lot: 0,
            request_bytes,
            response_bytes,
            caller: NOBODY,
            key: 0,
            source,
            client,
            connection: Connection::NONE,
            hops: 0,
            phase: Phase::EXCHANGE,
            seen: 0,
            stage: Stage::ToClient,
            result: Outcome::Completed,
            fresh: true,
            ended: false,
            lost: false,
            tries: 0,
            attempt: 0,
            priority: 0,
        }
    }
}
