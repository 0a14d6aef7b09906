use super::*;
use serde_json::{Value, json};
use std::path::Path;
use svcsim_engine::SimDuration;
use svcsim_models::spec::{ServiceType, TrafficPolicy};

const BOUTIQUE: &str = include_str!("../../../manifests/online-boutique.yaml");
const BOOKINFO: &str = include_str!("../../../manifests/bookinfo.yaml");
const DUMP: &str = include_str!("../../../manifests/cluster-dump.yaml");

fn objects(text: &str) -> Vec<Object> {
    read(Path::new("test.yaml"), text).unwrap_or_else(|e| panic!("{}", shown(&e)))
}

fn specs(text: &str) -> KubernetesSpecs {
    to_specs(&objects(text)).unwrap_or_else(|e| panic!("{}", shown(&e)))
}

fn shown(errors: &[InputError]) -> String {
    errors.iter().map(|e| e.render(false)).collect::<Vec<_>>().join("\n\n")
}

fn refused(text: &str) -> String {
    match read(Path::new("test.yaml"), text) {
        Err(errors) => shown(&errors),
        Ok(objects) => panic!("read: {objects:?}"),
    }
}

fn invalid(text: &str) -> String {
    match to_specs(&objects(text)) {
        Err(errors) => shown(&errors),
        Ok(specs) => panic!("accepted: {specs:?}"),
    }
}

fn service(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n{spec}")
}

fn deployment(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n{more}  selector:\n    matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      containers:\n      - name: main\n"
    )
}

// The shipped manifests.

#[test]
fn online_boutique() {
    let specs = specs(BOUTIQUE);
    assert_eq!((specs.services.len(), specs.workloads.len(), specs.nodes.len()), (12, 12, 0));
    let lb: Vec<_> = specs.services.iter().filter(|s| s.service_type == ServiceType::LoadBalancer).map(|s| s.name.as_str()).collect();
    assert_eq!(lb, ["frontend-external"]);
    assert_eq!(specs.warnings, []);
    let frontend = specs.workloads.iter().find(|w| w.name == "frontend").expect("frontend");
    assert_eq!((frontend.field.as_str(), frontend.replicas, frontend.daemon), ("deployments.frontend", 1, false));
    assert_eq!(frontend.startup.initial_delay, SimDuration::from_secs(10));
    assert_eq!(frontend.startup.period, SimDuration::from_secs(10));
    assert!(frontend.env.contains(&("CART_SERVICE_ADDR".to_owned(), "cartservice:7070".to_owned())));
    let graces: Vec<_> = specs.workloads.iter().map(|w| w.termination_grace).collect();
    assert!(graces.contains(&SimDuration::from_secs(5)) && graces.contains(&SimDuration::from_secs(30)));
    assert!(specs.kept_out.iter().all(|k| k.reason == "kind not modelled" && k.object.starts_with("ServiceAccount/")));
    let resources =
        specs.not_modelled.iter().find(|n| n.object == "Deployment/frontend" && n.field.ends_with("resources")).expect("listed");
    assert_eq!(resources.field, "spec.template.spec.containers[0].resources");
    let line = resources.line.expect("a line");
    assert!(BOUTIQUE.lines().nth(line - 1).expect("there").contains("resources:"));
    assert!(resources.value_short.starts_with("{\"requests\""));
}

#[test]
fn bookinfo() {
    let specs = specs(BOOKINFO);
    assert_eq!((specs.services.len(), specs.workloads.len()), (4, 6));
    assert_eq!(specs.warnings, []);
    let reviews = specs.services.iter().find(|s| s.name == "reviews").expect("reviews");
    let behind = specs.workloads.iter().filter(|w| reviews.selector.iter().all(|(k, v)| w.labels.get(k) == Some(v)));
    assert_eq!(behind.count(), 3);
    assert!(specs.workloads.iter().all(|w| !w.startup.probed));
}

