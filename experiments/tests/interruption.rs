//! A run that is stopped leaves nothing that looks finished.
#![cfg(unix)]

use crate::desk::{Desk, SMALL};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn start(desk: &Desk, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_svcsim"));
    command.args(arguments).current_dir(desk.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

#[test]
fn ctrl_c_ends_a_run_with_130_and_leaves_nothing() {
    for name in ["-INT", "-TERM"] {
        let desk = Desk::with(SMALL);
        let long =
            ["run", "small.yaml", "--out", "out", "--set", "run.duration=5h", "--set", "run.window=1s", "--set", "design.replications=50"];
        let mut child = start(&desk, &long);
        std::thread::sleep(Duration::from_millis(700));
        assert!(child.try_wait().expect("a child").is_none(), "the run is too short for this test");
        signal(&child, name);
        let asked = Instant::now();
        let output = child.wait_with_output().expect("a child");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{name}: {err}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{name}: it took {:?} to stop", asked.elapsed());
        assert!(err.contains("interrupted: nothing was written"), "{err}");
        assert!(output.stdout.is_empty());
        assert_eq!(desk.files().into_keys().collect::<Vec<_>>(), ["small.yaml"]);
    }
}

#[test]
fn a_run_killed_while_it_writes_leaves_nothing_that_looks_finished() {
    // A new directory is written beside its place, an empty one that is there is filled from within.
    for there in [false, true] {
        let desk = Desk::with(SMALL);
        if there {
            std::fs::create_dir(desk.path("out")).expect("a folder");
        }
        let run = ["run", "small.yaml", "--out", "out"];
        let mut child = start(&desk, &run);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !desk.files().keys().any(|name| name.contains(".part-")) {
            assert!(Instant::now() < deadline && child.try_wait().expect("a child").is_none(), "nothing was ever being written");
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, "-KILL");
        child.wait().expect("a child");
        let files = desk.files();
        assert!(!files.contains_key("out/provenance.json"), "{:?}", files.keys());
        assert!(files.keys().any(|name| name.contains(".part-")), "it was killed too late to show anything");
        assert_ne!(desk.svcsim(&["verify", "out"]).code, Some(0));
        desk.succeeds(&run);
        desk.succeeds(&["verify", "out"]);
    }
}
