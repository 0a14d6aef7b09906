//! What is measured: the cluster tells the [`Recorder`] what happens, and it answers nothing.

mod phases;
mod run_result;
mod sample;

pub use phases::{SETTLING, Span, Stretch, around, spans};
pub use run_result::{EndpointCounts, EventMark, Incident, LinkResult, Place, PodResult, RunResult, SeriesResult, Window};
pub use sample::RequestRecord;

use crate::cluster::{Outcome, Request};
use crate::ids::{NodeId, ReplicaId, SourceId};
use crate::maglev::mix64;
use phases::Cuts;
use serde::{Deserialize, Serialize};
use svcsim_engine::stats::Histogram;
use svcsim_engine::{IdVec, SimDuration, SimTime};

/// Significant decimal digits of latency histograms: quantiles are within 0.1 %.
const DIGITS: u8 = 3;
/// Of the timeline's, of which there is one a window: within 1 %.
const WINDOW_DIGITS: u8 = 2;

/// Facts about a request's way that the network and the proxies know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Forwarded from the Node it entered at to another.
    pub extra_hop: bool,
    /// Served in another zone than it entered at.
    pub cross_zone: bool,
}

/// Collects everything that a run reports.
#[derive(Clone, Debug)]
pub struct Recorder {
    measure_from: SimTime,
    series: IdVec<SourceId, SeriesRecorder>,
    incidents: Vec<Incident>,
    marks: Vec<EventMark>,
    cuts: Cuts,
    programming: Histogram,
    convergence: Histogram,
    slice_writes: u64,
    /// About one request in so many is kept; 0: none.
    sample: u32,
    requests: Vec<RequestRecord>,
}

/// Everything collected in a run, as it goes into its [`RunResult`].
pub struct Recorded {
    /// By source.
    pub series: Vec<SeriesResult>,
    /// What happened to Pods.
    pub incidents: Vec<Incident>,
    /// What the experiment made happen.
    pub marks: Vec<EventMark>,
    /// Network-programming latencies.
    pub programming: Histogram,
    /// Times to convergence.
    pub convergence: Histogram,
    /// EndpointSlices written.
    pub slice_writes: u64,
    /// Requests of the sample.
    pub requests: Vec<RequestRecord>,
}

/// A part of a critical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whose request.
    pub source: SourceId,
    /// Time from its start to its end, but what was spent on requests that it called.
    pub time: SimDuration,
}

#[derive(Clone, Debug)]
struct SeriesRecorder {
    result: SeriesResult,
    window: Window,
    window_latency: Histogram,
    /// Requests that each replica took in since the window began.
    window_requests: Vec<u32>,
}

/// Whether a request is one of those that are kept. It depends on who sent it and when alone, not on what became of it, so that designs
/// that meet the same arrivals keep the same requests.
fn is_sampled(request: &Request, one_in: u32) -> bool {
    let who = u64::from(request.source.0) << 32 | u64::from(request.client);
    (mix64(mix64(who) ^ request.start.as_nanos()) >> 32).is_multiple_of(one_in.into())
}

impl Recorder {
    /// A recorder of one series for each of `sources`, of which those marked are calls of one Service by another, over `replicas`
    /// places for Pods. Only requests sent at or after `measure_from` are measured; the ledger and the timeline count all. About one
    /// request in `sample` is kept; none if that is 0.
    #[must_use]
    pub fn new(sources: &[(&str, bool)], replicas: usize, measure_from: SimTime, sample: u32) -> Self {
        let series = |&(name, inner): &(&str, bool)| SeriesRecorder {
            result: SeriesResult {
                inner,
                stretches: vec![Stretch::new(measure_from, DIGITS)],
                ..SeriesResult::new(name, replicas, DIGITS)
            },
            window: Window::default(),
            window_latency: Histogram::new(WINDOW_DIGITS),
            window_requests: vec![0; replicas],
        };
        Self {
            measure_from,
            series: sources.iter().map(series).collect(),
            incidents: Vec::new(),
            marks: Vec::new(),
            cuts: Cuts::new(measure_from),
            programming: Histogram::new(DIGITS),
            convergence: Histogram::new(DIGITS),
            slice_writes: 0,
            sample,
            requests: Vec::new(),
        }
    }

