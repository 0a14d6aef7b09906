//! The story as text, for someone who is learning what a NodePort is: a numbered paragraph a step, each word of Kubernetes
//! explained where it first appears, and a table of where the time went.

use super::terms::Terms;
use super::{Story, data_plane};
use crate::output::format::{percent, plural, printable, shorten, wrap};
use std::fmt::Write as _;
use svcsim_engine::SimDuration;
use svcsim_models::explain::{Candidate, Step, Times, What};

/// Characters in a line.
const WIDTH: usize = 100;
/// Where a step's text begins.
const INDENT: usize = 4;
/// Where the value of a labelled line begins.
const VALUE: usize = 16;
/// Candidates that are listed; of more, so many and those chosen.
const LISTED: usize = 12;
/// Rules of a chain that are told before and after those left out.
const RULES: (usize, usize) = (3, 2);

/// The whole story.
pub(crate) fn text(story: &Story) -> String {
    let e = &story.explanation;
    let mut page = Page::default();
    page.text(0, &format!("Request {} of source `{}` in experiment {}", e.request, e.source, story.experiment));
    let point = format!("Design point {} ({}), replication {}, seed {}.", story.point, story.label, story.replication, story.seed);
    page.text(0, &format!("{point} It is sent {} after the start of the run; times below count from there.", span(e.start_ns)));
    let mut terms = Terms::default();
    for (n, step) in e.steps.iter().enumerate() {
        page.0.push('\n');
        let at = format!("{:+.3} ms", step.start_ns.saturating_sub(e.start_ns) as f64 / 1e6);
        let took = match step.end_ns.saturating_sub(step.start_ns) {
            0 => String::new(),
            ns => format!(", for {}", span(ns)),
        };
        let _ = writeln!(page.0, "{}. {at}  {}{took}", n + 1, step.place);
        let before = page.0.len();
        tell(&mut page, step);
        let mut said = page.0[before..].to_owned();
        said.extend(step.notes.iter().map(String::as_str));
        for term in terms.new_in(&said) {
            page.hanging(INDENT, "* ", &term);
        }
        for note in &step.notes {
            page.hanging(INDENT, "Why it matters: ", note);
        }
    }
    page.0.push('\n');
    times(&mut page, &e.times);
    page.0.push('\n');
    page.text(0, &closing(story));
    page.0.chars().map(|c| if c == '\n' { c } else { printable(c) }).collect()
}

/// Lines as they are written.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A paragraph.
    fn text(&mut self, indent: usize, text: &str) {
        self.hanging(indent, "", text);
    }

    /// A paragraph after `head`, whose further lines begin a little to the right.
    fn hanging(&mut self, indent: usize, head: &str, text: &str) {
        let deeper = if head.is_empty() { indent } else { indent + 2 };
        let mut rest = wrap(&format!("{head}{text}"), WIDTH - deeper).into_iter();
        let first = rest.next().unwrap_or_default();
        let _ = writeln!(self.0, "{:indent$}{first}", "");
        self.lines(deeper, rest);
    }

    fn lines(&mut self, indent: usize, lines: impl Iterator<Item = String>) {
        for line in lines {
            let _ = writeln!(self.0, "{:indent$}{line}", "");
        }
    }

    /// A label and its value.
    fn row(&mut self, label: &str, value: &str) {
        let mut lines = wrap(value, WIDTH - VALUE).into_iter();
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(self.0, "{:INDENT$}{label:<width$}{first}", "", width = VALUE - INDENT);
        self.lines(VALUE, lines);
    }
}

