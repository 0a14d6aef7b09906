use super::*;
use serde_json::{Value, json};
use std::path::Path;
use svcsim_engine::SimDuration;
use svcsim_models::spec::{IpMode, Protocol, ServiceSpec, ServiceType, TargetPort, TrafficDistribution, TrafficPolicy};

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
    let frontend = specs.workloads.iter().find(|w| w.spec.name == "frontend").expect("frontend");
    assert_eq!((frontend.spec.field.as_str(), frontend.spec.replicas, frontend.spec.is_daemon()), ("deployments.frontend", 1, false));
    let readiness = frontend.spec.probes.readiness.expect("the frontend has one");
    assert_eq!((readiness.initial_delay, readiness.period), (SimDuration::from_secs(10), SimDuration::from_secs(10)));
    assert!(frontend.env.contains(&("CART_SERVICE_ADDR".to_owned(), "cartservice:7070".to_owned())));
    let graces: Vec<_> = specs.workloads.iter().map(|w| w.spec.termination_grace).collect();
    assert!(graces.contains(&SimDuration::from_secs(5)) && graces.contains(&SimDuration::from_secs(30)));
    assert!(specs.kept_out.iter().all(|k| k.reason == "kind not modelled" && k.object.starts_with("ServiceAccount/")));
    let resources = specs.not_modelled.iter().find(|n| n.object == "Deployment/frontend" && n.field.ends_with("limits")).expect("listed");
    assert_eq!(resources.field, "spec.template.spec.containers[0].resources.limits");
    let line = resources.line.expect("a line");
    assert!(BOUTIQUE.lines().nth(line - 1).expect("there").contains("limits:"));
    assert!(resources.value_short.starts_with("{\"cpu\""));
    assert_eq!(frontend.spec.cpu_request, Some(100));
}

#[test]
fn bookinfo() {
    let specs = specs(BOOKINFO);
    assert_eq!((specs.services.len(), specs.workloads.len()), (4, 6));
    assert_eq!(specs.warnings, []);
    let reviews = specs.services.iter().find(|s| s.name == "reviews").expect("reviews");
    let behind = specs.workloads.iter().filter(|w| reviews.selector.iter().all(|(k, v)| w.spec.labels.get(k) == Some(v)));
    assert_eq!(behind.count(), 3);
    assert!(specs.workloads.iter().all(|w| w.spec.probes.readiness.is_none()));
}

