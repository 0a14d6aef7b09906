//! How evenly something is shared: three views of the loads of equals.

/// Jain's index: (sum x)^2 / (n sum x^2), from 1/n (one has it all) to 1 (all have the same).
/// `None` without anyone or anything to share. Loads must not be negative.
///
/// Jain, Chiu and Hawe 1984, *A Quantitative Measure of Fairness and Discrimination for Resource
/// Allocation in Shared Computer Systems*, DEC-TR-301.
#[must_use]
pub fn jain(loads: &[f64]) -> Option<f64> {
    let (sum, squares) = loads.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    (sum > 0.0).then(|| sum * sum / (loads.len() as f64 * squares))
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

/// If positive.
fn mean(loads: &[f64]) -> Option<f64> {
    let sum: f64 = loads.iter().sum();
    (sum > 0.0).then(|| sum / loads.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn nothing_to_share_has_no_fairness() {
        for loads in [&[][..], &[0.0, 0.0]] {
            assert_eq!((jain(loads), cv(loads), max_over_mean(loads)), (None, None, None));
        }
    }

    #[test]
    fn jain_follows_from_cv() {
        let loads = [1.0, 2.0, 4.0, 8.5];
        let cv = cv(&loads).unwrap();
        assert!((jain(&loads).unwrap() - 1.0 / (1.0 + cv * cv)).abs() < 1e-12);
    }
}
