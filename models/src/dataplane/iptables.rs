//! kube-proxy in iptables mode: each new flow draws an endpoint, independently and uniformly.
//!
//! Rule `i` of `n` matches with probability `1/(n-i)` and the last always (`computeProbability` in
//! `pkg/proxy/iptables/proxier.go`), which is uniform. There is no rotation, no state and no knowledge of
//! load, and every Node draws for itself. Established flows bypass the rules through conntrack.
//!
//! Omitted: the printed rounding of the probabilities to ten decimals (a bias of order 1e-10) and the time
//! that the linear scan of rules takes for the first packet.

use crate::api::Endpoint;
use crate::ids::PodId;
use svcsim_engine::random::Stream;

#[inline]
pub(super) fn choose(candidates: &[Endpoint], stream: &mut Stream) -> PodId {
    candidates[stream.below(candidates.len() as u32) as usize].pod
}
