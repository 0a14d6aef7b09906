//! A request in its Pod.

use crate::api::pod::{Admission, Servers};
use crate::api::{Pod, Process};
use crate::cluster::{Cluster, Ctx, Event, Outcome, Request, Stage, Workload};
use crate::ids::{PodId, VertexId};
use crate::spec::{AtSigterm, Discipline, Protocol};
use svcsim_engine::queueing::Reschedule;
use svcsim_engine::{Key, SimDuration, SimTime};

impl Cluster {
    /// A request is at its Pod's address: served now, waiting, or turned away.
    pub(in crate::cluster) fn admit(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let Some(mut request) = self.requests.get_mut(key) else { return };
        let id = request.connection.pod;
        if self.pods[id].sleep.is_some() {
            self.wake_up(id, ctx);
            let Some(again) = self.requests.get_mut(key) else { return };
            request = again;
        }
        let pod = &self.pods[id];
        // The kernel sends what it has of an answer, whatever becomes of the process.
        if request.phase.flight().is_some() && pod.process != Process::Gone {
            return self.replies(key, ctx);
        }
        match pod.process {
            _ if pod.hangs() => return self.wait_for_process(key, ctx),
            // The process that had the connection is no more: its kernel knows no such connection.
            Process::Running if request.tries > 0 && !request.fresh && pod.listens_since > request.joined => {
                return self.send_back(key, Outcome::Reset, self.pod_vertex(id), ctx);
            }
            Process::Running => {}
            Process::Stopping if !request.fresh && self.workloads[pod.workload].at_sigterm == AtSigterm::DrainConnections => {}
            // A connection the Pod accepted while it lived is served to its end, but a stopped listener
            // refuses new ones, and a request that meets a closing connection is reset.
            Process::Stopping | Process::Exited | Process::Starting => {
                let result = if request.fresh { Outcome::Refused } else { Outcome::Reset };
                return self.send_back(key, result, self.pod_vertex(id), ctx);
            }
            Process::Gone => return self.lose(key, Outcome::Blackhole, ctx),
        }
        if self.workloads[pod.workload].max_connections.is_some() {
            return self.admit_if_accepted(key, ctx);
        }
        if request.phase.is_handshake() {
            return self.replies(key, ctx);
        }
        request.enter(now);
        self.take_in(key, ctx);
    }

    /// The same, at a Pod that accepts only so many connections.
    fn admit_if_accepted(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        if self.waits_for_accept(key, ctx) {
            return;
        }
        let Some(request) = self.requests.get_mut(key) else { return };
        if !request.phase.is_handshake() {
            request.enter(ctx.now());
        }
        self.take_in(key, ctx);
    }

    /// A request comes to a process that hangs. Its kernel accepts new connections until the accept queue is full, and then drops
    /// their SYNs (`tcp_conn_request`; `tcp_abort_on_overflow` is 0); what comes over connections that stand waits in their
    /// buffers.
    fn wait_for_process(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let pod = &mut self.pods[request.connection.pod];
        let connects = request.fresh && self.sources[request.source].protocol != Protocol::Udp;
        if connects && !pod.queues_connects(self.workloads[pod.workload].backlog) {
            return self.lose(key, Outcome::BacklogFull, ctx);
        }
        pod.pace.connects += u32::from(connects);
        if connects && request.phase.is_handshake() {
            return self.replies(key, ctx);
        }
        pod.pace.arrived.push(key);
        request.enter(ctx.now());
    }

    /// A process that hung goes on: it accepts what came meanwhile, unless it closes its listener first.
    pub(in crate::cluster) fn accept_arrived(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        self.pods[id].pace.connects = 0;
        for key in std::mem::take(&mut self.pods[id].pace.arrived) {
            let Some(r) = self.requests.get(key).filter(|r| r.is_inside(id)) else { continue };
            if r.fresh && !self.pods[id].accepts() {
                self.send_back(key, Outcome::Reset, self.pod_vertex(id), ctx);
            } else if !self.waits_for_accept(key, ctx) {
                self.take_in(key, ctx);
            }
        }
    }

