//! How much of the variance of a result each factor explains: Sobol's indices, by Saltelli's sample.
//!
//! Sources: Sobol 1993, *Sensitivity Estimates for Nonlinear Mathematical Models*; Homma and Saltelli 1996 (total indices); Saltelli
//! et al. 2010, *Variance based sensitivity analysis of model output. Design and estimator for the total sensitivity index*, table 2:
//! (b) for first-order indices; (f), which is Jansen's (1999), for total ones.

use super::sampling::sobol;
use crate::measures::CONFIDENCE;
use svcsim_engine::random::Stream;

/// Resamples of a bootstrap interval by percentiles: enough for its ends (Efron and Tibshirani 1993, section 19.3).
const RESAMPLES: usize = 1_000;

/// Blocks of points, one for each of `samples` pairs of points a and b of Sobol's sequence in twice as many dimensions as there are
/// factors: a, b, and for each factor a with that factor's coordinate of b. `shifts` has one for each coordinate of a, then of b.
pub(crate) fn sample(samples: u32, shifts: &[u32]) -> Vec<Vec<f64>> {
    let factors = shifts.len() / 2;
    let mut points = Vec::with_capacity(samples as usize * (factors + 2));
    for pair in sobol(samples, shifts) {
        let (a, b) = pair.split_at(factors);
        points.extend([a.to_vec(), b.to_vec()]);
        points.extend((0..factors).map(|i| {
            let mut mixed = a.to_vec();
            mixed[i] = b[i];
            mixed
        }));
    }
    points
}

/// A part of the variance, and where the bootstrap of the blocks puts it. By chance it may be slightly below 0 or above 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    /// The estimate.
    pub(crate) value: f64,
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

/// What a factor explains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Index {
    /// Alone: by how much the variance would shrink if it were known.
    pub(crate) first: Part,
    /// Alone and together with others: what is left of the variance if all others were known.
    pub(crate) total: Part,
}

/// The indices of `factors` factors by the results at the points that [`sample`] made; none where the result does not vary.
pub(crate) fn indices(factors: usize, results: &[f64], stream: &mut Stream) -> Option<Vec<Index>> {
    let blocks: Vec<&[f64]> = results.chunks_exact(factors + 2).collect();
    let all: Vec<usize> = (0..blocks.len()).collect();
    let found = estimate(factors, &blocks, &all)?;
    // For each factor and index the estimates of all resamples.
    let mut resampled: Vec<[Vec<f64>; 2]> = vec![Default::default(); factors];
    for _ in 0..RESAMPLES {
        let chosen: Vec<usize> = all.iter().map(|_| stream.below(blocks.len() as u32) as usize).collect();
        for (lists, values) in resampled.iter_mut().zip(estimate(factors, &blocks, &chosen).unwrap_or_default()) {
            lists.iter_mut().zip(values).for_each(|(list, value)| list.push(value));
        }
    }
    let part = |value: f64, estimates: &mut Vec<f64>| {
        estimates.sort_by(f64::total_cmp);
        let at = |p: f64| estimates.get((p * estimates.len() as f64) as usize).copied().unwrap_or(value);
        Part { value, low: at((1.0 - CONFIDENCE) / 2.0), high: at((1.0 + CONFIDENCE) / 2.0) }
    };
    let index = |([first, total], [firsts, totals]): ([f64; 2], &mut [Vec<f64>; 2])| Index {
        first: part(first, firsts),
        total: part(total, totals),
    };
    Some(found.into_iter().zip(&mut resampled).map(index).collect())
}

