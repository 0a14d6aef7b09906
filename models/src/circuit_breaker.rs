//! Circuit breaking as Envoy does it: limits on what one instance, a client or a proxying load balancer, has under way.
//!
//! Connections are HTTP/1.1's: one request at a time, so that a request under way takes one connection, new or reused. One that
//! finds `max_connections` taken waits for a connection; one that finds the line full, or too many requests under way, fails at
//! once, and is not tried again (Envoy, *Circuit breaking*; `conn_pool_base.cc`, `newStreamImpl` and `attachStreamToClient`;
//! `retry_state_impl.cc`: an overflow is never retried).

use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use svcsim_engine::Key;

/// Limits of each instance (Envoy, `config.cluster.v3.CircuitBreakers.Thresholds`, with its defaults).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CircuitBreakerSpec {
    /// Connections in use at once: 1024.
    pub max_connections: u32,
    /// Requests that may wait for a connection: 1024.
    pub max_pending_requests: u32,
    /// Requests under way at once: 1024.
    pub max_requests: u32,
    /// Retries under way or about to begin at once, of a client that retries: 3.
    pub max_retries: u32,
}

impl Default for CircuitBreakerSpec {
    fn default() -> Self {
        Self { max_connections: 1_024, max_pending_requests: 1_024, max_requests: 1_024, max_retries: 3 }
    }
}

impl CircuitBreakerSpec {
    /// Finds what makes no sense of it, below `field`.
    ///
    /// # Errors
    /// A limit that lets nothing pass.
    pub fn check(&self, field: &str) -> Result<(), SpecError> {
        for (name, limit) in [("maxConnections", self.max_connections), ("maxRequests", self.max_requests)] {
            if limit == 0 {
                let fix = "give the most that may be under way at once, or leave it out: it is 1024";
                return Err(SpecError::new(format!("{field}.{name}"), "a limit of 0: every request would fail", fix));
            }
        }
        Ok(())
    }
}

/// What becomes of a request that asks to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is under way; [`Breaker::ended`] is due.
    Goes,
    /// It is to wait for a connection.
    Waits,
    /// The circuit is open: it fails.
    Open,
}

/// What one instance has under way.
#[derive(Clone, Debug)]
pub struct Breaker {
    spec: CircuitBreakerSpec,
    requests: u32,
    retries: u32,
    pending: VecDeque<Key>,
}

impl Breaker {
    /// Nothing is under way.
    #[must_use]
    pub const fn new(spec: CircuitBreakerSpec) -> Self {
        Self { spec, requests: 0, retries: 0, pending: VecDeque::new() }
    }

    /// `request` asks to be sent. One that waits is in line now; `waits` says which of those in line still do.
    pub fn admit(&mut self, request: Key, waits: impl Fn(Key) -> bool) -> Admission {
        if self.requests < self.spec.max_connections {
            if self.requests >= self.spec.max_requests {
                return Admission::Open;
            }
            self.requests += 1;
            return Admission::Goes;
        }
        let most = self.spec.max_pending_requests as usize;
        if self.pending.len() >= most {
            self.pending.retain(|&k| waits(k));
        }
        if self.pending.len() >= most {
            return Admission::Open;
        }
        self.pending.push_back(request);
        Admission::Waits
    }

    /// A request that went is over: its connection is free.
    pub const fn ended(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    /// The next in line that gets a connection, and is under way from now on.
    pub fn next(&mut self, waits: impl Fn(Key) -> bool) -> Option<Key> {
        while self.requests < self.spec.max_connections.min(self.spec.max_requests) {
            let request = self.pending.pop_front()?;
            if waits(request) {
                self.requests += 1;
                return Some(request);
            }
        }
        None
    }

    /// Whether one more retry may be under way.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        self.retries < self.spec.max_retries
    }

    /// A retry is decided on: it counts until it ends.
    pub const fn retry_begins(&mut self) {
        self.retries += 1;
    }

    /// A retry is over.
    pub const fn retry_ends(&mut self) {
        self.retries = self.retries.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use svcsim_engine::Slab;

    fn keys(n: usize) -> Vec<Key> {
        let mut slab = Slab::new();
        (0..n).map(|i| slab.insert(i)).collect()
    }

    #[test]
    fn one_more_than_max_requests_is_short_circuited() {
        let mut breaker = Breaker::new(CircuitBreakerSpec { max_requests: 2, ..CircuitBreakerSpec::default() });
        let k = keys(4);
        assert_eq!([0, 1, 2].map(|i| breaker.admit(k[i], |_| true)), [Admission::Goes, Admission::Goes, Admission::Open]);
        breaker.ended();
        assert_eq!(breaker.admit(k[3], |_| true), Admission::Goes);
    }

    #[test]
    fn who_finds_no_connection_waits_in_line_as_long_as_there_is_room() {
        let mut breaker = Breaker::new(CircuitBreakerSpec { max_connections: 1, max_pending_requests: 2, ..CircuitBreakerSpec::default() });
        let k = keys(5);
        let came = [0, 1, 2, 3].map(|i| breaker.admit(k[i], |_| true));
        assert_eq!(came, [Admission::Goes, Admission::Waits, Admission::Waits, Admission::Open]);
        assert_eq!(breaker.next(|_| true), None, "the connection is taken");
        assert_eq!(breaker.admit(k[4], |key| key != k[1]), Admission::Waits, "who gave up has left the line");
        breaker.ended();
        assert_eq!((breaker.next(|_| true), breaker.next(|_| true)), (Some(k[2]), None));
    }
}
