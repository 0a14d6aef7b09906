//! Random: any host, all alike, or in proportion to their weights. It needs to know nothing, and no two instances ever agree on
//! whom to send to; Poisson requests that are split so are Poisson at each host.
//!
//! Envoy `RANDOM` (`random_lb.cc`) does not heed weights; [`Spec::weighted`] is the textbook's weighted choice.

use super::{Ask, Knows, Picker};
use crate::spec::SpecError;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::Stream;

/// `random`, or `random: {weighted: true}`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Spec {
    /// Whether hosts are drawn in proportion to their weights.
    pub weighted: bool,
}

impl Spec {
    /// Nothing.
    pub const KNOWS: Knows = Knows::NOTHING;

    pub(super) fn build(&self, _field: &str) -> Result<Random, SpecError> {
        Ok(Random { weighted: self.weighted })
    }
}

/// It has no state.
#[derive(Clone, Debug)]
pub struct Random {
    weighted: bool,
}

impl Picker for Random {
    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let n = ask.hosts().len();
        if !self.weighted {
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
