//! Bad input gets one message that says where, what and how to mend it, exit code 2, and leaves nothing behind.
//!
//! In the changed text of a case, what stands between « and » is what the message must underline.

use crate::desk::{Desk, SMALL, Said};

/// The factor of the small experiment.
const FACTOR: &str = "    - path: pods.web.concurrency\n      levels: [1, 2]\n";
/// The service time of its Pods.
const SERVICE_TIME: &str = "{exponential: {mean: 5ms}}";
/// A place in `kubernetes` where another key can stand.
const NODES: &str = "  nodes: {zones: [zone-a], perZone: 2}\n";
/// The shape of its network.
const SHAPE: &str = "    oneSwitch:\n      node: {delay: 50us}\n";

/// Runs the small experiment with a part of it replaced, and returns what is said.
#[track_caller]
fn refused(from: &str, to: &str, expected: &[&str]) -> String {
    refused_at(&Desk::empty(), &SMALL.replacen(from, to, 1), &[], expected, (from, to))
}

/// Runs `text` from `desk`, with these arguments.
#[track_caller]
fn refused_at(desk: &Desk, marked: &str, arguments: &[&str], expected: &[&str], (from, to): (&str, &str)) -> String {
    assert!(from == to || SMALL.contains(from), "the small experiment has no {from}");
    let (text, span) = unmarked(marked);
    desk.write("small.yaml", &text);
    let before = desk.files();
    let said = desk.svcsim(&[&["run", "small.yaml"], arguments].concat());
    assert!(desk.files() == before, "{to}: something was left behind: {:?}", desk.files().keys());
    says(&said, expected, to);
    if let Some((line, column, length)) = span {
        assert!(said.err.contains(&format!("--> small.yaml:{line}:{column}\n")), "{to}: the place is wrong\n{}", said.err);
        let carets = "^".repeat(length);
        assert!(said.err.lines().any(|l| l.ends_with(&format!(" {carets}"))), "{to}: {length} characters are at fault\n{}", said.err);
    }
    said.err
}

/// The text without its marks, and line, column and length of what they mark.
fn unmarked(marked: &str) -> (String, Option<(usize, usize, usize)>) {
    let Some((before, rest)) = marked.split_once('«') else { return (marked.to_owned(), None) };
    let (within, after) = rest.split_once('»').expect("a mark ends");
    let column = before.lines().last().filter(|_| !before.ends_with('\n')).unwrap_or("").chars().count() + 1;
    (format!("{before}{within}{after}"), Some((before.matches('\n').count() + 1, column, within.chars().count())))
}

/// One message, for people, of the expected content.
#[track_caller]
fn says(said: &Said, expected: &[&str], case: &str) {
    assert_eq!(said.code, Some(2), "{case}\n{}{}", said.out, said.err);
    assert_eq!(said.out, "", "{case}");
    assert_eq!(said.err.matches("error: ").count(), 1, "{case}: not one error\n{}", said.err);
    assert!(said.err.contains("help: "), "{case}: no fix\n{}", said.err);
    for jargon in ["variant", "expected u32", "expected f64", "struct ", "invalid type", "invalid value", "missing field", "os error"] {
        assert!(!said.err.contains(jargon), "{case}: {jargon} is no word for users\n{}", said.err);
    }
    for part in expected {
        assert!(said.err.contains(part), "{case}: does not say {part}\n{}", said.err);
    }
}

#[test]
fn a_misspelt_key_is_underlined_with_the_one_that_was_meant() {
    let shown = refused("network:", "«netwrok»:", &["unknown field `netwrok`", "did you mean `network`?"]);
    insta::assert_snapshot!("misspelt_key", shown);
    for (from, to, meant) in [
        ("replications:", "«replicatons»:", "replications"),
        ("clients:", "«client»:", "clients"),
        ("bandwidth:", "«bandwith»:", "bandwidth"),
        ("oneSwitch:", "«oneSwich»:", "oneSwitch"),
        ("replicas:", "«replcas»:", "replicas"),
        ("{exponential: {mean: 5ms", "{«exponentail»: {mean: 5ms", "exponential"),
        ("{exponential: {mean: 5ms", "{exponential: {«maen»: 5ms", "mean"),
        ("{exponential: {mean: 500ms", "{«expnential»: {mean: 500ms", "exponential"),
        ("via: NodePort", "via: «Nodeport»", "NodePort"),
        ("type: NodePort", "type: «Nodeport»", "NodePort"),
        ("warmUp:", "«warmup»:", "warmUp"),
    ] {
        refused(from, to, &[&format!("did you mean `{meant}`?")]);
    }
}