    /// The process accepts a request: it serves it now, lets it wait, or turns it away.
    pub(super) fn take_in(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let Some(request) = self.requests.get_mut(key) else { return };
        if request.phase.is_handshake() {
            return self.replies(key, ctx);
        }
        let id = request.connection.pod;
        let pod = &mut self.pods[id];
        // Under processor sharing service starts on arrival; elsewhere the Pod may be as slow then as it is now.
        let shares = matches!(pod.servers, Servers::Sharing(_));
        let takes =
            takes(pod, &self.workloads[pod.workload], request.demand, now) + if shares { interference(pod) } else { SimDuration::ZERO };
        let present = pod.present();
        if pod.limiter.as_ref().is_some_and(|l| !l.admits(present)) {
            return self.send_back(key, Outcome::Shed, self.pod_vertex(id), ctx);
        }
        let rank = if self.workloads[pod.workload].discipline == Discipline::Priority { request.priority } else { 0 };
        match pod.servers.arrive(now, key, takes, rank) {
            Admission::Refused => return self.send_back(key, Outcome::QueueFull, self.pod_vertex(id), ctx),
            Admission::Starts => begin_service(pod, &self.workloads[pod.workload], (id, key), request, ctx),
            Admission::Shares(Some(reschedule)) => schedule_sharing(id, reschedule, ctx),
            Admission::Shares(None) | Admission::Waits => {}
        }
        pod.takes_in(takes);
        self.recorder.admitted(request, pod.replica);
        self.meter_cpu(id, ctx);
    }

    /// A FIFO server is done with `key`; the next in line starts.
    pub(in crate::cluster) fn complete(&mut self, id: PodId, key: Key, ctx: &mut Ctx<'_>) {
        let pod = &mut self.pods[id];
        // A process that died threw its requests out; completions still pending for them are void.
        let Some(request) = self.requests.get_mut(key).filter(|r| r.is_inside(id)) else { return };
        if pod.pace.frozen.is_some() {
            return pod.pace.held.push(key);
        }
        // A pause began after this was scheduled: what is left comes after it.
        let left = request.waited.saturating_sub(pod.pace.own(ctx.now()));
        if left > SimDuration::ZERO {
            return ctx.schedule_in(left, Event::ServiceCompletes { pod: id, request: key });
        }
        if self.workloads[pod.workload].calls.is_empty() {
            self.next_in_line(id, ctx);
            return self.respond(id, key, Outcome::Completed, ctx);
        }
        request.waited = ctx.now().since(request.joined).saturating_sub(request.demand);
        if self.leaves_server_to_call(id) {
            self.pods[id].calling += 1;
            self.next_in_line(id, ctx);
        } else {
            self.pods[id].blocked += 1;
            self.meter_cpu(id, ctx);
        }
        self.begin_calls(id, key, ctx);
    }

    /// A server is free for the next in line, but for those who have waited too long.
    pub(super) fn next_in_line(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        let mut too_late = Vec::new();
        let pod = &mut self.pods[id];
        let w = &self.workloads[pod.workload];
        let Servers::Fifo(station) = &mut pod.servers else { return };
        while let Some(next) = station.complete(ctx.now()) {
            let Some(request) = self.requests.get_mut(next) else { continue };
            if w.shed_after.is_some_and(|most| ctx.now().since(request.joined) > most) {
                too_late.push(next);
            } else {
                begin_service(pod, w, (id, next), request, ctx);
                break;
            }
        }
        too_late.into_iter().for_each(|key| self.shed(id, key, ctx));
        self.meter_cpu(id, ctx);
    }

    /// A request that has waited too long is refused, if its client still waits.
    fn shed(&mut self, id: PodId, key: Key, ctx: &mut Ctx<'_>) {
        let Some(&Request { ended, demand, .. }) = self.requests.get(key) else { return };
        self.pods[id].takes_back(demand);
        if ended {
            self.requests.remove(key);
        } else {
            self.send_back(key, Outcome::Shed, self.pod_vertex(id), ctx);
        }
    }