#[test]
fn a_dump_and_its_traps() {
    let specs = specs(DUMP);
    assert_eq!(specs.nodes.len(), 6);
    assert_eq!((specs.nodes[0].zone.as_str(), specs.nodes[0].region.as_str()), ("eu-west-1a", "eu-west-1"));
    assert_eq!(specs.nodes.iter().filter(|n| n.unschedulable).map(|n| n.name.as_str()).collect::<Vec<_>>(), ["node-5"]);

    let facts: Vec<_> = specs.workloads.iter().map(|w| (w.spec.name.as_str(), w.spec.replicas, w.spec.placed_on.len())).collect();
    assert_eq!(facts, [("web", 6, 6), ("cart", 3, 2), ("catalog", 4, 4), ("db", 2, 2)]);
    let web = &specs.workloads[0].spec;
    assert_eq!(web.placed_on, ["node-0", "node-0", "node-0", "node-0", "node-0", "node-0"]);
    assert_eq!((web.pre_stop, web.termination_grace), (SimDuration::from_secs(15), SimDuration::from_secs(45)));
    assert_eq!(specs.workloads[1].spec.pre_stop, SimDuration::ZERO);

    let services: Vec<_> = specs.services.iter().map(|s| (s.name.as_str(), s.service_type, s.external_traffic_policy)).collect();
    assert_eq!(
        services,
        [
            ("web", ServiceType::LoadBalancer, TrafficPolicy::Local),
            ("web-nodeport", ServiceType::NodePort, TrafficPolicy::Cluster),
            ("cart", ServiceType::ClusterIP, TrafficPolicy::Cluster),
            ("catalog", ServiceType::ClusterIP, TrafficPolicy::Cluster),
            ("db", ServiceType::ClusterIP, TrafficPolicy::Cluster),
            ("payments", ServiceType::ExternalName, TrafficPolicy::Cluster),
        ]
    );
    assert_eq!(specs.services[0].ports[0].node_port, Some(31_380));

    let out = |object: &str| specs.kept_out.iter().find(|k| k.object == object).map(|k| k.reason.as_str()).unwrap_or_default();
    assert!(out("Service/legacy").contains("without selector"));
    assert!(out("EndpointSlice/web-00000").contains("not modelled yet"));
    assert!(specs.kept_out.iter().any(|k| k.object.starts_with("Pod/web-") && k.reason.contains("terminating")));

    let listed = |object: &str, field: &str| {
        specs.not_modelled.iter().find(|n| n.object == object && n.field == field).map(|n| n.value_short.as_str())
    };
    assert_eq!(listed("Service/catalog", "spec.sessionAffinity"), None, "it is modelled");
    assert_eq!(listed("Service/catalog", "spec.clusterIPs"), Some("[\"10.96.0.23\",\"fd00:96::23\"]"));
    assert_eq!(listed("Service/catalog", "spec.ipFamilyPolicy"), Some("PreferDualStack"));
    assert_eq!(listed("Service/web", "spec.ports[0].appProtocol"), Some("http"));
    assert_eq!(listed("Service/legacy", "spec.ports"), None, "of an object that is kept out");
    let tainted = specs.nodes.iter().find(|n| n.name == "node-5").expect("it is there");
    assert_eq!(tainted.taints.len(), 1, "taints are modelled");
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
    assert_eq!(specs.workloads[0].spec.replicas, 10_500);
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
    let specs = specs(&service("  replicas: 3\n  topologyKeys: [zone]\n  selector: {a: b}\n  ports: [{port: 80}]\n"));
    assert!(specs.warnings.iter().any(|w| w.field == "services.web.spec.replicas" && w.line == Some(6)), "{:?}", specs.warnings);
    let fields: Vec<_> = specs.not_modelled.iter().map(|n| (n.field.as_str(), n.value_short.as_str(), n.line)).collect();
    assert_eq!(fields, [("spec.replicas", "3", Some(6)), ("spec.topologyKeys", "[\"zone\"]", Some(7))]);
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
        (ports("{port: 80, targetPort: 70000}"), "spec.ports[0].targetPort", "1 to 65535"),
        (ports("{port: 80, targetPort: \"8080\"}"), "spec.ports[0].targetPort", "without quotes"),
        (ports("{name: a, port: 80}, {name: b, port: 80}"), "spec.ports[1]", "twice"),
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
        (typed("LoadBalancer", "{port: 10250}"), "spec.ports[0]", "kubelet"),
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
            "services.web.spec.ports[0].nodePort",
            "services.web.spec.ports[0].port",
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
    assert_eq!(specs(&hook(30)).workloads[0].spec.pre_stop, SimDuration::from_secs(30));
    assert_eq!(specs(&deployment("a", "")).workloads[0].spec.replicas, 1);
    assert_eq!(specs(&deployment("a", "  replicas: 0\n")).workloads[0].spec.replicas, 0);
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

// What the API server adds.

#[test]
fn every_field_of_a_service_is_read() {
    let lb = "apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations:
    service.kubernetes.io/topology-mode: Auto
    service.beta.kubernetes.io/load-balancer-source-ranges: 10.0.0.0/8, 192.0.2.0/24
    example.com/team: blue
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  internalTrafficPolicy: Local
  trafficDistribution: PreferClose
  publishNotReadyAddresses: true
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}
  externalIPs: [192.0.2.9]
  selector: {a: b}
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: dns, port: 53, protocol: UDP, targetPort: 5353, appProtocol: dns}
  - {name: dns-tcp, port: 53, nodePort: 30053}
status:
  loadBalancer:
    ingress:
    - {ip: 192.0.2.1}
    - {ip: 192.0.2.2, ipMode: Proxy}
    - {hostname: lb.example.com}
