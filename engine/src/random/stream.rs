//! [`Streams`] and [`Stream`]: random numbers by role, the same on every platform.
//!
//! Each role (the arrivals of one Service, the demands of another, one node's choices) draws from a
//! stream of its own. A stream is ChaCha with eight rounds (Bernstein 2008, *ChaCha, a variant of
//! Salsa20*), and its 256-bit key *is* the four numbers that name the role: seed, replication, purpose,
//! entity. Nothing is hashed and nothing is jumped, so two roles share a stream only if they share a name.
//!
//! The name holds no design point, on purpose: two designs compared under one seed and replication meet
//! the same arrivals and the same demands (common random numbers; Law 2015, *Simulation Modeling and
//! Analysis*, section 11.2).

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::sync::LazyLock;

/// The source of all chance in one replication of one experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
    replication: u64,
}

impl Streams {
    /// The streams of replication `replication` under `seed`.
    #[must_use]
    pub const fn new(seed: u64, replication: u64) -> Self {
        Self { seed, replication }
    }

    /// The stream for `purpose` (what is drawn) and `entity` (for whom; see [`entity`]), from its start.
    #[must_use]
    pub fn stream(&self, purpose: u64, entity: u64) -> Stream {
        let mut key = [0; 32];
        for (bytes, part) in key.chunks_exact_mut(8).zip([self.seed, self.replication, purpose, entity]) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        Stream(ChaCha8Rng::from_seed(key))
    }
}

/// The number of a thing by its name, so that its chance does not depend on its place in a list: FNV-1a,
/// 64 bits (Fowler, Noll and Vo).
#[must_use]
pub const fn entity(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

/// One role's random numbers. A clone continues from the same place.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1): a multiple of 2^-53.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// Uniform in (0, 1), neither end included: an odd multiple of 2^-53.
    #[inline]
    pub fn uniform_open(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// Exactly uniform in `0..n` (Lemire 2019, *Fast Random Integer Generation in an Interval*).
    ///
    /// # Panics
    /// If `n` is zero: there is nothing to choose from.
    #[inline]
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "nothing to choose from");
        let mut product = u64::from(self.next_u32()) * u64::from(n);
        if (product as u32) < n {
            let surplus = n.wrapping_neg() % n;
            while (product as u32) < surplus {
                product = u64::from(self.next_u32()) * u64::from(n);
            }
        }
        (product >> 32) as u32
    }

    /// True with probability `p`: never for 0 or less, always for 1 or more. Draws once in any case.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Exponential with mean 1, by the ziggurat of 256 layers (Marsaglia and Tsang 2000).
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        let ziggurat = &*EXPONENTIAL;
        loop {
            let bits = self.next_u64();
            let layer = (bits & 0xff) as usize;
            let x = unit(bits) * ziggurat.x[layer];
            if x < ziggurat.x[layer + 1] {
                return x;
            }
            if layer == 0 {
                // The exponential forgets: beyond r it is r and an exponential again.
                return EXPONENTIAL_R - libm::log(self.uniform_open());
            }
            if ziggurat.in_wedge(layer, self.uniform(), libm::exp(-x)) {
                return x;
            }
        }
    }

    /// Normal with mean 0 and standard deviation 1, by the ziggurat of 256 layers (Marsaglia and Tsang 2000).
    #[inline]
    pub fn normal(&mut self) -> f64 {
        let ziggurat = &*NORMAL;
        loop {
            let bits = self.next_u64();
            let layer = (bits & 0xff) as usize;
            let sign = if bits & 0x100 == 0 { 1.0 } else { -1.0 };
            let x = unit(bits) * ziggurat.x[layer];
            if x < ziggurat.x[layer + 1] {
                return sign * x;
            }
            if layer == 0 {
                return sign * self.normal_tail();
            }
            if ziggurat.in_wedge(layer, self.uniform(), normal_density(x)) {
                return sign * x;
            }
        }
    }

    /// A half-normal beyond `NORMAL_R` (Marsaglia 1964, *Generating a variable from the tail of the normal distribution*).
    #[cold]
    fn normal_tail(&mut self) -> f64 {
        loop {
            let x = -libm::log(self.uniform_open()) / NORMAL_R;
            let y = -libm::log(self.uniform_open());
            if y + y >= x * x {
                return NORMAL_R + x;
            }
        }
    }
}

