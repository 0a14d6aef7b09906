//! How clients find a Service's address by its name, and what that costs.
//!
//! A Pod's resolver has a search list (`<namespace>.svc.<zone>`, `svc.<zone>`, `<zone>`, then the host's) and `ndots: 5`: a
//! name with fewer dots is tried with each suffix first, for A and AAAA at a time (kubelet `dns.go`; resolv.conf(5)). CoreDNS
//! answers a ClusterIP Service with its one address; a headless one with the address of every *ready* endpoint, in an order
//! new each time (plugins `kubernetes` and `loadbalance`), or with NXDOMAIN if there is none; an ExternalName with a CNAME.
//! Changes reach a client only when its cached answer has expired.
//!
//! While DNS fails, a query is sent again when its time-out passes, as often as `attempts` says; then the client has no address
//! (resolv.conf(5): 5 s, twice).
//!
//! Omitted: single lost queries, the server's own load and cache (kubeadm turns the latter off for the cluster's zone), SRV records.

use crate::api::{EndpointSet, PortEndpoints};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use svcsim_engine::random::{Dist, DistSpec, Stream};
use svcsim_engine::{SimDuration, SimTime};

/// `dns: {name: short, ttl: 30s, …}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DnsSpec {
    /// How the name is written.
    pub name: NameForm,
    /// Suffixes of the host that follow the cluster's three in the search list.
    pub host_suffixes: u32,
    /// Time of one lookup: A and AAAA are asked at once.
    pub lookup: DistSpec<SimDuration>,
    /// How long a client uses an answer: 30 s is the record's TTL in kubeadm's Corefile, 5 s the plugin's default; 0s asks for
    /// every connection.
    pub ttl: SimDuration,
    /// Which of several addresses a client dials.
    pub pick: Pick,
    /// How long the resolver waits for an answer before it asks again: resolv.conf's `timeout`.
    pub timeout: SimDuration,
    /// How often it asks in all: resolv.conf's `attempts`.
    pub attempts: u8,
}

impl Default for DnsSpec {
    /// A short name, half a millisecond a lookup (an assumption), 30 s; asked twice, 5 s each.
    fn default() -> Self {
        let lookup = DistSpec::Constant(SimDuration::from_micros(500));
        let secs = SimDuration::from_secs;
        Self { name: NameForm::Short, host_suffixes: 0, lookup, ttl: secs(30), pick: Pick::Random, timeout: secs(5), attempts: 2 }
    }
}

/// How a client writes a Service's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NameForm {
    /// `web`: the first suffix is right.
    #[default]
    Short,
    /// `web.shop` from another namespace: the second suffix is right.
    WithNamespace,
    /// `web.shop.svc.cluster.local`: four dots are fewer than five, so all suffixes are tried in vain first.
    Qualified,
    /// The same with a dot at its end: taken as it is.
    Absolute,
}

impl NameForm {
    /// Lookups until the right answer, each for A and AAAA.
    #[must_use]
    pub fn lookups(self, host_suffixes: u32) -> u32 {
        match self {
            Self::Short | Self::Absolute => 1,
            Self::WithNamespace => 2,
            Self::Qualified => 4 + host_suffixes,
        }
    }
}

/// Which of several addresses a client dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Pick {
    /// One at random for each connection.
    #[default]
    Random,
    /// The first of the answer until it expires: all connections of a client go to one Pod.
    First,
    /// One after another.
    RoundRobin,
}

/// What a source's clients have in common.
#[derive(Clone, Debug)]
pub struct Resolver {
    lookup: Dist,
    lookups: u32,
    ttl: SimDuration,
    pick: Pick,
    timeout: SimDuration,
    attempts: u8,
}

/// What one client remembers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When it arrives.
    known: SimTime,
    expires: SimTime,
    /// Ready endpoints when it was given; none where the name has an address of its own.
    endpoints: Option<Rc<EndpointSet>>,
    /// Where in the answer the next pick is.
    next: u32,
}

