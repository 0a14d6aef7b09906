//! Maglev hashing: a table that spreads flows evenly over backends and moves few of them when the set changes.
//!
//! Source: Eisenbud et al., *Maglev: A Fast and Reliable Software Network Load Balancer*, NSDI 2016, section 3.4.
//! Each backend has an order of preference over the table's places, `offset + i * skip mod size`; backends take
//! turns, each taking the first free place of its order, until the table is full. A flow belongs to the backend at
//! `hash mod size`. With equal weights no backend has more than one place more than another.
//!
//! Google's passthrough balancers, Cilium (`pkg/maglev/maglev.go`) and IPVS (`net/netfilter/ipvs/ip_vs_mh.c`) differ in
//! the two hashes and in the size. Weights work as in IPVS: `weight / gcd` places a turn. Omitted: IPVS's right shift of
//! very large weights, and Cilium's finer interleaving of unequal ones; Kubernetes Services have equal weights.

use std::net::IpAddr;

/// The sizes that Cilium (`--bpf-lb-maglev-table-size`) and IPVS (`CONFIG_IP_VS_MH_TAB_INDEX`) allow.
pub const SIZES: [u32; 10] = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071];

/// The seed of Cilium's backend hash: the first four bytes of its fixed and public default `JLfvgnHc2kaSUFaI` (base64).
pub const CILIUM_SEED: u32 = 0x24b7_ef82;

/// How many places a table has: a prime, so that every order of preference visits all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize(u32);

impl TableSize {
    /// Cilium's default (`pkg/maglev/maglev.go`).
    pub const CILIUM: Self = Self(16_381);
    /// The kernel's default for the IPVS scheduler `mh` (index 12, `ip_vs_mh.c`).
    pub const IPVS: Self = Self(4_093);
    /// The smaller of the two sizes of the paper (section 5.3).
    pub const PAPER: Self = Self(65_537);
    /// The larger size of the paper, and the largest allowed here.
    pub const LARGEST: u32 = 655_373;

    /// `size` places, if that is a prime no larger than [`Self::LARGEST`].
    #[must_use]
    pub fn new(size: u32) -> Option<Self> {
        let prime = size >= 2 && (2..).take_while(|d| d * d <= size).all(|d| !size.is_multiple_of(d));
        (prime && size <= Self::LARGEST).then_some(Self(size))
    }

    /// The number of places.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// One backend: its order of preference and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Decides the place it likes best: `offset mod size`.
    pub offset: u64,
    /// Decides the step to the next best: `skip mod (size - 1) + 1`.
    pub skip: u64,
    /// Its share; 0 gets no place.
    pub weight: u32,
}

impl Backend {
    /// A backend of weight 1 with two independent hashes of its name.
    #[must_use]
    pub const fn of((offset, skip): (u64, u64)) -> Self {
        Self { offset, skip, weight: 1 }
    }

    /// A backend as Cilium hashes it: by its address as text.
    #[must_use]
    pub fn cilium(address: &str, seed: u32) -> Self {
        Self::of(murmur3_128(address.as_bytes(), seed))
    }

    /// A backend as IPVS hashes it: by its address and port, under two keys (`ip_vs_mh_permutate`).
    #[must_use]
    pub fn ipvs(address: IpAddr, port: u16) -> Self {
        let key = ipvs_key(address, port);
        Self::of((hsiphash(key, IPVS_KEYS[0]).into(), hsiphash(key, IPVS_KEYS[1]).into()))
    }
}

/// The keys of IPVS's hashes are fixed and the same on every machine (`generate_hash_secret` in `ip_vs_mh.c`).
const IPVS_KEYS: [u64; 2] = [2_654_435_761, 2_654_446_892];

/// The hash by which IPVS looks a flow up: of its source address, and of its source port as kube-proxy asks for
/// (`ip_vs_mh_get` with the flag `mh-port`).
#[must_use]
pub fn ipvs_flow_hash(source: IpAddr, port: u16) -> u64 {
    hsiphash(ipvs_key(source, port), IPVS_KEYS[0]).into()
}

/// Address, folded to 32 bits, plus port (`ip_vs_mh_hashkey`).
fn ipvs_key(address: IpAddr, port: u16) -> u32 {
    let folded = match address {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(a) => a.octets().chunks_exact(4).fold(0, |x, w| x ^ w.iter().fold(0, |word, b| word << 8 | u32::from(*b))),
    };
    folded.wrapping_add(u32::from(port))
}

/// The kernel's `hsiphash` of four bytes on a 64-bit machine: SipHash-1-3 cut to 32 bits (`lib/siphash.c`), under a key of
/// two equal halves.
fn hsiphash(data: u32, key: u64) -> u32 {
    siphash13(data, [key, key]) as u32
}

