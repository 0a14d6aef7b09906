//! The story as a trace in Chrome's Trace Event Format, which ui.perfetto.dev and chrome://tracing open: a track a place, a
//! slice a step, with everything that is known of the step under its arguments.

use super::Story;
use serde_json::{Value, json};
use svcsim_models::explain::{Step, What};

/// All tracks are of one process.
const PROCESS: u32 = 1;

/// The trace; times are microseconds from the start of the request.
pub(crate) fn trace(story: &Story) -> Value {
    let e = &story.explanation;
    let whole = format!("request {} of {}", e.request, e.source);
    let mut places: Vec<&str> = vec![&whole];
    let mut events = Vec::new();
    let us = |ns: u64| ns.saturating_sub(e.start_ns) as f64 / 1e3;
    for step in &e.steps {
        let track = places.iter().position(|p| *p == step.place).unwrap_or_else(|| {
            places.push(&step.place);
            places.len() - 1
        });
        let mut event = json!({ "name": title(&step.what), "cat": "svcsim", "ph": "X", "ts": us(step.start_ns) });
        if step.end_ns > step.start_ns {
            event["dur"] = json!(us(step.end_ns) - us(step.start_ns));
        } else {
            event["ph"] = json!("i");
            event["s"] = json!("t");
        }
        event["pid"] = json!(PROCESS);
        event["tid"] = json!(track);
        event["args"] = arguments(step);
        events.push(event);
    }
    let facts = json!({
        "experiment": story.experiment, "point": story.point, "label": story.label, "replication": story.replication, "seed": story.seed,
        "outcome": e.outcome, "startNs": e.start_ns, "endNs": e.end_ns, "times": e.times,
    });
    let name = format!("{whole}: {}", e.outcome);
    let request = json!({
        "name": name, "cat": "svcsim", "ph": "X", "ts": 0.0, "dur": us(e.end_ns), "pid": PROCESS, "tid": 0, "args": facts,
    });
    let process = json!({ "name": "process_name", "ph": "M", "pid": PROCESS, "args": { "name": format!("svcsim: {}", story.experiment) } });
    let tracks = places.iter().enumerate().flat_map(|(tid, place)| {
        [
            json!({ "name": "thread_name", "ph": "M", "pid": PROCESS, "tid": tid, "args": { "name": place } }),
            json!({ "name": "thread_sort_index", "ph": "M", "pid": PROCESS, "tid": tid, "args": { "sort_index": tid } }),
        ]
    });
    let all: Vec<Value> = std::iter::once(process).chain(tracks).chain([request]).chain(events).collect();
    json!({ "traceEvents": all, "displayTimeUnit": "ns" })
}

/// Everything that is known of a step.
fn arguments(step: &Step) -> Value {
    let mut known = serde_json::to_value(step).unwrap_or_default();
    if let Some(fields) = known.as_object_mut() {
        // They are the slice's own place and time.
        ["startNs", "endNs", "place"].iter().for_each(|field| drop(fields.shift_remove(*field)));
    }
    known
}

/// What stands on the slice.
fn title(what: &What) -> String {
    match what {
        What::Sends { via, reused: false, .. } => format!("sends via {via}"),
        What::Sends { via, .. } => format!("sends via {via}, over an open connection"),
        What::Retries { retry, .. } => format!("pauses before retry {retry}"),
        What::Resolves { name, .. } => format!("looks up {name}"),
        What::Crosses { path, back } => {
            let ends = [path.first(), path.last()].map(|v| v.map_or("", String::as_str));
            format!("{}{} → {}", if *back { "back: " } else { "" }, ends[0], ends[1])
        }
        What::Balances { chosen, .. } => chosen.as_ref().map_or_else(|| "no target".to_owned(), |c| format!("chooses {c}")),
        What::Decides { verdict, .. } => verdict.clone(),
        What::Follows { .. } => "passes on a known connection's packet".to_owned(),
        What::Serves { .. } => "serves".to_owned(),
        What::Answers { result, .. } => format!("answers: {result}"),
        What::Ends { outcome } => format!("ends: {outcome}"),
    }
}
