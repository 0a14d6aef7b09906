//! A Pod that sleeps while nobody needs it: the first request starts its process, and waits for it.

use crate::api::pod::Stop;
use crate::cluster::{Cluster, Ctx, Event};
use crate::ids::PodId;

impl Cluster {
    /// A request comes to the Pod: if that sleeps, it begins to wake up, and is like a process that hangs until it has.
    #[inline]
    pub(super) fn wake_up(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        let (now, pod) = (ctx.now(), &mut self.pods[id]);
        if !pod.accepts() || pod.present() > 0 {
            return;
        }
        let Some(at) = pod.sleep.as_mut().and_then(|sleep| sleep.woken(now)) else { return };
        pod.pace.freeze(Stop::Sleep, now);
        ctx.schedule_at(at, Event::PodAwake { pod: id });
        self.tell(id, "cold start", ctx);
    }

    /// A Pod that slept serves those who came.
    pub(in crate::cluster) fn pod_awake(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        let (now, pod) = (ctx.now(), &mut self.pods[id]);
        if pod.sleep.as_mut().is_some_and(|sleep| sleep.is_awake(now)) && pod.pace.thaw(Stop::Sleep, now) {
            self.goes_on_working(id, ctx);
            self.exit_if_done(id, ctx);
        }
    }

    /// The Pod may be empty now.
    #[inline]
    pub(super) fn rests_if_empty(&mut self, id: PodId, ctx: &Ctx<'_>) {
        let pod = &mut self.pods[id];
        if pod.present() == 0
            && let Some(sleep) = &mut pod.sleep
        {
            sleep.rests(ctx.now());
        }
    }
}
