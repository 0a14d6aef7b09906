//! Recorded events, read from CSV.

use crate::desk::{Desk, SMALL};

const EVENTS: &str = "events:\n  deletions: {every: {exponential: {mean: 500ms}}, do: {podDelete: {workload: web}}}";

fn with_events(events: &str) -> String {
    assert!(SMALL.contains(EVENTS));
    SMALL.replace(EVENTS, &format!("events:\n{events}"))
}

/// The small experiment with a recorded trace.
fn traced(entry: &str, trace: &str) -> Desk {
    let desk = Desk::with(with_events(&format!("  outages: {entry}")));
    desk.write("outages.csv", trace);
    desk
}

#[test]
fn a_recorded_trace_gives_the_same_bytes_as_its_events_written_by_hand() {
    let trace = "# recorded in the night\nat,for,node\n0.3,200ms,zone-a-0\n\n0.7s,,zone-a-1\n";
    let recorded = traced("{trace: outages.csv, do: {nodeCrash: {}}}", trace);
    let mixed =
        traced("{trace: outages.csv}", "for,do,at,node,workload,place\n200ms,nodeCrash,300ms,zone-a-0,,\n,nodeCrash,700ms,zone-a-1,,\n");
    let by_hand = Desk::with(with_events(
        "  outages-1: {at: 300ms, for: 200ms, do: {nodeCrash: {node: zone-a-0}}}\n  \
         outages-2: {at: 700ms, do: {nodeCrash: {node: zone-a-1}}}",
    ));
    let results = |desk: &Desk| {
        desk.succeeds(&["run", "small.yaml", "--out", "out"]);
        desk.succeeds(&["verify", "out"]);
        ["out/runs.csv", "out/events.csv", "out/timeline.csv", "out/experiment.yaml"].map(|file| desk.text(file))
    };
    let expected = results(&by_hand);
    assert!(expected[1].contains("outages-2"), "{}", expected[1]);
    assert_eq!(results(&recorded), expected);
    assert_eq!(results(&mixed), expected);
}

#[test]
fn what_is_wrong_with_a_trace_is_shown_in_it() {
    const CRASH: &str = "{trace: outages.csv, do: {nodeCrash: {}}}";
    let long = "at,node\n".to_owned() + &"1s,zone-a-0\n".repeat(9) + "3s,zone-b-0\n";
    for (entry, trace, place, said) in [
        (CRASH, "at,node\n1s,zone-a-0\nsoon,zone-a-1\n", "outages.csv:3:1\n", "`soon` is not a duration"),
        (CRASH, "node,at\nzone-a-0,-3\n", "outages.csv:2:10\n", "must not be negative"),
        (CRASH, "at,node\n1s,zone-a-0\n2s,zone-b-0\n", "outages.csv:3:4\n", "there is no Node `zone-b-0`"),
        (CRASH, long.as_str(), "outages.csv:11:4\n", "there is no Node `zone-b-0`"),
        (CRASH, "at,\"zone\"\n1s,zone-a\n", "outages.csv:2:4\n", "unknown field `zone`"),
        (CRASH, "at,node\n1s,zone-a-0,\n", "outages.csv:2:1\n", "3 cells, where the first line has 2"),
        (CRASH, "at,at\n1s,2s\n", "outages.csv:1:4\n", "two columns are called `at`"),
        (CRASH, "1s,zone-a-0\n", "outages.csv:1:1\n", "no column is called `at`"),
        (CRASH, "at,node\n", "outages.csv", "0 recorded events"),
        (CRASH, "", "outages.csv:1:1\n", "no column is called `at`"),
        (CRASH, "at,do\n1s,nodeCut\n", "outages.csv:1:1\n", "both the column `do` and the experiment"),
        ("{trace: outages.csv}", "at,do\n1s,nodeCrush\n", "outages.csv:2:4\n", "nodeCrush` is unknown"),
        ("{trace: outages.csv}", "at\n1s\n", "small.yaml", "nothing says what happens"),
        ("{trace: outages.csv, at: 3s}", "at\n1s\n", "small.yaml", "the trace says when"),
        ("{trace: 7}", "", "small.yaml", "expected the name of a CSV file"),
        ("{trace: lost.csv}", "", "small.yaml", "lost.csv"),
    ] {
        let desk = traced(entry, trace);
        let outcome = desk.svcsim(&["run", "small.yaml", "--out", "out"]);
        assert_eq!(outcome.code, Some(2), "{trace}\n{}", outcome.err);
        assert!(outcome.err.contains(said) && outcome.err.contains(place) && outcome.err.contains("help: "), "{trace}\n{}", outcome.err);
        assert!(!desk.path("out").exists());
    }
}
