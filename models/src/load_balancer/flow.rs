//! What a load balancer may know of a connection.

use crate::maglev::mix64;
use std::net::IpAddr;

/// One connection, as told by its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// Its source address.
    pub client: IpAddr,
    /// Its source port; hashing algorithms take `hash` instead.
    pub client_port: u16,
    /// A uniform draw that stands for its ports: a new connection has a new source port.
    pub hash: u32,
}

impl FlowKey {
    /// 64 bits that depend on the client, the ports and `salt`, so that balancers with other salts choose independently.
    #[inline]
    pub(super) fn digest(&self, salt: u64) -> u64 {
        mix64(mix64(fold(self.client) ^ salt).wrapping_add(u64::from(self.hash)))
    }
}

/// An address in 64 bits.
pub(super) fn fold(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(a) => u64::from(a.to_bits()),
        IpAddr::V6(a) => mix64((a.to_bits() >> 64) as u64) ^ a.to_bits() as u64,
    }
}
