//! The report as one HTML file: style, script and figures inside, nothing from outside.

use std::fmt::Write as _;

use super::{Block, Figure, Table};
use crate::output::findings::Kind;
use crate::output::format::escape;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

pub(super) fn render(title: &str, blocks: &[Block]) -> String {
    let title = escape(title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n"
    );
    for block in blocks {
        match block {
            Block::Lead(text) => {
                let _ = writeln!(out, "<p class=\"lead\">{}</p>", escape(text));
            }
            Block::Meta(pairs) => {
                out.push_str("<dl class=\"meta\">\n");
                for (key, value) in pairs {
                    let _ = writeln!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(key), escape(value));
                }
                out.push_str("</dl>\n");
            }
            Block::Heading(text) => {
                let _ = writeln!(out, "<h2>{}</h2>", escape(text));
            }
            Block::Paragraph(text) => {
                let _ = writeln!(out, "<p>{}</p>", escape(text));
            }
            Block::Bullets(items) => list(&mut out, "ul", "", items),
            Block::Warnings(items) => list(&mut out, "ul", "warnings", items),
            Block::Findings(findings) => {
                out.push_str("<ol class=\"findings\">\n");
                for finding in findings {
                    let _ =
                        writeln!(out, "<li class=\"{}\"><b>{}</b> {}</li>", class(finding.kind), word(finding.kind), escape(&finding.text));
                }
                out.push_str("</ol>\n");
            }
            Block::Figure(f) => figure(&mut out, f),
            Block::Folded(summary, figures) => {
                let _ = writeln!(out, "<details>\n<summary>{}</summary>", escape(summary));
                for f in figures {
                    figure(&mut out, f);
                }
                out.push_str("</details>\n");
            }
            Block::Table(t) => table(&mut out, t),
            Block::Code(lines) => {
                let _ = writeln!(out, "<pre><code>{}</code></pre>", escape(&lines.join("\n")));
            }
        }
    }
    let _ = write!(out, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Recommendation | Kind::Safe => "recommendation",
        Kind::Caution => "caution",
        Kind::Latency | Kind::Losses | Kind::Balance | Kind::Reason => "finding",
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Recommendation => "Choice.",
        Kind::Safe => "Safe.",
        Kind::Latency => "Latency.",
        Kind::Losses => "Losses.",
        Kind::Balance => "Balance.",
        Kind::Reason => "Why.",
        Kind::Caution => "Beware.",
    }
}

fn list(out: &mut String, tag: &str, class: &str, items: &[String]) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(out, "<{tag}{class}>");
    for item in items {
        let _ = writeln!(out, "<li>{}</li>", escape(item));
    }
    let _ = writeln!(out, "</{tag}>");
}

fn figure(out: &mut String, figure: &Figure) {
    let _ = writeln!(
        out,
        "<figure id=\"{}\" aria-label=\"{}\">\n<div class=\"sheet\" tabindex=\"0\">\n{}</div>\n<figcaption>{}</figcaption>\n</figure>",
        escape(&figure.name),
        escape(&figure.alt),
        figure.svg,
        escape(&figure.caption)
    );
}

fn table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<caption>{}</caption>\n<thead><tr>", escape(&table.caption));
    let numeric = |column: usize| table.rows.iter().any(|r| r.get(column).is_some_and(|c| c.key.is_some()));
    for (column, name) in table.head.iter().enumerate() {
        let class = if numeric(column) { " class=\"number\"" } else { "" };
        // Long names may break after an underscore.
        let _ = writeln!(out, "<th scope=\"col\"{class}><button type=\"button\">{}</button></th>", escape(name).replace('_', "_<wbr>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let tag = if column == 0 { "th scope=\"row\"" } else { "td" };
            let class = if numeric(column) { " class=\"number\"" } else { "" };
            let key = cell.key.filter(|k| k.is_finite()).map_or_else(String::new, |k| format!(" data-key=\"{k:?}\""));
            let small = if cell.small.is_empty() { String::new() } else { format!(" <small>{}</small>", escape(&cell.small)) };
            let _ = write!(out, "<{tag}{class}{key}>{}{small}</{}>", escape(&cell.text), &tag[..2]);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}
