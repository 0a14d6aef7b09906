//! MSER-5: where a series has left its transient behind.
//!
//! White, Cobb and Spratt 2000, *A Comparison of Five Steady-State Truncation Heuristics for Simulation*; the rule minimises the
//! width that the interval of the mean of the remaining batches would have.

/// Observations in a batch.
const BATCH: usize = 5;

/// What to cut off the start of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truncation {
    /// Observations to discard, a multiple of five.
    pub observations: usize,
    /// The least value of the statistic: sum (y - mean)^2 / n^2 over the n batches that are kept.
    pub minimum: f64,
    /// Mean of the complete batches that are kept.
    pub mean: f64,
    /// The minimum lies at the last point that was looked at, half of the batches: the series is too short for its transient, or has
    /// no steady state.
    pub at_limit: bool,
}

/// Truncates `series`: of the first 0 to floor(b/2) of its b complete batches of five (observations after the last are left out), the
/// fewest whose removal makes the statistic least. `None` without a complete batch or with a value that is not finite.
#[must_use]
pub fn mser5(series: &[f64]) -> Option<Truncation> {
    if series.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let batches: Vec<f64> = series.chunks_exact(BATCH).map(|b| b.iter().sum::<f64>() / BATCH as f64).collect();
    let most = batches.len() / 2;
    let mut best: Option<Truncation> = None;
    // From the end, so that each suffix adds one batch to the one before (Welford 1962).
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for (cut, y) in batches.iter().enumerate().rev() {
        count += 1.0;
        let off = y - mean;
        mean += off / count;
        squares += off * (y - mean);
        let minimum = squares / (count * count);
        if cut <= most && best.is_none_or(|b| minimum <= b.minimum) {
            best = Some(Truncation { observations: BATCH * cut, minimum, mean, at_limit: cut == most && most > 0 });
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, batch by batch.
    fn slow(series: &[f64]) -> Option<(usize, f64)> {
        let batches: Vec<f64> = series.chunks_exact(5).map(|b| b.iter().sum::<f64>() / 5.0).collect();
        let statistic = |cut: usize| {
            let kept = &batches[cut..];
            let n = kept.len() as f64;
            let mean = kept.iter().sum::<f64>() / n;
            kept.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / (n * n)
        };
        let cuts = (0..=batches.len() / 2).map(|cut| (cut * 5, statistic(cut)));
        cuts.reduce(|a, b| if b.1 < a.1 { b } else { a }).filter(|_| !batches.is_empty())
    }

    #[test]
    fn a_step_is_cut_off_and_a_constant_is_not() {
        let step: Vec<f64> = (0..100).map(|i| if i < 12 { 50.0 } else { f64::from(i % 2) }).collect();
        let cut = mser5(&step).expect("twenty batches");
        assert_eq!((cut.observations, cut.at_limit), (15, false));
        let flat = mser5(&[3.0; 23]).expect("four batches");
        assert_eq!((flat.observations, flat.minimum, flat.mean, flat.at_limit), (0, 0.0, 3.0, false));
    }

    #[test]
    fn a_series_without_steady_state_says_so() {
        // It falls ever more slowly: whatever is cut, the rest is flatter.
        let falling: Vec<f64> = (0..200).map(|i| libm::exp(-f64::from(i) / 200.0) * 1e3).collect();
        assert!(mser5(&falling).expect("forty batches").at_limit);
    }

    #[test]
    fn too_little_to_tell() {
        assert_eq!((mser5(&[1.0; 4]), mser5(&[1.0, 2.0, 3.0, 4.0, f64::NAN, 5.0])), (None, None));
        assert_eq!(mser5(&[1.0; 5]).map(|t| (t.observations, t.at_limit)), Some((0, false)));
    }

    proptest! {
        #[test]
        fn the_fast_way_finds_what_the_definition_does(series in prop::collection::vec(-1e3..1e3f64, 0..300)) {
            match (mser5(&series), slow(&series)) {
                (Some(fast), Some((observations, minimum))) => {
                    prop_assert_eq!(fast.observations, observations);
                    prop_assert!((fast.minimum - minimum).abs() <= 1e-9 * minimum.max(1.0));
                }
                (fast, slow) => prop_assert!(fast.is_none() && slow.is_none()),
            }
        }
    }
}