#[test]
fn a_dump_and_its_traps() {
    let specs = specs(DUMP);
    assert_eq!(specs.nodes.len(), 6);
    assert_eq!((specs.nodes[0].zone.as_str(), specs.nodes[0].region.as_str()), ("eu-west-1a", "eu-west-1"));
    assert_eq!(specs.nodes.iter().filter(|n| n.unschedulable).map(|n| n.name.as_str()).collect::<Vec<_>>(), ["node-5"]);

    let facts: Vec<_> = specs.workloads.iter().map(|w| (w.name.as_str(), w.replicas, w.placed_on.len())).collect();
    assert_eq!(facts, [("web", 6, 6), ("cart", 3, 2), ("catalog", 4, 4), ("db", 2, 2)]);
    let web = &specs.workloads[0];
    assert_eq!(web.placed_on, ["node-0", "node-0", "node-0", "node-0", "node-0", "node-0"]);
    assert_eq!((web.pre_stop, web.termination_grace), (SimDuration::from_secs(15), SimDuration::from_secs(45)));
    assert_eq!(web.startup.ready_after, SimDuration::from_secs(2));
    assert_eq!(specs.workloads[1].pre_stop, SimDuration::ZERO);

    let services: Vec<_> = specs.services.iter().map(|s| (s.name.as_str(), s.service_type, s.external_traffic_policy)).collect();
    assert_eq!(
        services,
        [
            ("web", ServiceType::LoadBalancer, TrafficPolicy::Local),
            ("web-nodeport", ServiceType::NodePort, TrafficPolicy::Cluster),
            ("cart", ServiceType::ClusterIP, TrafficPolicy::Cluster),
            ("catalog", ServiceType::ClusterIP, TrafficPolicy::Cluster),
        ]
    );
    assert_eq!(specs.services[0].ports[0].node_port, Some(31_380));

    let out = |object: &str| specs.kept_out.iter().find(|k| k.object == object).map(|k| k.reason.as_str()).unwrap_or_default();
    assert!(out("Service/db").contains("headless"));
    assert!(out("Service/payments").contains("ExternalName"));
    assert!(out("Service/legacy").contains("without selector"));
    assert!(out("EndpointSlice/web-00000").contains("not modelled yet"));
    assert!(specs.kept_out.iter().any(|k| k.object.starts_with("Pod/web-") && k.reason.contains("terminating")));

    let listed = |object: &str, field: &str| {
        specs.not_modelled.iter().find(|n| n.object == object && n.field == field).map(|n| n.value_short.as_str())
    };
    assert_eq!(listed("Service/catalog", "spec.sessionAffinity"), Some("ClientIP"));
    assert_eq!(listed("Service/cart", "spec.sessionAffinity"), None);
    assert_eq!(listed("Service/cart", "spec.trafficDistribution"), Some("PreferSameZone"));
    assert_eq!(listed("Service/web", "spec.healthCheckNodePort"), Some("32120"));
    assert!(listed("Node/node-5", "spec.taints").is_some_and(|t| t.contains("NoSchedule")));
    assert_eq!(listed("Service/db", "spec.ipFamilies"), None, "of an object that is kept out");
    assert!(by_field(&specs.not_modelled).len() < specs.not_modelled.len() / 3);

    let warned = |part: &str| specs.warnings.iter().filter(|w| w.problem.contains(part)).count();
    assert_eq!((warned("preStop"), warned("not Ready"), warned("no Node yet")), (1, 1, 1), "{:#?}", specs.warnings);
}

#[test]
fn what_is_written_back_gives_equal_specs() {
    for text in [BOUTIQUE, BOOKINFO, DUMP, &orphans()] {
        let first = objects(text);
        let values = to_yaml_values(&first);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": values});
        for again in [list.to_string(), serde_saphyr::to_string(&list).expect("written")] {
            let (a, b) = (specs(text), specs(&again));
            assert_eq!((a.nodes, a.workloads, a.services), (b.nodes, b.workloads, b.services));
            assert_eq!(to_yaml_values(&objects(&again)), values);
        }
    }
}

// Texts.

#[test]
fn forms_of_text() {
    let yaml = service("  selector: {app: web}\n  ports:\n  - port: 80\n");
    let one = specs(&yaml).services;
    assert_eq!(one.len(), 1);
    assert_eq!(specs(&format!("\u{feff}{yaml}")).services, one);
    assert_eq!(specs(&yaml.replace('\n', "\r\n")).services, one);
    assert_eq!(specs(&format!("# a comment\n---\n# only\n---\n{yaml}---\nnull\n---\n")).services, one);
    let object =
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"selector":{"app":"web"},"ports":[{"port":80}]}}"#;
    assert_eq!(specs(object).services, one);
    assert_eq!(specs(&object.replace('{', "{\n\t")).services, one);
    let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{object}]}}"#);
    assert_eq!(specs(&list).services, one);
    let typed_list = list.replace(r#""kind":"List""#, r#""kind":"ServiceList""#).replace(r#""apiVersion":"v1","kind":"Service","#, "");
    assert_eq!(specs(&typed_list).services, one);
    assert_eq!(
        specs("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: &s {selector: {app: web}, ports: [{<<: {port: 80}}]}").services,
        one
    );
}

