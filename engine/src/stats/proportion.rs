//! Intervals of a proportion: how many requests in all are lost, given how many of some were, none included.
//!
//! Both suppose that requests are lost independently. Where an outage takes many at once, the rate of each replication is one
//! observation, and [`t_interval`](super::t_interval) of those tells the truth.

use super::distributions::{beta_quantile, normal_quantile};
use super::interval::Interval;

/// The interval of Clopper and Pearson 1934, *The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial*: each
/// side misses with at most (1 - confidence)/2, whatever the proportion. With `k` = 0 of `n` its upper end is 1 - ((1 - confidence)/2)^(1/n).
/// `None` if `n` is 0 or less than `k`, or for a confidence outside 0 to 1.
#[must_use]
pub fn clopper_pearson(k: u64, n: u64, confidence: f64) -> Option<Interval> {
    let (of, others) = checked(k, n, confidence)?;
    let miss = (1.0 - confidence) / 2.0;
    let low = if k == 0 { 0.0 } else { beta_quantile(miss, of, others + 1.0) };
    let high = if k == n { 1.0 } else { beta_quantile(1.0 - miss, of + 1.0, others) };
    Some(Interval { mean: of / (of + others), low, high })
}

/// The score interval of Wilson 1927, *Probable Inference, the Law of Succession, and Statistical Inference*: shorter, and right on
/// average rather than always. `None` as for [`clopper_pearson`].
#[must_use]
pub fn wilson(k: u64, n: u64, confidence: f64) -> Option<Interval> {
    let (of, others) = checked(k, n, confidence)?;
    let size = of + others;
    let z = normal_quantile(0.5 + confidence / 2.0);
    let middle = of + z * z / 2.0;
    let half = z * libm::sqrt(of * others / size + z * z / 4.0);
    let end = |e: f64| e / (size + z * z);
    let low = if k == 0 { 0.0 } else { end(middle - half) };
    let high = if k == n { 1.0 } else { end(middle + half) };
    Some(Interval { mean: of / size, low, high })
}

/// Successes and failures, if there are any and a confidence to speak of.
fn checked(k: u64, n: u64, confidence: f64) -> Option<(f64, f64)> {
    let others = n.checked_sub(k)?;
    (n > 0 && (0.0..1.0).contains(&confidence)).then_some((k as f64, others as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distributions::binomial_cdf;
    use proptest::prelude::*;

    #[test]
    fn none_lost_is_not_never_lost() {
        let i = clopper_pearson(0, 1_000_000, 0.95).expect("a million");
        let known = 1.0 - libm::pow(0.025, 1e-6);
        assert_eq!((i.mean, i.low), (0.0, 0.0));
        assert!((i.high / known - 1.0).abs() < 1e-9, "{} instead of {known}", i.high);
        let w = wilson(0, 50, 0.95).expect("fifty");
        assert!(w.low == 0.0 && (w.high - 0.071_347_599_13).abs() < 1e-11);
    }

    #[test]
    fn all_lost_is_the_mirror_image() {
        for of in [clopper_pearson, wilson] {
            let (none, all) = (of(0, 40, 0.9).expect("forty"), of(40, 40, 0.9).expect("forty"));
            assert!((none.high + all.low - 1.0).abs() < 1e-12 && all.high == 1.0);
        }
    }

    #[test]
    fn no_proportion_of_nothing() {
        for of in [clopper_pearson, wilson] {
            assert_eq!((of(0, 0, 0.95), of(3, 2, 0.95), of(1, 2, 1.0), of(1, 2, f64::NAN)), (None, None, None, None));
        }
    }

    proptest! {
        /// The ends are by definition the proportions at which as few, or as many, become too unlikely.
        #[test]
        fn ends_are_where_the_tails_are_used_up(n in 1..20_000_u64, share in 0.0..1.0f64, confidence in 0.5..0.999f64) {
            let k = (n as f64 * share) as u64;
            let (i, miss) = (clopper_pearson(k, n, confidence).expect("some"), (1.0 - confidence) / 2.0);
            prop_assert!(i.low <= i.mean && i.mean <= i.high);
            prop_assert!((binomial_cdf(k, n, i.high) - miss).abs() < 1e-9);
            if k > 0 {
                prop_assert!((binomial_cdf(k - 1, n, i.low) - (1.0 - miss)).abs() < 1e-9);
            }
            let w = wilson(k, n, confidence).expect("some");
            prop_assert!(0.0 <= w.low && w.low <= w.mean && w.mean <= w.high && w.high <= 1.0);
        }
    }
}