#[test]
fn an_unknown_key_is_underlined_with_those_that_are_known() {
    let shown = refused("clients: 20", "«colour»: 20", &["unknown field `colour`", "from, to, via, port, arrivals"]);
    insta::assert_snapshot!("unknown_key", shown);
    refused("design:\n", "«colour»: red\ndesign:\n", &["apiVersion, kind, metadata, kubernetes, network"]);
    refused(SERVICE_TIME, "{exponential: {mean: 5ms, «cv»: 1}}", &["unknown field `cv`", "only `mean` is known here"]);
    refused("from: {site: internet}", "from: «internet»", &["`internet` is unknown", "site, workload, cluster"]);
    refused("{poisson: {rate: 400/s}}", "{«fractal»: {rate: 400/s}}", &["`fractal` is unknown", "poisson"]);
}

#[test]
fn a_key_that_is_missing_is_named() {
    refused("kind: Experiment\n", "", &["--> small.yaml\n", "`kind` is missing", "write `kind: Experiment`"]);
    refused("apiVersion: svcsim/v1alpha1\n", "", &["--> small.yaml\n", "`apiVersion` is missing"]);
    refused("run: {duration: 1200ms, warmUp: 200ms, window: 200ms}\n", "", &["--> small.yaml\n", "`run` is missing", "add `run:`"]);
    refused("  users:\n    from: {site: internet}\n    to: shop\n", "  «users»:\n    from: {site: internet}\n", &["`to` is missing"]);
}

#[test]
fn a_quantity_without_its_unit_is_told_how_to_be_written() {
    let shown = refused("300ms", "«5 parsecs»", &["`5 parsecs` is not a duration", "write a number and a unit, such as 5ms"]);
    insta::assert_snapshot!("wrong_unit", shown);
    for (from, to, what) in [
        ("startup: 300ms", "startup: «5»", "`5` is not a duration"),
        ("mean: 5ms", "mean: «5»", "`5` is not a duration"),
        ("duration: 1200ms", "duration: «1200»", "`1200` is not a duration"),
        ("1Gbit/s", "«10Gbps»", "`10Gbps` is not a bandwidth"),
        ("1MiB", "«1 megs»", "`1 megs` is not a size"),
        ("400/s", "«400»", "`400` is not a rate"),
        ("400/s", "«400 rps»", "`400 rps` is not a rate"),
    ] {
        refused(from, to, &[what, "write "]);
    }
}

