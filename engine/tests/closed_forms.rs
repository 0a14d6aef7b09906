//! Queues with known answers: what is simulated must lie within four standard errors of the formula.

use svcsim_engine::{
    Arrival, Context, Dist, DistSpec, Model, ProcessorSharing, Reschedule, SimDuration, SimTime, Simulation, Station, Stream, Streams,
    Tally, TimeAverage,
};

const REPLICATIONS: u64 = 24;
/// Jobs of a replication that are not measured, and those that are.
const WARM_UP: u64 = 2_000;
const MEASURED: u64 = 20_000;
const MEAN_DEMAND: SimDuration = SimDuration::from_millis(1);

#[derive(Clone, Copy)]
struct Job {
    arrived: SimTime,
    demand: SimDuration,
}

#[derive(Clone, Copy)]
enum Event {
    Arrives,
    Completes { arrived: SimTime },
    SharedCompletes { epoch: u64 },
}

enum Discipline {
    InOrder(Station<Job>),
    Shared(ProcessorSharing<SimTime>),
}

struct Queue {
    discipline: Discipline,
    interarrival: (Dist, Stream),
    demand: (Dist, Stream),
    waiting: Tally,
    sojourn: Tally,
    in_system: TimeAverage,
}

impl Model for Queue {
    type Event = Event;

    fn handle(&mut self, event: Event, ctx: &mut Context<'_, Event>) {
        let now = ctx.now();
        match (event, &mut self.discipline) {
            (Event::Arrives, discipline) => {
                ctx.schedule_in(self.interarrival.0.sample_duration(&mut self.interarrival.1), Event::Arrives);
                let job = Job { arrived: now, demand: self.demand.0.sample_duration(&mut self.demand.1) };
                match discipline {
                    Discipline::InOrder(station) => {
                        if station.arrive(now, job) == Arrival::Starts {
                            self.start(job, ctx);
                        }
                    }
                    Discipline::Shared(station) => reschedule(station.arrive(now, now, job.demand), ctx),
                }
            }
            (Event::Completes { arrived }, Discipline::InOrder(station)) => {
                self.sojourn.record((now - arrived).as_nanos());
                if let Some(next) = station.complete(now) {
                    self.start(next, ctx);
                }
            }
            (Event::SharedCompletes { epoch }, Discipline::Shared(station)) => {
                if let Some((arrived, next)) = station.complete(now, epoch) {
                    self.sojourn.record((now - arrived).as_nanos());
                    reschedule(next, ctx);
                }
            }
            _ => unreachable!("each discipline has its own completions"),
        }
        let in_system = match &self.discipline {
            Discipline::InOrder(station) => station.in_system(),
            Discipline::Shared(station) => station.in_system(),
        };
        self.in_system.set(now, in_system as u64);
    }
}

impl Queue {
    fn start(&mut self, job: Job, ctx: &mut Context<'_, Event>) {
        self.waiting.record((ctx.now() - job.arrived).as_nanos());
        ctx.schedule_in(job.demand, Event::Completes { arrived: job.arrived });
    }
}

fn reschedule(next: Option<Reschedule>, ctx: &mut Context<'_, Event>) {
    if let Some(Reschedule { at, epoch }) = next {
        ctx.schedule_at(at, Event::SharedCompletes { epoch });
    }
}

/// What one replication measured, in mean demands.
struct Measured {
    waiting: f64,
    sojourn: f64,
    in_system: f64,
    utilisation: f64,
}

fn replicate(replication: u64, discipline: Discipline, servers: u32, load: f64, demand: &DistSpec<SimDuration>) -> Measured {
    let streams = Streams::new(1, replication);
    let unit = MEAN_DEMAND.as_nanos() as f64;
    let gap = SimDuration::from_nanos_f64(unit / (load * f64::from(servers)));
    let mut simulation = Simulation::new(Queue {
        discipline,
        interarrival: (DistSpec::Exponential { mean: gap }.build().unwrap(), streams.stream(0, 0)),
        demand: (demand.build().unwrap(), streams.stream(1, 0)),
        waiting: Tally::new(),
        sojourn: Tally::new(),
        in_system: TimeAverage::default(),
    });
    simulation.act(|_, ctx| ctx.schedule_in(SimDuration::ZERO, Event::Arrives));
    let start = SimTime::ZERO + gap * WARM_UP;
    simulation.run_until(start);
    let queue = &mut simulation.model;
    (queue.waiting, queue.sojourn) = (Tally::new(), Tally::new());
    queue.in_system.reset(start);
    match &mut queue.discipline {
        Discipline::InOrder(station) => station.reset(start),
        Discipline::Shared(station) => station.reset(start),
    }
    let end = start + gap * MEASURED;
    simulation.run_until(end);
    let queue = &simulation.model;
    let busy = match &queue.discipline {
        Discipline::InOrder(station) => station.busy_time(end),
        Discipline::Shared(station) => station.busy_time(end),
    };
    Measured {
        waiting: queue.waiting.mean().unwrap_or(0.0) / unit,
        sojourn: queue.sojourn.mean().unwrap() / unit,
        in_system: queue.in_system.mean(end).unwrap(),
        utilisation: busy.as_secs_f64() / (end - start).as_secs_f64() / f64::from(servers),
    }
}

