//! Every algorithm of the list keeps its promises; those of single ones stand in their files.

use super::bins::Nobody;
use super::*;
use crate::ids::PodId;
use crate::maglev::mix64;
use proptest::prelude::*;
use svcsim_engine::SimDuration;
use svcsim_engine::random::Streams;

/// `n` hosts, alike.
pub(super) fn hosts(n: u32) -> Vec<Host> {
    let host = |i| Host { id: PodId(i), address: format!("10.0.0.{i}:80"), weight: 1, zone: None, since: None, active: 0 };
    (0..n).map(host).collect()
}

/// A request that hashes to `hash`.
pub(super) fn ask(hosts: &[Host], hash: u64, now: SimTime) -> Ask<'_> {
    Ask::new(hosts, &Nobody, SignalSpec::Own, hash, SimDuration::from_millis(1), now)
}

/// A picker that knows `hosts`.
pub(super) fn picker(spec: &PolicySpec, hosts: &[Host]) -> Box<dyn Picker> {
    let mut picker = spec.build("policy").expect("defaults make sense");
    picker.changed(hosts, &vec![None; hosts.len()], SimTime::ZERO);
    picker
}

/// Hosts of these weights.
pub(super) fn weighted(weights: &[u32]) -> Vec<Host> {
    hosts(weights.len() as u32).into_iter().zip(weights).map(|(h, w)| Host { weight: *w, ..h }).collect()
}

/// The choices for `n` requests that hash to all kinds of numbers and change nothing.
pub(super) fn sequence(policy: &str, hosts: &[Host], n: u64) -> Vec<usize> {
    let (mut picker, mut stream) = (picker(&policy.parse().expect("a word of the list"), hosts), chance(5));
    (0..n).map(|i| picker.pick(&ask(hosts, mix64(i), SimTime::ZERO), &mut stream).expect("one")).collect()
}

/// Each host's part of many requests.
pub(super) fn shares(policy: &str, hosts: &[Host]) -> Vec<f64> {
    let picks = sequence(policy, hosts, 50_000);
    (0..hosts.len()).map(|host| picks.iter().filter(|p| **p == host).count() as f64 / 50_000.0).collect()
}

/// Of 10,000 requests over `n` hosts how many were the fourth host's, which leaves, and how many of the others' go elsewhere then.
pub(super) fn moved_when_one_leaves(policy: &str, n: u32) -> (usize, usize) {
    let mut hosts = hosts(n);
    let before: Vec<PodId> = sequence(policy, &hosts, 10_000).into_iter().map(|at| hosts[at].id).collect();
    let gone = hosts.remove(3).id;
    let after: Vec<PodId> = sequence(policy, &hosts, 10_000).into_iter().map(|at| hosts[at].id).collect();
    let own = before.iter().filter(|id| **id == gone).count();
    (own, before.iter().zip(&after).filter(|(b, a)| **b != gone && a != b).count())
}

/// An answer after so many milliseconds, from a Pod that is idle then, at so many seconds.
pub(super) fn answered(ms: u64, at_s: u64) -> Answer {
    let latency = SimDuration::from_millis(ms);
    let report = Report { in_flight: 0, latency, service: SimDuration::from_millis(4) };
    Answer { latency, good: true, report: Some(report), now: SimTime::ZERO + SimDuration::from_secs(at_s) }
}

#[test]
fn slow_start_is_envoys() {
    let slow = |aggression| SlowStartSpec { window: SimDuration::from_secs(100), aggression, min_weight_percent: 10.0 };
    let at = |aggression, s| slow(aggression).factor(SimDuration::from_secs(s));
    assert_eq!([at(1.0, 0), at(1.0, 5), at(1.0, 50), at(1.0, 100)], [0.1, 0.1, 0.5, 1.0]);
    assert!((at(2.0, 25) - 0.5).abs() < 1e-12 && (at(0.5, 50) - 0.25).abs() < 1e-12);
}

pub(super) fn chance(seed: u64) -> Stream {
    Streams::new(seed, 0).stream(0, 0)
}

proptest! {
    /// Whatever happens, whoever is chosen exists, and the same happens again.
    #[test]
    fn every_policy_chooses_somebody_and_the_same_again(
        which in 0..PolicySpec::NAMES.len(),
        n in 1..12u32,
        seed: u64,
        script in prop::collection::vec((any::<u64>(), 0..6u8, 1..50u64), 1..80),
    ) {
        let spec = PolicySpec::by_name(PolicySpec::NAMES[which]).expect("a word of the list");
        let run = || {
            let mut hosts = hosts(n);
            let (mut picker, mut stream) = (picker(&spec, &hosts), chance(seed));
            let mut now = SimTime::ZERO;
            let mut chosen = Vec::new();
            for &(hash, op, gap) in &script {
                now += SimDuration::from_millis(gap);
                match op {
                    0 if hosts.len() > 1 => {
                        let gone = hash as usize % hosts.len();
                        hosts.remove(gone);
                        let before: Vec<_> = (0..hosts.len()).map(|i| Some(if i < gone { i } else { i + 1 })).collect();
                        picker.changed(&hosts, &before, now);
                    }
                    1 => {
                        if let Some(busy) = hosts.iter().position(|h| h.active > 0) {
                            hosts[busy].active -= 1;
                            let report = Some(Report {
                                in_flight: hosts[busy].active,
                                latency: SimDuration::from_millis(gap),
                                service: SimDuration::from_millis(1),
                            });
                            picker.answered(busy, &Answer { latency: SimDuration::from_millis(gap), good: hash % 7 > 0, report, now });
                        }
                    }
                    _ => {
                        let at = picker.pick(&ask(&hosts, hash, now), &mut stream);
                        chosen.push(at);
                        if let Some(at) = at {
                            assert!(at < hosts.len(), "place {at} of {}", hosts.len());
                            hosts[at].active += 1;
                            picker.sent(at, now);
                        }
                        for probed in picker.probes(&hosts, now, &mut stream) {
                            let report =
                                Report { in_flight: hosts[probed].active, latency: SimDuration::from_millis(gap), service: SimDuration::ZERO };
                            picker.probed(probed, report, now, now);
                        }
                    }
                }
            }
            chosen
        };
        let chosen = run();
        prop_assert!(chosen.iter().all(Option::is_some), "{}: a request found nobody", spec.name());
        prop_assert_eq!(chosen, run(), "{}", spec.name());
    }
}