";
    let all = specs(lb);
    let s = &all.services[0];
    let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().expect("an address")).collect::<Vec<std::net::IpAddr>>();
    assert_eq!((s.namespace.as_str(), s.service_type, s.is_headless()), ("shop", ServiceType::LoadBalancer, false));
    assert_eq!((s.external_traffic_policy, s.internal_traffic_policy), (TrafficPolicy::Local, TrafficPolicy::Local));
    assert_eq!((s.traffic_distribution, s.topology_mode_auto), (Some(TrafficDistribution::PreferSameZone), true));
    assert_eq!((s.publish_not_ready_addresses, s.session_affinity), (true, Some(SimDuration::from_secs(600))));
    assert_eq!((s.external_ips.clone(), s.load_balancer_ips.clone(), s.ip_mode), (ips(&["192.0.2.9"]), ips(&["192.0.2.1"]), IpMode::Vip));
    assert_eq!(s.load_balancer_source_ranges.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.0/24"]);
    let ports: Vec<_> = s.ports.iter().map(|p| (p.name.as_str(), p.protocol, p.port, p.target_port.clone())).collect();
    assert_eq!(ports[0], ("http", Protocol::Tcp, 80, TargetPort::Name("http".to_owned())));
    assert_eq!(ports[1], ("dns", Protocol::Udp, 53, TargetPort::Number(5_353)));
    assert_eq!(ports[2], ("dns-tcp", Protocol::Tcp, 53, TargetPort::Number(53)));
    assert_eq!((s.ports[1].node_port, s.ports[2].node_port), (Some(30_053), Some(30_053)), "one number, two protocols, one node port");
    assert!(s.ports[0].node_port.is_some_and(|n| n >= 30_086) && s.health_check_node_port.is_some_and(|n| n >= 30_086));
    let listed: Vec<_> = all.not_modelled.iter().map(|n| n.field.as_str()).collect();
    assert_eq!(listed, ["metadata.annotations[\"example.com/team\"]", "spec.ports[1].appProtocol"]);
}

#[test]
fn load_balancers_without_an_address_are_given_one() {
    let lb = |name: &str, more: &str| {
        service(&format!("  type: LoadBalancer\n  selector: {{a: b}}\n  ports: [{{port: 80}}]\n{more}"))
            .replace("name: web", &format!("name: {name}"))
            + "---\n"
    };
    let hostname = "status: {loadBalancer: {ingress: [{hostname: lb.example.com}]}}\n";
    let taken = "status: {loadBalancer: {ingress: [{ip: 198.18.0.1}]}}\n";
    let all = lb("a", "")
        + &lb("b", hostname)
        + &lb("c", taken)
        + &lb("d", "  loadBalancerIP: 192.0.2.3\n")
        + &lb("e", "  allocateLoadBalancerNodePorts: false\n");
    let all = specs(&all).services;
    let found: Vec<_> = all.iter().map(|s| (s.load_balancer_ips[0].to_string(), s.ip_mode)).collect();
    let expected = [
        ("198.18.0.2", IpMode::Vip),
        ("198.18.0.3", IpMode::Proxy),
        ("198.18.0.1", IpMode::Vip),
        ("192.0.2.3", IpMode::Vip),
        ("198.18.0.4", IpMode::Vip),
    ];
    assert_eq!(found, expected.map(|(ip, mode)| (ip.to_owned(), mode)));
    assert_eq!(all.iter().map(|s| s.ports[0].node_port.is_some()).collect::<Vec<_>>(), [true, true, true, true, false]);
}