fn assert_near(what: &str, found: impl Iterator<Item = f64>, expected: f64) {
    let found: Vec<f64> = found.collect();
    let n = found.len() as f64;
    let mean = found.iter().sum::<f64>() / n;
    let error = (found.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0) / n).sqrt();
    assert!((mean - expected).abs() < 4.0 * error, "{what}: found {mean} +- {error}, expected {expected}");
    // A bound that anything satisfies proves nothing.
    assert!(error < 0.05 * expected, "{what}: the standard error {error} is too large to tell");
}

/// The probability of waiting in M/M/c (Erlang 1917), by the recursion of his loss formula.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let offered = load * f64::from(servers);
    let loss = (1..=servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    loss / (1.0 - load * (1.0 - loss))
}

fn in_order(servers: u32, load: f64, demand: &DistSpec<SimDuration>, waiting: f64) {
    let runs: Vec<Measured> =
        (0..REPLICATIONS).map(|r| replicate(r, Discipline::InOrder(Station::new(servers, None)), servers, load, demand)).collect();
    assert_near("waiting time", runs.iter().map(|m| m.waiting), waiting);
    assert_near("sojourn time", runs.iter().map(|m| m.sojourn), waiting + 1.0);
    assert_near("in system", runs.iter().map(|m| m.in_system), load * f64::from(servers) * (waiting + 1.0));
    assert_near("utilisation", runs.iter().map(|m| m.utilisation), load);
}

fn shared(servers: u32, load: f64, demand: &DistSpec<SimDuration>, sojourn: f64) {
    let runs: Vec<Measured> =
        (0..REPLICATIONS).map(|r| replicate(r, Discipline::Shared(ProcessorSharing::new(servers)), servers, load, demand)).collect();
    assert_near("sojourn time", runs.iter().map(|m| m.sojourn), sojourn);
    assert_near("in system", runs.iter().map(|m| m.in_system), load * f64::from(servers) * sojourn);
    assert_near("utilisation", runs.iter().map(|m| m.utilisation), load);
}

const EXPONENTIAL: DistSpec<SimDuration> = DistSpec::Exponential { mean: MEAN_DEMAND };

/// Waiting time rho / (1 - rho) mean demands.
#[test]
fn mm1() {
    in_order(1, 0.7, &EXPONENTIAL, 0.7 / 0.3);
}

/// Waiting time C(c, rho) / (c (1 - rho)) mean demands.
#[test]
fn mm4() {
    in_order(4, 0.8, &EXPONENTIAL, erlang_c(4, 0.8) / (4.0 * 0.2));
}

/// Pollaczek-Khinchine: waiting time rho (1 + cv^2) / (2 (1 - rho)) mean demands.
#[test]
fn mg1() {
    let (load, cv) = (0.6, 1.5);
    in_order(1, load, &DistSpec::Lognormal { mean: MEAN_DEMAND, cv }, load * (1.0 + cv * cv) / (2.0 * (1.0 - load)));
    in_order(1, load, &DistSpec::Constant(MEAN_DEMAND), load / (2.0 * (1.0 - load)));
}

/// Sojourn time 1 / (1 - rho) mean demands, whatever the distribution of demands (Kleinrock 1967; Sakata et al. 1969).
#[test]
fn mg1_ps_is_insensitive() {
    let mean = MEAN_DEMAND;
    for demand in
        [EXPONENTIAL, DistSpec::Constant(mean), DistSpec::Lognormal { mean, cv: 2.0 }, DistSpec::Hyperexponential { mean, cv: 2.0 }]
    {
        shared(1, 0.6, &demand, 1.0 / 0.4);
    }
}

/// With c servers shared it is that of M/M/c, just as insensitive (Cohen 1979, *The Multiple Phase Service Network with
/// Generalized Processor Sharing*).
#[test]
fn mg4_ps_is_insensitive() {
    let sojourn = 1.0 + erlang_c(4, 0.7) / (4.0 * 0.3);
    shared(4, 0.7, &DistSpec::Lognormal { mean: MEAN_DEMAND, cv: 1.5 }, sojourn);
}
