//! Retries by clients: which failures are tried again, how often, after what pause, and how many altogether.

use crate::cluster::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::Stream;
use svcsim_engine::{SimDuration, SimTime};

/// How a client's stack retries, `traffic.<name>.retries`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetrySpec {
    /// Tries after the first, at most (Istio `HTTPRetry.attempts`: 2).
    pub attempts: u8,
    /// How long each try may take; absent: as long as the request (Envoy `per_try_timeout`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<SimDuration>,
    /// The pause before a try.
    pub backoff: BackoffSpec,
    /// How many retries there may be in proportion to requests; absent: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetSpec>,
    /// What is tried again.
    pub on: Vec<RetryOn>,
}

impl Default for RetrySpec {
    /// Istio's number of attempts; Envoy's `retry_on: 5xx`, which means any failure, an answer that never came included.
    fn default() -> Self {
        Self {
            attempts: 2,
            per_try_timeout: None,
            backoff: BackoffSpec::default(),
            budget: None,
            on: vec![RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::TimedOut, RetryOn::Status5xx],
        }
    }
}

/// Exponential back-off with full jitter: the pause before retry N is uniform in [0, (2^N - 1) base), at most `max` (Envoy,
/// *Router*, `x-envoy-max-retries`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BackoffSpec {
    /// Envoy `base_interval`: 25 ms.
    pub base: SimDuration,
    /// Envoy `max_interval`: ten times the base.
    pub max: SimDuration,
}

impl Default for BackoffSpec {
    fn default() -> Self {
        Self { base: SimDuration::from_millis(25), max: SimDuration::from_millis(250) }
    }
}

/// A budget of each client: requests of the last `ttl` earn retries, `ratio` each (Finagle `RetryBudget`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BudgetSpec {
    /// Retries for each request (Finagle `percentCanRetry`: 0.2).
    pub ratio: f64,
    /// Retries a second that are allowed anyhow (Finagle `minRetriesPerSec`: 10).
    pub min_per_second: u32,
    /// How long what was earned holds (Finagle `ttl`: 10 s).
    pub ttl: SimDuration,
}

impl Default for BudgetSpec {
    fn default() -> Self {
        Self { ratio: 0.2, min_per_second: 10, ttl: SimDuration::from_secs(10) }
    }
}

/// A kind of failure, as Envoy's `retry_on` and gRPC's status codes group them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryOn {
    /// No connection: refused, rejected, or SYNs without an answer.
    ConnectFailure,
    /// The connection was reset, with the request perhaps served.
    Reset,
    /// No answer within the try's time-out.
    TimedOut,
    /// 502, 503 or 504, of a Pod or a load balancer.
    #[serde(rename = "5xx")]
    Status5xx,
}

impl RetryOn {
    const fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            // What a circuit breaker stopped is never tried again (Envoy, `retry_state_impl.cc`: reset by overflow, `x-envoy-overloaded`).
            Outcome::Completed | Outcome::CircuitOpen => None,
            Outcome::Reset => Some(Self::Reset),
            Outcome::TimedOut | Outcome::ReplyLost => Some(Self::TimedOut),
            Outcome::QueueFull
            | Outcome::Shed
            | Outcome::DependencyFailed
            | Outcome::InternalError
            | Outcome::LbBadGateway
            | Outcome::LbUnavailable
            | Outcome::LbTimeout => Some(Self::Status5xx),
            _ => Some(Self::ConnectFailure),
        }
    }
}

/// Whether a client tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does not.
    No,
    /// It would, but has no budget left, or too many retries under way.
    NoBudget,
    /// It does, after this pause.
    After(SimDuration),
}

/// The retries of one source's clients.
#[derive(Clone, Debug)]
pub struct Retrier {
    spec: RetrySpec,
    stream: Stream,
    /// By client; none without a budget.
    budgets: Vec<Budget>,
}

impl Retrier {
    /// For `clients` clients; `stream` gives the pauses.
    #[must_use]
    pub fn new(spec: RetrySpec, clients: usize, stream: Stream) -> Self {
        let budgets = spec.budget.map_or_else(Vec::new, |b| vec![Budget::new(b); clients]);
        Self { spec, stream, budgets }
    }

    /// There is one more client.
    pub fn grow(&mut self) {
        self.budgets.extend(self.spec.budget.map(Budget::new));
    }

    /// How long a try may take.
    #[must_use]
    pub const fn per_try_timeout(&self) -> Option<SimDuration> {
        self.spec.per_try_timeout
    }

    /// A client sends a request for the first time.
    #[inline]
    pub fn sent(&mut self, client: u32, now: SimTime) {
        if let Some(budget) = self.budgets.get_mut(client as usize) {
            budget.earn(now);
        }
    }

    /// Whether `client` tries again after a try, the `attempt`-th retry or with 0 the first, that ended with `outcome`; `free`
    /// says whether its circuit breaker allows one more retry.
    pub fn ask(&mut self, client: u32, attempt: u8, outcome: Outcome, free: bool, now: SimTime) -> Verdict {
        let retried = RetryOn::of(outcome).is_some_and(|kind| self.spec.on.contains(&kind));
        if !retried || attempt >= self.spec.attempts {
            return Verdict::No;
        }
        if !free || !self.budgets.get_mut(client as usize).is_none_or(|budget| budget.spend(now)) {
            return Verdict::NoBudget;
        }
        let BackoffSpec { base, max } = self.spec.backoff;
        let most = (base.as_nanos() as f64 * ((1u64 << (attempt + 1).min(32)) - 1) as f64).min(max.as_nanos() as f64);
        Verdict::After(SimDuration::from_nanos_f64(self.stream.uniform() * most))
    }
}

/// Parts of the time for which a budget's entries hold (Finagle `WindowedAdder`: 10).
const PARTS: usize = 10;
/// What a request earns, in the unit of account (Finagle `TokenRetryBudget.ScaleFactor`).
const EARNED: i64 = 1_000;

/// A leaky token bucket: entries are forgotten part by part, earned and spent alike.
#[derive(Clone, Debug)]
struct Budget {
    reserve: i64,
    cost: i64,
    part: u64,
    /// Balance of each of the last parts of the time, and which part of the time is the last.
    balances: [i64; PARTS],
    last: u64,
}

impl Budget {
    fn new(spec: BudgetSpec) -> Self {
        let cost = ((EARNED as f64 / spec.ratio) as i64).max(1);
        let reserve = (f64::from(spec.min_per_second) * spec.ttl.as_secs_f64() * cost as f64) as i64;
        let part = (spec.ttl.as_nanos() / PARTS as u64).max(1);
        Self { reserve, cost, part, balances: [0; PARTS], last: 0 }
    }

    fn advance(&mut self, now: SimTime) -> &mut i64 {
        let at = now.as_nanos() / self.part;
        for gone in (self.last + 1..=at).take(PARTS) {
            self.balances[(gone % PARTS as u64) as usize] = 0;
        }
        if at.saturating_sub(self.last) >= PARTS as u64 {
            self.balances = [0; PARTS];
        }
        self.last = at;
        &mut self.balances[(at % PARTS as u64) as usize]
    }

    fn earn(&mut self, now: SimTime) {
        *self.advance(now) += EARNED;
    }

    fn spend(&mut self, now: SimTime) -> bool {
        let cost = self.cost;
        self.advance(now);
        if self.reserve + self.balances.iter().sum::<i64>() < cost {
            return false;
        }
        *self.advance(now) -= cost;
        true
    }
}