    /// The next completion under processor sharing, if the schedule still holds.
    pub(in crate::cluster) fn complete_sharing(&mut self, id: PodId, epoch: u64, ctx: &mut Ctx<'_>) {
        let Some(queue) = self.pods[id].servers.sharing() else { return };
        let Some((key, next)) = queue.complete(ctx.now(), epoch) else { return };
        if let Some(reschedule) = next {
            schedule_sharing(id, reschedule, ctx);
        }
        self.meter_cpu(id, ctx);
        if self.workloads[self.pods[id].workload].calls.is_empty() {
            return self.respond(id, key, Outcome::Completed, ctx);
        }
        if let Some(request) = self.requests.get_mut(key) {
            request.waited = ctx.now().since(request.joined).saturating_sub(request.demand);
        }
        self.pods[id].calling += 1;
        self.begin_calls(id, key, ctx);
    }

    /// The Pod answers, with `result`.
    pub(super) fn respond(&mut self, id: PodId, key: Key, result: Outcome, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        if let Some(request) = self.requests.get_mut(key) {
            request.waited = now.since(request.joined).saturating_sub(request.demand + request.called);
            let pod = &mut self.pods[id];
            pod.done(now.since(request.joined));
            let fails = result == Outcome::Completed && pod.errors.as_mut().is_some_and(|e| e.draw());
            let result = if fails { Outcome::InternalError } else { result };
            request.seen = pod.present().min(u16::MAX.into()) as u16;
            let request = *request;
            if self.follows(key) {
                self.probe_served(&request, now);
            }
            if request.ended {
                // The client gave up long ago: the Pod's work was for nothing.
                self.requests.remove(key);
            } else {
                self.send_back(key, result, self.pod_vertex(id), ctx);
            }
        }
        self.rests_if_empty(id, ctx);
        self.exit_if_done(id, ctx);
    }

    /// Everyone in the Pod is reset: the process is gone.
    pub(in crate::cluster) fn reset_all(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        self.pods[id].clear(ctx.now());
        let keys: Vec<Key> = self.requests.iter().filter(|(_, r)| r.is_inside(id)).map(|(k, _)| k).collect();
        for key in keys {
            match self.requests.get(key) {
                Some(r) if r.ended => drop(self.requests.remove(key)),
                _ => self.send_back(key, Outcome::Reset, self.pod_vertex(id), ctx),
            }
        }
    }

    #[inline]
    pub(in crate::cluster) fn pod_vertex(&self, id: PodId) -> VertexId {
        self.nodes[self.pods[id].node].vertex
    }
}

impl Request {
    /// It is in its Pod: it got through.
    pub(super) const fn enter(&mut self, now: SimTime) {
        self.stage = Stage::InPod;
        self.joined = now;
        self.tries = 0;
        self.result = Outcome::Completed;
    }

    /// Whether the Pod has it, waiting or in service.
    pub(in crate::cluster) fn is_inside(&self, pod: PodId) -> bool {
        self.stage == Stage::InPod && self.connection.pod == pod && !self.lost
    }
}

/// A FIFO server takes a request up. Until it is answered its `waited` holds when, in the Pod's own time, it will be done.
#[inline]
fn begin_service(pod: &mut Pod, w: &Workload, (id, key): (PodId, Key), request: &mut Request, ctx: &mut Ctx<'_>) {
    let takes = takes(pod, w, request.demand, ctx.now()) + interference(pod);
    request.waited = pod.pace.own(ctx.now()) + takes;
    ctx.schedule_in(takes, Event::ServiceCompletes { pod: id, request: key });
}

/// How long a service of `demand` that starts now takes: longer in a slow Pod and in a cold one.
#[inline]
fn takes(pod: &Pod, w: &Workload, demand: SimDuration, now: SimTime) -> SimDuration {
    let cold = w.warm_up.zip(pod.cold_since).map_or(1.0, |(warm, since)| warm.factor_after(now.since(since)));
    let factor = pod.pace.slow * cold / pod.speed;
    if factor == 1.0 { demand } else { SimDuration::from_nanos_f64(demand.as_nanos() as f64 * factor) }
}

/// What a service that starts now takes beyond that.
#[inline]
fn interference(pod: &mut Pod) -> SimDuration {
    pod.interference.as_mut().map_or(SimDuration::ZERO, |i| i.draw())
}

fn schedule_sharing(pod: PodId, reschedule: Reschedule, ctx: &mut Ctx<'_>) {
    ctx.schedule_at(reschedule.at, Event::SharingCompletes { pod, epoch: reschedule.epoch });
}
