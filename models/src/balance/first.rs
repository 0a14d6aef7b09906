//! First: the first host that has room, so that those behind it may sleep; when all are full, the least busy for its size.
//!
//! Source: HAProxy `balance first` (`lb_fas.c`), by order of servers, with `maxconn` connections each; there a request that finds all
//! full waits in the backend's queue, here it goes where it is shortest.

use super::{Ask, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::Stream;

/// `first: {maxConnections: 10}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "FirstPolicy")]
pub struct Spec {
    /// Requests that a host takes before it is full.
    pub max_connections: u32,
}

impl Default for Spec {
    /// An assumption; HAProxy has none, and `first` is of no use without.
    fn default() -> Self {
        Self { max_connections: 10 }
    }
}

impl Spec {
    /// Loads.
    pub const KNOWS: Knows = Knows::LOADS;

    pub(super) fn build(&self, field: &str) -> Result<First, SpecError> {
        if self.max_connections == 0 {
            let fix = "give the number of requests that a Pod serves well at once";
            return Err(SpecError::new(format!("{field}.maxConnections"), "0 requests: every host is always full", fix));
        }
        Ok(First { most: self.max_connections })
    }
}

/// It has no state.
#[derive(Clone, Debug)]
pub struct First {
    most: u32,
}

impl Picker for First {
    fn pick(&mut self, ask: &Ask<'_>, _stream: &mut Stream) -> Option<usize> {
        let all = 0..ask.hosts().len();
        all.clone().find(|at| ask.load(*at) < self.most).or_else(|| all.min_by_key(|at| ask.load(*at)))
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{hosts, sequence};

    #[test]
    fn the_first_with_room_is_chosen() {
        let mut hosts = hosts(3);
        hosts[0].active = 10;
        assert_eq!(sequence("first", &hosts, 2), [1, 1]);
        (hosts[1].active, hosts[2].active) = (12, 11);
        assert_eq!(sequence("first", &hosts, 1), [0], "all are full");
    }
}
