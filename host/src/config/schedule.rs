use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono_tz::{TZ_VARIANTS, Tz};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::error::nearest;
use super::period::Period;
use super::scalar::{Scalar, scalar_serde};
use crate::scheduler::{CronExpression, MissedStarts, Retries, Schedule, ScheduledTask, TaskExecutor};

impl Scalar for CronExpression {
    const EXPECTED: &'static str = "a cron expression, such as \"30 3 * * *\" or \"0 4 * * SUN\"";
    const PATTERN: &'static str = r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4})\s*$";
}

scalar_serde!(CronExpression);

/// A time zone by its name in the IANA database, such as `Europe/Berlin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZone(Tz);

impl FromStr for TimeZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            let near = nearest(text, TZ_VARIANTS.iter().map(|zone| zone.name()));
            let hint = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
            format!("{text:?} is no time zone{hint}; write a name of the IANA database, such as Europe/Berlin or UTC")
        })
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Scalar for TimeZone {
    const EXPECTED: &'static str = "a time zone of the IANA database, such as Europe/Berlin";
    const PATTERN: &'static str = "^[A-Za-z0-9_+/-]+$";
}

scalar_serde!(TimeZone);

/// When a task starts, and what becomes of a run that is missed, too long, or fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleConfig {
    /// When it starts (`every`, or `cron` and `time_zone`, in YAML).
    pub start: Start,
    /// How far a start may be from there; absent: a tenth of an interval, and nothing from a time of day.
    pub jitter: Option<Period>,
    /// How long a run may take; absent: as long as it does.
    pub deadline: Option<Period>,
    /// How often a run that failed is tried again before it is due again.
    pub retries: u32,
    /// What becomes of starts that were missed.
    pub missed: MissedStarts,
}

/// When a task starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At an interval.
    Every(Period),
    /// At times of day, on the clocks of a time zone.
    Cron(CronExpression, TimeZone),
}

/// When a task starts, and what becomes of a run that is missed, too long, or fails.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Schedule", extend("oneOf" = [{ "required": ["every"] }, { "required": ["cron"] }]))]
struct Written {
    /// From one start to the next. Either this or `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    every: Option<Period>,
    /// Minute, hour, day of the month, month, day of the week. Either this or `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CronExpression")]
    cron: Option<CronExpression>,
    /// The time zone of `cron`; absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TimeZone")]
    time_zone: Option<TimeZone>,
    /// How far a start may be from where it would be, at random: later than a time of day, shorter or longer than an interval.
    /// Absent: a tenth of an interval, and nothing from a time of day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    jitter: Option<Period>,
    /// How long a run may take; one that takes longer is dropped and counts as failed. Absent: as long as it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    deadline: Option<Period>,
    /// How often a run that failed is tried again before it is due again: first after half a minute, and then after twice as
    /// long each time, up to an hour.
    #[serde(default)]
    #[schemars(range(max = 100))]
    retries: u32,
    /// What becomes of starts while no host runs: one run makes up for all of them, or they are left out.
    #[serde(default)]
    missed: Missed,
}

/// What becomes of starts that were missed.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Missed {
    /// One run makes up for all of them, as soon as the host runs again.
    #[default]
    RunOnce,
    /// They are left out.
    Skip,
}

impl ScheduleConfig {
    const MAX_RETRIES: u32 = 100;

    /// Starts at an interval, and nothing else is said.
    pub fn every(interval: Period) -> Self {
        Self::starting(Start::Every(interval))
    }

    fn starting(start: Start) -> Self {
        Self { start, jitter: None, deadline: None, retries: 0, missed: MissedStarts::RunOnce }
    }

    /// The task that is done so.
    pub fn task(&self, name: String, kind: &'static str, executor: Arc<dyn TaskExecutor>) -> ScheduledTask {
        let schedule = match &self.start {
            Start::Every(interval) => Schedule::Every(interval.as_duration()),
            Start::Cron(expression, TimeZone(zone)) => Schedule::Cron(expression.clone(), *zone),
        };
        ScheduledTask {
            jitter: self.jitter.map(Period::as_duration),
            deadline: self.deadline.map(Period::as_duration),
            retries: Retries::times(self.retries),
            missed: self.missed,
            ..ScheduledTask::new(name, kind, schedule, executor)
        }
    }
}