/// The upper 53 bits as a fraction in [0, 1).
#[inline]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// 256 layers of equal area under a decreasing density (Marsaglia and Tsang 2000, *The Ziggurat Method
/// for Generating Random Variables*, Journal of Statistical Software 5(8)).
///
/// Layer (bits 0 to 7), sign (bit 8) and position (bits 11 to 63) come from separate bits of one 64-bit
/// number: the original reuses the layer's bits in the position, and the two are then correlated
/// (Doornik 2005, *An Improved Ziggurat Method to Generate Normal Random Samples*).
struct Ziggurat {
    /// Right ends of the layers, from the base up: `x[1]` is r, `x[256]` is 0, `x[0]` the width of the
    /// base layer had it no tail.
    x: [f64; LAYERS + 1],
    /// The density at `x`.
    density: [f64; LAYERS + 1],
}

const LAYERS: usize = 256;

/// Where the tail of the exponential starts, and the area of each of its layers (Marsaglia and Tsang 2000).
const EXPONENTIAL_R: f64 = 7.697_117_470_131_05;
const EXPONENTIAL_V: f64 = 0.003_949_659_822_581_557;
/// The same of the normal, whose density is left without its factor 1 / sqrt(2 pi).
const NORMAL_R: f64 = 3.654_152_885_361_009;
const NORMAL_V: f64 = 0.004_928_673_233_974_655;

static EXPONENTIAL: LazyLock<Ziggurat> =
    LazyLock::new(|| Ziggurat::new(EXPONENTIAL_R, EXPONENTIAL_V, |x| libm::exp(-x), |y| -libm::log(y)));
static NORMAL: LazyLock<Ziggurat> =
    LazyLock::new(|| Ziggurat::new(NORMAL_R, NORMAL_V, normal_density, |y| libm::sqrt(-2.0 * libm::log(y))));

fn normal_density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x)
}

impl Ziggurat {
    fn new(r: f64, area: f64, density: fn(f64) -> f64, inverse: fn(f64) -> f64) -> Self {
        let mut x = [0.0; LAYERS + 1];
        x[0] = area / density(r);
        x[1] = r;
        for i in 2..LAYERS {
            x[i] = inverse(density(x[i - 1]) + area / x[i - 1]);
        }
        Self { x, density: x.map(density) }
    }

    /// Whether the point at height `u` of `layer`'s wedge lies under the density, which is `density` there.
    #[inline]
    fn in_wedge(&self, layer: usize, u: f64, density: f64) -> bool {
        let (bottom, top) = (self.density[layer], self.density[layer + 1]);
        bottom + u * (top - bottom) < density
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Streams::new(2026, 1).stream(2, entity("web"))
    }

    /// The first words of ChaCha8 under a key of zeros (Strombergson 2013, *Test Vectors for the Stream Cipher ChaCha*, TC1).
    #[test]
    fn the_key_is_the_four_numbers() {
        let mut s = Streams::new(0, 0).stream(0, 0);
        let bytes: Vec<u8> = (0..4).flat_map(|_| s.next_u32().to_le_bytes()).collect();
        assert_eq!(bytes, [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6, 0x7f, 0x5b, 0xb8, 0xe8, 0x1f, 0x09, 0xa5, 0xa1]);
    }