#[test]
fn texts_that_are_refused() {
    for (text, part) in [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("# only a comment\n", "no Kubernetes object"),
        ("---\n---\nnull\n", "no Kubernetes object"),
        ("hello", "found the text `hello`"),
        ("- a\n", "found a list"),
        ("kind: Service\nmetadata: {name: a}\n", "`apiVersion` is missing"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "`kind` is missing"),
        ("apiVersion: v1\nkind: Service\nspec: {}\n", "no name"),
        ("apiVersion: v1\nkind: Service\nmetadata: {}\nspec: {}\n", "no name"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: 5}\nspec: {}\n", "expected a string, found the"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", "`spec` is missing"),
        ("apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n", "write `apiVersion: apps/v1`"),
        ("apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: a}\n", "did you mean `Deployment`?"),
        ("apiVersion: v1\nkind: service\nmetadata: {name: a}\n", "did you mean `Service`?"),
        ("a: 1\na: 2\n", "the key `a` is given twice"),
        ("a: [1\nb: }\n", "not YAML"),
        ("{\"a\": 1,,}", "not JSON"),
        ("a: &x [*x]\n", "YAML"),
        ("a: *x\n", "YAML"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text:?}:\n{message}");
        assert!(message.contains("test.yaml") && message.contains("help: "), "{message}");
    }
    assert!(refused(&" ".repeat(LARGEST_INPUT + 1)).contains("at most 64"));
}

#[test]
fn tabs() {
    let message = refused("apiVersion: v1\nkind: Service\nmetadata:\n\tname: web\n");
    assert!(message.contains("YAML does not allow tabs for indentation: use spaces"), "{message}");
    assert!(message.contains("test.yaml:4:1"), "{message}");
    let message = refused("apiVersion: v1\nkind: Service\nspec:\n  ports:\n  \t- port: 80\n");
    assert!(message.contains("use spaces") && message.contains("test.yaml:5:"), "{message}");
}

#[test]
fn hostile_texts() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb += &format!("a{i}: &a{i} [{aliases}]\n");
    }
    let message = refused(&bomb);
    assert!(message.contains("aliases that stand for more"), "{message}");
    let merges =
        "a: &a {".to_owned() + &(0..1000).map(|i| format!("k{i}: v")).collect::<Vec<_>>().join(", ") + "}\n" + &"x: {<<: *a}\n".repeat(3);
    refused(&merges);
    for text in ["[".repeat(200_000), "{a: ".repeat(100_000), "{\"a\":".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
        assert!(refused(&text).len() < 3_000);
    }
    for text in ["\0", "\u{1b}[31m: {", "%TAG ! !\n", "!!binary x", "--- >\n\t", "a: !!int x", "🦀: [", "'", "&", "*", "|", ">", "@", "`"]
    {
        refused(text);
    }
    // A list in a list in a list, and a thousand errors.
    let mut list = json!({"apiVersion": "v1", "kind": "List", "items": []});
    for _ in 0..20 {
        list = json!({"apiVersion": "v1", "kind": "List", "items": [list]});
    }
    assert!(refused(&list.to_string()).contains("lists in lists"));
    let many = json!({"apiVersion": "v1", "kind": "List", "items": vec![1; 1000]});
    assert!(refused(&many.to_string()).contains("980 more errors"));
}

#[test]
fn absurd_objects_take_no_absurd_time() {
    let fields = (0..50_000).map(|i| format!("  unknown{i}: v\n")).collect::<String>();
    let odd = specs(&service(&format!("{fields}  selector: {{a: b}}\n  ports: [{{port: 80}}]\n")));
    assert_eq!(odd.not_modelled.len(), 1_000);
    assert_eq!(odd.warnings.len(), 6, "{:?}", odd.warnings);
    assert!(odd.warnings[5].problem.ends_with("(and 995 more like it)"));
    let ports = (1..50_000).map(|i| format!("  - port: {i}\n")).collect::<String>();
    assert!(invalid(&service(&format!("  selector: {{a: b}}\n  ports:\n{ports}"))).contains("49979 more errors"));
}

