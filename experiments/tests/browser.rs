//! The shipped report in a real browser: layout, contrast, keyboard, sorting and searching, light and dark.

use crate::desk::shipped;
use std::fs;
use std::process::Command;

/// A phone's and a desktop's width, CSS pixels.
const WIDTHS: [u32; 2] = [390, 1280];

/// What the browser says of the page, and its log.
fn open(scheme: &str) -> (String, String) {
    let report = fs::read_to_string(shipped("../results/online-boutique/report.html")).expect("the shipped report");
    let dir = tempfile::tempdir().expect("a directory");
    // A string of JSON is one of JavaScript; its tags must not end the script.
    let text = serde_json::to_string(&report).expect("text").replace("</", "<\\/").replace("<!--", "<\\!--");
    let check = include_str!("browser.js");
    let page = format!("<!DOCTYPE html><meta charset=utf-8><body><script>const WIDTHS = {WIDTHS:?}, REPORT = {text};\n{check}</script>");
    let file = dir.path().join("page.html");
    fs::write(&file, page).expect("written");
    let browser = std::env::var("SVCSIM_BROWSER").unwrap_or_else(|_| "chromium".to_owned());
    let out = Command::new(&browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=60000"])
        .args([&format!("--blink-settings=preferredColorScheme={scheme}"), "--window-size=1400,1000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap_or_else(|e| panic!("{browser}: {e}; name another in SVCSIM_BROWSER"));
    (String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
#[ignore = "needs Chromium: cargo test -p svcsim --test main browser -- --ignored"]
fn the_report_is_fit_for_phones_keyboards_and_dark_rooms() {
    for (scheme, paper) in [("1", "rgb(255, 255, 255)"), ("0", "rgb(21, 24, 28)")] {
        let (dom, log) = open(scheme);
        let said = dom.split_once("CHECKED").map_or("nothing", |(_, said)| said);
        assert!(said.starts_with(&format!(" on {paper}: 0 wrong")), "{said}\n{log}");
        let console: Vec<&str> = log.lines().filter(|l| l.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "{console:?}");
    }
}
