//! A laboratory for balancing policies: try a [`Picker`] of your own against others, in a test, with statistics.
//!
//! A [`Lab`] is a small world: Pods behind one Service, and instances that each balance by themselves over what they know. Two
//! policies are compared by *paired* runs: both meet the same requests with the same demands (common random numbers), so that their
//! difference shows in a few runs. Two controls say whether the world can tell policies apart at all: the oracle `leastWork`, which
//! knows every demand, should be better than any policy, and `busiest` worse.
//!
//! ```
//! use svcsim_engine::random::Stream;
//! use svcsim_models::balance::{Ask, Picker, PolicySpec};
//! use svcsim_models::lab::{Lab, Metric};
//!
//! /// The less busy of two neighbours: one random draw instead of two.
//! #[derive(Debug)]
//! struct Neighbours;
//!
//! impl Picker for Neighbours {
//!     fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
//!         let n = ask.hosts().len();
//!         let a = stream.below(n as u32) as usize;
//!         let b = (a + 1) % n;
//!         Some(if ask.load(b) < ask.load(a) { b } else { a })
//!     }
//! }
//!
//! let lab = Lab::new(10, 1).load(0.8);
//! let mine = PolicySpec::custom("neighbours", || Neighbours);
//! let random: PolicySpec = "random".parse()?;
//!
//! let against_random = lab.compare(&mine, &random, Metric::P99)?;
//! against_random.assert_better_by(0.2);
//! assert!(lab.compare(&"leastWork".parse()?, &mine, Metric::Mean)?.is_better(), "no policy beats the oracle");
//! assert!(lab.compare(&mine, &"busiest".parse()?, Metric::Mean)?.is_better(), "any policy beats the worst");
//! println!("{against_random}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::balance::{BalancingSpec, PolicySpec, SignalSpec};
use crate::cluster::{Decision, decisions, run};
use crate::dataplane::{ConntrackSpec, DataPlaneSpec, ProxySpec};
use crate::load_balancer::LoadBalancerSpec;
use crate::network::{LinkSpec, NetworkSpec, OneSwitchSpec, ShapeSpec};
use crate::record::SeriesResult;
use crate::spec::{
    AutoscalingSpec, ClusterSpec, EndpointSlicesSpec, NodeLifecycleSpec, NodeSpec, PodBehaviour, PropagationSpec, RunSpec, ServicePortSpec,
    ServiceSpec, SpecError, TrafficSpec, Via, WorkloadSpec,
};
use crate::units::Rate;
use crate::workload::{ArrivalsSpec, poisson};
use std::collections::BTreeMap;
use std::fmt;
use svcsim_engine::SimDuration;
use svcsim_engine::random::{DistSpec, Streams};
use svcsim_engine::stats::{Interval, t_interval};

/// Confidence of the intervals.
const CONFIDENCE: f64 = 0.99;
/// The Service's name.
const NAME: &str = "web";

/// A world to try policies in. Everything has a default but how many Pods there are.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The whole world, for whatever the methods below do not say.
    pub spec: ClusterSpec,
    load: f64,
    replications: u64,
    seed: u64,
}

/// What is compared; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Mean latency.
    Mean,
    /// Its 99th percentile.
    P99,
    /// The part of the requests that is lost.
    ErrorRate,
}

impl Metric {
    fn of(self, s: &SeriesResult) -> f64 {
        match self {
            Self::Mean => s.latency.mean_ns().map_or(f64::NAN, |ns| ns / 1e6),
            Self::P99 => s.latency.quantile(0.99).map_or(f64::NAN, |d| d.as_millis_f64()),
            Self::ErrorRate => 1.0 - s.completed() as f64 / s.ended().max(1) as f64,
        }
    }
}

impl Lab {
    /// `pods` Pods that serve `concurrency` requests at once, FIFO, with exponential demands of 10 ms; one instance; four fifths of
    /// what the Pods can do; 5 s that are not measured and 25 s that are; ten replications.
    #[must_use]
    pub fn new(pods: u32, concurrency: u32) -> Self {
        let labels = BTreeMap::from([("app".to_owned(), NAME.to_owned())]);
        let demand = DistSpec::Exponential { mean: SimDuration::from_millis(10) };
        let node = || LinkSpec { delay: DistSpec::Constant(SimDuration::from_micros(50)), bandwidth: None, queue: None };
        let workload = WorkloadSpec {
            name: NAME.to_owned(),
            field: format!("deployments.{NAME}"),
            labels: labels.clone(),
            replicas: pods,
            ..WorkloadSpec::new(PodBehaviour::new(demand, concurrency))
        };
        let service = ServiceSpec {
            name: NAME.to_owned(),
            field: format!("services.{NAME}"),
            selector: labels,
            ports: vec![ServicePortSpec::tcp("http", 80)],
            ..ServiceSpec::default()
        };
        let traffic = TrafficSpec {
            to: NAME.to_owned(),
            via: Via::Endpoints,
            clients: 1,
            balancing: Some(BalancingSpec::default()),
            ..TrafficSpec::nothing()
        };
        let secs = SimDuration::from_secs;
        let spec = ClusterSpec {
            nodes: vec![NodeSpec { name: "node".to_owned(), ..NodeSpec::default() }],
            workloads: vec![workload],
            services: vec![service],
            network: NetworkSpec { shape: ShapeSpec::OneSwitch(OneSwitchSpec { node: node() }), sites: BTreeMap::new() },
            data_plane: DataPlaneSpec::default(),
            proxy: ProxySpec::default(),
            conntrack: ConntrackSpec::default(),
            load_balancer: LoadBalancerSpec::default(),
            propagation: PropagationSpec::default(),
            endpoint_slices: EndpointSlicesSpec::default(),
            traffic: BTreeMap::from([("instances".to_owned(), traffic)]),
            node_lifecycle: NodeLifecycleSpec::default(),
            autoscaling: AutoscalingSpec::default(),
            events: BTreeMap::new(),
            run: RunSpec { duration: secs(30), warm_up: secs(5), window: secs(5) },
            sample: 0,
        };
        Self { spec, load: 0.8, replications: 10, seed: 1 }
    }

