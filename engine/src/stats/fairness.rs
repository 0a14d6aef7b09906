//! How evenly something is shared: views of the loads of equals, those with nothing included. Loads must not be negative.

/// Jain's index: (sum x)^2 / (n sum x^2), from 1/n (one has it all) to 1 (all have the same, be it nothing).
/// `None` without anyone to share.
///
/// Jain, Chiu and Hawe 1984, *A Quantitative Measure of Fairness and Discrimination for Resource
/// Allocation in Shared Computer Systems*, DEC-TR-301.
#[must_use]
pub fn jain(loads: &[f64]) -> Option<f64> {
    let (sum, squares) = loads.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    (!loads.is_empty()).then(|| if sum > 0.0 { sum * sum / (loads.len() as f64 * squares) } else { 1.0 })
}

/// The coefficient of variation: population standard deviation over mean. `None` without a positive mean.
#[must_use]
pub fn cv(loads: &[f64]) -> Option<f64> {
    let mean = mean(loads)?;
    let variance = loads.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / loads.len() as f64;
    Some(libm::sqrt(variance) / mean)
}

/// The greatest load over the mean: how much more than its share the busiest has. `None` without a positive mean.
#[must_use]
pub fn max_over_mean(loads: &[f64]) -> Option<f64> {
    let mean = mean(loads)?;
    Some(loads.iter().copied().fold(0.0, f64::max) / mean)
}

/// The coefficient of variation with the standard deviation of a sample, n - 1. `None` without a positive mean or for only one load.
#[must_use]
pub fn cv_sample(loads: &[f64]) -> Option<f64> {
    let n = loads.len() as f64;
    Some(cv(loads).filter(|_| n > 1.0)? * libm::sqrt(n / (n - 1.0)))
}

/// The least load over the mean. `None` without a positive mean.
#[must_use]
pub fn min_over_mean(loads: &[f64]) -> Option<f64> {
    let mean = mean(loads)?;
    Some(loads.iter().copied().fold(f64::INFINITY, f64::min) / mean)
}

/// The greatest load less the least, over the mean. `None` without a positive mean.
#[must_use]
pub fn range_over_mean(loads: &[f64]) -> Option<f64> {
    Some(max_over_mean(loads)? - min_over_mean(loads)?)
}

/// Gini's coefficient of the population: sum (2 i - n - 1) x_(i) / (n sum x) over the ascending x_(i), from 0 (all have the same) to
/// 1 - 1/n (one has it all). `None` without a positive mean.
///
/// Gini 1912, *Variabilita e mutabilita*; in this form Dixon et al. 1987, *Bootstrapping the Gini Coefficient of Inequality*.
#[must_use]
pub fn gini(loads: &[f64]) -> Option<f64> {
    let n = loads.len() as f64;
    let sum = mean(loads)? * n;
    let mut ascending = loads.to_vec();
    ascending.sort_by(f64::total_cmp);
    let weighted: f64 = (1..).zip(&ascending).map(|(i, x)| (2.0 * f64::from(i) - n - 1.0) * x).sum();
    Some(weighted / (n * sum))
}

/// Shannon's entropy of the shares over its greatest value ln n: 1 if all have the same, as one alone does, 0 if one has it all.
/// `None` without a positive mean.
#[must_use]
pub fn normalised_entropy(loads: &[f64]) -> Option<f64> {
    let shares = shares(loads)?;
    let entropy: f64 = shares.iter().filter(|s| **s > 0.0).map(|s| -s * libm::log(*s)).sum();
    Some(if shares.len() > 1 { entropy / libm::log(shares.len() as f64) } else { 1.0 })
}

/// The total variation distance of the shares from even ones: half the sum of |share - 1/n|, the part that would have to move.
/// `None` without a positive mean.
#[must_use]
pub fn total_variation(loads: &[f64]) -> Option<f64> {
    let even = 1.0 / loads.len() as f64;
    Some(shares(loads)?.iter().map(|s| (s - even).abs()).sum::<f64>() / 2.0)
}