fn siphash13(data: u32, key: [u64; 2]) -> u64 {
    let mut v =
        [0x736f_6d65_7073_6575 ^ key[0], 0x646f_7261_6e64_6f6d ^ key[1], 0x6c79_6765_6e65_7261 ^ key[0], 0x7465_6462_7974_6573 ^ key[1]];
    let round = |v: &mut [u64; 4]| {
        v[0] = v[0].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[2] = v[2].rotate_left(32);
    };
    let last = 4 << 56 | u64::from(data);
    v[3] ^= last;
    round(&mut v);
    v[0] ^= last;
    v[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

/// A lookup table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Each place's backend, by its position in the list it was built from; empty if nobody has weight.
    places: Vec<u32>,
}

impl Table {
    /// The table of `backends`, whose order matters little but does matter: it decides who takes turns first.
    #[must_use]
    pub fn build(backends: &[Backend], size: TableSize) -> Self {
        const FREE: u32 = u32::MAX;
        let m = u64::from(size.0);
        let unit = backends.iter().fold(0, |g, b| gcd(g, b.weight));
        if unit == 0 {
            return Self::default();
        }
        let mut places = vec![FREE; size.0 as usize];
        let mut next: Vec<u64> = backends.iter().map(|b| b.offset % m).collect();
        let mut left = places.len();
        loop {
            for (i, backend) in backends.iter().enumerate() {
                let skip = backend.skip % (m - 1) + 1;
                for _ in 0..backend.weight / unit {
                    // The size is a prime and a place is free, so this comes to it.
                    while places[next[i] as usize] != FREE {
                        next[i] = (next[i] + skip) % m;
                    }
                    places[next[i] as usize] = i as u32;
                    left -= 1;
                    if left == 0 {
                        return Self { places };
                    }
                }
            }
        }
    }

    /// Position of the backend that a flow with this hash belongs to; none if there is no backend.
    #[inline]
    #[must_use]
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        let place = hash.checked_rem(self.places.len() as u64)?;
        self.places.get(place as usize).map(|&i| i as usize)
    }

    /// Each place's backend.
    #[must_use]
    pub fn places(&self) -> &[u32] {
        &self.places
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// MurmurHash3, x64 variant, 128 bits (Appleby, `MurmurHash3_x64_128` of SMHasher, public domain), as its two halves.
#[must_use]
pub fn murmur3_128(bytes: &[u8], seed: u32) -> (u64, u64) {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let scramble1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let scramble2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b));
    let (mut h1, mut h2) = (u64::from(seed), u64::from(seed));
    let mut blocks = bytes.chunks_exact(16);
    for block in &mut blocks {
        let (low, high) = block.split_at(8);
        h1 = (h1 ^ scramble1(word(low))).rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ scramble2(word(high))).rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let (low, high) = blocks.remainder().split_at(blocks.remainder().len().min(8));
    h1 ^= scramble1(word(low)) ^ bytes.len() as u64;
    h2 ^= scramble2(word(high)) ^ bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2) = (mix64(h1), mix64(h2));
    h1 = h1.wrapping_add(h2);
    (h1, h2.wrapping_add(h1))
}

