//! Whatever an experiment file holds, it is read or refused in words: nothing panics, and every refusal has its place.

use super::error::InputError;
use super::experiment::Loaded;
use super::tree;
use crate::design::Design;
use proptest::prelude::*;
use serde_json::{Value, json};

const SMALL: &str = include_str!("../../tests/small.yaml");

/// What people, editors and attackers leave in files.
const SCRAPS: [&str; 40] = [
    "",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    ":",
    ": ",
    "- ",
    "-1",
    "0",
    "99999999999",
    "1e309",
    ".nan",
    "-.inf",
    "5ms",
    "5",
    "1/s",
    "null",
    "~",
    "true",
    "no",
    "{}",
    "[]",
    "{",
    "]",
    "'",
    "\"",
    "|",
    ">",
    "#",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "---\n",
    "...\n",
    "é",
    "\u{0}",
    "{exponential: {mean: 5ms}}",
];

#[derive(Clone, Debug)]
enum Damage {
    DeleteLine(usize),
    RepeatLine(usize),
    SwapLines(usize, usize),
    IndentLine(usize, usize),
    Replace(usize, usize, usize),
    /// Something else stands after a colon.
    NewValue(usize, usize),
    NoKey(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let n = any::<usize>();
    prop_oneof![
        n.prop_map(Damage::DeleteLine),
        n.prop_map(Damage::RepeatLine),
        (n, n).prop_map(|(a, b)| Damage::SwapLines(a, b)),
        (n, 0usize..8).prop_map(|(a, by)| Damage::IndentLine(a, by)),
        (n, 0usize..6, n).prop_map(|(at, length, scrap)| Damage::Replace(at, length, scrap)),
        (n, n).prop_map(|(at, scrap)| Damage::NewValue(at, scrap)),
        n.prop_map(Damage::NoKey),
    ]
}

fn damaged(text: &str, damage: &Damage) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let count = lines.len().max(1);
    let scrap = |i: usize| SCRAPS[i % SCRAPS.len()];
    match *damage {
        _ if lines.is_empty() => {}
        Damage::DeleteLine(i) => drop(lines.remove(i % count)),
        Damage::RepeatLine(i) => lines.insert(i % count, lines[i % count].clone()),
        Damage::SwapLines(i, j) => lines.swap(i % count, j % count),
        Damage::IndentLine(i, by) => lines[i % count].insert_str(0, &" ".repeat(by)),
        Damage::Replace(at, length, i) => {
            let chars: Vec<char> = text.chars().collect();
            let at = at % chars.len().max(1);
            let end = (at + length).min(chars.len());
            return chars[..at].iter().copied().chain(scrap(i).chars()).chain(chars[end..].iter().copied()).collect();
        }
        Damage::NewValue(at, i) => {
            let colons: Vec<usize> = text.match_indices(": ").map(|(i, _)| i + 2).collect();
            let Some(&start) = colons.get(at % colons.len().max(1)) else { return text.to_owned() };
            let end = text[start..].find([',', '}', '\n']).map_or(text.len(), |i| start + i);
            return format!("{}{}{}", &text[..start], scrap(i), &text[end..]);
        }
        Damage::NoKey(at) => {
            let keys: Vec<usize> = text.match_indices(':').map(|(i, _)| i).collect();
            let Some(&colon) = keys.get(at % keys.len().max(1)) else { return text.to_owned() };
            let start = text[..colon].rfind([' ', '{', '\n']).map_or(0, |i| i + 1);
            return format!("{}{}", &text[..start], &text[colon..]);
        }
    }
    lines.join("\n")
}

/// Goes the way of `svcsim check` as far as it can; the errors, if any.
fn read(text: &str, sets: &[(String, Value)]) -> Vec<InputError> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("small.yaml");
    std::fs::write(&path, text).expect("a file");
    let loaded = match Loaded::read(&path, sets) {
        Ok(loaded) => loaded,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a word");
            return errors;
        }
    };
    let design = match Design::of(&loaded.experiment.design) {
        Ok(design) => design,
        Err(error) => return vec![loaded.placed(error)],
    };
    for point in design.points.iter().take(20) {
        let spec = match loaded.spec(&point.fields) {
            Ok(spec) => spec,
            Err(error) => return vec![error],
        };
        // Building takes long for what only a slip of the keyboard asks for.
        if spec.nodes.len() < 1_000 && spec.workloads.iter().map(|w| u64::from(w.replicas)).sum::<u64>() < 10_000 {
            if let Err(error) = svcsim_models::cluster::check(&spec) {
                return vec![loaded.locate(&error, &point.fields)];
            }
            let _ = svcsim_models::cluster::lint(&spec);
        }
    }
    let again = dir.path().join("again.yaml");
    std::fs::write(&again, loaded.resolved_yaml()).expect("a file");
    let resolved = Loaded::read(&again, &[]).unwrap_or_else(|errors| panic!("what was resolved cannot be read: {}", errors[0]));
    assert_eq!(resolved.resolved_yaml(), loaded.resolved_yaml(), "resolving a resolved experiment changes nothing");
    Vec::new()
}

