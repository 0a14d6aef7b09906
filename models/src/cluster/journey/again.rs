//! What is sent again: by TCP, where a packet vanished; by a client that retries, where a try failed.
//!
//! A lost SYN is sent again 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s after the first, until the connect fails after 131 s: Linux 6.5,
//! `TCP_TIMEOUT_INIT` (1 s, RFC 6298) as it is for `tcp_syn_linear_timeouts` times, then doubled, `tcp_syn_retries` times. Each
//! meets the rules as they are then, unless an earlier one has left a conntrack entry: an entry is confirmed when its packet leaves
//! the Node (`nf_conntrack_confirm` in POSTROUTING), so it holds where the packet died beyond, and not where a rule dropped it or
//! its Pod was on the Node that translated.
//! Data lost on the way is sent again 0.2 s later by a tail loss probe (RFC 8985, section 7; `tcp_schedule_loss_probe`), 0.2 s after
//! that (`TCP_RTO_MIN`), then doubling, up to `tcp_retries2` times. So is a request that nobody gets, of a client that has a time-out:
//! one without would learn of its connection's end a quarter of an hour later, and its loss is recorded at once.

use crate::cluster::request::BalancedTo;
use crate::cluster::{Cluster, Connection, Ctx, Event, Outcome, Request, Stage};
use crate::ids::VertexId;
use crate::pool::NO_SLOT;
use crate::retry::Verdict;
use crate::spec::{Protocol, TcpSpec};
use svcsim_engine::{Key, SimDuration, SimTime};

/// Linux `TCP_TIMEOUT_INIT`.
const SYN_TIMEOUT: SimDuration = SimDuration::from_secs(1);
/// Linux `TCP_RTO_MIN`.
const DATA_TIMEOUT: SimDuration = SimDuration::from_millis(200);
/// Linux `TCP_RTO_MAX`.
const LONGEST_TIMEOUT: SimDuration = SimDuration::from_secs(120);
/// Linux `tcp_retries2`.
const DATA_RETRIES: u8 = 15;

impl Cluster {
    /// When the sender of what was just lost to `cause` looks at it again; none if nobody does.
    pub(super) fn looks_again(&self, r: &Request, cause: Outcome, now: SimTime) -> Option<SimTime> {
        let source = &self.sources[r.source];
        if cause == Outcome::DnsFailure {
            return source.resolver.as_ref().map(|resolver| now + resolver.timeout());
        }
        if source.protocol != Protocol::Tcp || !source.tcp.retransmit || cause == Outcome::ReplyLost {
            return None;
        }
        if is_syn(r) {
            let due = r.joined + syn_timeout(&source.tcp, r.tries);
            return Some(self.connect_fails(r).map_or(due, |fails| due.min(fails)).max(now));
        }
        let answer = !is_forward(r.stage);
        let vanished = cause == Outcome::LinkDrop || (cause == Outcome::Blackhole && !answer && source.first_timeout.is_some());
        let data = vanished && (!answer || r.result == Outcome::Completed);
        // The first is a probe for a lost tail, after which the time-out begins anew.
        (data && r.tries < DATA_RETRIES).then(|| now + backed_off(DATA_TIMEOUT, r.tries.saturating_sub(1)))
    }

    /// When the connect fails by a time-out of the application's.
    fn connect_fails(&self, r: &Request) -> Option<SimTime> {
        let timeout = match self.proxying(r) {
            // The balancer's own connection, which it began when it sent the first SYN.
            Some(proxies) if r.connection.balanced_to != BalancedTo::Nothing => Some(proxies.connect_timeout),
            _ => self.sources[r.source].tcp.connect_timeout,
        };
        let tcp = &self.sources[r.source].tcp;
        let passed = (0..r.tries).fold(SimDuration::ZERO, |sum, k| sum + syn_timeout(tcp, k));
        timeout.map(|timeout| r.joined + timeout.saturating_sub(passed))
    }