#[test]
fn numbers_belong_to_names() {
    let np = |name: &str| {
        service("  type: NodePort\n  selector: {a: b}\n  ports: [{port: 80}]\n---\n").replace("name: web", &format!("name: {name}"))
    };
    let numbers = |text: &str, name: &str| {
        let all = specs(text).services;
        let found = all.iter().find(|s| s.name == name).expect("there");
        (found.cluster_ip, found.ports[0].node_port)
    };
    let (a, b, c) = (np("a"), np("b"), np("c"));
    let alone = numbers(&a, "a");
    assert_eq!(numbers(&(b.clone() + &c + &a), "a"), alone);
    assert_ne!(numbers(&b, "b"), alone);
    // A number that someone picked is not given to anyone else, wherever it stands.
    let picked = b.replace("port: 80", &format!("port: 80, nodePort: {}", alone.1.expect("a port")));
    assert_ne!(numbers(&(a.clone() + &picked), "a").1, alone.1);
    let address = |ip: &str| format!("  clusterIP: {ip}\n  selector");
    let at = |name: &str, ip: &str| np(name).replace("  selector", &address(ip));
    assert!(
        invalid(&(at("a", "10.96.0.7") + &at("b", "10.96.0.7")))
            .contains("services.b.spec.clusterIP: cluster IP 10.96.0.7 is taken by Service/a")
    );
    assert!(invalid(&at("a", "10.96.0.0")).contains("the network's own or the broadcast address"));
    assert_eq!(numbers(&at("a", "172.20.0.9"), "a").0, "172.20.0.9".parse().ok(), "another cluster's range");
    let one_number = |more: &str| {
        np("a").replace("{port: 80}", &format!("{{name: x, port: 80, nodePort: 30001}}, {{name: z, {more}, nodePort: 30001}}"))
    };
    assert!(invalid(&one_number("port: 81, protocol: UDP")).contains("spec.ports[1].nodePort: node port 30001 is taken by Service/a"));
    assert_eq!(specs(&one_number("port: 80, protocol: UDP")).services.len(), 1);
    let ports: String = (1..=2_700).map(|i| format!("{{name: p{i}, port: {i}}}, ")).collect();
    let full = np("a").replace("{port: 80}", &ports);
    assert_eq!(specs(&full).services[0].ports.iter().filter(|p| p.node_port.is_some_and(|n| n < 30_086)).count(), 18);
    assert!(invalid(&(full.clone() + &full.replace("name: a", "name: b"))).contains("no node port from 30000 to 32767 is free"));
}

#[test]
fn services_that_are_not_proxied_are_read() {
    let text = service("  clusterIP: None\n  selector: {app: a}\n")
        + &deployment("a", "")
        + "---\n"
        + &service("  type: ExternalName\n  externalName: db.example.com.\n").replace("web", "db");
    let all = specs(&text);
    assert_eq!(
        all.services.iter().map(|s| (s.is_headless(), s.cluster_ip, s.external_name.as_str())).collect::<Vec<_>>(),
        [(true, None, ""), (false, None, "db.example.com.")]
    );
    assert!(all.kept_out.is_empty() && all.warnings.is_empty(), "{:?}", all.warnings);
    for (spec, field) in [
        ("  type: ExternalName\n", "spec.externalName"),
        ("  type: ExternalName\n  externalName: a.b\n  clusterIP: 10.96.0.5\n", "spec.clusterIP"),
        ("  selector: {a: b}\n  ports: [{port: 80}]\n  externalIPs: [127.0.0.1]\n", "spec.externalIPs[0]"),
        (
            "  selector: {a: b}\n  ports: [{port: 80}]\n  sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}\n",
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        ),
        ("  selector: {a: b}\n  ports: [{port: 80}]\n  ipFamilies: [IPv6]\n", "spec.ipFamilies[0]"),
        ("  selector: {a: b}\n  ports: [{port: 80}]\nstatus: {loadBalancer: {ingress: [{ip: x}]}}\n", "status.loadBalancer.ingress[0].ip"),
    ] {
        let message = invalid(&service(spec));
        assert!(message.contains(&format!("error: services.web.{field}: ")), "{spec}\n{message}");
    }
}

