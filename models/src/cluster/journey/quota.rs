//! A Pod whose CPU time is limited: it stands still from when its quota is used up until the next period begins.

use crate::api::pod::Stop;
use crate::cluster::{Cluster, Ctx, Event};
use crate::ids::PodId;

impl Cluster {
    /// More or fewer servers of a Pod are at work from now on.
    #[inline]
    pub(in crate::cluster) fn meter_cpu(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        let pod = &mut self.pods[id];
        let busy = pod.busy();
        if let Some(at) = pod.cpu_quota.as_mut().and_then(|quota| quota.wake(busy, ctx.now())) {
            ctx.schedule_at(at, Event::QuotaSpent { pod: id });
        }
    }

    /// A Pod may have used up its quota.
    pub(in crate::cluster) fn quota_spent(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        let (now, pod) = (ctx.now(), &mut self.pods[id]);
        let Some(quota) = &mut pod.cpu_quota else { return };
        if quota.is_spent(now) && pod.works() && pod.pace.frozen.is_none() {
            let refills = pod.cpu_quota.as_ref().map_or(now, |quota| quota.ends());
            pod.pace.freeze(Stop::Quota, now);
            pod.servers.pause(now);
            ctx.schedule_at(refills, Event::QuotaRefills { pod: id });
        }
        self.meter_cpu(id, ctx);
    }

    /// The next period begins.
    pub(in crate::cluster) fn quota_refills(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        if self.pods[id].pace.thaw(Stop::Quota, ctx.now()) {
            self.goes_on_working(id, ctx);
            self.exit_if_done(id, ctx);
        }
    }

    /// Nothing keeps a Pod from working any more: it goes on where it stopped.
    pub(in crate::cluster) fn goes_on_working(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        let (now, pod) = (ctx.now(), &mut self.pods[id]);
        for request in std::mem::take(&mut pod.pace.held) {
            ctx.schedule_at(now, Event::ServiceCompletes { pod: id, request });
        }
        if let Some(next) = pod.servers.resume(now) {
            ctx.schedule_at(next.at, Event::SharingCompletes { pod: id, epoch: next.epoch });
        }
        self.accept_next(id, ctx);
        self.accept_arrived(id, ctx);
        self.meter_cpu(id, ctx);
    }
}
