//! Which factors matter at all: Morris's walks and their elementary effects.
//!
//! Sources: Morris 1991, *Factorial Sampling Plans for Preliminary Computational Experiments*, Technometrics 33(2); mu* is that of
//! Campolongo, Cariboni and Saltelli 2007, *An effective screening design for sensitivity analysis of large models*.

use super::sampling::shuffle;
use crate::measures::CONFIDENCE;
use svcsim_engine::random::Stream;
use svcsim_engine::stats::{Interval, t_interval};

/// Points of random walks through the grid of `levels` values from 0 to 1, of `factors` + 1 points each: a step changes one factor by
/// `levels / 2` values, up or down, and each factor has one step, in any order. `levels` is even, so that all values are as frequent.
pub(crate) fn trajectories(factors: usize, count: u32, levels: u32, stream: &mut Stream) -> Vec<Vec<f64>> {
    let (half, last) = (levels / 2, f64::from(levels - 1));
    let mut points = Vec::new();
    for _ in 0..count {
        // Each factor goes from one value to another, and has done so or not.
        let ends: Vec<[f64; 2]> = (0..factors)
            .map(|_| {
                let low = stream.below(half);
                let ends = [low, low + half].map(|value| f64::from(value) / last);
                if stream.chance(0.5) { [ends[1], ends[0]] } else { ends }
            })
            .collect();
        let mut order: Vec<usize> = (0..factors).collect();
        shuffle(&mut order, stream);
        let mut point: Vec<f64> = ends.iter().map(|[from, _]| *from).collect();
        points.push(point.clone());
        for factor in order {
            point[factor] = ends[factor][1];
            points.push(point.clone());
        }
    }
    points
}

/// What a factor does to a result when it goes through all its range, by the elementary effects of all walks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Effect {
    /// The mean effect, and where it lies: how much the result changes, and which way.
    pub(crate) mu: Interval,
    /// The mean size of the effect: how much the factor matters, whichever way.
    pub(crate) mu_star: Interval,
    /// The standard deviation of the effects: large where the factor's effect depends on others or is no straight line.
    pub(crate) sigma: f64,
}

/// The effect of each factor by the results at the points that [`trajectories`] made; none for fewer than two walks.
pub(crate) fn effects(points: &[Vec<f64>], results: &[f64]) -> Option<Vec<Effect>> {
    let factors = points.first()?.len();
    let mut found: Vec<Vec<f64>> = vec![Vec::new(); factors];
    for (walk, results) in points.chunks(factors + 1).zip(results.chunks(factors + 1)) {
        for (points, results) in walk.windows(2).zip(results.windows(2)) {
            let changed = (0..factors).find(|i| points[0][*i] != points[1][*i])?;
            found[changed].push((results[1] - results[0]) / (points[1][changed] - points[0][changed]));
        }
    }
    let effect = |effects: &Vec<f64>| {
        let sizes: Vec<f64> = effects.iter().map(|e| e.abs()).collect();
        let (mu, size) = (t_interval(effects, CONFIDENCE)?, t_interval(&sizes, CONFIDENCE)?);
        // No size is negative; near zero the t interval does not know that.
        let mu_star = Interval { low: size.low.max(0.0), ..size };
        let squares: f64 = effects.iter().map(|e| (e - mu.mean) * (e - mu.mean)).sum();
        Some(Effect { mu, mu_star, sigma: (squares / (effects.len() as f64 - 1.0)).sqrt() })
    };
    found.iter().map(effect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::Design;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn a_step_changes_one_factor_and_a_walk_all(factors in 1usize..8, half in 1u32..5, seed: u64) {
            let levels = 2 * half;
            let points = trajectories(factors, 5, levels, &mut Design::stream(seed, "trajectories"));
            prop_assert_eq!(points.len(), 5 * (factors + 1));
            for walk in points.chunks(factors + 1) {
                let changed = |pair: &[Vec<f64>]| (0..factors).filter(|i| pair[0][*i] != pair[1][*i]).collect::<Vec<_>>();
                let mut all: Vec<usize> = walk.windows(2).flat_map(changed).collect();
                all.sort_unstable();
                prop_assert_eq!(all, (0..factors).collect::<Vec<_>>());
                for x in walk.iter().flatten() {
                    let value = x * f64::from(levels - 1);
                    prop_assert!((0.0..=1.0).contains(x) && (value - value.round()).abs() < 1e-9);
                }
            }
        }

        #[test]
        fn the_effects_of_a_line_are_its_slopes(slopes in prop::collection::vec(-10.0f64..10.0, 1..6), seed: u64) {
            let points = trajectories(slopes.len(), 4, 4, &mut Design::stream(seed, "trajectories"));
            let line: Vec<f64> = points.iter().map(|p| 7.0 + p.iter().zip(&slopes).map(|(x, slope)| x * slope).sum::<f64>()).collect();
            for (effect, slope) in effects(&points, &line).expect("walks").iter().zip(&slopes) {
                prop_assert!((effect.mu.mean - slope).abs() < 1e-9 && (effect.mu_star.mean - slope.abs()).abs() < 1e-9);
                prop_assert!(effect.sigma < 1e-9);
            }
        }
    }

    /// f = x1 x2 has the elementary effects x2 and x1: on the grid {0, 1/3, 2/3, 1} of mean 1/2 and variance 5/36; x3 has none.
    #[test]
    fn a_product_shows_in_sigma() {
        let points = trajectories(3, 4_000, 4, &mut Design::stream(1, "trajectories"));
        let results: Vec<f64> = points.iter().map(|p| p[0] * p[1]).collect();
        let found = effects(&points, &results).expect("walks");
        for effect in &found[..2] {
            assert!((effect.mu.mean - 0.5).abs() < 0.02 && effect.mu.low < 0.5 && effect.mu.high > 0.5, "{effect:?}");
            assert!((effect.sigma * effect.sigma - 5.0 / 36.0).abs() < 0.01, "{effect:?}");
        }
        assert!(found[2].mu_star.mean == 0.0 && found[2].sigma == 0.0);
    }

    /// x -> (x - 1/2)^2 goes down and up: mu is near 0, and only mu* tells that the factor matters.
    #[test]
    fn mu_star_sees_effects_that_cancel_out() {
        let points = trajectories(1, 1_000, 4, &mut Design::stream(2, "trajectories"));
        let results: Vec<f64> = points.iter().map(|p| (p[0] - 0.5) * (p[0] - 0.5)).collect();
        let effect = effects(&points, &results).expect("walks")[0];
        assert!(effect.mu.mean.abs() < 0.05 && (effect.mu_star.mean - 1.0 / 3.0).abs() < 1e-9, "{effect:?}");
    }

    #[test]
    fn a_single_walk_has_no_interval() {
        let points = trajectories(2, 1, 4, &mut Design::stream(1, "trajectories"));
        assert_eq!(effects(&points, &[1.0, 2.0, 3.0]), None);
    }
}
