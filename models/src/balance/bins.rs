//! [`Bins`]: a policy by itself, with nothing around it: what is sent stays, as balls stay in bins.

use super::{Ask, Host, Picker, PolicySpec, SignalSpec, World};
use crate::ids::PodId;
use crate::spec::SpecError;
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// One instance and its hosts, which never answer. For what is known of policies without time: orders of turns, shares of hashes,
/// balls into bins.
#[derive(Debug)]
pub struct Bins {
    hosts: Vec<Host>,
    picker: Box<dyn Picker>,
    stream: Stream,
}

impl Bins {
    /// Hosts at `addresses` with their weights, and an instance of `policy` whose chance is `stream`.
    ///
    /// # Errors
    /// A setting of the policy that makes no sense.
    pub fn new(policy: &PolicySpec, addresses: impl IntoIterator<Item = (String, u32)>, stream: Stream) -> Result<Self, SpecError> {
        let host = |(i, (address, weight))| Host { id: PodId(i), address, weight, zone: None, since: None, active: 0 };
        let hosts: Vec<Host> = (0..).zip(addresses).map(host).collect();
        let mut picker = policy.build("policy")?;
        if !hosts.is_empty() {
            picker.changed(&hosts, &vec![None; hosts.len()], SimTime::ZERO);
        }
        Ok(Self { hosts, picker, stream })
    }

    /// The place of the host that a request is sent to which hashes to `hash`; none if it may be sent to nobody.
    pub fn send(&mut self, hash: u64) -> Option<usize> {
        if self.hosts.is_empty() {
            return None;
        }
        let ask = Ask::new(&self.hosts, &Nobody, SignalSpec::Own, hash, SimDuration::ZERO, SimTime::ZERO);
        let host = self.picker.pick(&ask, &mut self.stream)?;
        self.hosts[host].active += 1;
        self.picker.sent(host, SimTime::ZERO);
        Some(host)
    }

    /// How much was sent to each host.
    pub fn loads(&self) -> impl Iterator<Item = u32> + '_ {
        self.hosts.iter().map(|h| h.active)
    }
}

/// No Pod tells anything: an instance has only what it counts itself.
#[derive(Debug)]
pub(super) struct Nobody;

impl World for Nobody {
    fn present(&self, _pod: PodId) -> u32 {
        0
    }
    fn reported(&self, _pod: PodId) -> u32 {
        0
    }
    fn reported_at(&self) -> SimTime {
        SimTime::ZERO
    }
    fn work(&self, _pod: PodId) -> SimDuration {
        SimDuration::ZERO
    }
}