#[test]
fn every_field_of_a_node_is_read() {
    let text = "apiVersion: v1
kind: Node
metadata:
  name: n1
  labels: {node-role.kubernetes.io/master: '', node.kubernetes.io/exclude-from-external-load-balancers: ''}
status:
  addresses:
  - {type: Hostname, address: n1}
  - {type: ExternalIP, address: 192.0.2.1}
  - {type: InternalIP, address: 10.0.0.1}
  - {type: InternalIP, address: 'fd00::1'}
  allocatable: {cpu: 3920m, memory: 1Gi, pods: 64, ephemeral-storage: 10Gi}
";
    let all = specs(text);
    let n = &all.nodes[0];
    assert_eq!(n.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.1", "fd00::1", "192.0.2.1"]);
    assert_eq!((n.cpu_millis, n.control_plane, n.excluded_from_load_balancers), (Some(3_920), true, true));
    assert_eq!((n.memory, n.most_pods), (Some(1 << 30), Some(64)));
    assert_eq!(all.not_modelled.iter().map(|n| n.field.as_str()).collect::<Vec<_>>(), ["status.allocatable.ephemeral-storage"]);
    assert_eq!(specs(&text.replace("3920m", "4")).nodes[0].cpu_millis, Some(4_000));
    assert_eq!(specs(&node("n1")).nodes[0].cpu_millis, None);
    assert!(invalid(&text.replace("3920m", "lots")).contains("nodes.n1.status.allocatable.cpu: `lots` is no quantity"));
    assert!(refused(&text.replace("3920m", "[4]")).contains("expected a quantity"));
    assert!(invalid(&text.replace("10.0.0.1", "ten")).contains("nodes.n1.status.addresses[2].address"));
}

#[test]
fn container_ports_have_names_and_protocols() {
    let text = |ports: &str| deployment("a", "") + &format!("        ports: [{ports}]\n");
    let all = specs(&text("{containerPort: 80}, {name: dns, containerPort: 53, protocol: UDP}"));
    let ports: Vec<_> = all.workloads[0].spec.ports.iter().map(|p| (p.name.as_str(), p.protocol, p.number)).collect();
    assert_eq!(ports, [("", Protocol::Tcp, 80), ("dns", Protocol::Udp, 53)]);
    assert!(invalid(&text("{containerPort: 0}")).contains("containers[0].ports[0].containerPort: port 0; expected 1 to 65535"));
    assert!(invalid(&text("{containerPort: 1, protocol: X}")).contains("containers[0].ports[0].protocol"));
    let tcp = service("  selector: {app: a}\n  ports: [{port: 53, targetPort: dns}]\n");
    assert!(specs(&(tcp + &text("{name: dns, containerPort: 53, protocol: UDP}"))).warnings[0].problem.contains("for TCP"));
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
    let found: Vec<_> = specs.workloads.iter().map(|w| (w.spec.field.as_str(), w.spec.replicas, w.spec.placed_on.join(" "))).collect();
    assert_eq!(found, [("pods.shop", 2, "n1 n.2".to_owned()), ("pods.alone", 1, "n1".to_owned()), ("pods.set", 1, "n1".to_owned())]);
    assert_eq!(specs.workloads[0].spec.labels.keys().collect::<Vec<_>>(), ["app"]);
}

#[test]
fn pods_say_where_replicas_run() {
    let nodes = (1..=12).map(|i| node(&format!("n{i}"))).collect::<String>();
    let set = deployment("a", "  replicas: 11\n").replace("Deployment", "StatefulSet");
    let pods: String = (0..11).rev().map(|i| pod(&format!("a-{i}"), &format!("n{}", i + 1), &owned("StatefulSet", "a"))).collect();
    let placed = &specs(&(nodes.clone() + &set + &pods)).workloads[0].spec.placed_on;
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
        assert_eq!(
            (specs.workloads[0].spec.field.as_str(), specs.workloads[0].spec.placed_on.join(" ")),
            ("deployments.a", "n3".to_owned())
        );
    }
    let alone = specs(&(nodes.clone() + &replica_set + &pod("p", "n3", &owned("ReplicaSet", "a-h"))));
    assert_eq!((alone.workloads[0].spec.field.as_str(), alone.workloads[0].spec.placed_on.join(" ")), ("replicasets.a-h", "n3".to_owned()));

    // Too many, finished, and on a Node that is not there.
    let many = nodes.clone() + &deployment("a", "") + &pod("p", "n3", "") + &pod("q", "n2", "") + &pod("r", "gone", "");
    let many = many + &pod("s", "n1", "") + "status: {phase: Succeeded}\n";
    let specs = specs(&many);
    assert_eq!(specs.workloads[0].spec.placed_on, ["n3"]);
    assert!(specs.warnings.iter().any(|w| w.problem == "3 Pods run, but only 1 are asked for"));
    assert!(specs.warnings.iter().any(|w| w.problem.contains("`gone`")));
    assert!(specs.kept_out[0].reason.contains("Succeeded"));
}

