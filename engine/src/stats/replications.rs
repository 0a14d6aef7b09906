//! How many replications a target takes, decided beforehand.
//!
//! Whoever adds replications until an interval looks narrow enough stops when chance makes it look so: it then covers the truth less
//! often than it says. Here the pilot alone decides how many there will be, and only its spread makes the interval of all: the final
//! mean does not depend on it (Stein 1945, *A Two-Sample Test for a Linear Hypothesis Whose Power is Independent of the Variance*).

use super::distributions::t_quantile;
use super::interval::{Interval, Sample};

/// More than anyone runs.
const MOST: u64 = 1_000_000_000;

/// The least number n of replications, not fewer than the pilot's, with t(n-1) s/sqrt(n) <= `relative_half_width` |mean|, where s and
/// mean are the pilot's (Law 2015, *Simulation Modeling and Analysis*, 9.4.1). `None` without a pilot of two finite values, or if a billion
/// is not enough, as for a mean of 0.
#[must_use]
pub fn replications_needed(pilot: &[f64], confidence: f64, relative_half_width: f64) -> Option<u64> {
    let sample = Sample::of(pilot)?;
    let target = relative_half_width * sample.mean.abs();
    let deviation = libm::sqrt(sample.variance);
    let enough = |n: u64| t_quantile(0.5 + confidence / 2.0, n as f64 - 1.0) * deviation / libm::sqrt(n as f64) <= target;
    let (mut low, mut high) = (sample.size as u64, MOST);
    if !enough(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

/// Stein's number of replications in all, for an interval of the mean no wider than +- `half_width`: max(n0, ceil((t(n0-1) s / half)^2))
/// with s of the pilot of n0. `None` without a pilot of two finite values, or if a billion is not enough.
#[must_use]
pub fn replications_by_stein(pilot: &[f64], confidence: f64, half_width: f64) -> Option<u64> {
    let sample = Sample::of(pilot)?;
    let ratio = t_quantile(0.5 + confidence / 2.0, sample.size as f64 - 1.0) * libm::sqrt(sample.variance) / half_width.max(0.0);
    let needed = if sample.variance > 0.0 { libm::ceil(ratio * ratio) } else { 0.0 };
    (needed <= MOST as f64).then(|| (needed as u64).max(sample.size as u64))
}

/// Stein's interval of the mean of all `values`, the first `pilot` of which decided how many there are: +- t(n0-1) s/sqrt(n) with s and
/// n0 of the pilot. It covers the mean of normal values with just the confidence asked for. `None` without a pilot of two, or with a
/// value that is not finite.
#[must_use]
pub fn interval_after_pilot(values: &[f64], pilot: usize, confidence: f64) -> Option<Interval> {
    let (all, first) = (Sample::of(values)?, Sample::of(values.get(..pilot)?)?);
    let half = t_quantile(0.5 + confidence / 2.0, first.size as f64 - 1.0) * libm::sqrt(first.variance / all.size as f64);
    Some(Interval::around(all.mean, half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;

    #[test]
    fn the_number_is_the_least() {
        let pilot = [20.3, 18.7, 20.8, 18.9, 31.2, 23.1, 21.2, 19.6, 23.9, 18.6];
        let n = replications_needed(&pilot, 0.95, 0.02).expect("not many");
        let sample = Sample::of(&pilot).expect("ten");
        let half = |n: u64| t_quantile(0.975, n as f64 - 1.0) * libm::sqrt(sample.variance / n as f64) / sample.mean;
        assert!(half(n) <= 0.02 && half(n - 1) > 0.02, "{n}");
        assert_eq!(replications_needed(&pilot, 0.95, 10.0), Some(10), "the pilot is enough");
    }

    #[test]
    fn targets_that_cannot_be_met() {
        assert_eq!(replications_needed(&[-1.0, 1.0], 0.95, 0.1), None);
        assert_eq!((replications_needed(&[1.0, 2.0], 0.95, 0.0), replications_by_stein(&[1.0, 2.0], 0.95, 0.0)), (None, None));
        assert_eq!((replications_needed(&[1.0], 0.95, 0.1), replications_by_stein(&[], 0.95, 0.1)), (None, None));
        assert_eq!((replications_needed(&[2.0; 3], 0.95, 0.1), replications_by_stein(&[2.0; 3], 0.95, 0.1)), (Some(3), Some(3)));
        assert_eq!(replications_by_stein(&[1.0, 2.0], 0.95, f64::NAN), None);
    }

    /// Stops as soon as the interval looks narrow enough, from the fourth replication.
    fn stopped_when_it_looks_good(values: &[f64], half_width: f64) -> Option<Interval> {
        (4..values.len()).filter_map(|n| Some(Sample::of(&values[..n])?.interval(0.9))).find(|i| (i.high - i.low) / 2.0 <= half_width)
    }

    /// Normal values of mean 0: after a pilot the interval covers it as promised (900 of 1000, standard deviation 9.5), and is narrow
    /// enough; looking after each replication covers less often.
    #[test]
    fn a_pilot_keeps_the_promise_that_looking_breaks() {
        let (mut kept, mut looked) = (0, 0);
        for r in 0..1_000 {
            let mut stream = Streams::new(11, r).stream(0, 0);
            let values: Vec<f64> = (0..400).map(|_| stream.normal()).collect();
            let n = replications_by_stein(&values[..10], 0.9, 0.4).expect("not many") as usize;
            let interval = interval_after_pilot(&values[..n], 10, 0.9).expect("ten");
            assert!(interval.high - interval.low <= 0.8 + 1e-12);
            kept += u32::from(interval.contains(0.0));
            looked += u32::from(stopped_when_it_looks_good(&values, 0.4).is_some_and(|i| i.contains(0.0)));
        }
        assert!((870..=930).contains(&kept) && looked < 850, "{kept} {looked}");
    }
}