fn tell(page: &mut Page, step: &Step) {
    match &step.what {
        What::Sends { service, via, packet, reused } => {
            let over = match (reused, packet.starts_with("UDP")) {
                (true, false) => ", over a connection that it has open already",
                (false, false) => ", over a new connection",
                (true, true) => ", from the ports it has used before",
                (false, true) => "",
            };
            page.text(INDENT, &format!("Sends a request to Service {service}{over}. It dials the {}.", dialled(via)));
            page.row("packet", packet);
        }
        What::Retries { retry, after } => {
            page.text(INDENT, &format!("The try before ended as {after}. The client pauses, then tries again (retry {retry})."));
        }
        What::Resolves { name, asked, answer, taken } => {
            let how = if *asked { "Asks DNS for" } else { "Still knows the answer of DNS for" };
            page.text(INDENT, &format!("{how} {name}."));
            page.row("answer", &few(answer));
            page.row("takes", taken.as_deref().unwrap_or("nothing: there is no such name, or no address behind it"));
        }
        What::Crosses { path, back } => {
            let what = if *back { "The answer" } else { "The packet" };
            let links = plural(path.len().saturating_sub(1), "link");
            page.text(INDENT, &format!("{what} crosses {links}: {}.", path.join(" → ")));
        }
        What::Balances { kind, targets, chosen, how } => {
            page.text(INDENT, "Chooses where a new connection goes; all its packets will go there.");
            if !kind.is_empty() {
                page.row("kind", kind);
            }
            if !targets.is_empty() {
                page.row("targets", &format!("{} known", targets.len()));
                candidates(page, targets, chosen.as_deref());
            }
            if !how.is_empty() {
                page.row("choice", how);
            }
            page.row("verdict", &chosen.as_ref().map_or_else(|| "no target".to_owned(), |c| format!("forward to {c}")));
        }
        What::Decides { .. } => decides(page, &step.what),
        What::Follows { entry, back } => {
            let what = if *back { "answer" } else { "packet" };
            page.text(INDENT, &format!("Knows the connection, and passes the {what} on without deciding anything."));
            page.row("by", entry);
        }
        What::Serves { sees, waited_ns, service_ns } => {
            let waited = if *waited_ns == 0 { "no wait".to_owned() } else { format!("{} of waiting", span(*waited_ns)) };
            page.text(INDENT, &format!("Takes the request in: {waited}, then {} of service.", span(*service_ns)));
            page.row("sees sender", sees);
        }
        What::Answers { packet, result, way } => {
            let what = match result.as_str() {
                "completed" => "Answers.",
                "handshake" => "Goes on with the handshake of the connection: the request itself has yet to come.",
                "flight" => "Sends as much of its answer as TCP's window lets out, and waits until that is acknowledged.",
                "refused" => "Turns the connection away (RST): nothing listens any more.",
                "reset" => "Cuts the connection (RST) under the request.",
                "queue_full" => "Turns the request away (503): its line is full.",
                _ => "Sends an error back.",
            };
            page.text(INDENT, what);
            page.row("packet", packet);
            page.row("way back", way);
        }
        What::Ends { outcome } if outcome == "completed" => page.text(INDENT, "Has the answer."),
        What::Ends { outcome } => page.text(INDENT, &format!("The request is lost; in results it counts as errors_{outcome}.")),
    }
}

fn decides(page: &mut Page, what: &What) {
    let What::Decides {
        data_plane: plane,
        packet,
        rule,
        sender,
        policy,
        candidates: endpoints,
        list,
        draw,
        chosen,
        verdict,
        rewritten,
        snat,
        conntrack,
        ..
    } = what
    else {
        return;
    };
    page.text(INDENT, &format!("Meets the first packet of a new connection. Its data plane decides: {}.", data_plane(plane)));
    page.row("packet", packet);
    page.row("rule", rule);
    page.row("sender", sender);
    if policy != "none" {
        page.row("policy", policy);
    }
    if !endpoints.is_empty() {
        let usable = endpoints.iter().filter(|c| c.left_out.is_none()).count();
        page.row("endpoints", &format!("{usable} of {} may be chosen; list used: {list}", endpoints.len()));
        candidates(page, endpoints, chosen.as_deref());
    }
    if !draw.is_empty() {
        let rules: Vec<&str> = draw.split("; ").collect();
        let (first, last) = (RULES.0.min(rules.len()), rules.len().saturating_sub(RULES.1).max(RULES.0.min(rules.len())));
        for (i, rule) in rules.iter().enumerate().filter(|(i, _)| *i < first || *i >= last) {
            if i == last && last > first {
                page.row("", &format!("… and {} rules between that do not match …", last - first));
            }
            page.row(if i == 0 { "draw" } else { "" }, rule);
        }
    }
    page.row("verdict", verdict);
    if let Some(rewritten) = rewritten {
        let how = match (conntrack, snat) {
            (None, false) => "",
            (_, false) => " (DNAT; the source stays)",
            (_, true) => " (DNAT, and SNAT; port * is drawn by the kernel)",
        };
        page.row("leaves as", &format!("{rewritten}{how}"));
    }
    if let Some(entry) = conntrack {
        page.row("conntrack", entry);
    }
}

/// What could have been chosen, as a table: the chosen one is marked, numbers count those that may be chosen.
fn candidates(page: &mut Page, all: &[Candidate], chosen: Option<&str>) {
    let mut number = 0;
    let rows: Vec<(String, &Candidate)> = all
        .iter()
        .map(|c| {
            number += usize::from(c.left_out.is_none());
            (if c.left_out.is_none() { number.to_string() } else { "-".to_owned() }, c)
        })
        .collect();
    let is_chosen = |c: &Candidate| chosen == Some(c.name.as_str());
    let shown: Vec<_> = rows.iter().enumerate().filter(|(i, (_, c))| *i < LISTED || is_chosen(c)).map(|(_, row)| row).collect();
    let place = |c: &Candidate| if c.at == c.name { String::new() } else { shorten(&c.at, 32) };
    let width = |of: &dyn Fn(&Candidate) -> usize| shown.iter().map(|(_, c)| of(c)).max().unwrap_or(0);
    let name = width(&|c| shorten(&c.name, 32).chars().count());
    let address = width(&|c| c.address.chars().count());
    let at = width(&|c| place(c).chars().count());
    for (n, c) in &shown {
        let mark = if is_chosen(c) { ">" } else { " " };
        let head = format!("{:INDENT$}{mark} {n:>3}  {:<name$}  {:<address$}  {:<at$}  ", "", shorten(&c.name, 32), c.address, place(c));
        let indent = head.chars().count();
        let why = match &c.left_out {
            None => "may be chosen".to_owned(),
            Some(why) => format!("left out: {why}"),
        };
        let mut lines = wrap(&why, WIDTH.saturating_sub(indent).max(24)).into_iter();
        let _ = writeln!(page.0, "{head}{}", lines.next().unwrap_or_default());
        page.lines(indent, lines);
    }
    if all.len() > shown.len() {
        let _ = writeln!(page.0, "{:INDENT$}       … and {} more", "", all.len() - shown.len());
    }
}