    /// A source sends a request.
    #[inline]
    pub fn arrived(&mut self, source: SourceId, start: SimTime) {
        let s = &mut self.series[source];
        s.window.arrivals += 1;
        s.result.arrivals_ever += 1;
        s.result.arrivals += u64::from(start >= self.measure_from);
    }

    /// There are more places for Pods now: so many in all.
    pub fn grow(&mut self, replicas: usize) {
        for s in self.series.iter_mut() {
            s.result.requests_by_replica.resize(replicas, 0);
            s.result.connections_by_replica.resize(replicas, 0);
            s.window_requests.resize(replicas, 0);
        }
    }

    /// A Pod takes a request in, over a new connection or an old one.
    #[inline]
    pub fn admitted(&mut self, request: &Request, replica: ReplicaId) {
        let s = &mut self.series[request.source];
        s.window_requests[replica.0 as usize] += 1;
        if request.start >= self.measure_from {
            let result = &mut s.result;
            result.requests_by_replica[replica.0 as usize] += 1;
            result.connections_by_replica[replica.0 as usize] += u64::from(request.fresh);
        }
    }

    /// A Pod accepts a new connection that begins with a handshake.
    #[inline]
    pub fn accepted(&mut self, request: &Request, replica: ReplicaId) {
        if request.start >= self.measure_from {
            self.series[request.source].result.connections_by_replica[replica.0 as usize] += 1;
        }
    }

    /// A request ends, once, of which `replica` had the last try. `way` is known where a Pod answered.
    #[inline]
    pub fn ended(&mut self, request: &Request, outcome: Outcome, replica: Option<ReplicaId>, way: Option<Way>, now: SimTime) {
        let s = &mut self.series[request.source];
        if self.sample > 0 && is_sampled(request, self.sample) {
            self.requests.push(RequestRecord::of(request, outcome, replica, way, now));
        }
        s.result.outcomes_ever[outcome as usize] += 1;
        let completed = outcome == Outcome::Completed;
        s.window.outcomes[outcome as usize] += 1;
        s.window.completed += u64::from(completed);
        s.window.errors += u64::from(!completed);
        let latency = now - request.start;
        if completed {
            s.window_latency.record(latency);
        }
        if request.start < self.measure_from {
            return;
        }
        s.result.stretches[self.cuts.of(request.start)].record(request.start, outcome, latency);
        if completed {
            s.result.wait.record(request.waited.as_nanos());
            s.result.waited += u64::from(request.waited > SimDuration::ZERO);
            s.result.service.record(request.demand.as_nanos());
            s.result.called.record(request.called.as_nanos());
            let in_pod = request.waited + request.demand + request.called;
            s.result.network.record(latency.saturating_sub(in_pod).as_nanos());
            s.result.hops.record(u64::from(request.hops));
            s.result.snat += u64::from(request.connection.snat);
            if let Some(way) = way {
                s.result.extra_hop += u64::from(way.extra_hop);
                s.result.cross_zone += u64::from(way.cross_zone);
            }
        }
    }

    /// A request from outside completed, and so its time went: one segment after the other, the first its own.
    pub fn critical_path(&mut self, request: &Request, path: &[Segment]) {
        if request.start >= self.measure_from {
            for segment in path {
                self.series[segment.source].result.critical_ns += u128::from(segment.time.as_nanos());
            }
        }
    }

    /// A request ends without a response: where it was lost.
    #[inline]
    pub fn lost(&mut self, request: &Request, outcome: Outcome, place: Place) {
        if request.start >= self.measure_from {
            *self.series[request.source].result.lost.entry((outcome, place)).or_default() += 1;
        }
    }

    /// A client tries a request again.
    pub fn retried(&mut self, request: &Request) {
        let s = &mut self.series[request.source];
        s.window.retries += 1;
        s.result.retries += u64::from(request.start >= self.measure_from);
    }

    /// A request is sent a second time while the first is waited for.
    pub fn hedged(&mut self, request: &Request) {
        self.series[request.source].result.hedges += u64::from(request.start >= self.measure_from);
    }

    /// A client would have tried a request again, had its budget allowed it.
    pub fn retry_refused(&mut self, request: &Request) {
        self.series[request.source].result.retries_refused += u64::from(request.start >= self.measure_from);
    }

