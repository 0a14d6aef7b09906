//! Join idle queue: any of the hosts that are known to be idle, or, if there is none, any host.
//!
//! Source: Lu et al. 2011, *Join-Idle-Queue: A novel load balancing algorithm for dynamically scalable web services*. There a server
//! that becomes idle joins the queue of one dispatcher, drawn at random; here, where Pods speak only in answers, it joins that of the
//! instance to which it gave its last answer. With the signals `live` and `reported` whoever has no request by that signal is idle.

use super::{Answer, Ask, Host, Knows, Picker, SignalSpec, carried};
use crate::spec::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimTime;
use svcsim_engine::random::Stream;

/// `joinIdleQueue`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "JoinIdleQueuePolicy")]
pub struct Spec {}

impl Spec {
    /// Answers, which say whether their Pod is idle.
    pub const KNOWS: Knows = Knows::ANSWERS;

    pub(super) fn build(&self, _field: &str) -> Result<JoinIdleQueue, SpecError> {
        Ok(JoinIdleQueue::default())
    }
}

/// Who has joined.
#[derive(Clone, Debug, Default)]
pub struct JoinIdleQueue {
    idle: Vec<usize>,
    /// By host: its place in the queue.
    places: Vec<Option<usize>>,
}

impl JoinIdleQueue {
    fn join(&mut self, host: usize) {
        if self.places[host].is_none() {
            self.places[host] = Some(self.idle.len());
            self.idle.push(host);
        }
    }

    fn leave(&mut self, host: usize) {
        if let Some(place) = self.places[host].take() {
            self.idle.swap_remove(place);
            if let Some(moved) = self.idle.get(place) {
                self.places[*moved] = Some(place);
            }
        }
    }
}

impl Picker for JoinIdleQueue {
    fn changed(&mut self, hosts: &[Host], before: &[Option<usize>], _now: SimTime) {
        let idle = carried(&self.places, before, |i| (hosts[i].active == 0).then_some(0));
        (self.idle, self.places) = (Vec::new(), vec![None; hosts.len()]);
        idle.iter().enumerate().filter(|(_, place)| place.is_some()).for_each(|(host, _)| self.join(host));
    }

    fn pick(&mut self, ask: &Ask<'_>, stream: &mut Stream) -> Option<usize> {
        let n = ask.hosts().len();
        let drawn = |list: &[usize], stream: &mut Stream| list.get(stream.below((list.len() as u32).max(1)) as usize).copied();
        let idle = match ask.signal() {
            SignalSpec::Own => drawn(&self.idle, stream),
            SignalSpec::Live | SignalSpec::Reported { .. } => {
                let idle: Vec<usize> = (0..n).filter(|at| ask.load(*at) == 0).collect();
                drawn(&idle, stream)
            }
        };
        Some(idle.unwrap_or_else(|| stream.below(n as u32) as usize))
    }

    fn sent(&mut self, host: usize, _now: SimTime) {
        self.leave(host);
    }

    fn answered(&mut self, host: usize, answer: &Answer) {
        if answer.report.is_some_and(|r| r.in_flight == 0) {
            self.join(host);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::tests::{answered, ask, chance, hosts, picker};
    use svcsim_engine::SimTime;

    #[test]
    fn the_idle_are_chosen_first_and_leave_when_they_get_something() {
        let hosts = hosts(3);
        let mut picker = picker(&"joinIdleQueue".parse().expect("a word"), &hosts);
        let mut stream = chance(1);
        let mut chosen: Vec<usize> = Vec::new();
        for _ in 0..3 {
            let at = picker.pick(&ask(&hosts, 0, SimTime::ZERO), &mut stream).expect("one");
            picker.sent(at, SimTime::ZERO);
            chosen.push(at);
        }
        chosen.sort_unstable();
        assert_eq!(chosen, [0, 1, 2], "each once");
        let mut busy = answered(10, 1);
        busy.report.as_mut().expect("a report").in_flight = 1;
        picker.answered(0, &busy);
        picker.answered(2, &answered(10, 1));
        let choices: Vec<_> = (0..20).map(|_| picker.pick(&ask(&hosts, 0, SimTime::ZERO), &mut stream)).collect();
        assert!(choices.iter().all(|c| *c == Some(2)), "the only one that said it was idle: {choices:?}");
    }
}
