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
    // It may have ended by itself; who waits for it finds out.
    let _ = Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().expect("kill runs");
}

/// Whether something is being written here.
fn is_writing(desk: &Desk) -> bool {
    let part = |entry: std::io::Result<std::fs::DirEntry>| entry.is_ok_and(|e| e.file_name().to_string_lossy().contains(".part-"));
    ["", "out"].iter().any(|folder| std::fs::read_dir(desk.path(folder)).is_ok_and(|mut entries| entries.any(part)))
}

#[test]
fn ctrl_c_ends_a_run_with_130_and_leaves_nothing() {
    let long = ["--set", "run.duration=5h", "--set", "run.window=1s", "--set", "design.replications=50"];
    for name in ["-INT", "-TERM"] {
        let desk = Desk::with(SMALL);
        // On a busy machine it takes a while before the program listens; until then the signal itself ends it.
        let output = [400, 2_000, 10_000].into_iter().find_map(|patience| {
            let mut child = start(&desk, &[&["run", "small.yaml", "--out", "out"], &long[..]].concat());
            std::thread::sleep(Duration::from_millis(patience));
            assert!(child.try_wait().expect("a child").is_none(), "the run is too short for this test");
            signal(&child, name);
            let asked = Instant::now();
            let output = child.wait_with_output().expect("a child");
            assert!(asked.elapsed() < Duration::from_secs(10), "{name}: it took {:?} to stop", asked.elapsed());
            output.status.code().map(|code| (code, output))
        });
        let (code, output) = output.expect("the program never listened");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code, 130, "{name}: {err}");
        assert!(err.contains("interrupted: nothing was written"), "{err}");
        assert!(output.stdout.is_empty());
        assert_eq!(desk.files().into_keys().collect::<Vec<_>>(), ["small.yaml"]);
    }
}

#[test]
fn a_run_killed_while_it_writes_leaves_nothing_that_looks_finished() {
    // A new directory is written beside its place, an empty one that is there is filled from within.
    for there in [false, true] {
        let run = ["run", "small.yaml", "--out", "out"];
        let killed = (0..5).find_map(|_| {
            let desk = Desk::with(SMALL);
            if there {
                std::fs::create_dir(desk.path("out")).expect("a folder");
            }
            let mut child = start(&desk, &run);
            while !is_writing(&desk) && child.try_wait().expect("a child").is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            signal(&child, "-KILL");
            let status = child.wait().expect("a child");
            // Writing takes a quarter of a second; a machine that is slower to kill gets another chance.
            (!status.success() && is_writing(&desk)).then_some(desk)
        });
        let desk = killed.expect("never killed in time to show anything");
        assert!(!desk.files().contains_key("out/provenance.json"), "{:?}", desk.files().keys());
        assert_ne!(desk.svcsim(&["verify", "out"]).code, Some(0));
        desk.succeeds(&run);
        desk.succeeds(&["verify", "out"]);
    }
}