#[test]
fn daemon_sets_count_matching_nodes() {
    let set = deployment("a", "").replace("Deployment", "DaemonSet").replace("    spec:\n", "    spec:\n      nodeSelector: {disk: ssd}\n");
    let specs = specs(&(node("n1") + &node("n2") + &node("n3").replace("ssd", "hdd") + &set));
    assert_eq!((specs.workloads[0].spec.replicas, specs.workloads[0].spec.is_daemon()), (2, true));
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
    settle(&objects(DUMP), &mut all);
    let after = to_specs(&all).expect("sound");
    assert_eq!(after.services[0].external_traffic_policy, TrafficPolicy::Cluster);
    assert_eq!(after.services[1].ports[0].node_port, Some(30_081));
    assert_eq!((after.services[2].selector["app"].as_str(), after.services[2].internal_traffic_policy), ("web", TrafficPolicy::Local));
    assert_eq!((after.workloads[0].spec.replicas, after.workloads[0].spec.pre_stop), (9, SimDuration::from_secs(20)));
    assert_eq!(
        (after.workloads[3].spec.termination_grace, after.workloads[3].spec.pre_stop),
        (SimDuration::from_secs(30), SimDuration::from_secs(7))
    );
    assert_eq!((after.nodes[0].zone.as_str(), after.nodes[0].region.as_str(), after.nodes[5].unschedulable), ("z", "r", false));
    assert_eq!(before.not_modelled.len(), after.not_modelled.len());
}

/// The Services of `text` after one change, settled as an experiment does; or the paths of what is wrong.
fn changed(text: &str, fields: &[(&str, Value)]) -> Result<Vec<ServiceSpec>, Vec<String>> {
    let before = objects(text);
    let mut all = before.clone();
    for (path, value) in fields {
        set(&mut all, path, value.clone()).unwrap_or_else(|e| panic!("{e}"));
    }
    settle(&before, &mut all);
    let specs = to_specs(&all).map_err(|errors| errors.into_iter().map(|e| e.field).collect::<Vec<_>>())?;
    let again = json!({"apiVersion": "v1", "kind": "List", "items": to_yaml_values(&all)}).to_string();
    assert_eq!(specs.services, self::specs(&again).services, "what is written back gives the same Services");
    Ok(specs.services)
}

