use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period::Period;
use super::scalar::{Scalar, scalar_serde};

/// How the host finds out whether its parts are well, and how badly they have to be for it to say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// How often it looks by itself, for metrics and alerts. Whoever asks `/readyz` has it look at once.
    pub every: Period,
    /// How late a task may start before it is told of.
    pub task_delay: Period,
    /// How much must be free on the disks that the host keeps something on: bytes, and inodes.
    pub disk: DiskConfig,
}

/// Every 15 s, 10 minutes.
impl Default for HealthConfig {
    fn default() -> Self {
        Self { every: Period::seconds(15), task_delay: Period::seconds(600), disk: DiskConfig::default() }
    }
}

/// How much of a disk must be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskConfig {
    /// With less it is degraded.
    pub degraded_below: Percentage,
    /// With less it has failed.
    pub failed_below: Percentage,
}

/// 5 % and 1 %.
impl Default for DiskConfig {
    fn default() -> Self {
        Self { degraded_below: Percentage::of_tenths(50), failed_below: Percentage::of_tenths(10) }
    }
}

/// How it is found out whether a store works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// An object that nobody else sees is written, read back and deleted.
    #[default]
    Write,
    /// It is asked for a listing: for stores where a write leaves something behind, or costs money.
    Read,
}

/// A part of a whole in percent: `5%`, `0.5%`; in tenths of a percent from 0% to 100%.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentage(u16);

impl Percentage {
    const fn of_tenths(tenths: u16) -> Self {
        Self(tenths)
    }

    /// From 0 to 1.
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl FromStr for Percentage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not {}", Self::EXPECTED);
        let number = text.trim().strip_suffix('%').ok_or_else(refused)?.trim();
        let number: f64 = number.parse().map_err(|_| refused())?;
        if !(0.0..=100.0).contains(&number) {
            return Err(refused());
        }
        Ok(Self((number * 10.0).round() as u16))
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}%", self.0 / 10),
            tenths => write!(f, "{}.{tenths}%", self.0 / 10),
        }
    }
}

impl fmt::Debug for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Scalar for Percentage {
    const EXPECTED: &'static str = "a percentage, such as 5% or 0.5%";
    const PATTERN: &'static str = r"^\s*[0-9]+(\.[0-9]+)?\s*%$";
}

scalar_serde!(Percentage);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_read_back_as_they_are_shown() {
        for text in ["0%", "5%", "0.5%", "100%"] {
            assert_eq!(text.parse::<Percentage>().unwrap().to_string(), text);
        }
        assert_eq!("12.5 %".parse::<Percentage>().unwrap().as_fraction(), 0.125);
        for text in ["", "5", "%", "-1%", "101%", "NaN%", "inf%"] {
            assert!(text.parse::<Percentage>().is_err(), "{text}");
        }
    }
}
