//! A request in its Pod.

use crate::api::Process;
use crate::api::pod::Admission;
use crate::cluster::{Cluster, Ctx, Event, Outcome, Stage};
use crate::ids::{PodId, VertexId};
use svcsim_engine::Key;
use svcsim_engine::queueing::Reschedule;

impl Cluster {
    /// A request is at its Pod's address: served now, waiting, or turned away.
    pub(in crate::cluster) fn admit(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let Some(request) = self.requests.get_mut(key) else { return };
        let id = request.connection.pod;
        let pod = &mut self.pods[id];
        match pod.process {
            Process::Running => {}
            // A connection the Pod accepted while it lived is served to its end, but a stopped listener
            // refuses new ones, and a request that meets a closing connection is reset.
            Process::Stopping | Process::Exited | Process::Starting => {
                let result = if request.fresh { Outcome::Refused } else { Outcome::Reset };
                return self.send_back(key, result, self.pod_vertex(id), ctx);
            }
            Process::Gone => return self.lose(key, Outcome::Blackhole, ctx),
        }
        request.stage = Stage::InPod;
        request.joined = now;
        request.tries = 0;
        match pod.servers.arrive(now, key, request.demand) {
            Admission::Refused => return self.send_back(key, Outcome::QueueFull, self.pod_vertex(id), ctx),
            Admission::Starts => ctx.schedule_in(request.demand, Event::ServiceCompletes { pod: id, request: key }),
            Admission::Shares(Some(reschedule)) => schedule_sharing(id, reschedule, ctx),
            Admission::Shares(None) | Admission::Waits => {}
        }
        self.recorder.admitted(request, pod.replica);
    }

    /// A FIFO server is done with `key`; the next in line starts.
    pub(in crate::cluster) fn complete(&mut self, id: PodId, key: Key, ctx: &mut Ctx<'_>) {
        let pod = &mut self.pods[id];
        // A Pod that died threw its requests out; completions still pending for them are void.
        if !pod.works() {
            return;
        }
        let crate::api::pod::Servers::Fifo(station) = &mut pod.servers else { return };
        if let Some(next) = station.complete(ctx.now())
            && let Some(request) = self.requests.get(next)
        {
            ctx.schedule_in(request.demand, Event::ServiceCompletes { pod: id, request: next });
        }
        self.respond(id, key, ctx);
    }

    /// The next completion under processor sharing, if the schedule still holds.
    pub(in crate::cluster) fn complete_sharing(&mut self, id: PodId, epoch: u64, ctx: &mut Ctx<'_>) {
        let Some(queue) = self.pods[id].servers.sharing() else { return };
        let Some((key, next)) = queue.complete(ctx.now(), epoch) else { return };
        if let Some(reschedule) = next {
            schedule_sharing(id, reschedule, ctx);
        }
        self.respond(id, key, ctx);
    }

    fn respond(&mut self, id: PodId, key: Key, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        if let Some(request) = self.requests.get_mut(key) {
            request.waited = now.since(request.joined).saturating_sub(request.demand);
            let request = *request;
            if self.follows(key) {
                self.probe_served(&request, now);
            }
            if request.ended {
                // The client gave up long ago: the Pod's work was for nothing.
                self.requests.remove(key);
            } else {
                self.send_back(key, Outcome::Completed, self.pod_vertex(id), ctx);
            }
        }
        if self.pods[id].process == Process::Stopping && self.pods[id].servers.present() == 0 {
            self.remove_pod(id, ctx);
        }
    }

    /// Everyone in the Pod is reset: the process is gone.
    pub(in crate::cluster) fn reset_all(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        self.pods[id].servers.clear(ctx.now());
        let inside = |r: &crate::cluster::Request| r.stage == Stage::InPod && r.connection.pod == id;
        let keys: Vec<Key> = self.requests.iter().filter(|(_, r)| inside(r)).map(|(k, _)| k).collect();
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

fn schedule_sharing(pod: PodId, reschedule: Reschedule, ctx: &mut Ctx<'_>) {
    ctx.schedule_at(reschedule.at, Event::SharingCompletes { pod, epoch: reschedule.epoch });
}
