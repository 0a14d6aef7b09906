//! Jump consistent hash: without any table, and only for hosts that come and go at the end of their list. Hosts stand in the order
//! of their addresses: one that leaves from the middle moves all behind it.
//!
//! Source: Lamping and Veach 2014, *A Fast, Minimal Memory, Consistent Hash Algorithm*.

use super::{Ask, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::Stream;

/// `jump`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "JumpPolicy")]
pub struct Spec {}

impl Spec {
    /// What is hashed.
    pub const KNOWS: Knows = Knows::HASH;

    pub(super) fn build(&self, _field: &str) -> Result<Jump, SpecError> {
        Ok(Jump)
    }
}

/// It has no state.
#[derive(Clone, Debug)]
pub struct Jump;

impl Picker for Jump {
    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        Some(bucket(ask.hash(), ask.hosts().len()))
    }
}

/// The paper's code.
fn bucket(mut key: u64, buckets: usize) -> usize {
    let (mut b, mut j) = (0, 0i64);
    while j < buckets as i64 {
        b = j;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        j = ((b + 1) as f64 * ((1i64 << 31) as f64 / ((key >> 33) + 1) as f64)) as i64;
    }
    b as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that implementations of the paper's code agree on.
    #[test]
    fn known_buckets() {
        let known = [(1, 1, 0), (42, 57, 43), (0xdead_10cc, 1, 0), (0xdead_10cc, 666, 361), (256, 1_024, 520)];
        known.iter().for_each(|(key, buckets, b)| assert_eq!(bucket(*key, *buckets), *b, "{key} in {buckets}"));
    }

    #[test]
    fn who_comes_last_gets_its_share_and_nothing_else_moves() {
        let moved: Vec<usize> = (0..10_000u64).map(crate::maglev::mix64).filter(|k| bucket(*k, 9) != bucket(*k, 10)).map(|k| bucket(k, 10)).collect();
        assert!(moved.iter().all(|b| *b == 9) && moved.len().abs_diff(1_000) < 120, "{}", moved.len());
    }
}
