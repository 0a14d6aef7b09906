//! The event list: one hold (pop the earliest, push one an exponential time later) at 1e2, 1e4 and 1e6 pending,
//! and at 1e4 pending that all stand at one instant, where ladder queues are weak.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use svcsim_benches::Hold;
use svcsim_engine::random::Streams;
use svcsim_engine::{EventQueue, SimDuration, SimTime};

fn hold(c: &mut Criterion) {
    let mut group = c.benchmark_group("hold");
    group.throughput(Throughput::Elements(1));
    for pending in [100u32, 10_000, 1_000_000] {
        group.bench_function(BenchmarkId::new("through the engine", pending), |b| {
            let mut sim = Hold::simulation(pending, Streams::new(1, 0).stream(0, 0));
            b.iter_custom(|holds| {
                let mut left = holds;
                let start = std::time::Instant::now();
                sim.advance(SimTime::MAX, u64::MAX, |_| {
                    left = left.wrapping_sub(1);
                    left != u64::MAX
                });
                start.elapsed()
            });
        });
    }
    group.bench_function("10000 at one instant", |b| {
        let mut queue = EventQueue::new();
        (0..10_000u32).for_each(|i| queue.push(SimTime::ZERO, i));
        b.iter(|| {
            if let Some((time, event)) = queue.pop() {
                queue.push(time + SimDuration::from_micros(1), event);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, hold);
criterion_main!(benches);