#[test]
fn numbers_that_make_no_sense_are_refused_in_words() {
    let shown = refused("concurrency: 2", "concurrency: «-2»", &["expected a whole number from 0", "found the number -2"]);
    insta::assert_snapshot!("negative_number", shown);
    for (from, to, what) in [
        ("clients: 20", "clients: «-20»", "found the number -20"),
        ("clients: 20", "clients: «99999999999»", "found the number 99999999999"),
        ("clients: 20", "clients: «many»", "found the text `many`"),
        ("clients: 20", "clients: «0»", "0 clients; expected 1 to"),
        ("concurrency: 2", "concurrency: «2.5»", "found the number 2.5"),
        ("concurrency: 2", "concurrency: «.nan»", "found `.nan`"),
        ("seed: 1", "seed: «-1»", "found the number -1"),
        ("replicas: 3", "replicas: «-3»", "-3 replicas; expected a whole number from 0"),
        ("startup: 300ms", "startup: «-300ms»", "must not be negative"),
        ("startup: 300ms", "startup: «.inf»", "`.inf` is not a duration"),
        ("400/s", "«-400/s»", "must not be negative"),
        (SERVICE_TIME, "{lognormal: {mean: 5ms, cv: «.nan»}}", "expected a finite number, found `.nan`"),
        (SERVICE_TIME, "{lognormal: {mean: 5ms, cv: «.inf»}}", "expected a finite number, found `.inf`"),
        (SERVICE_TIME, "{lognormal: {mean: 5ms, cv: «NaN»}}", "expected a finite number, found `NaN`"),
        (SERVICE_TIME, "{lognormal: {mean: 5ms, cv: «1e999»}}", "expected a finite number"),
        ("serviceTime: {exponential: {mean: 5ms}}", "«serviceTime»: {lognormal: {mean: 5ms, cv: -1}}", "cv must be at least 0"),
        ("replications: 2", "replications: «0»", "0 replications: nothing would run"),
        ("warmUp: 200ms", "warmUp: «1200ms»", "a warm-up of 1.2s leaves nothing of a run of 1.2s"),
        ("duration: 1200ms", "duration: «0s»", "expected more than nothing"),
        ("window: 200ms", "window: «1ns»", "at most 100000 windows"),
        ("name: small", "name: «5»", "expected a text, found the number 5"),
        (
            "events:\n  deletions: {every: {exponential: {mean: 500ms}}, do: {podDelete: {workload: web}}}",
            "«events»:",
            "expected a map, found nothing",
        ),
    ] {
        refused(from, to, &[what]);
    }
}

#[test]
fn a_probability_above_one_is_refused() {
    let (from, to) = ("serviceTime: {exponential: {mean: 5ms}}", "«serviceTime»: {bimodal: {low: 1ms, high: 9ms, highProbability: 1.2}}");
    let shown = refused(from, to, &["highProbability must be between 0 and 1, found 1.2"]);
    insta::assert_snapshot!("probability_above_one", shown);
    refused(SERVICE_TIME, "{bimodal: {low: 1ms, high: 9ms, highProbability: «5%»}}", &["expected a finite number, found the text `5%`"]);
}

#[test]
fn what_is_not_yaml_is_shown_where_it_breaks() {
    let shown = refused("  name: small", "«\t»name: small", &["YAML does not allow tabs", "spaces"]);
    insta::assert_snapshot!("tab", shown);
    refused("levels: [1, 2]", "levels: «[»1, 2", &["not YAML: unclosed bracket"]);
    refused("    concurrency: 2", "   «c»oncurrency: 2", &["not YAML", "indented evenly"]);
    refused("clients: 20", "clients: 20\n    «c»lients: 30", &["the key `clients` is given twice", "give every key once"]);
    let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |bomb, i| {
        let alias = format!("*a{}", i - 1);
        bomb + &format!("a{i}: &a{i} [{}]\n", [alias.as_str(); 10].join(", "))
    });
    let shown = refused_at(&Desk::empty(), &bomb, &[], &["small.yaml:6:", "aliases that stand for more than a file could hold"], ("", ""));
    insta::assert_snapshot!("anchor_bomb", shown);
    refused_at(&Desk::empty(), &"[".repeat(100_000), &[], &["nested too deep"], ("", ""));
}

