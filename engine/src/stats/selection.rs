//! Ranking and selection: which of several alternatives is best, and how sure that is.
//!
//! Nothing is supposed of how alternatives depend on each other, so they may, and should, share their random numbers.

use super::distributions::t_quantile;
use super::interval::{Interval, Sample};

/// Which mean is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Best {
    /// As for latencies.
    Least,
    /// As for throughput.
    Greatest,
}

/// What comparing each alternative with the best of the others told.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// The alternative with the best mean; the first of equals.
    pub best: usize,
    /// By alternative: its mean less the best mean among the others, with an interval that holds for all of them at once. The interval
    /// never leaves out 0: it ends there for what is surely the best, or surely not.
    pub versus_best: Vec<Interval>,
    /// By alternative: whether it may be the best. With the confidence asked for, the best is among these.
    pub candidates: Vec<bool>,
}

impl Ranking {
    /// The best one, if no other may be.
    #[must_use]
    pub fn winner(&self) -> Option<usize> {
        (self.candidates.iter().filter(|c| **c).count() == 1).then_some(self.best)
    }
}

/// Compares `alternatives`, of each the values of the same replications in the same order: multiple comparisons with the best
/// (Hsu 1984, *Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best*; with unequal variances Edwards and
/// Hsu 1983, *Multiple Comparisons with the Best Treatment*). Each difference from the best is bounded by its own paired t with
/// confidence 1 - (1 - c)/(k-1), so that by Bonferroni all bounds hold with `confidence` (Clark and Yang 1986, *A Bonferroni Selection
/// Procedure When Using Common Random Numbers with Unknown Variances*). `None` for fewer than two alternatives, or unless all have
/// equally many values, at least two, all finite.
#[must_use]
pub fn compare_with_best(alternatives: &[Vec<f64>], best: Best, confidence: f64) -> Option<Ranking> {
    let pairs = Pairs::of(alternatives, best, confidence)?;
    let k = alternatives.len();
    let others = |i: usize| (0..k).filter(move |l| *l != i);
    // In terms of the greatest: how far, at most, each may be above the best of the others.
    let uppers: Vec<f64> =
        (0..k).map(|i| others(i).map(|l| pairs.gap(i, l) + pairs.half_width(i, l)).fold(f64::INFINITY, f64::min)).collect();
    let candidates: Vec<bool> = uppers.iter().map(|u| *u >= 0.0).collect();
    let leader = (0..k).fold(0, |leader, i| if pairs.gap(i, leader) > 0.0 { i } else { leader });
    let lower = |i: usize| {
        let rivals = others(i).filter(|l| candidates[*l]);
        rivals.map(|l| pairs.gap(i, l) - pairs.half_width(i, l)).fold(0.0, f64::min)
    };
    let versus = |i: usize| {
        let mean = others(i).map(|l| pairs.gap(i, l)).fold(f64::INFINITY, f64::min);
        best.turn(Interval { mean, low: lower(i), high: uppers[i].max(0.0) })
    };
    Some(Ranking { best: leader, versus_best: (0..k).map(versus).collect(), candidates })
}

/// Replications of each alternative in all after which the one with the best mean is, with `confidence`, the best or worse by less than
/// `indifference`: the greatest over all pairs of ceil((t s / indifference)^2), with s of their difference in the pilot of n0 and t of
/// confidence 1 - (1 - c)/(k-1) and n0 - 1 degrees of freedom, not fewer than n0 (Clark and Yang 1986). `None` as for
/// [`compare_with_best`], or if a billion is not enough.
#[must_use]
pub fn replications_to_select(pilot: &[Vec<f64>], confidence: f64, indifference: f64) -> Option<u64> {
    let pairs = Pairs::of(pilot, Best::Greatest, confidence)?;
    let k = pilot.len();
    let widest = (0..k).flat_map(|i| (0..i).map(move |l| (i, l))).map(|(i, l)| pairs.half_width(i, l)).fold(0.0, f64::max);
    let ratio = if widest > 0.0 { widest / indifference.max(0.0) } else { 0.0 };
    let needed = libm::ceil(ratio * ratio * pairs.size as f64);
    (needed <= 1e9).then(|| (needed as u64).max(pairs.size as u64))
}

impl Best {
    /// Differences between means, which are always taken such that the greatest is best, as the caller sees them.
    const fn turn(self, i: Interval) -> Interval {
        match self {
            Self::Greatest => i,
            Self::Least => Interval { mean: -i.mean, low: -i.high, high: -i.low },
        }
    }
}

/// Every alternative against every other.
struct Pairs {
    size: usize,
    means: Vec<f64>,
    /// Standard errors of differences, by the greater index and then by the smaller.
    errors: Vec<Vec<f64>>,
    /// Half a width in standard errors.
    multiplier: f64,
}

impl Pairs {
    fn of(alternatives: &[Vec<f64>], best: Best, confidence: f64) -> Option<Self> {
        let size = alternatives.first().filter(|_| alternatives.len() > 1)?.len();
        if alternatives.iter().any(|a| a.len() != size) {
            return None;
        }
        let sign = if best == Best::Least { -1.0 } else { 1.0 };
        let means = alternatives.iter().map(|a| Some(sign * Sample::of(a)?.mean)).collect::<Option<_>>()?;
        let error = |a: &[f64], b: &[f64]| {
            let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
            Some(Sample::of(&differences)?.standard_error())
        };
        let errors = alternatives.iter().enumerate().map(|(i, a)| alternatives[..i].iter().map(|b| error(a, b)).collect());
        let each = 1.0 - (1.0 - confidence) / (alternatives.len() as f64 - 1.0);
        Some(Self { size, means, errors: errors.collect::<Option<_>>()?, multiplier: t_quantile(each, size as f64 - 1.0) })
    }

