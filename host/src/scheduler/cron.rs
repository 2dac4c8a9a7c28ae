use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::object::Timestamp;

/// When something is to be done, as cron says it: minute, hour, day of the month, month, day of the week.
///
/// `30 3 * * 1-5` is half past three from Monday to Friday. A field is `*`, a number, a range `1-5`, a list `1,15`, or one of
/// these with a step, `*/10`. Months and days of the week have names too, `JAN` and `SUN`; 0 and 7 are both Sunday. If day of
/// the month and day of the week are both given, either will do, unless the latter begins with `+`. `L` is the last day of
/// a month, `5L` its last Friday, `5#2` its second, `15W` the working day nearest to its 15th. `@hourly`, `@daily`,
/// `@weekly`, `@monthly` and `@yearly` stand for what they say.
///
/// # When clocks are set forward or back for daylight saving time
///
/// An expression with one number each for minute and hour means a time of day, and is met once on each of its days. If its
/// time is left out on that day, it is met at the first moment after the gap; if its time comes twice, at the first of them.
/// In Berlin, `30 2 * * *` is met at 03:00 on the last Sunday of March, and in October at the half past two of summer time.
///
/// Any other expression means whatever the clock on the wall shows. What it skips is not met, and what it shows twice is met
/// twice: `*/30 * * * *` goes on every half hour as time goes by, and `0 2,14 * * *` is met once on that day in March, and
/// three times on that day in October.
#[derive(Clone)]
pub struct CronExpression {
    text: String,
    cron: Arc<Cron>,
}

const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7, or SUN to SAT"),
];

impl CronExpression {
    /// The first moment after this one at which it is met on the clocks of a time zone; `None` if that is beyond the year
    /// 5000.
    pub fn next_after(&self, moment: Timestamp, zone: Tz) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&moment.with_timezone(&zone), false);
        next.ok().map(|next| next.with_timezone(&Utc))
    }
}

impl FromStr for CronExpression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = parse(&text).ok_or_else(|| refusal(&text))?;
        let expression = Self { text, cron: Arc::new(cron) };
        // Any moment will do: the calendar repeats itself, the days of the week included, every 400 years.
        let moment: DateTime<Utc> = Utc.timestamp_nanos(0);
        match expression.next_after(moment, Tz::UTC) {
            Some(_) => Ok(expression),
            None => Err(format!("{:?} names a day that never comes; mend its day or its month", expression.text)),
        }
    }
}

fn parse(text: &str) -> Option<Cron> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(text).ok()
}

/// What is wrong with it. A field that is, is so among others that take anything.
fn refusal(text: &str) -> String {
    let fields: Vec<&str> = text.split(' ').collect();
    if text.starts_with('@') {
        return format!("{text:?} stands for nothing; there are @hourly, @daily, @weekly, @monthly and @yearly");
    }
    if text.is_empty() || fields.len() != FIELDS.len() {
        let count = if text.is_empty() { 0 } else { fields.len() };
        return format!(
            "{text:?} is no cron expression: it has {count} fields, not five: minute, hour, day of the month, month, day of \
             the week; every day at half past three is \"30 3 * * *\""
        );
    }
    let wrong = fields.iter().zip(FIELDS).enumerate().find(|(index, (field, _))| {
        let mut alone = ["*"; FIELDS.len()];
        alone[*index] = field;
        parse(&alone.join(" ")).is_none()
    });
    match wrong {
        Some((_, (field, (name, range)))) => format!(
            "{text:?} is no cron expression: {field:?} is no {name}; write *, or {range}, as a number, a range 1-5, a list \
             1,3 or a step */2"
        ),
        None => format!("{text:?} is no cron expression; every day at half past three is \"30 3 * * *\""),
    }
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl PartialEq for CronExpression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CronExpression {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
    }

    /// The next so many moments, on the clocks of the zone.
    fn next(expression: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
        let expression: CronExpression = expression.parse().unwrap();
        let moments = std::iter::successors(Some(at(after)), |last| expression.next_after(*last, zone));
        let shown = |moment: Timestamp| moment.with_timezone(&zone).format("%m-%d %H:%M %Z").to_string();
        moments.skip(1).take(count).map(shown).collect()
    }

    #[test]
    fn a_time_of_day_that_is_left_out_comes_right_after_the_gap() {
        assert_eq!(
            next("30 2 * * *", Tz::Europe__Berlin, "2026-03-27T12:00:00Z", 3),
            ["03-28 02:30 CET", "03-29 03:00 CEST", "03-30 02:30 CEST"]
        );
        assert_eq!(
            next("15 2 * * SUN", Tz::America__New_York, "2026-03-07T12:00:00Z", 2),
            ["03-08 03:00 EDT", "03-15 02:15 EDT"]
        );
    }

    #[test]
    fn a_time_of_day_that_comes_twice_is_met_the_first_time() {
        assert_eq!(
            next("30 2 * * *", Tz::Europe__Berlin, "2026-10-24T12:00:00Z", 2),
            ["10-25 02:30 CEST", "10-26 02:30 CET"]
        );
    }

    #[test]
    fn what_means_the_clock_on_the_wall_skips_and_repeats_as_it_does() {
        assert_eq!(
            next("*/30 * * * *", Tz::Europe__Berlin, "2026-03-29T00:20:00Z", 3),
            ["03-29 01:30 CET", "03-29 03:00 CEST", "03-29 03:30 CEST"]
        );
        assert_eq!(
            next("*/30 * * * *", Tz::Europe__Berlin, "2026-10-25T00:20:00Z", 3),
            ["10-25 02:30 CEST", "10-25 02:00 CET", "10-25 02:30 CET"]
        );
        let twice_a_day = |after| next("0 2,14 * * *", Tz::Europe__Berlin, after, 3);
        assert_eq!(twice_a_day("2026-03-28T23:00:00Z"), ["03-29 14:00 CEST", "03-30 02:00 CEST", "03-30 14:00 CEST"]);
        assert_eq!(twice_a_day("2026-10-24T22:00:00Z"), ["10-25 02:00 CEST", "10-25 02:00 CET", "10-25 14:00 CET"]);
    }

    #[test]
    fn a_refusal_names_the_field_and_what_would_do() {
        for (text, part) in [
            ("", "it has 0 fields, not five"),
            ("0 3 * *", "it has 4 fields, not five"),
            ("0 0 3 * * *", "it has 6 fields, not five"),
            ("0 25 * * *", "\"25\" is no hour; write *, or 0 to 23"),
            ("60 * * * *", "\"60\" is no minute"),
            ("0 3 32 * *", "\"32\" is no day of the month"),
            ("0 3 * 13 *", "\"13\" is no month"),
            ("0 3 * * FRY", "\"FRY\" is no day of the week"),
            ("0 3 31 2 *", "names a day that never comes"),
            ("@often", "there are @hourly"),
        ] {
            let refusal = text.parse::<CronExpression>().unwrap_err();
            assert!(refusal.contains(part), "{refusal}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for text in ["0 3 * * *", "*/5 8-18 * * MON-FRI", "0 4 L * *", "0 4 * * 5#2", "@daily"] {
            let expression: CronExpression = text.parse().unwrap();
            assert_eq!(expression.to_string(), text);
        }
        assert_eq!("  0  3 * * * ".parse::<CronExpression>().unwrap().to_string(), "0 3 * * *");
    }
}
