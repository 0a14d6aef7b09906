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
    let is_part = |name: &str| name.contains(".part-") && !name.ends_with("units");
    let part = |entry: std::io::Result<std::fs::DirEntry>| entry.is_ok_and(|e| is_part(&e.file_name().to_string_lossy()));
    ["", "out"].iter().any(|folder| std::fs::read_dir(desk.path(folder)).is_ok_and(|mut entries| entries.any(part)))
}

#[test]
fn ctrl_c_ends_a_run_with_130_and_leaves_no_results() {
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
        assert!(err.contains("interrupted: what was done is kept; the same command with --resume goes on"), "{err}");
        assert!(output.stdout.is_empty());
        assert!(!desk.path("out").exists());
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

/// Killed at two hundred instants, whatever it was doing, a run that is resumed ends with the bytes of one that nobody disturbed.
#[test]
fn killed_at_any_instant_a_run_goes_on_to_the_same_bytes() {
    let desk = Desk::with(SMALL);
    desk.succeeds(&["run", "small.yaml", "--out", "whole", "--set", "design.replications=20"]);
    let whole = desk.results("whole");
    let resume = ["run", "small.yaml", "--out", "out", "--resume", "--set", "design.replications=20"];
    let (mut kills, mut finished, mut tries, mut chance) = (0, 0, 0u32, 1u64);
    while kills < 200 {
        tries += 1;
        assert!(tries < 2_000, "killed only {kills} times");
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = start(&desk, &resume);
        std::thread::sleep(Duration::from_micros((chance >> 33) % 150_000));
        if child.try_wait().expect("a child").is_none() {
            signal(&child, "-KILL");
        }
        kills += u32::from(!child.wait().expect("a child").success());
        if desk.path("out/provenance.json").exists() {
            assert_eq!(desk.results("out"), whole, "after {kills} kills");
            finished += 1;
            std::fs::remove_dir_all(desk.path("out")).expect("a folder");
        }
    }
    desk.succeeds(&resume);
    assert_eq!(desk.results("out"), whole, "{finished} finished on the way");
    let left: Vec<String> = desk.files().into_keys().filter(|name| name.contains(".part-") || name.contains(".old-")).collect();
    assert_eq!(left, [""; 0], "nothing is left of those that were killed");
}

/// Of a file that was cut off or altered its run is made again.
#[test]
fn a_damaged_unit_is_run_again() {
    let desk = Desk::with(SMALL);
    let shard = ["run", "small.yaml", "--shard", "0/1", "--out", "s"];
    desk.succeeds(&shard);
    let units = || desk.files().into_iter().filter(|(name, _)| name.starts_with("s/units/") && name.ends_with(".unit")).collect::<Vec<_>>();
    let all = units();
    std::fs::rename(desk.path("s/units"), desk.path("out.part-units")).expect("moved");
    for (i, (name, bytes)) in all.iter().enumerate() {
        let damaged = match i % 3 {
            0 => bytes[..bytes.len() / 2].to_vec(),
            1 => bytes.iter().enumerate().map(|(j, b)| b ^ u8::from(j == 200)).collect(),
            _ => bytes.clone(),
        };
        desk.write(&name.replace("s/units", "out.part-units"), damaged);
    }
    desk.succeeds(&["run", "small.yaml", "--out", "out", "--resume"]);
    desk.succeeds(&["verify", "out"]);
}