    #[test]
    fn every_part_of_the_name_counts() {
        let first = |seed, replication, purpose, entity| Streams::new(seed, replication).stream(purpose, entity).next_u64();
        let mut firsts = vec![first(0, 0, 0, 0), first(1, 0, 0, 0), first(0, 1, 0, 0), first(0, 0, 1, 0), first(0, 0, 0, 1)];
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 5);
        assert_eq!(first(1, 2, 3, 4), first(1, 2, 3, 4));
    }

    /// Published values of FNV-1a, 64 bits.
    #[test]
    fn names_are_numbered_by_fnv_1a() {
        assert_eq!((entity(""), entity("a"), entity("foobar")), (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8));
    }

    /// Whoever changes these changes every published result.
    #[test]
    fn value_stability() {
        let mut s = stream();
        assert_eq!([(); 3].map(|()| s.next_u64()), [8_920_838_728_972_006_072, 4_536_825_057_433_149_972, 15_099_861_205_559_159_387]);
        assert_eq!([s.uniform(), s.uniform(), s.uniform_open()], [0.5669814229986534, 0.8548307227938743, 0.8016166062114113]);
        assert_eq!([(); 8].map(|()| s.below(10)), [9, 8, 2, 2, 5, 1, 0, 0]);
        assert_eq!([(); 4].map(|()| s.exponential()), [1.8592744945449824, 1.8218349369682711, 2.252353989040763, 0.8868623497348237]);
        assert_eq!([(); 4].map(|()| s.normal()), [0.45723457864591666, 0.8080114105799524, 1.1898473326176424, -0.7529020057943777]);
    }

    #[test]
    fn chance_is_certain_at_its_ends() {
        let mut s = stream();
        assert!((0..1_000).all(|_| s.chance(1.0) && !s.chance(0.0)));
    }

    /// Pearson's statistic must stay below the 1 - 10^-4 quantile of chi-square (Wilson and Hilferty 1931).
    fn assert_uniform(bins: &[u64]) {
        let (n, k) = (bins.iter().sum::<u64>() as f64, bins.len() as f64);
        let chi_square: f64 = bins.iter().map(|&b| (b as f64 - n / k) * (b as f64 - n / k) / (n / k)).sum();
        let (dof, z) = (k - 1.0, 3.719);
        let root = 1.0 - 2.0 / (9.0 * dof) + z * libm::sqrt(2.0 / (9.0 * dof));
        assert!(chi_square < dof * root * root * root, "chi-square {chi_square} with {dof} degrees of freedom");
    }

    fn histogram(n: u64, bins: usize, mut fraction: impl FnMut() -> f64) -> Vec<u64> {
        let mut counts = vec![0; bins];
        (0..n).for_each(|_| counts[((fraction() * bins as f64) as usize).min(bins - 1)] += 1);
        counts
    }

    #[test]
    fn uniforms_are_uniform() {
        let mut s = stream();
        assert_uniform(&histogram(200_000, 100, || s.uniform()));
        assert_uniform(&histogram(200_000, 100, || s.uniform_open()));
        assert!((0..100).all(|_| s.below(1) == 0));
        for n in [2, 3, 6, 1_000, 3 << 30, u32::MAX] {
            assert_uniform(&histogram(60_000, n.min(60) as usize, || (f64::from(s.below(n)) + 0.5) / f64::from(n)));
        }
    }

    fn normal_cdf(x: f64) -> f64 {
        0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
    }

    #[test]
    fn ziggurats_have_their_densities() {
        let mut s = stream();
        assert_uniform(&histogram(1_000_000, 500, || 1.0 - libm::exp(-s.exponential())));
        assert_uniform(&histogram(1_000_000, 500, || normal_cdf(s.normal())));
    }

    /// Beyond r the layers end and another rule begins: both how often and how far are checked there.
    #[test]
    fn ziggurats_have_their_tails() {
        let (mut s, n) = (stream(), 3_000_000);
        let check = |tail: &[f64], p: f64| {
            let expected = n as f64 * p;
            assert!((tail.len() as f64 - expected).abs() < 4.0 * libm::sqrt(expected), "{} beyond r, not {expected}", tail.len());
            let mut tail = tail.iter();
            assert_uniform(&histogram(tail.len() as u64, 20, || *tail.next().unwrap()));
        };
        let exponential: Vec<f64> = (0..n).map(|_| s.exponential()).filter(|x| *x > EXPONENTIAL_R).collect();
        check(&exponential.iter().map(|x| libm::exp(EXPONENTIAL_R - x)).collect::<Vec<_>>(), libm::exp(-EXPONENTIAL_R));
        let beyond = normal_cdf(-NORMAL_R);
        let normal: Vec<f64> = (0..n).map(|_| s.normal()).filter(|x| x.abs() > NORMAL_R).collect();
        check(&normal.iter().map(|x| normal_cdf(-x.abs()) / beyond).collect::<Vec<_>>(), 2.0 * beyond);
        let negative = normal.iter().filter(|x| **x < 0.0).count() as f64;
        assert!((2.0 * negative - normal.len() as f64).abs() < 4.0 * libm::sqrt(normal.len() as f64));
    }

    /// r and the area are right if and only if the top layer, too, has that area.
    #[test]
    fn ziggurats_close_at_the_top() {
        for (ziggurat, area) in [(&*EXPONENTIAL, EXPONENTIAL_V), (&*NORMAL, NORMAL_V)] {
            assert!((ziggurat.x[LAYERS - 1] * (1.0 - ziggurat.density[LAYERS - 1]) - area).abs() < 1e-10);
            assert!(ziggurat.x.is_sorted_by(|a, b| a > b) && ziggurat.density.is_sorted());
            assert_eq!((ziggurat.x[LAYERS], ziggurat.density[LAYERS]), (0.0, 1.0));
        }
    }
}
