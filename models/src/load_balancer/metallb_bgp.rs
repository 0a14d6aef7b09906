//! MetalLB in BGP mode: every eligible Node announces the address, and routers spread flows over them (ECMP).
//!
//! | parameter | source |
//! |---|---|
//! | a hash of each packet's flow, modulo the Nodes | MetalLB, *BGP mode*, limitations: a change of the set moves most connections; `resilient: true` for routers with resilient ECMP |
//! | Nodes with a Pod that serves only, under policy Local | `speaker/bgp_controller.go` |
//! | a dead Node is noticed after 90 s | BGP hold time, `BGPPeer.spec.holdTime`, default 90 s (RFC 4271, section 10); set 1s or less for BFD |
//! | announcing and withdrawing take 200 ms | assumption |
//! | no health checks, destination and client address kept, replies direct | as `metallbL2` |
//!
//! Omitted: several routers with different hashes, limits on the number of paths, community and preference settings, and
//! that nobody announces while no Pod anywhere serves.

use super::parameters::{Algorithm, Parameters, constant};
use svcsim_engine::SimDuration;

pub(super) fn parameters() -> Parameters {
    Parameters {
        algorithm: Algorithm::Ecmp { resilient: false },
        registration_delay: constant(SimDuration::from_millis(200)),
        deregistration_delay: constant(SimDuration::from_millis(200)),
        failure_detection: constant(SimDuration::from_secs(90)),
        ..super::metallb_l2::parameters()
    }
}