    fn gap(&self, i: usize, l: usize) -> f64 {
        self.means[i] - self.means[l]
    }

    fn half_width(&self, i: usize, l: usize) -> f64 {
        self.multiplier * self.errors[i.max(l)][i.min(l)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;
    use crate::stats::paired::paired;

    /// `n` values of each alternative: its mean, what all share, and `own` times a noise of its own.
    fn alternatives(means: &[f64], own: f64, n: usize, seed: u64) -> Vec<Vec<f64>> {
        let streams = Streams::new(seed, 0);
        let normals = |entity| {
            let mut stream = streams.stream(0, entity);
            (0..n).map(|_| stream.normal()).collect::<Vec<f64>>()
        };
        let common = normals(0);
        let one = |(mean, entity): (&f64, u64)| common.iter().zip(normals(entity)).map(|(c, e)| mean + c + own * e).collect();
        means.iter().zip(1..).map(one).collect()
    }

    /// Two alternatives: one-sided paired t, cut off at 0.
    #[test]
    fn two_are_compared_in_pairs() {
        let two = alternatives(&[1.0, 1.3], 0.5, 12, 3);
        let p = paired(&two[0], &two[1], 0.9).expect("twelve pairs");
        let r = compare_with_best(&two, Best::Least, 0.95).expect("two");
        let [a, b] = [r.versus_best[0], r.versus_best[1]];
        assert!((a.mean - p.difference.mean).abs() < 1e-12 && (a.low - p.difference.low.min(0.0)).abs() < 1e-12, "{r:?} {p:?}");
        assert!((a.mean + b.mean).abs() < 1e-12 && (b.high - (-p.difference.low).max(0.0)).abs() < 1e-12);
    }

    #[test]
    fn least_and_greatest_are_mirror_images() {
        let four = alternatives(&[1.0, 1.2, 3.0, 0.9], 0.3, 10, 5);
        let mirrored: Vec<Vec<f64>> = four.iter().map(|a| a.iter().map(|v| -v).collect()).collect();
        let (least, greatest) = (compare_with_best(&four, Best::Least, 0.9), compare_with_best(&mirrored, Best::Greatest, 0.9));
        let (least, greatest) = (least.expect("four"), greatest.expect("four"));
        assert_eq!((least.best, &least.candidates), (greatest.best, &greatest.candidates));
        assert!(least.versus_best.iter().zip(&greatest.versus_best).all(|(l, g)| l.low == -g.high && l.high == -g.low));
        assert!(!least.candidates[2], "so far off it is not the least");
    }

    /// What all intervals promise together, and that the best is a candidate: in 95 of 100 at least, here 950 of 1000 less three
    /// standard deviations of 7.
    #[test]
    fn all_intervals_hold_at_once() {
        let means = [1.0, 1.0, 1.4, 2.0];
        let truths = [0.0, 0.0, 0.4, 1.0];
        let holds = |seed| {
            let r = compare_with_best(&alternatives(&means, 1.0, 8, seed), Best::Least, 0.95).expect("four");
            r.versus_best.iter().zip(truths).all(|(i, truth)| i.contains(truth)) && r.candidates[0] | r.candidates[1]
        };
        let held = (0..1_000).filter(|seed| holds(*seed)).count();
        assert!(held >= 929, "{held}");
    }

    #[test]
    fn common_random_numbers_find_the_winner() {
        let shared = alternatives(&[10.0, 10.2, 10.3], 0.1, 20, 9);
        assert_eq!(compare_with_best(&shared, Best::Least, 0.95).and_then(|r| r.winner()), Some(0));
        let apart: Vec<Vec<f64>> = shared.iter().enumerate().map(|(i, a)| (0..20).map(|r| a[(r + 7 * i) % 20]).collect()).collect();
        assert_eq!(compare_with_best(&apart, Best::Least, 0.95).and_then(|r| r.winner()), None, "the same values, not in pairs");
    }

    /// Means apart by just the indifference: the best is selected at least as often as promised.
    #[test]
    fn two_stages_select_the_best() {
        let selected = |seed| {
            let all = alternatives(&[0.0, 0.0, 0.5], 1.0, 2_000, seed);
            let cut = |n: usize| all.iter().map(|a| a[..n].to_vec()).collect::<Vec<_>>();
            let n = replications_to_select(&cut(10), 0.9, 0.5).expect("not many") as usize;
            compare_with_best(&cut(n), Best::Greatest, 0.9).expect("three").best == 2
        };
        let right = (0..200).filter(|seed| selected(*seed)).count();
        assert!(right >= 180, "{right}");
    }

    #[test]
    fn what_cannot_be_ranked() {
        let ragged = [vec![1.0, 2.0], vec![1.0]];
        for alternatives in [&[][..], &ragged[..1], &ragged, &[vec![1.0, 2.0], vec![f64::NAN, 1.0]], &[vec![1.0], vec![2.0]]] {
            assert_eq!(compare_with_best(alternatives, Best::Least, 0.95), None);
            assert_eq!(replications_to_select(alternatives, 0.95, 1.0), None);
        }
        let equal = compare_with_best(&[vec![1.0; 3], vec![1.0; 3]], Best::Least, 0.95).expect("two");
        assert_eq!((equal.candidates.clone(), equal.winner()), (vec![true, true], None));
        assert_eq!(replications_to_select(&alternatives(&[0.0, 1.0], 1.0, 5, 1), 0.95, 0.0), None);
        assert_eq!(replications_to_select(&[vec![1.0; 3], vec![2.0; 3]], 0.95, 0.1), Some(3));
    }
}