#[test]
fn more_than_ten_thousand_pods() {
    let pod = DUMP.split("\n- apiVersion: v1\n  kind: Pod\n").nth(1).and_then(|p| p.split("\n  status:").next()).expect("a Pod");
    let mut text = String::from("apiVersion: v1\nkind: List\nitems:\n");
    for i in 0..10_500 {
        text += "- apiVersion: v1\n  kind: Pod\n";
        text += &pod.replace("web-6d5f8c9b7-00000", &format!("web-6d5f8c9b7-{i:05}"));
        text += "\n";
    }
    let specs = specs(&text);
    assert_eq!(specs.workloads.len(), 1);
    assert_eq!(specs.workloads[0].replicas, 10_500);
    assert!(by_field(&specs.not_modelled).len() < 60);
}

#[test]
fn scalars_are_what_they_are_to_kubectl() {
    let text = |label: &str| service(&format!("  selector:\n    app: {label}\n  ports:\n  - port: 80\n"));
    for bare in ["no", "on", "y", "true", "1.10", "0755", "123"] {
        let message = refused(&text(bare));
        assert!(message.contains("services.web.spec.selector.app: expected a string") && message.contains("quotes"), "{message}");
        assert!(message.contains("test.yaml:7:10"), "{message}");
        assert_eq!(specs(&text(&format!("\"{bare}\""))).services[0].selector["app"], bare);
    }
    let port = |port: &str| specs(&service(&format!("  selector: {{a: b}}\n  ports: [{{port: {port}}}]\n"))).services[0].ports[0].port;
    assert_eq!((port("0755"), port("80"), port("0x50")), (0o755, 80, 80));
    assert!(refused(&service("  ports: [{port: \"80\"}]\n")).contains("expected a whole number"));
    assert!(refused(&service("  ports: [{name: a}]\n")).contains("services.web.spec.ports[0]: `port` is missing"));
    assert!(refused(&service("  ports: {port: 80}\n")).contains("spec.ports: expected a sequence, found"));
    let node = |bare: &str| format!("apiVersion: v1\nkind: Node\nmetadata: {{name: a}}\nspec: {{unschedulable: {bare}}}\n");
    assert!(specs(&node("yes")).nodes[0].unschedulable && !specs(&node("no")).nodes[0].unschedulable);
    assert!(refused(&node("\"no\"")).contains("expected true or false"));
}

// Fields.

#[test]
fn misspelt_fields_are_refused_and_unknown_ones_named() {
    let message = refused(&service("  externalTrafficPolcy: Local\n  selector: {a: b}\n  ports: [{port: 80, nodeport: 30000}]\n"));
    assert!(message.contains("unknown field `externalTrafficPolcy`, did you mean `externalTrafficPolicy`?"), "{message}");
    assert!(message.contains("did you mean `nodePort`?"), "{message}");
    assert!(message.contains("  externalTrafficPolcy: Local\n  |   ^^^^^^^^^^^^^^^^^^^^"), "{message}");
    let specs = specs(&service("  replicas: 3\n  clusterIPs: [10.0.0.1]\n  selector: {a: b}\n  ports: [{port: 80}]\n"));
    assert!(specs.warnings.iter().any(|w| w.field == "services.web.spec.replicas" && w.line == Some(6)), "{:?}", specs.warnings);
    let fields: Vec<_> = specs.not_modelled.iter().map(|n| (n.field.as_str(), n.value_short.as_str(), n.line)).collect();
    assert_eq!(fields, [("spec.clusterIPs", "[\"10.0.0.1\"]", Some(7)), ("spec.replicas", "3", Some(6))]);
}

#[test]
fn fields_of_several_items_are_one_entry() {
    let text =
        deployment("a", "").replace("- name: main\n", "- {name: u, image: a}\n      - {name: v, image: b}\n      - {name: w, tty: true}\n");
    let fields: Vec<_> = specs(&text).not_modelled.into_iter().map(|n| (n.field, n.value_short)).collect();
    let at = |f: &str| format!("spec.template.spec.containers[{f}");
    assert_eq!(fields, [(at("*].image"), "a …".to_owned()), (at("2].tty"), "true".to_owned())]);
}

#[test]
fn the_same_word_may_be_another_kind() {
    let text = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec: {template: {}}\n";
    let specs = specs(text);
    assert!(specs.services.is_empty() && specs.kept_out[0].reason.contains("serving.knative.dev/v1"));
}

