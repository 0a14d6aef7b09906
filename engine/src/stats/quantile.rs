//! Quantiles of samples, and where the true one lies, by order statistics.

use super::distributions::binomial_cdf;

/// The `p`-quantile of ascending values by nearest rank: x_(ceil(n p)), the least for p = 0 (Hyndman and Fan 1996, definition 1).
/// It is always one of the values. `None` without any, or for `p` outside 0 to 1.
#[must_use]
pub fn nearest_rank(ascending: &[f64], p: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&p) {
        return None;
    }
    let rank = libm::ceil(ascending.len() as f64 * p) as usize;
    ascending.get(rank.saturating_sub(1)).copied()
}

/// The `p`-quantile of ascending values by linear interpolation at (n - 1) p (Hyndman and Fan 1996, definition 7: what NumPy and R
/// do unless told otherwise). `None` without any, or for `p` outside 0 to 1.
#[must_use]
pub fn interpolated(ascending: &[f64], p: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&p) {
        return None;
    }
    let place = ascending.len().checked_sub(1)? as f64 * p;
    let below = libm::floor(place);
    let (low, high) = (ascending[below as usize], ascending[libm::ceil(place) as usize]);
    Some(if low == high { low } else { low + (place - below) * (high - low) })
}

/// Which order statistics enclose a quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileInterval {
    /// From 1; `None` if even the least of all observations may lie above the quantile: there is no lower limit.
    pub lower: Option<u64>,
    /// From 1; `None` if even the greatest of all may lie below it: there is no upper limit.
    pub upper: Option<u64>,
    /// The probability that the interval covers the quantile: at least what was asked for.
    pub coverage: f64,
}

/// The interval [x_(lower), x_(upper)] for the `p`-quantile that `n` independent observations of any continuous distribution give: of
/// the order statistics the innermost with which each side misses with a probability of at most (1 - confidence)/2
/// (David and Nagaraja 2003, *Order Statistics*, 7.1). `None` for `p` or `confidence` outside 0 to 1.
///
/// Requests of one run are not independent: for them use one quantile per replication, or per batch.
#[must_use]
pub fn quantile_interval(n: u64, p: f64, confidence: f64) -> Option<QuantileInterval> {
    if !(0.0..=1.0).contains(&p) || !(0.0..1.0).contains(&confidence) {
        return None;
    }
    let miss = (1.0 - confidence) / 2.0;
    let below = |index: u64| binomial_cdf(index - 1, n, p);
    // One before the first that is too likely to lie above the quantile; the first that is likely enough to.
    let lower = Some(first(n + 1, |i| below(i) > miss) - 1).filter(|l| *l > 0);
    let upper = Some(first(n + 1, |i| below(i) >= 1.0 - miss)).filter(|u| *u <= n);
    let coverage = upper.map_or(1.0, below) - lower.map_or(0.0, below);
    Some(QuantileInterval { lower, upper, coverage })
}

/// The first of 1 to `last` for which `holds`, which stays true once it is; `last` if none.
fn first(last: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (1, last);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_definitions_by_hand() {
        let sample = [3.0, 8.0, 15.0, 20.0];
        let both = |p| (nearest_rank(&sample, p), interpolated(&sample, p));
        assert_eq!(both(0.0), (Some(3.0), Some(3.0)));
        assert_eq!(both(0.5), (Some(8.0), Some(11.5)));
        assert_eq!(both(1.0), (Some(20.0), Some(20.0)));
        assert_eq!((both(1.1), both(f64::NAN)), ((None, None), (None, None)));
        assert_eq!((nearest_rank(&[], 0.5), interpolated(&[], 0.5)), (None, None));
    }

    #[test]
    fn the_median_of_twenty_lies_between_the_sixth_and_the_fifteenth() {
        let i = quantile_interval(20, 0.5, 0.95).expect("a confidence");
        assert_eq!((i.lower, i.upper), (Some(6), Some(15)));
        // 1 - 2 P(Bin(20, 1/2) <= 5) = 1 - 2 * 21700 / 2^20.
        assert!((i.coverage - (1.0 - 43_400.0 / 1_048_576.0)).abs() < 1e-12);
    }

    #[test]
    fn a_tail_that_was_hardly_seen_has_no_upper_limit() {
        let i = quantile_interval(100, 0.99, 0.95).expect("a confidence");
        assert_eq!((i.lower, i.upper), (Some(97), None));
        let nothing = QuantileInterval { lower: None, upper: None, coverage: 1.0 };
        assert_eq!(quantile_interval(0, 0.99, 0.95), Some(nothing));
        assert_eq!((quantile_interval(9, 1.5, 0.95), quantile_interval(9, 0.5, f64::NAN)), (None, None));
    }

    proptest! {
        #[test]
        fn nearest_rank_inverts_the_empirical_distribution(mut sample in prop::collection::vec(-9.0..9.0f64, 1..50), p in 0.0..=1.0f64) {
            sample.sort_by(f64::total_cmp);
            let q = nearest_rank(&sample, p).expect("a sample");
            let share = |holds: &dyn Fn(f64) -> bool| sample.iter().filter(|x| holds(**x)).count() as f64;
            let n = sample.len() as f64;
            prop_assert!(share(&|x| x <= q) >= n * p && (share(&|x| x < q) < n * p || p == 0.0));
            let smooth = interpolated(&sample, p).expect("a sample");
            prop_assert!(sample[0] <= smooth && smooth <= sample[sample.len() - 1]);
        }

        #[test]
        fn intervals_cover_as_promised_and_not_needlessly(n in 1..5_000_u64, p in 0.001..0.999f64, confidence in 0.5..0.999f64) {
            let i = quantile_interval(n, p, confidence).expect("a confidence");
            prop_assert!(i.coverage >= confidence - 1e-12 && i.coverage <= 1.0);
            let miss = (1.0 - confidence) / 2.0;
            if let Some(lower) = i.lower {
                prop_assert!(binomial_cdf(lower - 1, n, p) <= miss && binomial_cdf(lower, n, p) > miss);
            }
            if let Some(upper) = i.upper {
                prop_assert!(binomial_cdf(upper - 1, n, p) >= 1.0 - miss);
                prop_assert!(upper == 1 || binomial_cdf(upper - 2, n, p) < 1.0 - miss);
            }
        }
    }
}
