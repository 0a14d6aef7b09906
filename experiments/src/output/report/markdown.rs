//! The report as Markdown.

use std::fmt::Write as _;

use super::{Block, Table};

pub(super) fn render(title: &str, blocks: &[Block]) -> String {
    let mut out = format!("# {}\n", text(title));
    for block in blocks {
        out.push('\n');
        match block {
            Block::Lead(lead) => {
                let _ = writeln!(out, "> {}", text(lead));
            }
            Block::Meta(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{}: {}", text(k), text(v))).collect();
                let _ = writeln!(out, "*{}*", pairs.join(" · "));
            }
            Block::Heading(heading) => {
                let _ = writeln!(out, "## {}", text(heading));
            }
            Block::Paragraph(paragraph) => {
                let _ = writeln!(out, "{}", text(paragraph));
            }
            Block::Bullets(items) | Block::Warnings(items) => {
                for item in items {
                    let _ = writeln!(out, "- {}", text(item));
                }
            }
            Block::Findings(findings) => {
                for (i, finding) in findings.iter().enumerate() {
                    let _ = writeln!(out, "{}. {}", i + 1, text(&finding.text));
                }
            }
            Block::Figure(f) => figure(&mut out, f),
            Block::Folded(summary, figures) => {
                let _ = writeln!(out, "### {}", text(summary));
                for f in figures {
                    out.push('\n');
                    figure(&mut out, f);
                }
            }
            Block::Table(t) => table(&mut out, t),
            Block::Code(lines) => {
                for line in lines {
                    // Four spaces make a code block that no content can end.
                    let _ = writeln!(out, "    {}", line.replace(['\n', '\r'], " "));
                }
            }
        }
    }
    out
}

fn figure(out: &mut String, figure: &super::Figure) {
    let _ = writeln!(out, "![{}](plots/{}.png)\n\n*{}* {}", text(&figure.alt), figure.name, text(&figure.title), text(&figure.caption));
}

fn table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "{}\n", text(&table.caption));
    let head: Vec<String> = table.head.iter().map(|h| text(h)).collect();
    let _ = writeln!(out, "| {} |", head.join(" | "));
    let numeric = |column: usize| table.rows.iter().any(|r| r.get(column).is_some_and(|c| c.key.is_some()));
    let rules: Vec<&str> = (0..head.len()).map(|c| if numeric(c) { "---:" } else { "---" }).collect();
    let _ = writeln!(out, "| {} |", rules.join(" | "));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|c| text(format!("{} {}", c.text, c.small).trim())).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

/// Plain text as Markdown on one line: nothing in it is markup.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                // An underscore inside of a word is only itself.
                let in_word = c == '_' && out.ends_with(|p: char| p.is_ascii_alphanumeric());
                if !in_word {
                    out.push('\\');
                }
                out.push(c);
            }
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