// What the API server checks.

#[test]
fn services_are_checked_as_by_the_api_server() {
    let ports = |ports: &str| format!("  selector: {{a: b}}\n  ports: [{ports}]\n");
    let typed = |t: &str, more: &str| format!("  type: {t}\n{}", ports(more));
    for (spec, field, part) in [
        ("  selector: {a: b}\n".to_owned(), "spec.ports", "at least one"),
        (ports("{port: 0}"), "spec.ports[0].port", "1 to 65535"),
        (ports("{port: 70000}"), "spec.ports[0].port", "1 to 65535"),
        (ports("{port: -1}"), "spec.ports[0].port", "1 to 65535"),
        (ports("{port: 80, targetPort: 0}"), "spec.ports[0].targetPort", "1 to 65535"),
        (ports("{port: 80, targetPort: \"8080\"}"), "spec.ports[0].targetPort", "without quotes"),
        (ports("{name: a, port: 80}, {name: b, port: 80}"), "spec.ports[1].port", "twice"),
        (ports("{name: a, port: 80}, {name: a, port: 81}"), "spec.ports[1].name", "two ports"),
        (ports("{name: a, port: 80}, {port: 81}"), "spec.ports[1].name", "several ports"),
        (ports("{name: Http, port: 80}"), "spec.ports[0].name", "lower-case"),
        (ports("{port: 80, protocol: HTTP}"), "spec.ports[0].protocol", "TCP, UDP or SCTP"),
        (ports("{port: 80, nodePort: 30080}"), "spec.ports[0].nodePort", "type: NodePort"),
        (typed("NodePort", "{port: 80, nodePort: 80}"), "spec.ports[0].nodePort", "30000 to 32767"),
        (typed("NodePort", "{port: 80, nodePort: 40000}"), "spec.ports[0].nodePort", "30000 to 32767"),
        (
            typed("NodePort", "{name: a, port: 1, nodePort: 30000}, {name: b, port: 2, nodePort: 30000}"),
            "spec.ports[1].nodePort",
            "taken by Service/web",
        ),
        (typed("NodPort", "{port: 80}"), "spec.type", "did you mean `NodePort`?"),
        (typed("Foo", "{port: 80}"), "spec.type", "ClusterIP, NodePort, LoadBalancer, ExternalName"),
        (typed("LoadBalancer", "{port: 10250}"), "spec.ports[0].port", "kubelet"),
        (typed("NodePort", "{port: 80}") + "  clusterIP: None\n", "spec.clusterIP", "headless"),
        (ports("{port: 80}") + "  externalTrafficPolicy: Local\n", "spec.externalTrafficPolicy", "cannot be reached from outside"),
        (typed("NodePort", "{port: 80}") + "  externalTrafficPolicy: local\n", "spec.externalTrafficPolicy", "did you mean `Local`?"),
        (ports("{port: 80}") + "  internalTrafficPolicy: Nowhere\n", "spec.internalTrafficPolicy", "one of Cluster, Local"),
    ] {
        let message = invalid(&service(&spec));
        assert!(message.contains(&format!("error: services.web.{field}: ")) && message.contains(part), "{spec}\n{message}");
        assert!(message.contains("--> test.yaml:") && message.contains('^'), "{message}");
    }
    let both = service(&typed("NodePort", "{port: 80, nodePort: 30001}"))
        + "---\n"
        + &service(&typed("LoadBalancer", "{port: 80, nodePort: 30001}")).replace("web", "other");
    assert!(invalid(&both).contains("services.other.spec.ports[0].nodePort: node port 30001 is taken by Service/web"));
    let two_protocols = "{name: a, port: 53, nodePort: 30053}, {name: b, port: 53, nodePort: 30053, protocol: UDP}";
    let dns = specs(&service(&typed("NodePort", two_protocols)));
    assert_eq!(dns.services[0].ports.len(), 2);
    assert!(dns.warnings.iter().any(|w| w.problem.contains("UDP")));
}

#[test]
fn all_errors_are_found_at_once() {
    let text = service("  type: NodePort\n  externalTrafficPolicy: X\n  selector: {a: b}\n  ports: [{port: 0, nodePort: 1}]\n")
        + &deployment("a", "  replicas: -1\n");
    let Err(errors) = to_specs(&objects(&text)) else { panic!("accepted") };
    let fields: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "deployments.a.spec.replicas",
            "services.web.spec.ports[0].port",
            "services.web.spec.ports[0].nodePort",
            "services.web.spec.externalTrafficPolicy"
        ]
    );
}

