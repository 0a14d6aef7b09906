//! Points that fill the unit cube: Latin hypercubes and Sobol's sequence.

use svcsim_engine::random::Stream;

/// `points` points, one coordinate for each stream. In each coordinate every one of `points` equal slices of [0, 1) has one point, at
/// random in it (McKay, Beckman and Conover 1979, *A Comparison of Three Methods for Selecting Values of Input Variables*).
pub(crate) fn latin_hypercube(points: u32, streams: &mut [Stream]) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<f64>> = streams
        .iter_mut()
        .map(|stream| {
            let mut slices: Vec<u32> = (0..points).collect();
            shuffle(&mut slices, stream);
            slices.into_iter().map(|slice| (f64::from(slice) + stream.uniform()) / f64::from(points)).collect()
        })
        .collect();
    (0..points as usize).map(|i| columns.iter().map(|column| column[i]).collect()).collect()
}

/// Any order with the same chance (Fisher and Yates; Durstenfeld 1964, *Algorithm 235: Random permutation*).
pub(super) fn shuffle<T>(things: &mut [T], stream: &mut Stream) {
    for i in (1..things.len()).rev() {
        things.swap(i, stream.below(i as u32 + 1) as usize);
    }
}

/// The first `points` points of Sobol's sequence in the order of the Gray code (Antonov and Saleev 1979), one coordinate for each
/// shift, which is added bit by bit (a digital shift: L'Ecuyer and Lemieux 2002, *Recent Advances in Randomized Quasi-Monte Carlo
/// Methods*) and moves the first point from the corner where all coordinates are 0.
///
/// Whatever the shift, each coordinate of the first 2^m points has one value in each of 2^m equal slices.
pub(crate) fn sobol(points: u32, shifts: &[u32]) -> Vec<Vec<f64>> {
    assert!(shifts.len() <= DIMENSIONS, "there are no direction numbers for more dimensions");
    let directions: Vec<[u32; 32]> = (0..shifts.len()).map(directions).collect();
    let mut at = vec![0u32; shifts.len()];
    let mut found = Vec::with_capacity(points as usize);
    for i in 0..points {
        found.push(at.iter().zip(shifts).map(|(x, shift)| unit(x ^ shift)).collect());
        let changed = (!i).trailing_zeros().min(31) as usize;
        at.iter_mut().zip(&directions).for_each(|(x, direction)| *x ^= direction[changed]);
    }
    found
}

/// The middle of a 32-bit slice of [0, 1).
fn unit(bits: u32) -> f64 {
    (f64::from(bits) + 0.5) / 4_294_967_296.0
}

/// The direction numbers of a dimension, from the initial ones by the recurrence of its polynomial (Bratley and Fox 1988, *Algorithm
/// 659: Implementing Sobol's Quasirandom Sequence Generator*).
fn directions(dimension: usize) -> [u32; 32] {
    let (a, initial) = match dimension {
        0 => return std::array::from_fn(|i| 1 << (31 - i)),
        d => JOE_KUO[d - 1],
    };
    let degree = initial.len();
    let mut v = [0u32; 32];
    for i in 0..32 {
        v[i] = match initial.get(i) {
            Some(m) => m << (31 - i),
            None => {
                let inner = (1..degree).filter(|k| a >> (degree - 1 - k) & 1 == 1).fold(0, |sum, k| sum ^ v[i - k]);
                v[i - degree] ^ (v[i - degree] >> degree) ^ inner
            }
        };
    }
    v
}

/// Dimensions that Sobol's sequence has here.
pub(crate) const DIMENSIONS: usize = JOE_KUO.len() + 1;

/// For each dimension from the second on the inner coefficients of its primitive polynomial and its initial direction numbers, as many
/// as its degree: the beginning of the table new-joe-kuo-6.21201 (Joe and Kuo 2008, *Constructing Sobol Sequences with Better
/// Two-Dimensional Projections*).
const JOE_KUO: [(u32, &[u32]); 31] = [
    (0, &[1]),
    (1, &[1, 3]),
    (1, &[1, 3, 1]),
    (2, &[1, 1, 1]),
    (1, &[1, 1, 3, 3]),
    (4, &[1, 3, 5, 13]),
    (2, &[1, 1, 5, 5, 17]),
    (4, &[1, 1, 5, 5, 5]),
    (7, &[1, 1, 7, 11, 19]),
    (11, &[1, 1, 5, 1, 1]),
    (13, &[1, 1, 1, 3, 11]),
    (14, &[1, 3, 5, 5, 31]),
    (1, &[1, 3, 3, 9, 7, 49]),
    (13, &[1, 1, 1, 15, 21, 21]),
    (16, &[1, 3, 1, 13, 27, 49]),
    (19, &[1, 1, 1, 15, 7, 5]),
    (22, &[1, 3, 1, 15, 13, 25]),
    (25, &[1, 1, 5, 5, 19, 61]),
    (1, &[1, 3, 7, 11, 23, 15, 103]),
    (4, &[1, 3, 7, 13, 13, 15, 69]),
    (7, &[1, 1, 3, 13, 7, 35, 63]),
    (8, &[1, 3, 5, 9, 1, 25, 53]),
    (14, &[1, 3, 1, 13, 9, 35, 107]),
    (19, &[1, 3, 1, 5, 27, 61, 31]),
    (21, &[1, 1, 5, 11, 19, 41, 61]),
    (28, &[1, 3, 5, 3, 3, 13, 69]),
    (31, &[1, 1, 7, 13, 1, 19, 1]),
    (32, &[1, 3, 7, 5, 13, 19, 59]),
    (37, &[1, 1, 3, 9, 25, 29, 41]),
    (41, &[1, 3, 5, 13, 23, 1, 55]),
    (42, &[1, 3, 7, 3, 13, 59, 17]),
];