/// The finaliser of MurmurHash3: a permutation of 64 bits in which every bit of the input reaches every bit of the output.
#[inline]
#[must_use]
pub const fn mix64(mut x: u64) -> u64 {
    x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Vectors of the reference implementation, as published with its ports.
    #[test]
    fn murmur3_known_answers() {
        let fox = "The quick brown fox jumps over the lazy dog.";
        for (text, seed, expected) in [
            ("", 0, (0, 0)),
            ("", 1, (0x4610_abe5_6eff_5cb5, 0x5162_2daa_78f8_3583)),
            ("hello", 0, (0xcbd8_a7b3_41bd_9b02, 0x5b1e_906a_48ae_1d19)),
            ("hello", 1, (0xa78d_dff5_adae_8d10, 0x1289_00ef_2090_0135)),
            ("hello, world", 0, (0x342f_ac62_3a5e_bc8e, 0x4cdc_bc07_9642_414d)),
            ("19 Jan 2038 at 3:14:07 AM", 0, (0xb89e_5988_b737_affc, 0x664f_c295_0231_b2cb)),
            (fox, 0, (0xcd99_481f_9ee9_02c9, 0x695d_a1a3_8987_b6e7)),
            (fox, 1, (0xfb33_2517_1f97_44da, 0xaaf8_b92a_5f72_2952)),
        ] {
            assert_eq!(murmur3_128(text.as_bytes(), seed), expected, "{text} {seed}");
        }
    }

    /// The fifth vector of the kernel's `lib/test_siphash.c`.
    #[test]
    fn siphash_known_answer() {
        assert_eq!(siphash13(0x0302_0100, [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]) as u32, 0x88d3_8328);
    }

    #[test]
    fn ipvs_backends_share_evenly() {
        let backends: Vec<_> = (1..=10).map(|i| Backend::ipvs([10, 1, 0, i].into(), 8080)).collect();
        let table = Table::build(&backends, TableSize::IPVS);
        assert!(shares(&table, 10).iter().all(|s| (409..=410).contains(s)));
        let mut flows = [0u32; 10];
        (0..10_000).for_each(|port| flows[table.lookup(ipvs_flow_hash([203, 0, 113, 9].into(), 20_000 + port)).unwrap()] += 1);
        assert!(flows.iter().all(|f| f.abs_diff(1_000) < 150), "{flows:?}");
        assert_ne!(Backend::ipvs("fd00::1".parse().unwrap(), 80), Backend::ipvs("fd00::2".parse().unwrap(), 80));
    }

    #[test]
    fn sizes_are_primes() {
        assert!(SIZES.iter().all(|&n| TableSize::new(n).is_some()));
        assert!([TableSize::CILIUM, TableSize::IPVS, TableSize::PAPER].iter().all(|s| TableSize::new(s.get()) == Some(*s)));
        assert_eq!(TableSize::new(TableSize::LARGEST).map(TableSize::get), Some(655_373));
        assert!([0, 1, 4, 16_383, 655_379, u32::MAX].iter().all(|&n| TableSize::new(n).is_none()));
    }

    /// The tables of the paper's example, section 3.4, table 1: three backends, seven places, before and after B1 is gone.
    #[test]
    fn the_papers_example() {
        let [b0, b1, b2] = [(3, 3), (0, 1), (3, 0)].map(Backend::of);
        let seven = TableSize(7);
        assert_eq!(Table::build(&[b0, b1, b2], seven).places(), [1, 0, 1, 0, 2, 2, 0]);
        // B2 is the second of those who remain.
        assert_eq!(Table::build(&[b0, b2], seven).places(), [0, 0, 0, 0, 1, 1, 1]);
    }

    fn shares(table: &Table, n: usize) -> Vec<u32> {
        let mut shares = vec![0; n];
        table.places().iter().for_each(|&i| shares[i as usize] += 1);
        shares
    }

    fn named(names: impl Iterator<Item = u32>) -> Vec<Backend> {
        names.map(|i| Backend::cilium(&format!("10.0.{}.{}:8080", i / 256, i % 256), CILIUM_SEED)).collect()
    }

    #[test]
    fn weights_are_shares() {
        let mut backends = named(0..4);
        backends[1].weight = 0;
        backends[2].weight = 6;
        backends.iter_mut().for_each(|b| b.weight *= 5);
        let shares = shares(&Table::build(&backends, TableSize::IPVS), 4);
        assert!(shares[1] == 0 && shares[0].abs_diff(4_093 / 8) <= 8 && shares[2].abs_diff(4_093 * 6 / 8) <= 8, "{shares:?}");
    }

    #[test]
    fn nobody_gets_nothing() {
        assert_eq!(Table::build(&[], TableSize::IPVS).lookup(7), None);
        let idle = Backend { weight: 0, ..Backend::of((1, 2)) };
        assert_eq!(Table::build(&[idle], TableSize::IPVS).lookup(7), None);
        assert_eq!(Table::build(&[Backend::of((u64::MAX, u64::MAX))], TableSize(2)).lookup(u64::MAX), Some(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Equal weights differ by one place at most, whatever the hashes.
        #[test]
        fn shares_are_even(hashes in prop::collection::vec(any::<(u64, u64)>(), 1..120), size in prop::sample::select(&SIZES[..6])) {
            let backends: Vec<_> = hashes.iter().copied().map(Backend::of).collect();
            let shares = shares(&Table::build(&backends, TableSize(size)), backends.len());
            prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{:?}", shares);
        }

        /// When one of n goes, its flows must move, and with more than 100 places a backend few others do: the rule
        /// of thumb of Cilium's guide, which speaks of 1 %.
        #[test]
        fn few_others_move(n in 2..160u32, gone in any::<prop::sample::Index>()) {
            let gone = gone.index(n as usize) as u32;
            let before = Table::build(&named(0..n), TableSize::CILIUM);
            let after = Table::build(&named((0..n).filter(|i| *i != gone)), TableSize::CILIUM);
            let name = |i: u32| if i >= gone { i + 1 } else { i };
            let moved = before.places().iter().zip(after.places()).filter(|(b, a)| **b != gone && **b != name(**a)).count();
            prop_assert!(moved < 16_381 * 2 / 100, "{} of 16381 moved for nothing among {}", moved, n);
        }
    }

    /// 100 backends at the paper's size: 655 or 656 places each.
    #[test]
    fn the_papers_size_is_even() {
        let shares = shares(&Table::build(&named(0..100), TableSize::PAPER), 100);
        assert!(shares.iter().all(|s| (655..=656).contains(s)));
    }
}