    /// The time-out of a lost packet passes: it is sent again, or its sender has tried often enough.
    pub(in crate::cluster) fn send_again(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let Some(&(mut request)) = self.requests.get(key).filter(|r| !r.ended && r.lost) else { return };
        let r = &mut request;
        if r.result == Outcome::DnsFailure {
            return self.ask_dns_again(key, request, ctx);
        }
        let forward = is_forward(r.stage);
        let tried = r.fresh && (r.tries >= self.sources[r.source].tcp.syn_tries() || self.connect_fails(r).is_some_and(|at| at <= now));
        if forward && tried {
            let by_proxy = self.proxying(r).is_some() && r.connection.balanced_to != BalancedTo::Nothing;
            return self.give_up(key, if by_proxy { Outcome::LbTimeout } else { r.result }, ctx);
        }
        let source = &self.sources[r.source];
        let due = if r.attempt == 0 { source.first_timeout } else { source.timeout };
        if due.is_some_and(|timeout| r.start + timeout <= now) {
            // The client gives up in this instant: nothing is sent any more.
            return;
        }
        let cause = r.result;
        r.tries += 1;
        r.lost = false;
        if !forward {
            let vertex = self.pod_vertex(r.connection.pod);
            self.store(key, request);
            return self.send_back(key, Outcome::Completed, vertex, ctx);
        }
        if r.fresh {
            r.joined = now;
        }
        let held = !r.fresh || self.is_held(r, cause);
        if !held {
            self.forget_translation(r, now);
        }
        if self.follows(key) {
            self.probe_sends_again(&request, cause, held, now);
        }
        let (vertex, stage) = self.resent_from(&request);
        request.stage = stage;
        self.travel(key, request, now, vertex, ctx);
    }

    /// Nobody answered a resolver's query in time.
    fn ask_dns_again(&mut self, key: Key, request: Request, ctx: &mut Ctx<'_>) {
        let queries = request.tries + 1;
        if self.sources[request.source].resolver.as_ref().is_some_and(|resolver| resolver.asks_again(queries)) {
            self.send(key, Request { result: Outcome::Completed, lost: false, tries: queries, ..request }, ctx);
        } else {
            self.give_up(key, Outcome::DnsFailure, ctx);
        }
    }

    /// Whether the choice made for an earlier SYN holds for the next.
    fn is_held(&self, r: &Request, cause: Outcome) -> bool {
        if !r.connection.opened || !matches!(cause, Outcome::Blackhole | Outcome::LinkDrop | Outcome::BacklogFull) {
            return false;
        }
        if cause == Outcome::BacklogFull {
            return true;
        }
        // In connect() the address was chosen once for all; a conntrack entry is confirmed where the packet leaves the Node.
        !r.connection.tracked || self.pods[r.connection.pod].node != r.connection.entry
    }

    /// The entry Node chooses anew for the next SYN; a load balancer remembers.
    fn forget_translation(&mut self, r: &mut Request, now: SimTime) {
        let c = r.connection;
        if !c.opened {
            return;
        }
        let unbalanced = Connection { balanced_to: BalancedTo::Nothing, slot: NO_SLOT, ..c };
        self.hang_up(r.source, r.client, &unbalanced, now);
        let pod = if self.sources[r.source].via.is_to_pod() { c.pod } else { Connection::NONE.pod };
        r.connection = Connection { flow: c.flow, entry: c.entry, balanced_to: c.balanced_to, pod, slot: c.slot, ..Connection::NONE };
    }

    /// Who sends the request again, the client or a proxying load balancer, and where to.
    fn resent_from(&self, r: &Request) -> (VertexId, Stage) {
        match (self.proxying(r), r.connection.balanced_to) {
            (Some(_), BalancedTo::Entry) => (self.network.edge(), Stage::ToEntry),
            (Some(_), BalancedTo::Pod) => (self.network.edge(), Stage::ToPod),
            _ => (self.sources[r.source].clients[r.client as usize].vertex, self.first_stage(r.source)),
        }
    }

