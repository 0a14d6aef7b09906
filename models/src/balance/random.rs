//! Random: any host, all alike, or in proportion to their weights. It needs to know nothing, and no two instances ever agree on
//! whom to send to; Poisson requests that are split so are Poisson at each host.
//!
//! As HAProxy's `random(1)` (`lb_chash.c`) it heeds weights, where there are any; Envoy's `RANDOM` (`random_lb.cc`) does not.

use super::seen::alike;
use super::{Ask, Host, Knows, Picker};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `random`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "RandomPolicy")]
pub struct Spec {}

impl Spec {
    /// What share each host is to have.
    pub const KNOWS: Knows = Knows::WEIGHTS;

    pub(super) fn build(&self, _field: &str) -> Result<Random, SpecError> {
        Ok(Random { alike: true })
    }
}

/// Its only state is whether hosts have different weights.
#[derive(Clone, Debug)]
pub struct Random {
    alike: bool,
}

impl Picker for Random {
    fn changed(&mut self, hosts: &[Host], _before: &[Option<usize>], _now: SimTime) {
        self.alike = alike(hosts);
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let n = ask.hosts().len();
        if self.alike && !ask.weights_change() {
            return Some(stream.below(n as u32) as usize);
        }
        let total: f64 = (0..n).map(|i| ask.weight(i)).sum();
        let mut left = stream.uniform() * total;
        let drawn = (0..n).filter(|i| ask.weight(*i) > 0.0);
        let mut last = None;
        for i in drawn {
            last = Some(i);
            left -= ask.weight(i);
            if left < 0.0 {
                break;
            }
        }
        last
    }
}