#[test]
fn a_file_that_is_no_experiment_is_told_what_it_is() {
    for (text, expected) in [
        ("", "the file is empty; expected an experiment"),
        ("# nothing\n", "expected a map with apiVersion, kind"),
        ("«hello»\n", "expected a map with apiVersion, kind"),
        ("- a\n- b\n", "expected a map with apiVersion, kind"),
    ] {
        refused_at(&Desk::empty(), text, &[], &["small.yaml", expected, "svcsim import"], ("", ""));
    }
    let two = format!("{SMALL}---\n«a»{}", SMALL.split_once("\na").expect("an apiVersion").1);
    refused_at(&Desk::empty(), &two, &[], &["a second document; an experiment is one"], ("", ""));
    let service = "apiVersion: v1\nkind: «Service»\nmetadata: {name: shop}\nspec: {ports: [{port: 80}]}\n";
    let shown = refused_at(
        &Desk::empty(),
        service,
        &[],
        &["this is a Kubernetes Service; expected an experiment", "`svcsim import small.yaml`"],
        ("", ""),
    );
    insta::assert_snapshot!("kubernetes_manifest", shown);
    let several = format!("{service}---\napiVersion: v1\nkind: Service\nmetadata: {{name: other}}\n");
    refused_at(&Desk::empty(), &several, &[], &["`svcsim import small.yaml`"], ("", ""));
    refused_at(&Desk::empty(), "apiVersion: v1\nkind: «List»\nitems: []\n", &[], &["`svcsim import small.yaml`"], ("", ""));
    refused("kind: Experiment", "kind: «Experimnt»", &["`Experimnt`; expected Experiment"]);
    refused("svcsim/v1alpha1", "«svcsim/v2»", &["`svcsim/v2`; expected svcsim/v1alpha1"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let desk = Desk::empty();
    std::fs::create_dir(desk.path("folder")).expect("a folder");
    std::fs::File::create(desk.path("large.yaml")).expect("a file").set_len((64 << 20) + 1).expect("a sparse file");
    desk.write("latin.yaml", b"apiVersion: svcsim/v1alpha1\nkind: Caf\xe9\n");
    for verb in ["run", "check", "import"] {
        for (file, expected) in [
            ("nowhere.yaml", "there is no such file"),
            ("folder", "this is a directory; expected a file"),
            ("large.yaml", "expected at most 67 MB"),
            ("latin.yaml", "not UTF-8 text (line 2)"),
        ] {
            let before = desk.files();
            says(&desk.svcsim(&[verb, file]), &[file, expected], file);
            assert!(desk.files() == before);
        }
    }
}

#[test]
fn a_name_that_is_no_folder_is_refused() {
    refused("name: small", "name: «../x»", &["`../x` cannot name a folder"]);
    refused("name: small", "name: «\"\"»", &["cannot name a folder"]);
    refused("name: small", &format!("name: «{}»", "x".repeat(101)), &["cannot name a folder"]);
}

#[test]
fn node_ports_are_those_a_cluster_would_grant() {
    let shown = refused("nodePort: 30080", "nodePort: «80»", &["node port 80; expected 30000 to 32767"]);
    insta::assert_snapshot!("node_port_out_of_range", shown);
    let twice = "{port: 80, name: a, nodePort: 30080}\n          - {port: 81, name: b, nodePort: «30080»}";
    refused("{port: 80, nodePort: 30080}", twice, &["node port 30080 is taken by Service/shop"]);
    let other = "    - apiVersion: v1\n      kind: Service\n      metadata: {name: other}\n      spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: «30080»}]}\n";
    refused(NODES, &format!("{other}{NODES}"), &["services.other.spec.ports[0].nodePort", "node port 30080 is taken by Service/shop"]);
}

#[test]
fn what_is_attached_to_nowhere_or_cannot_be_reached_is_refused() {
    let shown = refused("      link: {delay: 5ms", "      attach: «mars»\n      link: {delay: 5ms", &["there is no vertex `mars`"]);
    insta::assert_snapshot!("site_attached_to_nowhere", shown);
    let graph = |edges: &str| {
        format!("    graph:\n      vertices: [{{name: a}}, {{name: b}}, {{name: c}}]\n{edges}\n      node: {{delay: 50us}}\n")
    };
    refused(SHAPE, &graph("      edges: [{from: a, to: «d», link: {delay: 1ms}}]"), &["there is no vertex `d`", "use one of"]);
    refused(SHAPE, &graph("      «edges»: [{from: a, to: c, link: {delay: 1ms}}]"), &["`b` cannot reach `a`", "add an edge"]);
    let selector = ("spec: {containers", "spec: {«nodeSelector»: {disk: ssd}, containers");
    refused(selector.0, selector.1, &["no schedulable Node carries the labels", "they cannot be placed"]);
}

#[test]
fn names_that_lead_nowhere_are_refused_with_those_that_exist() {
    let shown = refused("to: shop", "to: «shp»", &["there is no Service `shp`", "name one of shop"]);
    insta::assert_snapshot!("unknown_service", shown);
    refused("from: {site: internet}", "«from»: {site: internt}", &["there is no client site `internt`"]);
    refused("from: {site: internet}", "«from»: {workload: wbe}", &["there is no workload `wbe`", "name one of web"]);
    refused("podDelete: {workload: web}", "podDelete: {workload: «wbe»}", &["there is no workload `wbe`", "name one of web"]);
    let unvaried = SMALL.replace(FACTOR, "").replace("  factors:\n", "").replace("  web:\n    serviceTime", "  «wbe»:\n    serviceTime");
    let unvaried = unvaried.replace("pods:\n", "pods:\n  default: {serviceTime: 1ms, concurrency: 1}\n");
    refused_at(&Desk::empty(), &unvaried, &[], &["there is no workload `wbe`", "name `default` or one of web"], ("", ""));
    refused("via: NodePort", "via: «ClusterIP»", &["a cluster IP cannot be reached from outside the cluster"]);
    refused("via: NodePort", "via: «LoadBalancer»", &["Service `shop` is of type NodePort and has no LoadBalancer address"]);
}

#[test]
fn nodes_come_from_one_place() {
    let node = "    - {apiVersion: v1, kind: Node, metadata: {name: n1}}\n";
    refused(NODES, &format!("{node}{}", NODES.replace("nodes", "«nodes»")), &["the manifests have Nodes already"]);
    refused(NODES, "", &["there are no Nodes", "perZone: 2"]);
    refused("zones: [zone-a]", "«zones»: []", &["no zones; expected at least one"]);
    refused("perZone: 2", "perZone: «0»", &["no Nodes; expected at least one"]);
    refused("perZone: 2", "perZone: «4000000»", &["too many; expected at most 100000"]);
    refused(FACTOR, "    - {path: kubernetes.nodes.perZone, levels: [1, «4000000»]}\n", &["too many"]);
}

#[test]
fn files_that_an_experiment_refers_to_are_checked_where_they_are_named() {
    refused(NODES, &format!("  manifests: [«manifests/*.yaml»]\n{NODES}"), &["`manifests/*.yaml` matches no file"]);
    refused(NODES, &format!("  manifests: [«web.yaml»]\n{NODES}"), &["web.yaml: there is no such file"]);
    let file = "    file:\n      path: «net.graphml»\n      node: {delay: 50us}\n";
    refused(SHAPE, file, &["net.graphml: there is no such file"]);
    refused(SHAPE, &file.replace(['«', '»'], "").replace("node:", "«nodes»:"), &["unknown field `nodes`", "did you mean `node`?"]);
    refused(SERVICE_TIME, "{empirical: {file: «samples.txt»}}", &["samples.txt: there is no such file"]);

    let desk = Desk::empty();
    let plain = SMALL.replace(SHAPE, "    file: {path: net.graphml, node: {delay: 50us}}\n");
    desk.write("net.graphml", "GIF89a, not a network\n");
    refused_at(&desk, &plain, &[], &["--> net.graphml:1:1", "XML"], ("", ""));
    desk.write("net.graphml", "<html><body/></html>\n");
    refused_at(&desk, &plain, &[], &["--> net.graphml", "no <graphml>", "GraphML or GML"], ("", ""));

    desk.write("samples.txt", "# measured\n1ms\n\n  three\n");
    let samples = SMALL.replace(SERVICE_TIME, "{empirical: {file: samples.txt}}");
    let shown = refused_at(&desk, &samples, &[], &["--> samples.txt:4:3", "`three` is not a duration"], ("", ""));
    insta::assert_snapshot!("sample_that_is_no_duration", shown);
    desk.write("samples.txt", "# nothing\n");
    refused_at(&desk, &samples, &[], &["the file holds no values"], ("", ""));

    desk.write("web.yaml", "apiVersion: v1\nkind: Servce\nmetadata: {name: a}\n");
    let manifest = SMALL.replace(NODES, &format!("  manifests: [web.yaml]\n{NODES}"));
    refused_at(&desk, &manifest, &[], &["--> web.yaml:2:7", "did you mean `Service`?"], ("", ""));
}

#[test]
fn an_error_of_a_factor_is_shown_in_the_factor() {
    let path = |path: &str, levels: &str| format!("    - path: {path}\n      levels: {levels}\n");
    let shown = refused(FACTOR, &path("«pods.web.concurency»", "[1, 2]"), &["unknown field `concurency`", "did you mean `concurrency`?"]);
    insta::assert_snapshot!("factor_of_unknown_path", shown);
    let shown = refused(FACTOR, &path("pods.web.concurrency", "[1, «many»]"), &["expected a whole number", "found the text `many`"]);
    insta::assert_snapshot!("level_of_wrong_type", shown);
    for (factor, expected) in [
        (path("«pod.web.concurrency»", "[1, 2]"), "did you mean `pods`?"),
        (path("«pods.wbe.concurrency»", "[1, 2]"), "there was no `pods.wbe` before"),
        (path("«pods..web»", "[1, 2]"), "is no path"),
        (path("«run.duration.x»", "[1, 2]"), "lies below"),
        (path("pods.web.concurrency", "[1, «0»]"), "a concurrency of 0"),
        (path("pods.web.serviceTime", "[1ms, {exponential: {«maen»: 2ms}}]"), "did you mean `mean`?"),
        (path("«services.shp.spec.externalTrafficPolicy»", "[Cluster, Local]"), "did you mean `services.shop`?"),
        (path("services.shop.spec.externalTrafficPolicy", "[Cluster, «Locl»]"), "did you mean `Local`?"),
        (path("services.shop.spec.ports[0].nodePort", "[30080, «5»]"), "expected 30000 to 32767"),
        (path("deployments.web.spec.replicas", "[1, «many»]"), "expected a whole number"),
        (path("traffic.users.to", "[shop, «shp»]"), "there is no Service `shp`"),
        ("    - path: pods.web.concurrency\n".to_owned(), "`levels` is missing"),
        (path("pods.web.concurrency", "«5»"), "expected values for the `path`"),
        (path("pods.web.concurrency", "[1, «1»]"), "the level `1` is there twice"),
        ("    - name: x\n      levels: [1, 2]\n".to_owned(), "add the path of the field to vary"),
        ("    - name: x\n      levels: {a: «1», b: 2}\n".to_owned(), "expected a map from paths to values"),
        ("    - name: x\n      levels: {a: {«traffic.users.cleints»: 1}}\n".to_owned(), "did you mean `clients`?"),
        ("    - name: x\n      levels: {a: {traffic.users.clients: «few»}}\n".to_owned(), "found the text `few`"),
        ("    - name: «value»\n      path: pods.web.concurrency\n      levels: [1, 2]\n".to_owned(), "have a column `value` already"),
        (path("«metadata.name»", "[a, b]"), "no run depends on it"),
        (path("«design.replications»", "[2, 3]"), "no run depends on it"),
        (path("«kubernetes.patches»", "[{}]"), "name the object's field"),
        (path("«network.shape.file.path»", "[a.graphml, b.graphml]"), "files are read once"),
        (path("network.shape.zones", "[{}]"), "expected a map with one key"),
        (format!("{FACTOR}{FACTOR}"), "a factor named `concurrency` is there already"),
        (
            format!("{FACTOR}{}", path("pods.web.concurrency", "[3]").replace("- path", "- name: again\n      path")),
            "by the factor `concurrency`",
        ),
    ] {
        refused(FACTOR, &factor, &[expected]);
    }
    let thousand = (1..=1_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let factors = ["pods.web.concurrency", "pods.web.queueLimit", "traffic.users.clients"];
    let billion: String = factors.iter().map(|p| path(p, &format!("[{thousand}]"))).collect();
    refused(FACTOR, &billion, &["2000000 runs up to this factor; expected at most 1000000"]);
}

#[test]
fn an_error_of_a_patch_is_shown_in_the_patch() {
    let patch = |patch: &str| format!("  patches: {{{patch}}}\n{NODES}");
    refused(NODES, &patch("«deployments.web.spec.replcas»: 5"), &["did you mean `replicas`?"]);
    refused(NODES, &patch("«deployments.wbe.spec.replicas»: 5"), &["did you mean `deployments.web`?"]);
    refused(NODES, &patch("deployments.web.spec.replicas: «lots»"), &["expected a whole number"]);
    refused(NODES, &patch("deployments.web.spec.replicas: «-1»"), &["-1 replicas"]);
}

#[test]
fn an_error_of_the_command_line_names_the_argument() {
    let desk = Desk::empty();
    let set = |set: &str, expected: &[&str]| refused_at(&desk, SMALL, &["--set", set], expected, ("", ""));
    let shown = set("run.duration=30", &["--set run.duration=30: `30` is not a duration", "write a number and a unit"]);
    assert!(!shown.contains("-->"), "the file does not say what --set says\n{shown}");
    insta::assert_snapshot!("set_without_unit", shown);
    set("pods.web.concurency=3", &["--set pods.web.concurency=3: unknown field", "did you mean `concurrency`?"]);
    set("pods.web.concurrency=many", &["found the text `many`"]);
    set("events.deletions.every=1ns", &["--set events.deletions.every=", "expected 1ms or more"]);
    set("traffic..users=3", &["`traffic..users` is no path"]);
    set("run.duration.x=3", &["lies below 1200ms, which has no fields"]);
    set("design.factors[3].path=x", &["there is no element 3, the list has 1"]);
    set("run.warmUp=5s", &["--set run.warmUp=5s: a warm-up of 5s leaves nothing"]);
    set("services.shop.spec.tpye=NodePort", &["--set services.shop.spec.tpye=NodePort", "did you mean `type`?"]);
    set("services.shop.spec.type=NodePrt", &["did you mean `NodePort`?"]);
    set("services.shop.spec.ports[0].nodePort=5", &["expected 30000 to 32767"]);

    desk.write("small.yaml", SMALL);
    for (arguments, expected) in [
        (&["--set", "run.duration"][..], "write PATH=VALUE"),
        (&["--threads", "0"], "1 to 1024"),
        (&["--seed=-1"], "--seed"),
        (&["--thraeds", "2"], "--threads"),
    ] {
        let said = desk.svcsim(&[&["run", "small.yaml"], arguments].concat());
        assert_eq!(said.code, Some(2), "{arguments:?}");
        assert!(said.err.contains(expected), "{arguments:?}: {}", said.err);
    }
    assert_eq!(desk.files().len(), 1);
}

#[test]
fn results_never_replace_anything_else() {
    let desk = Desk::with(SMALL);
    desk.write("here/diary.txt", "dear me");
    desk.write("file", "");
    for out in ["here", "file", "file/below"] {
        let before = desk.files();
        says(&desk.svcsim(&["run", "small.yaml", "--out", out]), &["--out", "expected a"], out);
        assert!(desk.files() == before, "{out}");
    }
    // Another experiment's results are something else, too; the default steps aside.
    desk.succeeds(&["run", "small.yaml", "--out", "taken"]);
    let other = &["run", "small.yaml", "--set", "pods.web.queueLimit=7"];
    says(&desk.svcsim(&[other, &["--out", "taken"][..]].concat()), &["taken holds something else"], "taken");
    desk.succeeds(&["run", "small.yaml"]);
    assert!(desk.succeeds(other).contains("results/small holds another experiment's results and was left as it is"));
    assert!(desk.files().contains_key("results/small-2/provenance.json"));
}

#[test]
fn a_directory_may_be_there_as_long_as_it_is_empty() {
    let desk = Desk::with(SMALL);
    std::fs::create_dir(desk.path("empty")).expect("a folder");
    for out in ["empty", "new/", "deep/er/", "./dot"] {
        desk.succeeds(&["run", "small.yaml", "--out", out]);
        assert_eq!(desk.results(out), desk.results("empty"), "{out}");
    }
    let files = desk.files();
    assert!(!files.keys().any(|name| name.contains(".part-") || name.contains(".old-")), "{:?}", files.keys());
}

#[test]
fn every_file_with_an_error_is_reported() {
    let desk = Desk::with(SMALL);
    desk.write("a.yaml", SMALL.replace("clients:", "cleints:"));
    desk.write("b.yaml", SMALL.replace("400/s", "400"));
    let said = desk.svcsim(&["check", "a.yaml", "small.yaml", "b.yaml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("--> a.yaml") && said.err.contains("--> b.yaml"), "{}", said.err);
    assert!(said.out.contains("small.yaml: 2 design points"), "{}", said.out);
}