    /// The part of what the Pods can do that is asked of them; 1 is too much.
    #[must_use]
    pub fn load(self, load: f64) -> Self {
        Self { load, ..self }
    }

    /// How many instances there are that share nothing.
    #[must_use]
    pub fn instances(mut self, instances: u32) -> Self {
        self.source().clients = instances;
        self
    }

    /// What instances know of how busy Pods are.
    #[must_use]
    pub fn signal(mut self, signal: SignalSpec) -> Self {
        self.source().balancing.get_or_insert_default().signal = signal;
        self
    }

    /// How fast each Pod is, over and over.
    #[must_use]
    pub fn speeds(mut self, speeds: &[f64]) -> Self {
        self.pod().speeds = speeds.to_vec();
        self
    }

    /// The demands of requests.
    #[must_use]
    pub fn demands(mut self, demands: DistSpec<SimDuration>) -> Self {
        self.pod().service_time = demands;
        self
    }

    /// Paired runs of each comparison.
    #[must_use]
    pub fn replications(self, replications: u64) -> Self {
        Self { replications, ..self }
    }

    /// The seed of all chance.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    fn source(&mut self) -> &mut TrafficSpec {
        self.spec.traffic.entry("instances".to_owned()).or_insert_with(TrafficSpec::nothing)
    }

    fn pod(&mut self) -> &mut PodBehaviour {
        &mut self.spec.workloads[0].pod
    }

    /// The world with `policy` in it.
    ///
    /// # Errors
    /// A distribution of demands that makes no sense.
    pub fn with(&self, policy: &PolicySpec) -> Result<ClusterSpec, SpecError> {
        let mut lab = self.clone();
        let web = &self.spec.workloads[0];
        let mean = web.pod.service_time.build().map_err(|problem| SpecError::new("demands", problem, "give a sound distribution"))?.mean();
        let speeds = &web.pod.speeds;
        let speed = if speeds.is_empty() {
            1.0
        } else {
            (0..web.replicas as usize).map(|i| speeds[i % speeds.len()]).sum::<f64>() / f64::from(web.replicas)
        };
        let most = f64::from(web.replicas * web.pod.concurrency) * speed * 1e9 / mean;
        let source = lab.source();
        source.arrivals = ArrivalsSpec::Poisson(poisson::Spec { rate: Rate(self.load * most) });
        source.balancing.get_or_insert_default().policy = policy.clone();
        Ok(lab.spec)
    }

    /// A metric under one policy, run by run.
    ///
    /// # Errors
    /// A world that makes no sense.
    pub fn measure(&self, policy: &PolicySpec, metric: Metric) -> Result<Vec<f64>, SpecError> {
        let spec = self.with(policy)?;
        let one = |replication| {
            let result = run(&spec, &Streams::new(self.seed, replication), &|| true)?;
            Ok(result.map_or(f64::NAN, |r| metric.of(&r.series[0])))
        };
        (0..self.replications).map(one).collect()
    }

    /// Compares `ours` with `theirs` over the same requests.
    ///
    /// # Errors
    /// A world that makes no sense, or fewer than two replications, which have no interval.
    pub fn compare(&self, ours: &PolicySpec, theirs: &PolicySpec, metric: Metric) -> Result<Comparison, SpecError> {
        let (a, b) = (self.measure(ours, metric)?, self.measure(theirs, metric)?);
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        let difference = t_interval(&differences, CONFIDENCE).ok_or_else(|| {
            SpecError::new(
                "replications",
                "no interval: fewer than two runs, or one in which nothing completed",
                "run more, or ask for less load",
            )
        })?;
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        Ok(Comparison { names: (ours.name().to_owned(), theirs.name().to_owned()), metric, means: (mean(&a), mean(&b)), difference })
    }

    /// The first `most` choices of one run, with what they were made from and what the oracle would have done.
    ///
    /// # Errors
    /// A world that makes no sense.
    pub fn decisions(&self, policy: &PolicySpec, most: usize) -> Result<Vec<Decision>, SpecError> {
        decisions(&self.with(policy)?, &Streams::new(self.seed, 0), most, &|| true)
    }
}

/// Two policies over the same requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Ours and theirs.
    pub names: (String, String),
    /// What is compared.
    pub metric: Metric,
    /// Means over runs, ms or a part.
    pub means: (f64, f64),
    /// Ours minus theirs: mean and 99 % interval over pairs.
    pub difference: Interval,
}

impl Comparison {
    /// Whether the whole interval says that ours is better.
    #[must_use]
    pub fn is_better(&self) -> bool {
        self.difference.high < 0.0
    }

    /// Ours is better by at least this part of theirs, with the interval's confidence.
    ///
    /// # Panics
    /// If the runs do not show that.
    #[track_caller]
    pub fn assert_better_by(&self, part: f64) {
        assert!(self.difference.high <= -part * self.means.1, "{self}: that is not better by {:.1} % for sure", 100.0 * part);
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, theirs) = &self.names;
        let Interval { mean, low, high } = self.difference;
        write!(
            f,
            "{:?}: {ours} {:.3}, {theirs} {:.3}; difference {mean:.3} [{low:.3}, {high:.3}] ({:+.1} %), {:.0} % confidence",
            self.metric,
            self.means.0,
            self.means.1,
            100.0 * mean / self.means.1,
            100.0 * CONFIDENCE
        )
    }
}
