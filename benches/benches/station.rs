//! A FIFO station and processor sharing: one arrival and one completion, with a line that neither grows nor empties.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use svcsim_engine::queueing::{ProcessorSharing, Station};
use svcsim_engine::{SimDuration, SimTime};

fn stations(c: &mut Criterion) {
    let mut group = c.benchmark_group("station");
    group.throughput(Throughput::Elements(1));
    group.bench_function("fifo, 4 servers, 8 waiting", |b| {
        let mut station = Station::new(4, None);
        let mut now = SimTime::ZERO;
        for job in 0..12u32 {
            station.arrive(now, job);
        }
        b.iter(|| {
            now += SimDuration::from_nanos(100);
            station.arrive(now, 1);
            station.complete(now)
        });
    });
    group.bench_function("processor sharing, 12 jobs", |b| {
        let mut queue = ProcessorSharing::new(4);
        let mut now = SimTime::ZERO;
        let demand = SimDuration::from_micros(100);
        let mut next = (0..12u32).filter_map(|job| queue.arrive(now, job, demand)).last();
        b.iter(|| {
            if let Some(due) = next {
                now = due.at;
                queue.complete(now, due.epoch);
                next = queue.arrive(now, 1, demand);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, stations);
criterion_main!(benches);
