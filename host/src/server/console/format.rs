//! Figures and moments, for people.

use std::time::Duration;

use bytesize::ByteSize;
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::object::Timestamp;

/// What stands for itself in a part of a path.
const IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');

/// A number of bytes, such as `1.5 MiB`.
pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// A share between 0 and 1, such as `12.5 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A number with its thousands apart, such as `1 234 567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A measured value, to three digits behind the point.
pub(super) fn value(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A span of time in its largest unit, such as `3 min`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long something took, such as `0.3 s`.
pub(super) fn took(from: Timestamp, to: Timestamp) -> String {
    let took = (to - from).to_std().unwrap_or_default();
    if took < Duration::from_secs(120) { format!("{:.1} s", took.as_secs_f64()) } else { span(took) }
}

/// A moment to the second, in UTC.
pub(super) fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(machine(at)) { (at.format("%Y-%m-%d %H:%M:%SZ")) } }
}

/// A moment as seen from another one, such as `3 min ago`, with the time of day for whoever points at it.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> Markup {
    let text = match ((now - at).to_std(), (at - now).to_std()) {
        (Ok(past), _) if past < Duration::from_secs(2) => "just now".to_owned(),
        (Ok(past), _) => format!("{} ago", span(past)),
        (_, Ok(future)) => format!("in {}", span(future)),
        (Err(_), Err(_)) => "now".to_owned(),
    };
    html! { time datetime=(machine(at)) title=(at.format("%Y-%m-%d %H:%M:%S UTC")) { (text) } }
}

/// A name as a part of a path.
pub(super) fn in_path(name: &str) -> String {
    utf8_percent_encode(name, IN_PATHS).to_string()
}

fn machine(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([count(0), count(999), count(1_234_567)], ["0", "999", "1\u{202f}234\u{202f}567"]);
        assert_eq!([size(0), size(1536)], ["0 B", "1.5 KiB"]);
        assert_eq!(percent(0.9714), "97.1 %");
        assert_eq!([value(0.0), value(1200.0), value(0.987_65)], ["0", "1200", "0.988"]);
    }

    #[test]
    fn moments_are_seen_from_now() {
        let now = at("2026-11-22T12:00:00Z");
        for (moment, text) in [
            ("2026-11-22T11:59:59Z", ">just now<"),
            ("2026-11-22T11:58:30Z", ">90 s ago<"),
            ("2026-11-22T11:30:00Z", ">30 min ago<"),
            ("2026-11-22T15:00:00.5Z", ">in 3 h<"),
            ("2026-11-01T12:00:00Z", ">21 days ago<"),
        ] {
            let shown = relative(at(moment), now).into_string();
            assert!(shown.contains(text), "{text} {shown}");
        }
        assert_eq!(took(at("2026-11-22T11:59:59.7Z"), now), "0.3 s");
        assert_eq!(
            super::moment(now).into_string(),
            r#"<time datetime="2026-11-22T12:00:00Z">2026-11-22 12:00:00Z</time>"#
        );
    }

    #[test]
    fn a_name_in_a_path_stays_one_part() {
        assert_eq!(in_path("scrub:documents"), "scrub:documents");
        assert_eq!(in_path("a/b?c#d \"ä"), "a%2Fb%3Fc%23d%20%22%C3%A4");
    }
}
