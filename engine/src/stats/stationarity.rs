//! Whether what is left after the warm-up still drifts: a queue that grows has no mean to speak of.

use super::interval::{Interval, Sample};

/// Values of [`kpss`] that a level series exceeds with a probability of 5 % and of 1 % (Kwiatkowski et al. 1992, table 1).
pub const KPSS_CRITICAL: [(f64, f64); 2] = [(0.05, 0.463), (0.01, 0.739)];

/// How far the mean of the later half of a series is above that of the earlier, over replications: the interval excludes 0 if the
/// series drifts. A middle value of an odd number is left out. `None` for fewer than two series, or one of fewer than two values.
///
/// Replications being independent, nothing is supposed of how values depend on each other.
#[must_use]
pub fn drift(replications: &[Vec<f64>], confidence: f64) -> Option<Interval> {
    let rises: Option<Vec<f64>> = replications.iter().map(|series| rise(series)).collect();
    Some(Sample::of(&rises?)?.interval(confidence))
}

fn rise(series: &[f64]) -> Option<f64> {
    let half = series.len() / 2;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / half as f64;
    (half > 0).then(|| mean(&series[series.len() - half..]) - mean(&series[..half]))
}

/// The statistic of Kwiatkowski, Phillips, Schmidt and Shin 1992, *Testing the Null Hypothesis of Stationarity*, for one series around
/// a level: sum S_t^2 / (n^2 s^2), where S are the partial sums of deviations from the mean and s^2 their long-run variance by
/// Bartlett's weights over floor(4 (n/100)^(1/4)) lags. Above [`KPSS_CRITICAL`] it is not stationary. `None` for fewer than ten
/// values, any that is not finite, or none that differs.
///
/// Give it the means of some tens of batches, each longer than a value is remembered.
#[must_use]
pub fn kpss(series: &[f64]) -> Option<f64> {
    let sample = Sample::of(series).filter(|s| s.size >= 10)?;
    let n = sample.size as f64;
    let deviations: Vec<f64> = series.iter().map(|v| v - sample.mean).collect();
    let products = |lag: usize| deviations.iter().zip(&deviations[lag..]).map(|(a, b)| a * b).sum::<f64>() / n;
    let lags = libm::floor(4.0 * libm::sqrt(libm::sqrt(n / 100.0))) as usize;
    let weighted: f64 = (1..=lags).map(|lag| 2.0 * (1.0 - lag as f64 / (lags as f64 + 1.0)) * products(lag)).sum();
    let variance = products(0) + weighted;
    let sums = deviations.iter().scan(0.0, |sum, d| {
        *sum += d;
        Some(*sum)
    });
    (variance > 0.0).then(|| sums.map(|s| s * s).sum::<f64>() / (n * n * variance))
}

#[cfg(test)]
mod tests {
    use super::super::batch_means::{batch_means, tests::autoregressive};
    use super::*;

    #[test]
    fn a_drift_by_hand() {
        let rising = vec![vec![0.0, 1.0, 2.0, 3.0], vec![0.0, 1.0, 50.0, 4.0, 5.0]];
        // 2 and 4.
        assert_eq!(drift(&rising, 0.95).map(|i| i.mean), Some(3.0));
        assert_eq!((drift(&rising[..1], 0.95), drift(&[vec![1.0], vec![1.0, 2.0]], 0.95)), (None, None));
    }

    /// Of 200 sets of ten replications that do not drift, 5 % seem to (10, standard deviation 3); those that rise by two standard
    /// deviations are told.
    #[test]
    fn drifts_are_seen_and_seldom_imagined() {
        let set = |s: u64, slope: f64| -> Vec<Vec<f64>> {
            let tilted = |r| (0..200).map(f64::from).zip(autoregressive(0.5, 200, 10 * s + r)).map(|(i, y)| y + slope * i).collect();
            (0..10).map(tilted).collect()
        };
        let seen = |slope| (0..200).filter(|s| drift(&set(*s, slope), 0.95).is_some_and(|i| !i.contains(0.0))).count();
        let (level, rising) = (seen(0.0), seen(0.003));
        assert!(level <= 22 && rising >= 190, "{level} {rising}");
    }

    #[test]
    fn one_series_is_judged_by_its_partial_sums() {
        let above = |slope: f64| {
            let of = |r| {
                let series: Vec<f64> = autoregressive(0.8, 4_000, r).iter().zip(0..).map(|(y, i)| y + slope * f64::from(i)).collect();
                kpss(&batch_means(&series, 40)).is_some_and(|k| k > KPSS_CRITICAL[0].1)
            };
            (0..200).filter(|r| of(*r)).count()
        };
        let (level, rising) = (above(0.0), above(0.000_3));
        assert!(level <= 22 && rising >= 190, "{level} {rising}");
    }

    #[test]
    fn partial_sums_by_hand() {
        // n = 10: two lags with weights 2/3 and 1/3 of twice the products.
        let steps = [0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0, 2.0];
        // Deviations -1 five times, then 1: partial sums 1..5, 4..0; products 10, 7, 4.
        let known = 85.0 / (100.0 * (1.0 + 4.0 / 3.0 * 0.7 + 2.0 / 3.0 * 0.4));
        assert!((kpss(&steps).expect("ten values") - known).abs() < 1e-12);
        assert_eq!((kpss(&[1.0; 20]), kpss(&steps[..9])), (None, None));
    }
}
