//! Call graphs: each call that a workload makes is a source of requests whose clients are the workload's Pods.

use crate::cluster::Cluster;
use crate::cluster::journey::Call;
use crate::ids::{PodId, SourceId, WorkloadId};
use crate::spec::{CallSpec, ClusterSpec, SpecError};
use svcsim_engine::Id;
use svcsim_engine::random::Streams;

/// Most calls at once: bounds what a slip of the keyboard can ask for.
const MOST_COPIES: u32 = 10_000;

impl Cluster {
    /// Adds the sources of all calls; returns their names, in order: `<workload>-><service>`.
    pub(super) fn add_calls(&mut self, spec: &ClusterSpec, streams: &Streams) -> Result<Vec<String>, SpecError> {
        let mut names: Vec<String> = Vec::new();
        for (w, workload) in spec.workloads.iter().enumerate() {
            for (step, calls) in workload.pod.calls.iter().enumerate() {
                for (place, call) in calls.0.iter().enumerate() {
                    let at = if calls.0.len() == 1 { String::new() } else { format!("[{place}]") };
                    let field = format!("pods.{}.calls[{step}]{at}", workload.name);
                    let name = name_of(&workload.name, call, &names);
                    let source = self.add_call(spec, (&name, &field), &workload.name, call, streams)?;
                    let (probability, copies) = (call.probability, call.copies);
                    let call = Call { step: step as u32, source, probability, copies, asynchronous: call.asynchronous };
                    self.workloads[WorkloadId::from_index(w)].calls.push(call);
                    names.push(name);
                }
            }
        }
        for (w, workload) in spec.workloads.iter().enumerate() {
            self.check_cycles(WorkloadId::from_index(w), &mut Vec::new(), &format!("pods.{}.calls", workload.name))?;
        }
        Ok(names)
    }

    fn add_call(
        &mut self,
        spec: &ClusterSpec,
        (name, field): (&str, &str),
        workload: &str,
        call: &CallSpec,
        streams: &Streams,
    ) -> Result<SourceId, SpecError> {
        if !(0.0..=1.0).contains(&call.probability) {
            let problem = format!("a probability of {}; expected 0 to 1", call.probability);
            return Err(SpecError::new(format!("{field}.probability"), problem, "leave it out for a call that is always made"));
        }
        if call.copies == 0 || call.copies > MOST_COPIES {
            let problem = format!("{} copies; expected 1 to {MOST_COPIES}", call.copies);
            return Err(SpecError::new(format!("{field}.copies"), problem, "leave it out for one call"));
        }
        let called = self.called_service(&format!("{field}.to"), &call.to)?;
        let headless = self.table.services[called].is_headless();
        let id = self.workload_id(field, workload)?;
        let clients = self.workloads[id].pods.len() as u32;
        let source = self.add_source(spec, (name, field), &call.traffic(workload, clients, headless), None, streams)?;
        self.sources[source].optional = call.optional;
        for (i, pod) in self.workloads[id].pods.iter().enumerate() {
            self.pods[*pod].caller = i as u32;
        }
        Ok(source)
    }

    /// A request that comes back to a workload on its own way would never end.
    fn check_cycles(&self, workload: WorkloadId, way: &mut Vec<WorkloadId>, field: &str) -> Result<(), SpecError> {
        let name = |w: &WorkloadId| self.workloads[*w].name.as_str();
        if let Some(start) = way.iter().position(|w| *w == workload) {
            let round: Vec<&str> = way[start..].iter().chain([&workload]).map(name).collect();
            let problem = format!("{} call each other in a circle: a request would never be answered", round.join(" -> "));
            return Err(SpecError::new(field, problem, "take one of these calls out, or give it to a workload of its own"));
        }
        way.push(workload);
        for call in &self.workloads[workload].calls {
            for called in &self.table.services[self.sources[call.source].service].backends {
                self.check_cycles(*called, way, field)?;
            }
        }
        way.pop();
        Ok(())
    }

    /// A new Pod calls whom its workload calls.
    pub(in crate::cluster) fn add_caller(&mut self, pod: PodId) {
        let sources: Vec<SourceId> = self.workloads[self.pods[pod].workload].calls.iter().map(|c| c.source).collect();
        for source in sources {
            self.pods[pod].caller = self.add_client(source, pod);
        }
    }
}

/// What the requests of a call are called; a workload may call one Service several times.
fn name_of(workload: &str, call: &CallSpec, names: &[String]) -> String {
    let pair = format!("{workload}->{}", call.to);
    let again = names.iter().filter(|n| **n == pair || n.starts_with(&format!("{pair}#"))).count();
    if again == 0 { pair } else { format!("{pair}#{}", again + 1) }
}
