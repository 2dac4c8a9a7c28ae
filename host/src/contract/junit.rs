//! A report as the XML that JUnit made common: there is no standard, and this keeps to what all readers take.

use std::fmt::Write;

use super::{Report, Verdict};

pub(super) fn document(report: &Report) -> String {
    let counts = report.counts();
    let (tests, skipped) = (report.outcomes.len(), counts.unsupported + counts.not_applicable);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{}\" errors=\"0\" skipped=\"{skipped}\" time=\"{:.3}\">",
        escaped(&format!("{} {}", report.part, report.kind.as_str())),
        counts.broken,
        report.took().as_secs_f64(),
    );
    for outcome in &report.outcomes {
        let _ = write!(
            xml,
            "    <testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3}\"",
            escaped(&report.part),
            report.kind.as_str(),
            outcome.promise.name,
            outcome.took.as_secs_f64(),
        );
        let says = escaped(outcome.promise.says);
        let _ = match &outcome.verdict {
            Verdict::Kept => writeln!(xml, "/>"),
            Verdict::Broken(how) => {
                let how = escaped(how);
                writeln!(xml, "><failure type=\"broken\" message=\"{says}\">{how}</failure></testcase>")
            }
            Verdict::Unsupported(what) => writeln!(xml, "><skipped message=\"{}\"/></testcase>", escaped(what)),
            Verdict::NotApplicable => writeln!(xml, "><skipped message=\"not applicable\"/></testcase>"),
        };
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text as it may stand in XML 1.0, in an attribute or not: characters that it can not hold at all are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\r' => escaped.push_str("&#13;"),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_can_not_hold_is_replaced_and_the_rest_is_escaped() {
        assert_eq!(escaped("<a & \"b\">\u{1}\n\u{1F980}"), "&lt;a &amp; &quot;b&quot;&gt;\u{fffd}&#10;\u{1F980}");
    }
}