/// A path near one that is there.
fn path() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "run.duration",
        "pods.web.concurrency",
        "pods.web.serviceTime.exponential.mean",
        "traffic.users.from",
        "traffic.users",
        "network.shape",
        "network.sites.internet.link.delay",
        "kubernetes.nodes",
        "kubernetes.objects[0].spec.replicas",
        "kubernetes.objects",
        "kubernetes.patches",
        "design.factors[0].levels",
        "design.factors",
        "design.where",
        "design.paired",
        "design.subsets.quick",
        "design.sampling",
        "design",
        "metadata.name",
        "services.shop.spec.ports[0].nodePort",
        "services.shop.spec.selector",
        "services.shop.spec.type",
        "services.shop.spec.clusterIP",
        "services.shop.spec.sessionAffinityConfig",
        "services.shop.spec.ports[0].targetPort",
        "services.shop.spec",
        "services.shop.status.loadBalancer.ingress",
        "deployments.web.spec.replicas",
        "deployments.web.spec.template.spec.nodeSelector",
        "deployments.web.metadata.labels[\"a.b\"]",
        "nodes.zone-a-0.metadata.labels",
    ]);
    prop_oneof![
        2 => known.clone().prop_map(str::to_owned),
        1 => (known, any::<usize>(), "[a-z.\\[\\]0-9\"]{0,4}").prop_map(|(path, at, more)| {
            let at = at % (path.len() + 1);
            format!("{}{more}{}", &path[..at], &path[at..])
        }),
        1 => "[a-z.\\[\\]0-9\" é]{0,12}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let scrap = prop::sample::select(SCRAPS.to_vec());
    prop_oneof![
        3 => scrap.clone().prop_map(|s| serde_saphyr::from_str(s).unwrap_or_else(|_| json!(s))),
        1 => any::<i64>().prop_map(|n| json!(n)),
        1 => scrap.clone().prop_map(|s| json!([s, {"exponential": {"mean": s}}])),
        1 => scrap.prop_map(|s| json!({"exponential": {"mean": s}, "a": {"traffic.users.clients": s}})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_damaged_file_is_read_or_refused_in_its_place(damages in prop::collection::vec(damage(), 1..5)) {
        let text = damages.iter().fold(SMALL.to_owned(), |text, d| damaged(&text, d));
        for error in read(&text, &[]) {
            let shown = error.render(false);
            prop_assert!(shown.contains("small.yaml"), "no file: {shown}\n{text}");
            prop_assert!(!error.fix.is_empty(), "no fix: {shown}\n{text}");
            prop_assert!(error.at.is_none_or(|at| at.line <= text.lines().count() + 1), "no such line: {shown}\n{text}");
        }
    }

    #[test]
    fn any_field_is_set_or_refused(sets in prop::collection::vec((path(), value()), 1..3)) {
        for error in read(SMALL, &sets) {
            let shown = error.render(false);
            prop_assert!(shown.contains("small.yaml") || shown.contains("--set "), "no place: {shown}\n{sets:?}");
        }
    }

    #[test]
    fn any_field_is_a_factor_or_refused(path in path(), levels in prop::collection::vec(value(), 1..4)) {
        let sets = [("design.factors".to_owned(), json!([{"name": "x", "path": path, "levels": levels}]))];
        read(SMALL, &sets);
    }

    #[test]
    fn any_range_is_sampled_or_refused(path in path(), from in value(), to in value(), log: bool, walks in 0u32..5) {
        let scale = if log { "log" } else { "linear" };
        let factors = json!([{"name": "x", "path": path, "from": from, "to": to, "scale": scale}]);
        let sampling = json!({"morris": {"trajectories": walks}});
        read(SMALL, &[("design.factors".to_owned(), factors), ("design.sampling".to_owned(), sampling)]);
    }

    #[test]
    fn what_was_set_in_a_tree_is_there(path in path(), value in value()) {
        let mut tree: Value = serde_saphyr::from_str(SMALL).expect("YAML");
        if tree::set(&mut tree, &path, value).is_ok() {
            prop_assert_eq!(tree::missing(&tree, &path), None);
        }
    }
}