#[test]
fn one_field_changes_a_type() {
    // As a cluster has it, with every number given.
    let lb = service(
        "  type: LoadBalancer\n  externalTrafficPolicy: Local\n  internalTrafficPolicy: Cluster\n  healthCheckNodePort: 32001\n  clusterIP: 10.96.0.9\n  clusterIPs: [10.96.0.9]\n  ipFamilies: [IPv4]\n  ipFamilyPolicy: SingleStack\n  allocateLoadBalancerNodePorts: true\n  loadBalancerClass: example.com/lb\n  selector: {a: b}\n  ports: [{port: 80, nodePort: 30100}]\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1, ipMode: VIP}]}}\n",
    );
    let to = |service_type: &str| changed(&lb, &[("services.web.spec.type", json!(service_type))]).map(|mut s| s.remove(0));
    let node_port = to("NodePort").expect("legal");
    assert_eq!((node_port.service_type, node_port.external_traffic_policy), (ServiceType::NodePort, TrafficPolicy::Local));
    assert_eq!((node_port.ports[0].node_port, node_port.health_check_node_port), (Some(30_100), None));
    assert!(node_port.load_balancer_ips.is_empty());
    let cluster_ip = to("ClusterIP").expect("legal");
    assert_eq!((cluster_ip.ports[0].node_port, cluster_ip.external_traffic_policy), (None, TrafficPolicy::Cluster));
    assert_eq!(cluster_ip.cluster_ip, "10.96.0.9".parse().ok());
    let alias = [("services.web.spec.type", json!("ExternalName")), ("services.web.spec.externalName", json!("db.example.com"))];
    let alias = changed(&lb, &alias).expect("legal").remove(0);
    assert_eq!((alias.cluster_ip, alias.external_name.as_str()), (None, "db.example.com"));
    let spread = changed(&lb, &[("services.web.spec.externalTrafficPolicy", json!("Cluster"))]).expect("legal").remove(0);
    assert_eq!((spread.health_check_node_port, spread.load_balancer_ips), (None, vec!["192.0.2.1".parse().expect("an address")]));
    let headless = changed(
        &service("  clusterIP: 10.96.0.9\n  clusterIPs: [10.96.0.9]\n  selector: {a: b}\n  ports: [{port: 80}]\n"),
        &[("services.web.spec.clusterIP", json!("None"))],
    );
    assert!(headless.expect("legal")[0].is_headless());

    // As people write it.
    let plain = service("  selector: {a: b}\n  ports: [{port: 80}]\n");
    let lb = changed(&plain, &[("services.web.spec.type", json!("LoadBalancer"))]).expect("legal").remove(0);
    assert_eq!(lb.load_balancer_ips, ["198.18.0.1".parse::<std::net::IpAddr>().expect("an address")]);
    let np = changed(&plain, &[("services.web.spec.type", json!("NodePort"))]).expect("legal").remove(0);
    assert_eq!((lb.ports[0].node_port, lb.cluster_ip), (np.ports[0].node_port, np.cluster_ip), "numbers belong to the name");
    let sticky = changed(&plain, &[("services.web.spec.sessionAffinity", json!("ClientIP"))]).expect("legal").remove(0);
    assert_eq!(sticky.session_affinity, Some(SimDuration::from_secs(10_800)));
    for distribution in ["PreferClose", "PreferSameZone", "PreferSameNode"] {
        assert!(changed(&plain, &[("services.web.spec.trafficDistribution", json!(distribution))]).is_ok());
    }

    // What was asked for in the same breath is not dropped, and what the API server does not drop is refused.
    let both = [("services.web.spec.ports[0].nodePort", json!(30_200)), ("services.web.spec.type", json!("ClusterIP"))];
    let np = service("  type: NodePort\n  selector: {a: b}\n  ports: [{port: 80, nodePort: 30100}]\n");
    assert_eq!(changed(&np, &both), Err(vec!["services.web.spec.ports[0].nodePort".to_owned()]));
    let ranges = service("  type: LoadBalancer\n  loadBalancerSourceRanges: [10.0.0.0/8]\n  selector: {a: b}\n  ports: [{port: 80}]\n");
    let refused = changed(&ranges, &[("services.web.spec.type", json!("NodePort"))]);
    assert_eq!(refused, Err(vec!["services.web.spec.loadBalancerSourceRanges".to_owned()]));
    let policy = changed(&plain, &[("services.web.spec.externalTrafficPolicy", json!("Local"))]);
    assert_eq!(policy, Err(vec!["services.web.spec.externalTrafficPolicy".to_owned()]));
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
        ("deployments.web.spec.foo", json!(true), "name one of replicas, selector, strategy"),
        ("deployments.web.spec.replicas", json!("three"), "expected a whole number"),
        ("deployments.web.spec.replicas.x", json!(1), "expected a map with `x` in it, found the number 6"),
        ("services.web.spec.ports[7].port", json!(1), "expected [0] to [0]"),
        ("services.web.spec.loadBalancerClass", json!("example.com/lb"), "not modelled"),
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
