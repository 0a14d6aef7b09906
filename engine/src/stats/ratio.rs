//! Ratios of two things that each replication counts: bytes per request, errors per attempt.

use super::distributions::t_quantile;
use super::interval::{Interval, Sample};

/// The interval of the ratio of the means of `over` and `under`, one of each per replication: r +- t(n-1) s/(sqrt(n) mean of under),
/// s being the standard deviation of over - r under (Cochran 1977, *Sampling Techniques*, 2.11; the classical estimator of regenerative
/// simulation). The ratio of sums, not the mean of ratios: that weighs a replication that counted little as much as one that counted
/// much. `None` without equally many of both, at least two, all finite, or where `under` has mean 0.
#[must_use]
pub fn ratio_interval(over: &[f64], under: &[f64], confidence: f64) -> Option<Interval> {
    if over.len() != under.len() {
        return None;
    }
    let (above, below) = (Sample::of(over)?, Sample::of(under)?);
    if below.mean == 0.0 {
        return None;
    }
    let ratio = above.mean / below.mean;
    let residuals: Vec<f64> = over.iter().zip(under).map(|(o, u)| o - ratio * u).collect();
    let error = Sample::of(&residuals)?.standard_error() / below.mean.abs();
    Some(Interval::around(ratio, t_quantile(0.5 + confidence / 2.0, above.size as f64 - 1.0) * error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::t_interval;

    #[test]
    fn over_a_constant_it_is_the_interval_of_the_mean() {
        let over = [1.0, 2.0, 4.0, 5.0];
        let (ratio, mean) = (ratio_interval(&over, &[2.0; 4], 0.95), t_interval(&over, 0.95));
        let (ratio, mean) = (ratio.expect("four"), mean.expect("four"));
        assert!((ratio.low - mean.low / 2.0).abs() < 1e-12 && (ratio.high - mean.high / 2.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_proportional_is_known_exactly() {
        let i = ratio_interval(&[1.0, 10.0, 100.0], &[2.0, 20.0, 200.0], 0.95).expect("three");
        assert_eq!((i.low, i.mean, i.high), (0.5, 0.5, 0.5));
    }

    #[test]
    fn no_ratio_to_nothing() {
        assert_eq!(ratio_interval(&[1.0, 2.0], &[1.0, -1.0], 0.95), None);
        assert_eq!(ratio_interval(&[1.0, 2.0], &[1.0], 0.95), None);
        assert_eq!(ratio_interval(&[1.0], &[1.0], 0.95), None);
    }
}
