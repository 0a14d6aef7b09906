//! Maglev: a table filled by hosts' preferences in turn, so that all get the same number of places and few change when hosts do.
//!
//! Source: Eisenbud et al., NSDI 2016, section 3.4 ([`crate::maglev`]); Envoy `maglev_lb.cc` (65537 places, weights).

use super::{Ask, Host, Knows, Picker};
use crate::maglev::{self, TableSize, mix64};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::{Stream, entity};

/// `maglev: {tableSize: 65537}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "MaglevHashPolicy")]
pub struct Spec {
    /// Places; a prime.
    pub table_size: u32,
}

impl Default for Spec {
    fn default() -> Self {
        Self { table_size: TableSize::PAPER.get() }
    }
}

impl Spec {
    /// What is hashed.
    pub const KNOWS: Knows = Knows { weights: true, ..Knows::HASH };

    pub(super) fn build(&self, field: &str) -> Result<MaglevHash, SpecError> {
        let size = TableSize::new(self.table_size).ok_or_else(|| {
            let problem = format!("{} places; expected a prime up to {}", self.table_size, TableSize::LARGEST);
            SpecError::new(format!("{field}.tableSize"), problem, "leave it out for 65537")
        })?;
        Ok(MaglevHash { size, table: maglev::Table::default() })
    }
}

/// The table.
#[derive(Clone, Debug)]
pub struct MaglevHash {
    size: TableSize,
    table: maglev::Table,
}

impl Picker for MaglevHash {
    fn changed(&mut self, hosts: &[Host], _before: &[Option<usize>], _now: SimTime) {
        let backend = |h: &Host| {
            let name = entity(&h.address);
            maglev::Backend { offset: mix64(name), skip: mix64(!name), weight: h.weight }
        };
        self.table = maglev::Table::build(&hosts.iter().map(backend).collect::<Vec<_>>(), self.size);
    }

    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        self.table.lookup(ask.hash())
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{moved_when_one_leaves, shares, weighted};

    #[test]
    fn shares_are_even_and_few_others_move() {
        assert!(shares("maglev", &weighted(&[1; 10])).iter().all(|s| (s - 0.1).abs() < 0.01));
        let (own, others) = moved_when_one_leaves("maglev", 10);
        assert!(others * 20 < own * 9, "{others} of the rest for {own} of its own");
    }
}