/// When it starts, in a line for people.
impl fmt::Display for ScheduleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Start::Every(interval) => write!(f, "every {interval}"),
            Start::Cron(expression, zone) => write!(f, "at {expression} {zone}"),
        }
    }
}

impl TryFrom<Written> for ScheduleConfig {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written { every, cron, time_zone, jitter, deadline, retries, missed } = written;
        let start = match (every, cron, time_zone) {
            (Some(interval), None, None) => Start::Every(interval),
            (None, Some(expression), zone) => Start::Cron(expression, zone.unwrap_or(TimeZone(Tz::UTC))),
            (Some(_), None, Some(_)) => return Err("`time_zone` is for `cron`; an interval needs none: remove it"),
            (Some(_), Some(_), _) => {
                return Err("a task has `every` or `cron`, and this one has both; remove one of them");
            }
            (None, None, _) => return Err("a task needs `every` (an interval) or `cron` (times of day)"),
        };
        if retries > Self::MAX_RETRIES {
            return Err("`retries` is 100 at most");
        }
        let missed = match missed {
            Missed::RunOnce => MissedStarts::RunOnce,
            Missed::Skip => MissedStarts::Skip,
        };
        Ok(Self { start, jitter, deadline, retries, missed })
    }
}

impl<'de> Deserialize<'de> for ScheduleConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ScheduleConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, or a mapping with `every` or `cron`", CronExpression::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ScheduleConfig, E> {
                let expression = text.parse().map_err(E::custom)?;
                Ok(ScheduleConfig::starting(Start::Cron(expression, TimeZone(Tz::UTC))))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ScheduleConfig, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(map))?.try_into().map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl Serialize for ScheduleConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { start, jitter, deadline, retries, missed } = self.clone();
        let (every, cron, time_zone) = match start {
            Start::Every(interval) => (Some(interval), None, None),
            Start::Cron(expression, zone) => (None, Some(expression), Some(zone)),
        };
        let missed = match missed {
            MissedStarts::RunOnce => Missed::RunOnce,
            MissedStarts::Skip => Missed::Skip,
        };
        Written { every, cron, time_zone, jitter, deadline, retries, missed }.serialize(serializer)
    }
}

impl JsonSchema for ScheduleConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ScheduleConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (expression, mapping) = (generator.subschema_for::<CronExpression>(), generator.subschema_for::<Written>());
        json_schema!({
            "description": "When a task starts: a cron expression in UTC, or a mapping with `every` or `cron`.",
            "anyOf": [expression, mapping],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<ScheduleConfig, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn an_expression_alone_is_in_utc() {
        let alone = read("30 3 * * *").unwrap();
        assert_eq!(alone, read("{ cron: 30 3 * * *, time_zone: UTC, retries: 0, missed: run_once }").unwrap());
        assert_eq!(alone.to_string(), "at 30 3 * * * UTC");
        assert_eq!(read("{ every: 6h }").unwrap(), ScheduleConfig::every(Period::seconds(6 * 60 * 60)));
    }

    #[test]
    fn what_is_serialized_reads_back_as_the_same() {
        for yaml in [
            "{ every: 1h, jitter: 5m }",
            "{ cron: '@daily', time_zone: America/New_York, deadline: 2h, retries: 3, missed: skip }",
        ] {
            let schedule = read(yaml).unwrap();
            assert_eq!(read(&serde_yaml::to_string(&schedule).unwrap()).unwrap(), schedule);
        }
    }

    #[test]
    fn a_refusal_says_what_would_do() {
        for (yaml, part) in [
            ("0 25 * * *", "\"25\" is no hour"),
            ("{}", "needs `every` (an interval) or `cron`"),
            ("{ every: 1h, cron: 0 3 * * * }", "remove one of them"),
            ("{ every: 1h, time_zone: UTC }", "an interval needs none"),
            ("{ cron: 0 3 * * *, time_zone: Europe/Berln }", "did you mean Europe/Berlin?"),
            ("{ cron: 0 3 * * *, missed: never }", "`run_once` or `skip`"),
            ("{ cron: 0 3 * * *, retries: 101 }", "100 at most"),
            ("7", "a cron expression, such as"),
        ] {
            let refusal = read(yaml).unwrap_err();
            assert!(refusal.contains(part), "{yaml}: {refusal}");
        }
    }
}
