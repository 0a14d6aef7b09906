//! Two alternatives that were run on the same random numbers: what the pairing gains, and what it would be without.

use super::distributions::t_quantile;
use super::interval::{Interval, Sample};

/// A - B over replications that share their random numbers in pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// Mean difference and its interval by Student's t.
    pub difference: Interval,
    /// The differences themselves.
    pub sample: Sample,
    /// Pearson's correlation of A and B; `None` if one of them does not vary.
    pub correlation: Option<f64>,
    /// (var A + var B) / var(A - B): how many times the replications independent runs would need. `None` if the difference does not vary.
    pub variance_reduction: Option<f64>,
}

/// Compares pair by pair. `None` if there are not equally many of both, at least two, all finite.
///
/// Law 2015, *Simulation Modeling and Analysis*, 10.2.1 and 11.2.
#[must_use]
pub fn paired(a: &[f64], b: &[f64], confidence: f64) -> Option<Paired> {
    if a.len() != b.len() {
        return None;
    }
    let (of_a, of_b) = (Sample::of(a)?, Sample::of(b)?);
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let sample = Sample::of(&differences)?;
    let products: f64 = a.iter().zip(b).map(|(a, b)| (a - of_a.mean) * (b - of_b.mean)).sum();
    let covariance = products / (a.len() as f64 - 1.0);
    let spreads = libm::sqrt(of_a.variance) * libm::sqrt(of_b.variance);
    Some(Paired {
        difference: sample.interval(confidence),
        sample,
        correlation: (spreads > 0.0).then(|| covariance / spreads),
        variance_reduction: (sample.variance > 0.0).then(|| (of_a.variance + of_b.variance) / sample.variance),
    })
}

/// The interval of mean A - mean B of independent values of unequal variance, and its degrees of freedom (Welch 1938,
/// Satterthwaite 1946). `None` for fewer than two of either, for any that is not finite, or if neither varies.
#[must_use]
pub fn welch(a: &[f64], b: &[f64], confidence: f64) -> Option<(Interval, f64)> {
    let (a, b) = (Sample::of(a)?, Sample::of(b)?);
    let squared_error = |s: &Sample| s.variance / s.size as f64;
    let (of_a, of_b) = (squared_error(&a), squared_error(&b));
    let sum = of_a + of_b;
    if sum <= 0.0 {
        return None;
    }
    let degrees = sum * sum / (of_a * of_a / (a.size as f64 - 1.0) + of_b * of_b / (b.size as f64 - 1.0));
    Some((Interval::around(a.mean - b.mean, t_quantile(0.5 + confidence / 2.0, degrees) * libm::sqrt(sum)), degrees))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_cancels() {
        let a = [10.0, 20.0, 30.0, 41.0];
        let b = a.map(|v| v - 1.0);
        let p = paired(&a, &b, 0.95).expect("four pairs");
        assert_eq!((p.difference.mean, p.difference.low, p.difference.high), (1.0, 1.0, 1.0));
        assert!(p.correlation.is_some_and(|c| (c - 1.0).abs() < 1e-12) && p.variance_reduction.is_none());
        let (apart, degrees) = welch(&a, &b, 0.95).expect("they vary");
        assert!(apart.low < 0.0 && apart.high > 2.0 && (degrees - 6.0).abs() < 1e-9, "unpaired nothing is seen: {apart:?}");
    }

    #[test]
    fn opposite_pairs_lose() {
        let p = paired(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0], 0.95).expect("three pairs");
        assert!((p.correlation.expect("both vary") + 1.0).abs() < 1e-12);
        assert_eq!(p.variance_reduction, Some(0.5));
    }

    #[test]
    fn what_cannot_be_compared() {
        assert_eq!(paired(&[1.0, 2.0], &[1.0], 0.95), None);
        assert_eq!(paired(&[1.0], &[1.0], 0.95), None);
        assert_eq!(paired(&[1.0, f64::NAN], &[1.0, 2.0], 0.95), None);
        assert_eq!(welch(&[1.0, 1.0], &[2.0, 2.0], 0.95), None);
    }
}