/// Where the time went, to the nanosecond where the model is as fine.
fn times(page: &mut Page, t: &Times) {
    let parts = [
        ("name lookup", t.name_lookup_ns),
        ("network", t.network_ns),
        ("load balancer", t.load_balancer_ns),
        ("rules lookup", t.rules_ns),
        ("waiting", t.waiting_ns),
        ("service", t.service_ns),
        ("in vain", t.in_vain_ns),
    ];
    let fine = parts.iter().any(|(_, ns)| ns % 1_000 != 0);
    let ms = |ns: u64| if fine { format!("{:.6}", ns as f64 / 1e6) } else { format!("{:.3}", ns as f64 / 1e6) };
    let width = ms(t.total_ns).len();
    page.0.push_str("Where the time went\n");
    // Time in vain is the exception: no line for it where there is none.
    for (name, ns) in parts.iter().filter(|(name, ns)| *name != "in vain" || *ns > 0) {
        let share = percent(*ns as f64 / t.total_ns.max(1) as f64);
        let hops = if *name == "network" { format!("   {}", plural(t.hops as usize, "link")) } else { String::new() };
        let _ = writeln!(page.0, "  {name:<15}{:>width$} ms  {share:>7}{hops}", ms(*ns));
    }
    let _ = writeln!(page.0, "  {:<15}{:>width$} ms", "total", ms(t.total_ns));
}

/// One sentence on how it ended.
fn closing(story: &Story) -> String {
    let e = &story.explanation;
    let total = format!("{:.3} ms", e.times.total_ns as f64 / 1e6);
    let facts = e.steps.iter().find_map(|s| match s.what {
        What::Decides { snat, extra_hop, .. } => Some((snat, extra_hop)),
        _ => None,
    });
    let why = match e.outcome.as_str() {
        "completed" => {
            let what = match facts {
                Some((true, true)) => ", with an extra hop on its way, and the Pod never saw the client's address",
                Some((true, false)) => ", and the Pod never saw the client's address",
                Some((false, true)) => ", with an extra hop on its way",
                Some((false, false)) | None => "",
            };
            return format!("The answer was at the client after {total}{what}.");
        }
        "refused" => "nothing listened at the Pod any more, and the connection was refused",
        "reset" => "the connection was reset under the request",
        "rejected" => "the Node had no usable endpoint anywhere and refused the connection",
        "policy_drop" => "a Node dropped the packet without a word, and the client waited in vain",
        "blackhole" => "the request went to the address of a Pod that is no more, and the client waited in vain",
        "reply_lost" => "the answer came from an address that the client had not dialled, and it threw it away",
        "conntrack_full" => "the Node's table of connections was full, and the packet was dropped",
        "snat_exhausted" => "the Node had no source port left for the rewriting, and the packet was dropped",
        "no_route" => "no Node knew the address, and the client waited in vain",
        "name_error" => "DNS knew no address for the name",
        "dns_failure" => "DNS did not answer",
        "no_target" => "the load balancer had no target",
        "link_drop" => "the line before a link was full or the link lost the message",
        "queue_full" => "the Pod's line was full, and the request was turned away",
        "timed_out" => "no answer had come by the client's timeout",
        other => other,
    };
    format!("The request failed after {total}: {why}.")
}

fn dialled(via: &str) -> String {
    match via {
        "ClusterIP" => "Service's ClusterIP".to_owned(),
        "NodePort" => "NodePort, at the Node it picked".to_owned(),
        "LoadBalancer" => "LoadBalancer's address".to_owned(),
        "ExternalIP" => "Service's external IP".to_owned(),
        "PodIP" => "Pod's own address, which DNS gave for the headless Service".to_owned(),
        "ExternalName" => "name that the ExternalName stands for".to_owned(),
        other => other.to_owned(),
    }
}

fn few(items: &[String]) -> String {
    let more = items.len().saturating_sub(LISTED);
    let list = items[..items.len() - more].join(", ");
    match (items.is_empty(), more) {
        (true, _) => "empty".to_owned(),
        (_, 0) => list,
        _ => format!("{list} … and {more} more"),
    }
}

/// A length of time in the unit that suits it, exactly.
fn span(ns: u64) -> String {
    SimDuration::from_nanos(ns).to_string()
}