    /// Something happened to a Pod.
    pub fn incident(&mut self, now: SimTime, event: &'static str, pod: String, node: NodeId) {
        self.incidents.push(Incident { time: now, event: event.into(), pod, node });
    }

    /// An event of the experiment begins or, where it has an end, is repaired.
    pub fn event(&mut self, now: SimTime, name: &str, began: bool, what: String) {
        self.marks.push(EventMark { time: now, name: name.to_owned(), began, what });
        self.cut(now);
        if began {
            self.cut(now + SETTLING);
        }
    }

    /// Requests sent from `time` on, which is not in the past, are counted apart from those before.
    fn cut(&mut self, time: SimTime) {
        if let Some(place) = self.cuts.cut(time) {
            for id in self.series.ids() {
                self.series[id].result.stretches.insert(place, Stretch::new(time, DIGITS));
            }
        }
    }

    /// The EndpointSlice controller writes `n` slices; each is sent to every Node.
    pub fn slices_written(&mut self, n: u64) {
        self.slice_writes += n;
    }

    /// A Node's proxy has finished the sync that applied a change of endpoints: network-programming latency, from the
    /// trigger to the end of the sync, as kube-proxy's SLI defines it.
    #[inline]
    pub fn programmed(&mut self, latency: SimDuration) {
        self.programming.record(latency);
    }

    /// All Nodes have the newest view of a Service again, `took` after the first change that they did not know.
    #[inline]
    pub fn converged(&mut self, took: SimDuration) {
        self.convergence.record(took);
    }

    /// A proxy decided about a measured request by a view that was superseded `staleness` ago; zero: by the newest.
    #[inline]
    pub fn decided(&mut self, request: &Request, staleness: SimDuration) {
        if request.start >= self.measure_from {
            self.series[request.source].result.staleness.record(staleness);
        }
    }

    /// A window of the timeline ends: `state` gives, for a source, what its Service's endpoints were like in it.
    pub fn close_window(&mut self, start: SimTime, width: SimDuration, mut state: impl FnMut(SourceId) -> EndpointCounts) {
        for id in self.series.ids() {
            let s = &mut self.series[id];
            let quantile = |q| s.window_latency.quantile(q);
            let counts = state(id);
            s.result.timeline.push(Window {
                start,
                width,
                latency_p50: quantile(0.5),
                latency_p99: quantile(0.99),
                hottest_pod_requests: s.window_requests.iter().copied().max().unwrap_or(0),
                ready_endpoints: counts.ready,
                capacity: counts.capacity,
                serving_endpoints: counts.serving,
                terminating_endpoints: counts.terminating,
                stale_nodes: counts.stale_nodes,
                ..s.window
            });
            s.window = Window::default();
            s.window_latency.reset();
            s.window_requests.fill(0);
        }
    }

    /// Hands over what was collected; `in_flight` says how many requests of a source have not ended, `backends`
    /// which replicas could have served it.
    ///
    /// # Panics
    /// If the ledger does not close: a request that vanished or ended twice is a defect of the model.
    #[must_use]
    pub fn finish(self, in_flight: impl Fn(SourceId) -> u64, backends: impl Fn(SourceId) -> Vec<usize>) -> Recorded {
        let close = |(id, s): (SourceId, SeriesRecorder)| {
            let mut result = s.result;
            result.in_flight = in_flight(id);
            result.backends = backends(id);
            for stretch in &result.stretches {
                result.latency.merge(&stretch.latency);
                result.outcomes.iter_mut().zip(&stretch.outcomes).for_each(|(to, from)| *to += from);
            }
            let ended: u64 = result.outcomes_ever.iter().sum();
            assert_eq!(result.arrivals_ever, ended + result.in_flight, "ledger of {}: arrivals = outcomes + in flight", result.name);
            result
        };
        let ids = self.series.ids();
        Recorded {
            series: ids.zip(self.series.iter().cloned()).map(close).collect(),
            incidents: self.incidents,
            marks: self.marks,
            programming: self.programming,
            convergence: self.convergence,
            slice_writes: self.slice_writes,
            requests: self.requests,
        }
    }
}