/// First-order and total index of each factor by the chosen blocks; none where the variance of a and b is 0.
fn estimate(factors: usize, blocks: &[&[f64]], chosen: &[usize]) -> Option<Vec<[f64; 2]>> {
    let n = chosen.len() as f64;
    let mean = chosen.iter().map(|j| blocks[*j][0] + blocks[*j][1]).sum::<f64>() / (2.0 * n);
    let square = |x: f64| x * x;
    let variance = chosen.iter().map(|j| square(blocks[*j][0] - mean) + square(blocks[*j][1] - mean)).sum::<f64>() / (2.0 * n);
    if variance <= 0.0 || !variance.is_finite() {
        return None;
    }
    let of_factor = |i: usize| {
        // The estimator's error is smallest for results about 0 (Saltelli et al. 2010, section 4), hence the mean.
        let first: f64 = chosen.iter().map(|j| blocks[*j]).map(|y| (y[1] - mean) * (y[2 + i] - y[0])).sum();
        let total: f64 = chosen.iter().map(|j| blocks[*j]).map(|y| square(y[0] - y[2 + i])).sum();
        [first / n / variance, total / (2.0 * n) / variance]
    };
    Some((0..factors).map(of_factor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::Design;
    use std::f64::consts::PI;

    fn shifts(factors: usize) -> Vec<u32> {
        let mut stream = Design::stream(1, "shifts");
        (0..2 * factors).map(|_| stream.next_u32()).collect()
    }

    fn indices_of(function: impl Fn(&[f64]) -> f64, factors: usize, samples: u32) -> Vec<Index> {
        let results: Vec<f64> = sample(samples, &shifts(factors)).iter().map(|p| function(p)).collect();
        indices(factors, &results, &mut Design::stream(1, "bootstrap")).expect("it varies")
    }

    fn near(part: Part, expected: f64) {
        assert!((part.value - expected).abs() < 0.01, "{part:?}, not {expected}");
        assert!(part.low <= expected && expected <= part.high, "{part:?} does not cover {expected}");
    }

    /// Ishigami and Homma 1990: sin x1 + a sin^2 x2 + b x3^4 sin x1 on [-pi, pi]^3, whose parts of the variance are known.
    #[test]
    fn the_indices_of_ishigamis_function_are_the_known_ones() {
        let (a, b) = (7.0, 0.1);
        let sin = |x: f64| libm::sin(2.0 * PI * x - PI);
        let fourth = |x: f64| libm::pow(2.0 * PI * x - PI, 4.0);
        let found = indices_of(|p| sin(p[0]) + a * sin(p[1]) * sin(p[1]) + b * fourth(p[2]) * sin(p[0]), 3, 1 << 12);
        let (pi4, pi8) = (libm::pow(PI, 4.0), libm::pow(PI, 8.0));
        let (v1, v2, v13) = (0.5 * (1.0 + b * pi4 / 5.0) * (1.0 + b * pi4 / 5.0), a * a / 8.0, b * b * pi8 * (1.0 / 18.0 - 1.0 / 50.0));
        let variance = v1 + v2 + v13;
        for (index, (first, total)) in found.iter().zip([(v1, v1 + v13), (v2, v2), (0.0, v13)]) {
            near(index.first, first / variance);
            near(index.total, total / variance);
        }
    }

    /// c1 x1 + c2 x2 + ...: parts go with the squares of the slopes, and nothing acts together; nothing changes with the unit.
    #[test]
    fn a_line_has_parts_by_the_squares_of_its_slopes() {
        for scale in [1.0, 1e6] {
            let found = indices_of(|p| scale * (1_000.0 + 3.0 * p[0] + 4.0 * p[1]), 3, 1 << 10);
            for (index, expected) in found.iter().zip([9.0 / 25.0, 16.0 / 25.0, 0.0]) {
                assert!((index.first.value - expected).abs() < 0.01 && (index.total.value - expected).abs() < 0.01, "{index:?}");
            }
        }
    }

    #[test]
    fn what_does_not_vary_has_no_parts() {
        assert_eq!(indices(2, &[5.0; 40], &mut Design::stream(1, "bootstrap")), None);
    }

    #[test]
    fn a_block_changes_one_factor_at_a_time() {
        let points = sample(8, &shifts(3));
        assert_eq!(points.len(), 8 * 5);
        for block in points.chunks(5) {
            for i in 0..3 {
                assert!((0..3).all(|k| block[2 + i][k] == block[usize::from(k == i)][k]));
            }
        }
    }
}