#[test]
fn workloads_are_checked_too() {
    assert!(invalid(&deployment("a", "  replicas: 3000000000\n")).contains("expected a whole number from 0"));
    assert!(
        invalid(&deployment("a", "").replace("labels: {app: a}", "labels: {app: b}")).contains("deployments.a.spec.selector.matchLabels")
    );
    let hook = |s: i64| deployment("a", "") + &format!("        lifecycle: {{preStop: {{sleep: {{seconds: {s}}}}}}}\n");
    assert!(invalid(&hook(31)).contains("0 to terminationGracePeriodSeconds, which is 30"));
    assert!(invalid(&hook(-1)).contains("deployments.a.spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds"));
    assert_eq!(specs(&hook(30)).workloads[0].pre_stop, SimDuration::from_secs(30));
    assert_eq!(specs(&deployment("a", "")).workloads[0].replicas, 1);
    assert_eq!(specs(&deployment("a", "  replicas: 0\n")).workloads[0].replicas, 0);
}

#[test]
fn odd_services_are_warned_of() {
    let specs = specs(&(service("  selector: {app: wep}\n  ports: [{port: 80}]\n") + &deployment("web", "")));
    assert_eq!(specs.warnings.len(), 1);
    assert_eq!(
        specs.warnings[0].to_string(),
        "test.yaml:6: services.web.spec.selector: no workload has Pods with the labels app=wep (the Service has no endpoints: every request to it will be rejected)"
    );
    let named = service("  selector: {app: web}\n  ports: [{port: 80, targetPort: http}]\n") + &deployment("web", "");
    assert!(self::specs(&named).warnings[0].problem.contains("no container of Deployment/web names a port `http`"));
    let named = named + "        ports: [{name: http, containerPort: 8080}]\n";
    assert_eq!(self::specs(&named).warnings, []);
}

// Names and namespaces.

#[test]
fn names_tell_objects_apart() {
    let a = deployment("a", "");
    assert!(invalid(&(a.clone() + &a)).contains("Deployment/a is in the input twice (first at test.yaml:2)"));
    let in_namespace = |n: &str| a.replace("  name: a\n", &format!("  name: a\n  namespace: {n}\n"));
    assert!(invalid(&(in_namespace("x") + &in_namespace("z"))).contains("import one namespace at a time"));
    assert!(invalid(&(a.clone() + &a.replace("kind: Deployment", "kind: StatefulSet"))).contains("have one name"));
    let far = service("  selector: {app: a}\n  ports: [{port: 80}]\n").replace("  name: web\n", "  name: web\n  namespace: z\n");
    assert!(invalid(&(in_namespace("x") + "---\n" + &far)).contains("its selector fits Deployment/a in namespace x"));
    assert_eq!(specs(&(a + "---\n" + &far)).services.len(), 1);
}

// Pods and their owners.

fn pod(name: &str, node: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  labels: {{app: a, pod-template-hash: h, n: {name}}}\n{more}spec:\n  nodeName: {node}\n  containers: [{{name: main}}]\n"
    )
}

fn owned(kind: &str, name: &str) -> String {
    format!("  ownerReferences: [{{apiVersion: x, kind: {kind}, name: {name}, controller: true}}]\n")
}

fn node(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Node\nmetadata:\n  name: {name}\n  labels: {{disk: ssd}}\n")
}

fn orphans() -> String {
    let of = owned("ReplicaSet", "shop-h");
    node("n1")
        + &node("n.2")
        + &pod("shop-h-b", "n.2", &of)
        + &pod("shop-h-a", "n1", &of)
        + &pod("alone", "n1", "")
        + &pod("set-0", "n1", &owned("StatefulSet", "set"))
}

#[test]
fn pods_without_their_owner_form_one_workload() {
    let specs = specs(&orphans());
    let found: Vec<_> = specs.workloads.iter().map(|w| (w.field.as_str(), w.replicas, w.placed_on.join(" "))).collect();
    assert_eq!(found, [("pods.shop", 2, "n1 n.2".to_owned()), ("pods.alone", 1, "n1".to_owned()), ("pods.set", 1, "n1".to_owned())]);
    assert_eq!(specs.workloads[0].labels.keys().collect::<Vec<_>>(), ["app"]);
}

