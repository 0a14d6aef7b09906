//! Whole runs, in requests per second of one core: W2 (M/M/10), W3 (a Service of 100 Pods) and W3 with links that
//! have a bandwidth, so that every hop queues.

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use svcsim_benches::{w2, w3};
use svcsim_engine::random::Streams;
use svcsim_models::cluster::run;
use svcsim_models::network::ShapeSpec;
use svcsim_models::spec::ClusterSpec;
use svcsim_models::units::Bandwidth;

const REQUESTS: u64 = 200_000;

fn runs(c: &mut Criterion) {
    let mut group = c.benchmark_group("cluster");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(REQUESTS));
    let mut queueing = w3(1, REQUESTS);
    if let ShapeSpec::OneSwitch(switch) = &mut queueing.network.shape {
        switch.node.bandwidth = Some(Bandwidth(10_000_000_000));
    }
    let workloads: [(&str, ClusterSpec); 3] = [("W2", w2(REQUESTS)), ("W3", w3(1, REQUESTS)), ("W3, links that queue", queueing)];
    for (name, spec) in workloads {
        group.bench_function(name, |b| b.iter(|| black_box(run(&spec, &Streams::new(1, 0), &|| true))));
    }
    group.finish();
}

criterion_group!(benches, runs);
criterion_main!(benches);
