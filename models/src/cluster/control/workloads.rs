//! Workloads' controllers keep as many Pods as were asked for.

use crate::cluster::{Cluster, Ctx};
use crate::ids::PodId;

impl Cluster {
    /// The workload's controller creates another Pod for the place of `pod`.
    pub(in crate::cluster) fn replace(&mut self, pod: PodId, ctx: &mut Ctx<'_>) {
        let (replica, workload) = (self.pods[pod].replica, self.pods[pod].workload);
        let node = self.place(workload);
        let new = self.create_pod(replica, node);
        self.replicas[replica].pod = new;
        self.replicas[replica].pods += 1;
        self.start_pod(new, ctx);
    }
}