#[test]
fn pods_say_where_replicas_run() {
    let nodes = (1..=12).map(|i| node(&format!("n{i}"))).collect::<String>();
    let set = deployment("a", "  replicas: 11\n").replace("Deployment", "StatefulSet");
    let pods: String = (0..11).rev().map(|i| pod(&format!("a-{i}"), &format!("n{}", i + 1), &owned("StatefulSet", "a"))).collect();
    let placed = &specs(&(nodes.clone() + &set + &pods)).workloads[0].placed_on;
    assert_eq!((placed[0].as_str(), placed[2].as_str(), placed[10].as_str()), ("n1", "n3", "n11"));

    // By ReplicaSet in the input, by hash, by labels, and by no owner at all.
    let replica_set = deployment("a-h", "  replicas: 1\n")
        .replace("Deployment", "ReplicaSet")
        .replace("app: a-h", "app: a")
        .replace("  name: a-h\n", &format!("  name: a-h\n{}", owned("Deployment", "a")));
    for (more, of) in [
        (replica_set.as_str(), owned("ReplicaSet", "a-h")),
        ("", owned("ReplicaSet", "a-h")),
        ("", owned("ReplicaSet", "other")),
        ("", String::new()),
    ] {
        let text = nodes.clone() + &deployment("a", "") + more + &pod("p", "n3", &of);
        let specs = specs(&text);
        assert_eq!(specs.workloads.len(), 1, "{text}");
        assert_eq!((specs.workloads[0].field.as_str(), specs.workloads[0].placed_on.join(" ")), ("deployments.a", "n3".to_owned()));
    }
    let alone = specs(&(nodes.clone() + &replica_set + &pod("p", "n3", &owned("ReplicaSet", "a-h"))));
    assert_eq!((alone.workloads[0].field.as_str(), alone.workloads[0].placed_on.join(" ")), ("replicasets.a-h", "n3".to_owned()));

    // Too many, finished, and on a Node that is not there.
    let many = nodes.clone() + &deployment("a", "") + &pod("p", "n3", "") + &pod("q", "n2", "") + &pod("r", "gone", "");
    let many = many + &pod("s", "n1", "") + "status: {phase: Succeeded}\n";
    let specs = specs(&many);
    assert_eq!(specs.workloads[0].placed_on, ["n3"]);
    assert!(specs.warnings.iter().any(|w| w.problem == "3 Pods run, but only 1 are asked for"));
    assert!(specs.warnings.iter().any(|w| w.problem.contains("`gone`")));
    assert!(specs.kept_out[0].reason.contains("Succeeded"));
}

#[test]
fn daemon_sets_count_matching_nodes() {
    let set = deployment("a", "").replace("Deployment", "DaemonSet").replace("    spec:\n", "    spec:\n      nodeSelector: {disk: ssd}\n");
    let specs = specs(&(node("n1") + &node("n2") + &node("n3").replace("ssd", "hdd") + &set));
    assert_eq!((specs.workloads[0].replicas, specs.workloads[0].daemon), (2, true));
    assert!(invalid_field(&set.replace("spec:\n  selector", "spec:\n  replicas: 2\n  selector")));
}

/// A DaemonSet has no replicas: Kubernetes knows no such field there.
fn invalid_field(text: &str) -> bool {
    specs(text).warnings.iter().any(|w| w.field == "daemonsets.a.spec.replicas")
}

// Changing fields.

