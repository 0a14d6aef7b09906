//! What `svcsim validate --out DIR` keeps: every statistic in a table, a page of what passed and what did not, and how the distances are
//! spread.

use super::plots;
use crate::validate::{Finding, Found, K, Outcome, Verdict};
use std::collections::BTreeMap;
use std::io;

/// Distances in standard errors, one of each vector, since the statistics of one depend on each other. Of a few hundred independent ones
/// the root mean square lies between 0.85 and 1.15: less, and standard errors are too large; more, and there is bias or dependence.
pub(crate) struct Pooled {
    /// By vector, in their order.
    pub(crate) z: Vec<f64>,
}

impl Pooled {
    /// Fewest vectors that anything is said of.
    const FEWEST: usize = 20;

    pub(crate) fn of(outcomes: &[Outcome]) -> Option<Self> {
        // What never varies is never off, and says nothing of standard errors.
        let varies = |f: &&Finding| matches!(&f.found, Found::Simulated(e) if e.se > 0.0) && f.verdict.passed().is_some();
        let judged = |o: &Outcome| o.findings.as_ref().ok()?.iter().find(varies)?.z;
        let z: Vec<f64> = outcomes.iter().filter_map(judged).filter(|z| z.is_finite()).collect();
        (z.len() >= Self::FEWEST).then_some(Self { z })
    }

    pub(crate) fn mean(&self) -> f64 {
        self.z.iter().sum::<f64>() / self.z.len() as f64
    }

    /// The root of their mean square.
    pub(crate) fn rms(&self) -> f64 {
        (self.z.iter().map(|z| z * z).sum::<f64>() / self.z.len() as f64).sqrt()
    }

    pub(crate) fn sentence(&self) -> String {
        format!("z of one statistic of each of {} vectors: mean {:+.2}, root mean square {:.2}", self.z.len(), self.mean(), self.rms())
    }
}

/// How many passed, failed and were skipped.
pub(crate) fn totals(outcomes: &[Outcome]) -> [usize; 3] {
    [Some(true), Some(false), None].map(|passed| outcomes.iter().filter(|o| o.passed() == passed).count())
}

/// Why vectors were skipped, with those that were.
pub(crate) fn skipped(outcomes: &[Outcome]) -> BTreeMap<&str, Vec<&str>> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|o| o.passed().is_none()) {
        let reason = outcome.findings.as_ref().err().map_or("no statistic of it can be judged", String::as_str);
        reasons.entry(reason).or_default().push(&outcome.id);
    }
    reasons
}

/// The files, by name. `command` makes them again.
pub(crate) fn files(outcomes: &[Outcome], command: &str) -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut files = vec![("validation.csv", table(outcomes)?), ("validation.md", page(outcomes, command).into_bytes())];
    if let Some(pooled) = Pooled::of(outcomes) {
        let figure = plots::z_histogram::figure(&pooled.z);
        files.push(("z.png", plots::png_of(&figure)?));
        files.push(("z.svg", figure.svg.into_bytes()));
    }
    Ok(files)
}

fn table(outcomes: &[Outcome]) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["vector", "family", "statistic", "expected", "found", "standard_error", "z", "verdict", "reason"])?;
    for (outcome, finding) in outcomes.iter().flat_map(|o| o.findings.iter().flatten().map(move |f| (o, f))) {
        let (found, error) = match &finding.found {
            Found::Nothing => (String::new(), String::new()),
            Found::Simulated(e) => (e.mean.to_string(), e.se.to_string()),
            Found::Calculated(value) => (value.to_string(), String::new()),
        };
        let (verdict, reason) = words(finding);
        let z = finding.z.map_or_else(String::new, |z| z.to_string());
        let expected = finding.expected.to_string();
        writer.write_record([&outcome.id, &outcome.family, &finding.statistic, &expected, &found, &error, &z, verdict, reason])?;
    }
    writer.into_inner().map_err(|e| e.into_error())
}

fn words(finding: &Finding) -> (&'static str, &str) {
    match &finding.verdict {
        Verdict::Passed => ("passed", ""),
        Verdict::Failed(why) | Verdict::TooLittle(why) => ("failed", why),
        Verdict::NotJudged(why) => ("not judged", why),
    }
}

fn page(outcomes: &[Outcome], command: &str) -> String {
    let [passed, failed, left] = totals(outcomes);
    let judged = outcomes.iter().filter_map(|o| o.findings.as_ref().ok()).flatten().filter(|f| f.verdict.passed().is_some()).count();
    let mut text = format!(
        "# Known answers\n\nMade by `{command}`, svcsim {}.\n\n**{passed} vectors passed, {failed} failed, {left} were skipped**; {judged} \
         statistics were judged. Every one of them stands in [validation.csv](validation.csv).\n\n",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(pooled) = Pooled::of(outcomes) {
        text += &format!("{}.\n\n![How far statistics are off, in standard errors](z.png)\n\n", pooled.sentence());
    }
    text += "## By family\n\n| family | passed | failed | skipped | largest distance, standard errors |\n|---|---|---|---|---|\n";
    let mut families: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    outcomes.iter().for_each(|o| families.entry(&o.family).or_default().push(o));
    for (family, of_family) in &families {
        let count = |passed| of_family.iter().filter(|o| o.passed() == passed).count();
        let judged = of_family.iter().filter_map(|o| o.findings.as_ref().ok()).flatten().filter(|f| f.verdict.passed().is_some());
        // A bound may be passed from afar.
        let two_sided = judged.filter(|f| f.verdict.passed() == Some(false) || f.z.is_some_and(|z| z.abs() <= K));
        let most = two_sided.filter_map(|f| f.z).map(f64::abs).reduce(f64::max).map_or_else(String::new, |z| format!("{z:.2}"));
        text += &format!("| {family} | {} | {} | {} | {most} |\n", count(Some(true)), count(Some(false)), count(None));
    }
    text += "\n## What failed\n\n";
    let failures: Vec<String> = outcomes
        .iter()
        .flat_map(|o| o.findings.iter().flatten().map(move |f| (o, f)))
        .filter(|(_, f)| f.verdict.passed() == Some(false))
        .map(|(o, f)| format!("- `{}`, {}: {}\n", o.id, f.statistic, words(f).1))
        .collect();
    text += &if failures.is_empty() { "Nothing.\n".to_owned() } else { failures.concat() };
    text += "\n## What was skipped\n\n";
    let reasons: Vec<String> = skipped(outcomes).iter().map(|(reason, ids)| format!("- {reason}: {}\n", ids.join(", "))).collect();
    text += &if reasons.is_empty() { "Nothing.\n".to_owned() } else { reasons.concat() };
    text
}