/// What a client that dials a name gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Time that it took.
    pub took: SimDuration,
    /// Place among the endpoints of the port; none: no such name.
    pub place: Option<u32>,
    /// Whether DNS was asked.
    pub asked: bool,
}

impl Resolver {
    /// The resolver of `spec`; each CNAME on the way is one more lookup.
    ///
    /// # Errors
    /// A distribution that makes no sense, below `field`.
    pub fn build(spec: &DnsSpec, cnames: u32, field: &str) -> Result<Self, SpecError> {
        let lookup = spec.lookup.build();
        let fix = "give a time such as 500us";
        let lookup = lookup.map_err(|problem| SpecError::new(format!("{field}.lookup"), problem, fix))?;
        let (timeout, attempts) = (spec.timeout, spec.attempts);
        if attempts == 0 || timeout == SimDuration::ZERO {
            let problem = format!("{attempts} queries of {timeout} each: nobody would ever be asked");
            return Err(SpecError::new(format!("{field}.attempts"), problem, "leave `attempts` and `timeout` out for 2 and 5s"));
        }
        Ok(Self { lookup, lookups: spec.name.lookups(spec.host_suffixes) + cnames, ttl: spec.ttl, pick: spec.pick, timeout, attempts })
    }

    /// Whether a connection made now has to ask.
    #[must_use]
    pub fn asks(&self, cached: Option<&Answer>, now: SimTime) -> bool {
        self.ttl == SimDuration::ZERO || cached.is_none_or(|a| now >= a.expires)
    }

    /// How long it waits for an answer.
    #[must_use]
    pub fn timeout(&self) -> SimDuration {
        self.timeout
    }

    /// Whether it asks once more after so many queries that nobody answered.
    #[must_use]
    pub fn asks_again(&self, unanswered: u8) -> bool {
        unanswered < self.attempts
    }

    /// Finds the address for a connection made now, asking if there is no fresh answer; one that is under way is waited for,
    /// unless every connection asks for itself. `live` is what DNS would answer:
    /// the endpoints of a headless Service, or none where the name has an address of its own. Of those in the answer `narrow`
    /// says among which the client chooses; none: among all.
    pub fn resolve(
        &self,
        cached: &mut Option<Answer>,
        live: Option<&Rc<EndpointSet>>,
        port: u16,
        narrow: impl FnOnce(&PortEndpoints) -> Option<Vec<u32>>,
        now: SimTime,
        stream: &mut Stream,
    ) -> Resolution {
        let asked = self.asks(cached.as_ref(), now);
        let mut took = cached.as_ref().map_or(SimDuration::ZERO, |a| a.known.since(now));
        if asked {
            took = SimDuration::ZERO;
            for _ in 0..self.lookups {
                took += self.lookup.sample_duration(stream);
            }
            let next = stream.next_u32();
            let known = now + took;
            *cached = Some(Answer { known, expires: known + self.ttl, endpoints: live.cloned(), next });
        }
        let place = cached.as_mut().and_then(|a| match &a.endpoints {
            None => Some(0),
            Some(set) => {
                let endpoints = set.ports.get(usize::from(port))?;
                let narrowed = narrow(endpoints);
                let ready = narrowed.as_deref().unwrap_or(endpoints.ready());
                let n = (ready.len() as u32).max(1);
                let place = match self.pick {
                    Pick::Random => stream.below(n),
                    Pick::First => a.next % n,
                    Pick::RoundRobin => {
                        a.next = a.next.wrapping_add(1);
                        a.next % n
                    }
                };
                ready.get(place as usize).copied()
            }
        });
        Resolution { took, place, asked }
    }
}

impl Answer {
    /// The endpoints it named.
    #[must_use]
    pub fn endpoints(&self) -> Option<&Rc<EndpointSet>> {
        self.endpoints.as_ref()
    }
}
