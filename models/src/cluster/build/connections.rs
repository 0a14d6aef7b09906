//! How a source's clients use connections.

use super::dist;
use crate::circuit_breaker::CircuitBreakerSpec;
use crate::cluster::Pooling;
use crate::pool::{Lanes, Limits, Pool};
use crate::spec::{ConnectionsSpec, HandshakeSpec, SpecError, TrafficSpec};
use svcsim_engine::SimDuration;
use svcsim_engine::random::{DistSpec, Stream};

/// Most connections of a client, and of all clients of a source: bounds what a slip of the keyboard can ask for.
const MOST: (u32, u64) = (10_000, 1_000_000);

/// What makes no sense of `connections`, `handshake` and `tcp.slowStart`.
pub(super) fn check(field: &dyn Fn(&str) -> String, t: &TrafficSpec, udp: bool) -> Result<(), SpecError> {
    let error = |part: &str, problem: String, fix: &str| Err(SpecError::new(field(part), problem, fix));
    let none = |part: &str, what: &str| error(part, format!("0: {what}"), "give at least 1, or leave it out");
    let (limits, lanes) = (limits(t), lanes(t));
    let pooled = lanes.is_some() || breaker(t).is_some() || limits != NOTHING;
    if udp && (pooled || handshake(t).rounds() > 0 || t.tcp.slow_start.is_some()) {
        let problem = "the port is one of UDP, which knows no connections".to_owned();
        return error(
            "connections",
            problem,
            "leave handshake and tcp.slowStart out, and let connections be perRequest or keepAlive: {maxIdle: 1}",
        );
    }
    let handshake = handshake(t);
    if !handshake.tcp && handshake.rounds() > 0 {
        return error("handshake.tcp", "false, but TLS runs over TCP".to_owned(), "leave it out: it is true");
    }
    let part = |name: &str| part(t, name);
    if let Some(lanes) = lanes {
        let (each, all) = MOST;
        if lanes.count == 0 || lanes.count > each || u64::from(lanes.count) * u64::from(t.clients) > all {
            let problem = format!("{} for each of {} clients; expected 1 to {each}, and at most {all} in all", lanes.count, t.clients);
            return error(&part("connections"), problem, "give the number of connections of each client");
        }
        if lanes.max_streams == 0 {
            return none(&part("maxStreams"), "no request would ever be sent");
        }
        if lanes.max_streams > 1 && !handshake.tcp {
            let problem = "no handshake, but a connection has to stand before many requests can share it".to_owned();
            return error("handshake.tcp", problem, "leave it out: it is true where connections are multiplexed");
        }
    }
    if let ConnectionsSpec::KeepAlive(k) = &t.connections
        && k.max_connections.is_some()
    {
        if t.circuit_breaker.is_some() {
            let problem = "a limit of the pool, where circuitBreaker.maxConnections is one already".to_owned();
            return error(&part("maxConnections"), problem, "give one of the two");
        }
        if k.max_connections == Some(0) {
            return none(&part("maxConnections"), "no request would ever be sent");
        }
    }
    if limits.max_requests == Some(0) {
        return none(&part("maxRequests"), "no connection could carry a request");
    }
    if limits.idle_timeout == Some(SimDuration::ZERO) {
        let fix = "give a time such as 60s, or let connections be perRequest";
        return error(&part("idleTimeout"), "0s: no connection would ever be used again".to_owned(), fix);
    }
    check_slow_start(field, t)
}

/// The field of one of the parameters of `connections`.
fn part(t: &TrafficSpec, name: &str) -> String {
    let word = match &t.connections {
        ConnectionsSpec::PerRequest => "perRequest",
        ConnectionsSpec::KeepAlive(_) => "keepAlive",
        ConnectionsSpec::Fixed(_) => "fixed",
        ConnectionsSpec::Multiplexed(_) => "multiplexed",
    };
    format!("connections.{word}.{name}")
}

fn check_slow_start(field: &dyn Fn(&str) -> String, t: &TrafficSpec) -> Result<(), SpecError> {
    match t.tcp.slow_start {
        Some(slow) if !(1..=65_535).contains(&slow.initial_window) => {
            let problem = format!("{} segments; expected 1 to 65535", slow.initial_window);
            Err(SpecError::new(field("tcp.slowStart.initialWindow"), problem, "leave it out: it is 10"))
        }
        _ => Ok(()),
    }
}

/// Ends of connections, as both kinds of pool have them.
#[derive(PartialEq)]
struct Ends<'a> {
    idle_timeout: Option<SimDuration>,
    max_requests: Option<u32>,
    max_age: Option<&'a DistSpec<SimDuration>>,
}

const NOTHING: Ends<'static> = Ends { idle_timeout: None, max_requests: None, max_age: None };

fn limits(t: &TrafficSpec) -> Ends<'_> {
    match &t.connections {
        ConnectionsSpec::PerRequest | ConnectionsSpec::Fixed(_) => NOTHING,
        ConnectionsSpec::KeepAlive(k) => Ends { idle_timeout: k.idle_timeout, max_requests: k.max_requests, max_age: k.max_age.as_ref() },
        ConnectionsSpec::Multiplexed(m) => Ends { idle_timeout: m.idle_timeout, max_requests: m.max_requests, max_age: m.max_age.as_ref() },
    }
}

fn lanes(t: &TrafficSpec) -> Option<Lanes> {
    match &t.connections {
        ConnectionsSpec::PerRequest | ConnectionsSpec::KeepAlive(_) => None,
        ConnectionsSpec::Fixed(f) => Some(Lanes { count: f.connections, max_streams: 1, spread: f.spread, opened: true }),
        ConnectionsSpec::Multiplexed(m) => {
            Some(Lanes { count: m.connections, max_streams: m.max_streams, spread: m.spread, opened: m.opened })
        }
    }
}

/// What a new connection begins with.
pub(super) fn handshake(t: &TrafficSpec) -> HandshakeSpec {
    let shared = lanes(t).is_some_and(|l| l.max_streams > 1);
    t.handshake.unwrap_or(if shared { HandshakeSpec::default() } else { HandshakeSpec::NONE })
}

/// The limit of a pool of connections, as a circuit breaker's: all who find none wait, and nothing else is limited.
pub(super) fn breaker(t: &TrafficSpec) -> Option<CircuitBreakerSpec> {
    let ConnectionsSpec::KeepAlive(k) = &t.connections else { return None };
    let (max_pending_requests, max_requests, max_retries) = (u32::MAX, u32::MAX, u32::MAX);
    k.max_connections.map(|max_connections| CircuitBreakerSpec { max_connections, max_pending_requests, max_requests, max_retries })
}

/// What clients know of their connections; none if that is no more than which are idle.
pub(super) fn pooling(
    field: &dyn Fn(&str) -> String,
    t: &TrafficSpec,
    (spread, ages): (Stream, Stream),
) -> Result<Option<Pooling>, SpecError> {
    let (ends, lanes) = (limits(t), lanes(t));
    let windows = t.tcp.slow_start.is_some() && t.connections != ConnectionsSpec::PerRequest;
    if ends == NOTHING && lanes.is_none() && !windows {
        return Ok(None);
    }
    let max_age = ends.max_age.map(|age| dist(&field(&part(t, "maxAge")), age)).transpose()?;
    let limits = Limits {
        lanes,
        idle_timeout: ends.idle_timeout,
        ages: max_age.is_some(),
        max_requests: ends.max_requests.unwrap_or(u32::MAX),
        slow_start: t.tcp.slow_start,
    };
    Ok(Some(Pooling { limits, max_age, spread, ages, pools: vec![Pool::default(); t.clients as usize] }))
}