#[test]
fn setting_fields() {
    let mut all = objects(DUMP);
    let before = to_specs(&all).expect("sound");
    for (path, value) in [
        ("services.web.spec.externalTrafficPolicy", json!("Cluster")),
        ("services.web-nodeport.spec.ports[0].nodePort", json!(30_081)),
        ("services.cart.spec.selector.app", json!("web")),
        ("services.cart.spec.internalTrafficPolicy", json!("Local")),
        ("deployments.web.spec.replicas", json!(9)),
        ("deployments.web.spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds", json!(20)),
        ("deployments.db.spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds", json!(7)),
        ("deployments.db.spec.template.spec.terminationGracePeriodSeconds", Value::Null),
        ("nodes.node-0.metadata.labels.topology.kubernetes.io/zone", json!("z")),
        ("nodes.node-0.metadata.labels[\"topology.kubernetes.io/region\"]", json!("r")),
        ("nodes.node-5.spec.unschedulable", json!(false)),
    ] {
        set(&mut all, path, value).unwrap_or_else(|e| panic!("{e}"));
    }
    let after = to_specs(&all).expect("sound");
    assert_eq!(after.services[0].external_traffic_policy, TrafficPolicy::Cluster);
    assert_eq!(after.services[1].ports[0].node_port, Some(30_081));
    assert_eq!((after.services[2].selector["app"].as_str(), after.services[2].internal_traffic_policy), ("web", TrafficPolicy::Local));
    assert_eq!((after.workloads[0].replicas, after.workloads[0].pre_stop), (9, SimDuration::from_secs(20)));
    assert_eq!(
        (after.workloads[3].termination_grace, after.workloads[3].pre_stop),
        (SimDuration::from_secs(30), SimDuration::from_secs(7))
    );
    assert_eq!((after.nodes[0].zone.as_str(), after.nodes[0].region.as_str(), after.nodes[5].unschedulable), ("z", "r", false));
    assert_eq!(before.not_modelled.len(), after.not_modelled.len());
}

#[test]
fn setting_what_is_not_there() {
    for (path, value, part) in [
        ("services.wep.spec.type", json!("NodePort"), "did you mean `services.web`?"),
        ("services.zzz.spec.type", json!("NodePort"), "name one of web, web-nodeport"),
        ("service.web.spec.type", json!("NodePort"), "did you mean `services`?"),
        ("foo", json!(1), "start with one of deployments"),
        ("statefulsets.x.spec.replicas", json!(1), "the input has no statefulsets"),
        ("deployments.web.spec.replica", json!(1), "did you mean `replicas`?"),
        ("deployments.web.spec.paused", json!(true), "not modelled"),
        ("deployments.web.spec.foo", json!(true), "name one of replicas, selector, template"),
        ("deployments.web.spec.replicas", json!("three"), "expected a whole number"),
        ("deployments.web.spec.replicas.x", json!(1), "expected a map with `x` in it, found the number 6"),
        ("services.web.spec.ports[7].port", json!(1), "expected [0] to [0]"),
        ("services.web.spec.sessionAffinity", json!("ClientIP"), "not modelled"),
        ("services.web.metadata.name", json!("x"), "cannot be changed"),
        ("services.web", json!({}), "cannot be changed"),
        ("services.web.spec..type", json!("x"), "no path"),
        ("services.web.spec.ports[x]", json!(1), "no path"),
        ("", json!(1), "no Kubernetes objects"),
    ] {
        let mut all = objects(DUMP);
        match set(&mut all, path, value) {
            Err(e) => assert!(e.to_string().contains(part), "{path}: {e}"),
            Ok(()) => panic!("{path} was set"),
        }
    }
}

#[test]
fn errors_of_changed_fields_do_not_quote_the_text() {
    let mut all = objects(DUMP);
    set(&mut all, "services.web-nodeport.spec.ports[0].nodePort", json!(80)).expect("a number");
    let Err(errors) = to_specs(&all) else { panic!("accepted") };
    assert_eq!(errors[0].file, None);
    assert_eq!(errors[0].field, "services.web-nodeport.spec.ports[0].nodePort");
}

#[test]
fn errors_of_models_find_their_place() {
    let all = objects(DUMP);
    let error = locate(&all, "services.web-nodeport.spec.ports[0].nodePort", "p", "f");
    let line = error.at.expect("a place").line;
    assert!(DUMP.lines().nth(line - 1).expect("there").contains("nodePort: 30080"));
    assert_eq!(locate(&all, "traffic.x", "p", "f"), InputError::new("traffic.x", "p", "f"));
}

#[test]
fn objects_inside_an_experiment() {
    let text =
        "kind: Experiment\ncluster:\n  objects:\n  - apiVersion: v1\n    kind: Service\n    metadata: {name: web}\n    spec: {type: X}\n";
    let source = Source::new("experiment.yaml", text);
    let value: Value = serde_saphyr::from_str(text).expect("YAML");
    let objects = from_value(&source, 0, "cluster.objects[0]", value["cluster"]["objects"][0].clone()).expect("a Service");
    let Err(errors) = to_specs(&objects) else { panic!("accepted") };
    assert!(shown(&errors).contains("experiment.yaml:7:18"), "{}", shown(&errors));
}