/// Pearson's chi-square of counts against even ones: sum (x - mean)^2 / mean, with n - 1 degrees of freedom. `None` without a
/// positive mean.
#[must_use]
pub fn chi_square(counts: &[f64]) -> Option<f64> {
    let mean = mean(counts)?;
    Some(counts.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / mean)
}

fn shares(loads: &[f64]) -> Option<Vec<f64>> {
    let sum = mean(loads)? * loads.len() as f64;
    Some(loads.iter().map(|x| x / sum).collect())
}

/// If positive.
fn mean(loads: &[f64]) -> Option<f64> {
    let sum: f64 = loads.iter().sum();
    (sum > 0.0).then(|| sum / loads.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_shares_are_fair() {
        let even = [3.0; 7];
        assert_eq!((jain(&even), cv(&even), max_over_mean(&even)), (Some(1.0), Some(0.0), Some(1.0)));
    }

    #[test]
    fn one_with_everything_is_not() {
        let greedy = [0.0, 8.0, 0.0, 0.0];
        assert_eq!((jain(&greedy), cv(&greedy), max_over_mean(&greedy)), (Some(0.25), Some(libm::sqrt(3.0)), Some(4.0)));
    }

    #[test]
    fn nothing_to_share_is_shared_evenly_and_has_no_spread() {
        let nothing = [0.0, 0.0];
        assert_eq!((jain(&nothing), jain(&[])), (Some(1.0), None));
        let others = [cv, cv_sample, max_over_mean, min_over_mean, range_over_mean, gini, normalised_entropy, total_variation, chi_square];
        for of in others {
            assert_eq!((of(&nothing), of(&[])), (None, None));
        }
    }

    #[test]
    fn one_alone_has_its_share() {
        let alone = [5.0];
        assert_eq!((gini(&alone), normalised_entropy(&alone), total_variation(&alone)), (Some(0.0), Some(1.0), Some(0.0)));
        assert_eq!((cv(&alone), cv_sample(&alone), range_over_mean(&alone)), (Some(0.0), None, Some(0.0)));
    }

    proptest! {
        #[test]
        fn all_lie_between_even_and_greedy(loads in prop::collection::vec(0.0..1e6f64, 2..40)) {
            prop_assume!(loads.iter().any(|x| *x > 0.0));
            let n = loads.len() as f64;
            let within = |of: fn(&[f64]) -> Option<f64>, low: f64, high: f64| {
                of(&loads).is_some_and(|v| (low - 1e-9..=high + 1e-9).contains(&v))
            };
            prop_assert!(within(jain, 1.0 / n, 1.0) && within(gini, 0.0, 1.0 - 1.0 / n) && within(normalised_entropy, 0.0, 1.0));
            prop_assert!(within(total_variation, 0.0, 1.0 - 1.0 / n) && within(min_over_mean, 0.0, 1.0) && within(max_over_mean, 1.0, n));
        }

        /// Half the mean absolute difference of all pairs over the mean.
        #[test]
        fn gini_is_a_mean_difference(loads in prop::collection::vec(0.0..1e3f64, 2..20)) {
            let sum: f64 = loads.iter().sum();
            prop_assume!(sum > 1.0);
            let differences: f64 = loads.iter().flat_map(|a| loads.iter().map(move |b| (a - b).abs())).sum();
            let known = differences / (2.0 * loads.len() as f64 * sum);
            prop_assert!((gini(&loads).expect("a load") - known).abs() < 1e-9);
        }
    }

    #[test]
    fn jain_follows_from_cv() {
        let loads = [1.0, 2.0, 4.0, 8.5];
        let cv = cv(&loads).unwrap();
        assert!((jain(&loads).unwrap() - 1.0 / (1.0 + cv * cv)).abs() < 1e-12);
    }
}
