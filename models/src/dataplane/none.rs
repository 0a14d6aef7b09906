//! No data plane: no Node knows Services' virtual addresses, so packets to them lead nowhere. For clusters whose clients
//! dial Pods by the answers of DNS, as with headless Services.

use super::{Address, Candidates, Choice, DataPlane, Question, RuleSet, Scope, SyncSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// `none: {}`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "NoneDataPlane")]
pub struct Spec {}

/// Nothing.
#[derive(Clone, Debug)]
pub struct Unproxied;

impl Unproxied {
    pub(super) fn new(_: &Spec) -> Self {
        Self
    }
}

impl DataPlane for Unproxied {
    fn has_services(&self) -> bool {
        false
    }

    fn candidates<'a>(&self, _: &Question<'a>) -> Candidates<'a> {
        Candidates { list: &[], scope: Scope::Cluster, snat: false }
    }

    fn choose(&mut self, _: &Choice<'_>, _: &mut Stream) -> Option<usize> {
        None
    }

    fn explain(&self, _: &Choice<'_>, _: Stream) -> String {
        String::new()
    }

    fn lookup(&self, _: &RuleSet, _: Address, _: u32, _: usize) -> SimDuration {
        SimDuration::ZERO
    }

    fn sync(&self) -> &SyncSpec {
        &SyncSpec::INSTANT
    }
}
