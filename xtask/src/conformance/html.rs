//! The report as one page that needs nothing else.

use super::cell::{Examined, STEPS, Step};
use super::summary;
use super::svg::{self, escaped};

const STYLE: &str = "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}\
    td,th{border:1px solid #999;padding:2px 8px;text-align:left}.ok{background:#e5f5e0}.bad{background:#fcbba1}\
    pre{background:#f4f4f4;padding:.5em}summary{cursor:pointer;margin:.4em 0}";

/// The whole report.
pub(super) fn page(examined: &[Examined]) -> String {
    let heads: String = STEPS.iter().map(|step| format!("<th>{step}</th>")).collect();
    let rows: String = examined.iter().map(row).collect();
    let details: String = examined.iter().map(details).collect();
    format!(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>ACPI conformance</title><style>{STYLE}</style>\
         <h1>ACPI conformance</h1><p>{}</p><table><tr><th>machine</th>{heads}</tr>{rows}</table>\
         <h2>Machines</h2><p>Blue: registers, or level-triggered; green: window; grey: reserved; orange: edge-triggered.</p>\
         {details}</html>\n",
        summary(examined)
    )
}

fn row(cell: &Examined) -> String {
    let marks: String = cell.steps.iter().map(mark).collect();
    format!("<tr><td>{}</td>{marks}</tr>\n", escaped(&cell.name))
}

fn mark(step: &Step) -> String {
    let class = match step {
        Step::Skipped => "",
        Step::Done(faults) if faults.is_empty() => "ok",
        Step::Done(_) => "bad",
    };
    format!("<td class='{class}'>{}</td>", step.mark())
}

/// A machine that failed is unfolded.
fn details(cell: &Examined) -> String {
    let notes: Vec<_> = cell.faults().chain(cell.remarks.iter().cloned()).collect();
    let notes =
        if notes.is_empty() { String::new() } else { format!("<pre>{}</pre>", escaped(&notes.join("\n"))) };
    format!(
        "<details{}><summary>{}</summary><pre>{}</pre>{notes}<h4>Interrupts</h4>{}<h4>Memory</h4>{}</details>\n",
        if cell.passed() { "" } else { " open" },
        escaped(&cell.name),
        escaped(&cell.command),
        svg::interrupts(&cell.map),
        svg::memory(&cell.map),
    )
}