#[test]
fn words_and_settings_name_algorithms() {
    for name in PolicySpec::NAMES {
        let spec: PolicySpec = name.parse().expect("a word of the list");
        assert_eq!(spec.name(), *name);
    }
    let error = "leastRequests".parse::<PolicySpec>().expect_err("no such word").to_string();
    assert!(error.contains("leastRequests") && error.contains("leastRequest"), "{error}");
}

#[test]
fn round_robin_goes_round_from_anywhere_and_goes_on_after_a_change() {
    let mut hosts = hosts(3);
    let (mut picker, mut stream) = (picker(&"roundRobin".parse().expect("a word"), &hosts), chance(1));
    let mut next = |picker: &mut Box<dyn Picker>, hosts: &[Host]| picker.pick(&ask(hosts, 0, SimTime::ZERO), &mut stream).expect("one");
    let start = next(&mut picker, &hosts);
    let turns: Vec<usize> = (0..6).map(|_| next(&mut picker, &hosts)).collect();
    assert_eq!(turns, (1..7).map(|i| (start + i) % 3).collect::<Vec<_>>());
    while next(&mut picker, &hosts) != 0 {}
    hosts.remove(1);
    picker.changed(&hosts, &[Some(0), Some(2)], SimTime::ZERO);
    assert_eq!([0; 3].map(|_| next(&mut picker, &hosts)), [1, 0, 1], "the one after the first is gone: the third is next");
}

#[test]
fn least_request_divides_by_weight_and_breaks_ties() {
    let mut hosts = hosts(3);
    let mut stream = chance(2);
    let mut choose = |spec: least_request::Spec, hosts: &[Host]| {
        picker(&PolicySpec::LeastRequest(spec), hosts).pick(&ask(hosts, 0, SimTime::ZERO), &mut stream)
    };
    for (host, active) in [(0, 2), (1, 1), (2, 1)] {
        hosts[host].active = active;
    }
    let first = least_request::Spec { ties: least_request::Ties::First, ..least_request::Spec::default() };
    assert_eq!(choose(first.clone(), &hosts), Some(1));
    hosts[0].weight = 4;
    assert_eq!(choose(first.clone(), &hosts), Some(0), "2/4 < 1/1");
    hosts.iter_mut().for_each(|h| h.active = 0);
    assert_eq!(choose(first.clone(), &hosts[..2]), Some(0), "0/4 = 0/1: the first");
    hosts.swap(0, 1);
    assert_eq!(choose(first.clone(), &hosts), Some(0));
    assert_eq!(choose(least_request::Spec { add: 1, ..first }, &hosts), Some(1), "1/4 < 1/1");
    hosts.iter_mut().for_each(|h| h.weight = 0);
    assert_eq!(choose(least_request::Spec::default(), &hosts), None, "nobody may get anything");
}

/// Two of three, distinct: each pair alike; with replacement one of nine draws sees only the busy host.
#[test]
fn two_choices_draw_evenly() {
    let mut hosts = hosts(3);
    hosts[0].active = 5;
    let shares = |replacement| {
        let spec = least_request::Spec { choices: std::num::NonZeroU32::new(2), replacement, ..least_request::Spec::default() };
        let (mut picker, mut stream) = (picker(&PolicySpec::LeastRequest(spec), &hosts), chance(3));
        let mut counts = [0u32; 3];
        (0..90_000).for_each(|_| counts[picker.pick(&ask(&hosts, 0, SimTime::ZERO), &mut stream).expect("one")] += 1);
        counts
    };
    assert_eq!(shares(false)[0], 0, "one of two different hosts is less busy");
    let with = shares(true);
    // Standard errors of counts: sqrt(90000 p (1-p)): 94 and 149.
    assert!(with[0].abs_diff(10_000) < 400 && with[1].abs_diff(40_000) < 600, "{with:?}");
}

#[test]
fn weighted_random_is_in_proportion() {
    let mut hosts = hosts(3);
    hosts.iter_mut().zip([1, 0, 3]).for_each(|(h, w)| h.weight = w);
    let (mut picker, mut stream) = (picker(&PolicySpec::Random(random::Spec {}), &hosts), chance(4));
    let mut counts = [0u32; 3];
    (0..40_000).for_each(|_| counts[picker.pick(&ask(&hosts, 0, SimTime::ZERO), &mut stream).expect("one")] += 1);
    assert!(counts[1] == 0 && counts[0].abs_diff(10_000) < 350, "{counts:?}");
}
