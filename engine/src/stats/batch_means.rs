//! One long run instead of replications: its observations depend on those before, the means of long batches hardly do.

use super::distributions::{normal_quantile, t_quantile};
use super::interval::{Interval, Sample};

/// The means of `batches` batches of equal length, in order; what does not fill the last is left out. Empty if there are more batches
/// than values.
#[must_use]
pub fn batch_means(values: &[f64], batches: usize) -> Vec<f64> {
    let length = values.len().checked_div(batches).unwrap_or(0);
    if length == 0 {
        return Vec::new();
    }
    values.chunks_exact(length).take(batches).map(|b| b.iter().sum::<f64>() / length as f64).collect()
}

/// The interval of the mean of one run from the means of as many of 64, 32 or 16 batches as look independent at a level of 5 %, and how
/// many these are. More gain little (Schmeiser 1982, *Batch Size Effects in the Analysis of Simulation Output*). `None` if not even 16
/// look so, which says that the run is too short for what it remembers, or for fewer values or any that is not finite.
#[must_use]
pub fn interval_of_one_run(values: &[f64], confidence: f64) -> Option<(Interval, usize)> {
    let independent = |batches: &usize| look_independent(&batch_means(values, *batches), 0.05) == Some(true);
    let batches = [64, 32, 16].into_iter().find(independent)?;
    Some((Sample::of(&batch_means(values, batches))?.interval(confidence), batches))
}

/// The interval of the mean by overlapping batches of `length` values: all there are, not only every `length`-th, which makes the
/// variance a third surer for the same work (Meketon and Schmeiser 1984, *Overlapping Batch Means: Something for Nothing?*), with
/// 3/2 (n/length - 1) degrees of freedom. `None` for less than two batches' worth of values or any that is not finite.
#[must_use]
pub fn overlapping_batch_means(values: &[f64], length: usize, confidence: f64) -> Option<Interval> {
    if length == 0 || values.len() / length < 2 || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let (n, m) = (values.len() as f64, length as f64);
    let mean = values.iter().sum::<f64>() / n;
    // Sums of deviations: sliding sums of the values themselves would lose digits.
    let mut sum: f64 = values[..length].iter().map(|v| v - mean).sum();
    let mut squares = sum * sum;
    for (old, new) in values.iter().zip(&values[length..]) {
        sum += new - old;
        squares += sum * sum;
    }
    let variance_of_mean = squares / (m * (n - m + 1.0) * (n - m));
    let half = t_quantile(0.5 + confidence / 2.0, 1.5 * (n / m - 1.0)) * libm::sqrt(variance_of_mean);
    Some(Interval::around(mean, half))
}

/// The correlation of each value with the next: c1/c0, both sums over n. `None` for fewer than two values, any that is not finite, or
/// none that differs.
#[must_use]
pub fn lag1_autocorrelation(values: &[f64]) -> Option<f64> {
    let sample = Sample::of(values)?;
    let products: f64 = values.windows(2).map(|w| (w[0] - sample.mean) * (w[1] - sample.mean)).sum();
    over_squares(products, &sample)
}

/// Von Neumann's ratio: the squared differences of neighbours over the squared deviations from the mean. It is near 2 for independent
/// values, less if neighbours are alike. `None` as for [`lag1_autocorrelation`].
///
/// Von Neumann 1941, *Distribution of the Ratio of the Mean Square Successive Difference to the Variance*.
#[must_use]
pub fn von_neumann_ratio(values: &[f64]) -> Option<f64> {
    let differences = values.windows(2).map(|w| (w[1] - w[0]) * (w[1] - w[0])).sum();
    over_squares(differences, &Sample::of(values)?)
}

/// Whether batch means are as good as independent: von Neumann's ratio is not below the `level`-quantile of that of independent normal
/// values, near normal with mean 2 and variance 4 (n-2)/(n^2-1) (Fishman 1978, *Grouping Observations in Digital Simulation*). If not,
/// make fewer and longer batches. `None` for fewer than eight means, too few for that, or where none differs.
#[must_use]
pub fn look_independent(means: &[f64], level: f64) -> Option<bool> {
    let n = means.len() as f64;
    let ratio = von_neumann_ratio(means).filter(|_| means.len() >= 8)?;
    Some(ratio >= 2.0 + normal_quantile(level) * 2.0 * libm::sqrt((n - 2.0) / (n * n - 1.0)))
}