    /// A try has failed. If the client tries again, what it will send then takes the place of what failed.
    pub(super) fn tries_again(&mut self, key: Key, failed: &Request, outcome: Outcome, ctx: &mut Ctx<'_>) -> bool {
        let now = ctx.now();
        let source = &mut self.sources[failed.source];
        if source.timeout.is_some_and(|timeout| now >= failed.start + timeout) {
            return false;
        }
        let breaker = source.clients[failed.client as usize].guard.as_mut().and_then(|g| g.breaker.as_mut());
        let free = breaker.as_ref().is_none_or(|b| b.may_retry());
        let Some(retrier) = &mut source.retrier else { return false };
        let pause = match retrier.ask(failed.client, failed.attempt, outcome, free, now) {
            Verdict::No => return false,
            Verdict::NoBudget => {
                self.recorder.retry_refused(failed);
                return false;
            }
            Verdict::After(pause) => pause,
        };
        if let Some(breaker) = breaker {
            breaker.retry_begins();
        }
        let next = self.requests.insert(Request {
            connection: Connection::NONE,
            stage: Stage::AtClient,
            result: outcome,
            attempt: failed.attempt + 1,
            tries: 0,
            waited: SimDuration::ZERO,
            hops: 0,
            fresh: true,
            ended: false,
            lost: true,
            ..*failed
        });
        if self.follows(key) {
            self.probe_retries(next, failed, outcome, (now, now + pause));
        }
        ctx.schedule_at(now + pause, Event::TriesAgain { request: next });
        let source = &self.sources[failed.source];
        if let Some(due) = source.timeout.map(|t| failed.start + t) {
            ctx.schedule_at(due, Event::TryExpires { request: next });
        }
        true
    }

    /// The pause before another try is over.
    pub(in crate::cluster) fn try_again(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let Some(&(mut request)) = self.requests.get(key).filter(|r| !r.ended) else { return };
        request.result = Outcome::Completed;
        request.lost = false;
        self.recorder.retried(&request);
        if let Some(due) = self.sources[request.source].retrier.as_ref().and_then(|r| r.per_try_timeout()).map(|t| now + t) {
            ctx.schedule_at(due, Event::TryExpires { request: key });
        }
        self.begin_try(key, request, ctx);
    }

    /// The client waits for this try no longer, or for the request at all.
    pub(in crate::cluster) fn expire_try(&mut self, key: Key, ctx: &mut Ctx<'_>) {
        let Some(request) = self.requests.get(key).filter(|r| !r.ended) else { return };
        let outcome = request.why_silent();
        self.give_up(key, outcome, ctx);
    }
}

impl Request {
    /// Why its client has heard nothing of it: what it was last lost to, unless it got through after that.
    pub(super) const fn why_silent(&self) -> Outcome {
        let forward = is_forward(self.stage);
        match self.result {
            Outcome::Completed if self.tries > 0 && !forward => Outcome::LinkDrop,
            Outcome::Completed => Outcome::TimedOut,
            cause if self.lost || forward => cause,
            _ => Outcome::TimedOut,
        }
    }
}

/// Whether what was lost of a request makes its client send a SYN: the first packet, or what answered it before there was
/// a connection.
pub(super) const fn is_syn(r: &Request) -> bool {
    r.fresh && (is_forward(r.stage) || r.phase.is_handshake() || !matches!(r.result, Outcome::Completed))
}

/// Whether a message is on its way to the Pod.
pub(super) const fn is_forward(stage: Stage) -> bool {
    matches!(stage, Stage::ToLoadBalancer | Stage::ToEntry | Stage::ToPod)
}

/// The time-out after so many transmissions before.
fn backed_off(first: SimDuration, tries: u8) -> SimDuration {
    (first * (1u64 << tries.min(20))).min(LONGEST_TIMEOUT)
}

/// From a SYN that was sent after so many others to the next.
fn syn_timeout(tcp: &TcpSpec, tries: u8) -> SimDuration {
    backed_off(SYN_TIMEOUT, tries.saturating_sub(tcp.syn_linear_timeouts))
}