/// Spearman's coefficient: the correlation of the ranks of two lists, equal values sharing the mean of theirs; none where one list has
/// a single value.
pub(crate) fn rank_correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let (x, y) = (ranks(x), ranks(y));
    let middle = (x.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum::<f64>();
    let scale = (product(&x, &x) * product(&y, &y)).sqrt();
    (scale > 0.0).then(|| product(&x, &y) / scale)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = from as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|i| ranks[*i] = rank);
        from += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::Design;
    use proptest::prelude::*;

    /// How many points lie in each of `slices` equal slices of a coordinate.
    fn counts(points: &[Vec<f64>], coordinate: usize, slices: usize) -> Vec<usize> {
        let mut counts = vec![0; slices];
        points.iter().for_each(|p| counts[(p[coordinate] * slices as f64) as usize] += 1);
        counts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn each_slice_of_a_latin_hypercube_has_one_point(n in 1u32..200, seed: u64) {
            let mut streams = ["a", "b", "c"].map(|name| Design::stream(seed, name));
            let points = latin_hypercube(n, &mut streams);
            for coordinate in 0..3 {
                prop_assert!(counts(&points, coordinate, n as usize).iter().all(|c| *c == 1));
            }
        }

        #[test]
        fn each_slice_of_sobols_sequence_has_one_point(m in 0u32..10, shift: u32) {
            let points = sobol(1 << m, &[shift; DIMENSIONS]);
            for coordinate in 0..DIMENSIONS {
                prop_assert!(counts(&points, coordinate, 1 << m).iter().all(|c| *c == 1), "dimension {coordinate}");
            }
        }
    }

    /// The first points in three dimensions as Joe and Kuo's own program prints them.
    #[test]
    fn sobols_sequence_is_that_of_joe_and_kuo() {
        let expected = [
            [0.0, 0.0, 0.0],
            [0.5, 0.5, 0.5],
            [0.75, 0.25, 0.25],
            [0.25, 0.75, 0.75],
            [0.375, 0.375, 0.625],
            [0.875, 0.875, 0.125],
            [0.625, 0.125, 0.875],
            [0.125, 0.625, 0.375],
            [0.1875, 0.3125, 0.9375],
            [0.6875, 0.8125, 0.4375],
        ];
        for (found, expected) in sobol(10, &[0; 3]).iter().zip(expected) {
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-9), "{found:?}, not {expected:?}");
        }
    }

    /// In the first two dimensions of a digital net 2^m points lie one in each box of 2^-i by 2^(i-m): there the sequence has t = 0.
    #[test]
    fn two_dimensions_are_filled_evenly() {
        let points = sobol(64, &[12_345, 67_890]);
        for wide in 0..=6 {
            let mut boxes: Vec<(u32, u32)> =
                points.iter().map(|p| ((p[0] * f64::from(1 << wide)) as u32, (p[1] * f64::from(1 << (6 - wide))) as u32)).collect();
            boxes.sort_unstable();
            boxes.dedup();
            assert_eq!(boxes.len(), 64, "boxes of 2^-{wide}");
        }
    }

    /// Sobol 1967: every initial direction number is odd and below 2^i, or the sequence fills nothing.
    #[test]
    fn initial_direction_numbers_are_sound() {
        for (a, initial) in JOE_KUO {
            assert!(initial.iter().enumerate().all(|(i, m)| m % 2 == 1 && *m < 2 << i));
            assert!(a < 1 << (initial.len() - 1));
        }
    }

    #[test]
    fn ranks_decide_their_correlation() {
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[1.0, 10.0, 1e9]), Some(1.0));
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[0.3, 0.2, 0.1]), Some(-1.0));
        // Ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4: 4.5 / sqrt(4.5 * 5).
        let tied = rank_correlation(&[1.0, 2.0, 2.0, 3.0], &[1.0, 3.0, 2.0, 4.0]).expect("both vary");
        assert!((tied - 4.5 / 22.5f64.sqrt()).abs() < 1e-12);
        assert_eq!(rank_correlation(&[1.0, 1.0], &[1.0, 2.0]), None);
    }
}