fn over_squares(of: f64, sample: &Sample) -> Option<f64> {
    let squares = sample.variance * (sample.size as f64 - 1.0);
    (squares > 0.0).then(|| of / squares)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::random::Streams;

    /// An autoregressive series of mean 0 from its stationary distribution, near enough: y <- `phi` y + u - 1/2.
    pub(crate) fn autoregressive(phi: f64, n: usize, replication: u64) -> Vec<f64> {
        let mut stream = Streams::new(7, replication).stream(0, 0);
        let mut y = 0.0;
        let mut next = || {
            y = phi * y + stream.uniform() - 0.5;
            y
        };
        (0..200).for_each(|_| {
            next();
        });
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn batches_by_hand() {
        assert_eq!(batch_means(&[1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 99.0], 3), [2.0, 6.0, 10.0]);
        assert_eq!(batch_means(&[1.0], 2), [0.0; 0]);
        assert_eq!(batch_means(&[1.0], 0), [0.0; 0]);
    }

    #[test]
    fn neighbours_by_hand() {
        // Mean 2.5, squares 5; products of neighbours 0.75 - 0.25 + 0.75.
        let rising = [1.0, 2.0, 3.0, 4.0];
        assert_eq!((lag1_autocorrelation(&rising), von_neumann_ratio(&rising)), (Some(0.25), Some(0.6)));
        assert_eq!((lag1_autocorrelation(&[1.0, 1.0]), von_neumann_ratio(&[])), (None, None));
    }

    /// Every overlapping batch, each summed anew.
    #[test]
    fn sliding_sums_are_the_sums() {
        let values = autoregressive(0.8, 300, 1);
        let (n, m) = (300.0, 20.0);
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.windows(20).map(|w| w.iter().sum::<f64>() / m - mean).map(|d| d * d).sum();
        let variance = m * squares / ((n - m + 1.0) * (n - m));
        let found = overlapping_batch_means(&values, 20, 0.95).expect("enough");
        let half = t_quantile(0.975, 21.0) * libm::sqrt(variance);
        assert!(((found.high - found.low) / 2.0 / half - 1.0).abs() < 1e-9);
        assert_eq!(overlapping_batch_means(&values, 151, 0.95), None);
        assert_eq!(overlapping_batch_means(&values, 0, 0.95), None);
    }

    /// The true mean is 0: intervals of 95 % of batches long enough cover it nearly that often, those of single values seldom.
    #[test]
    fn long_batches_cover_and_single_values_do_not() {
        let covered = |interval: &dyn Fn(&[f64]) -> Option<Interval>| {
            (0..400).filter(|r| interval(&autoregressive(0.9, 4_000, *r)).is_some_and(|i| i.contains(0.0))).count()
        };
        let (apart, overlapping) =
            (covered(&|v| Some(Sample::of(&batch_means(v, 20))?.interval(0.95))), covered(&|v| overlapping_batch_means(v, 200, 0.95)));
        let naive = covered(&|v| Some(Sample::of(v)?.interval(0.95)));
        // 380 expected, with a standard deviation of 4.4; batches of 200 are a little short for a correlation time of 20.
        assert!((355..=395).contains(&apart) && (355..=395).contains(&overlapping), "{apart} {overlapping}");
        assert!(naive < 200, "{naive}");
    }

    #[test]
    fn one_run_is_cut_as_finely_as_it_allows() {
        let interval = |phi, n| interval_of_one_run(&autoregressive(phi, n, 5), 0.95);
        assert_eq!(interval(0.0, 6_400).map(|(_, batches)| batches), Some(64));
        assert!(interval(0.9, 40_000).is_some_and(|(i, _)| i.contains(0.0) && i.high - i.low < 0.2));
        assert_eq!((interval(0.999, 640), interval(0.0, 15)), (None, None));
        let covered = (0..200).filter_map(|r| interval_of_one_run(&autoregressive(0.9, 8_000, r), 0.95)).map(|(i, _)| i.contains(0.0));
        let covered: Vec<bool> = covered.collect();
        let right = covered.iter().filter(|c| **c).count();
        assert!(covered.len() > 150 && right as f64 > 0.9 * covered.len() as f64, "{right} of {}", covered.len());
    }

    #[test]
    fn short_batches_are_told_from_long_ones() {
        let (values, of) = (autoregressive(0.9, 20_000, 3), |k| look_independent(&batch_means(&autoregressive(0.9, 20_000, 3), k), 0.05));
        assert_eq!((look_independent(&values, 0.05), of(4_000), of(40)), (Some(false), Some(false), Some(true)));
        assert_eq!(look_independent(&values[..7], 0.05), None);
    }
}
