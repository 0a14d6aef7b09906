//! [`Degradation`]: what a fault does to messages on some links while it lasts, as Linux' netem does it to packets.

use super::Network;
use super::link::{PURE_DELAY, Transmitter};
use crate::ids::LinkId;
use crate::units::Bandwidth;
use svcsim_engine::SimDuration;
use svcsim_engine::random::{Dist, Stream};

/// What a fault does to messages on some links.
#[derive(Clone, Debug)]
pub struct Degradation {
    /// The links.
    pub links: Vec<LinkId>,
    /// Their propagation delays are multiplied by this, at least 0.
    pub delay_factor: f64,
    /// This is added to them, drawn for each message.
    pub added_delay: Option<Dist>,
    /// The part of messages that is lost, each by itself, after it was sent: 0 to 1.
    pub loss: f64,
    /// They send no faster than this; a link without a bandwidth queues as long as this lasts.
    pub bandwidth: Option<Bandwidth>,
    /// Whence chance is drawn.
    pub stream: Stream,
}

/// A degradation that a network knows, and how many faults that are not repaired cause it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    degradation: Degradation,
    causes: u32,
}

impl Network {
    /// The links that `name` means: those that end at the vertex of that name or, where it is `a/b`, those between the two.
    #[must_use]
    pub fn links_named(&self, name: &str) -> Vec<LinkId> {
        let named = |link: &super::Link| {
            let (from, to) = (&self.vertices[link.from].name, &self.vertices[link.to].name);
            let ends = |a: &str, b: &str| name.strip_prefix(a).and_then(|rest| rest.strip_prefix('/')) == Some(b);
            from == name || to == name || ends(from, to) || ends(to, from)
        };
        self.links.enumerate().filter(|(_, link)| named(link)).map(|(id, _)| id).collect()
    }

    /// Makes a degradation known, which does nothing yet; returns what it is known by.
    pub fn know(&mut self, degradation: Degradation) -> u32 {
        self.known.push(Known { degradation, causes: 0 });
        self.known.len() as u32 - 1
    }

    /// A fault begins to cause a degradation that is known, or is repaired. Two faults cause no more than one.
    pub fn degrade(&mut self, known: u32, begins: bool) {
        let Some(k) = self.known.get_mut(known as usize) else { return };
        k.causes = if begins { k.causes + 1 } else { k.causes.saturating_sub(1) };
        if k.degradation.bandwidth.is_some() {
            k.degradation.links.clone().into_iter().for_each(|link| self.set_bandwidth(link));
        }
        self.degraded = self.known.iter().any(|k| k.causes > 0);
    }

    /// A link sends at its own bandwidth, or the least that its degradations leave.
    fn set_bandwidth(&mut self, link: LinkId) {
        let concerns = |k: &&Known| k.causes > 0 && k.degradation.links.contains(&link);
        let left = self.known.iter().filter(concerns).filter_map(|k| k.degradation.bandwidth).min();
        let place = &mut self.links[link].transmitter;
        if *place == PURE_DELAY {
            let Some(left) = left else { return };
            self.transmitters.push(Transmitter::borrowed(left));
            *place = self.transmitters.len() as u32 - 1;
        } else if !self.transmitters[*place as usize].limit_to(left) {
            *place = PURE_DELAY;
        }
    }
}

/// The propagation delay of a message on a link whose delay would be `delay`; none if the message is lost.
pub(super) fn degraded(known: &mut [Known], link: LinkId, delay: SimDuration) -> Option<SimDuration> {
    let mut delay = delay;
    let mut arrives = true;
    for Known { degradation: d, .. } in known.iter_mut().filter(|k| k.causes > 0 && k.degradation.links.contains(&link)) {
        // All is drawn for every message, so that designs stay in step.
        arrives &= d.stream.uniform() >= d.loss;
        let added = d.added_delay.as_ref().map_or(SimDuration::ZERO, |added| added.sample_duration(&mut d.stream));
        delay = SimDuration::from_nanos_f64(delay.as_nanos() as f64 * d.delay_factor) + added;
    }
    arrives.then_some(delay)
}
