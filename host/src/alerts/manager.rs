use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};
use tokio::sync::watch;

use super::memory::Memory;
use super::phase::{Change, Moment, Phase};
use super::series::{Labels, Readings};
use super::window::Window;
use super::{Alert, AlertLevel, AlertRule, AlertState, Condition, MetricCondition};
use crate::error::{Error, Result};
use crate::events::{Event, EventStream, EventType};
use crate::monitor::{HealthReport, HealthState};
use crate::object::Timestamp;

/// How many alerts of one rule there are at most: a rule that holds for everything says no more with more of them.
const MOST: usize = 200;
/// How long an alert of the last run is kept if nothing is known of what it is about: a rate needs time.
const UNKNOWN: Duration = Duration::from_secs(5 * 60);

/// Asks the rules, and keeps the alerts.
#[derive(Debug)]
pub struct AlertManager {
    rules: Vec<AlertRule>,
    events: EventStream,
    memory: Option<Memory>,
    gauge: IntGaugeVec,
    /// What was found; held while the rules are asked.
    state: Mutex<State>,
    /// Tells of every change of an alert that fires.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    found: BTreeMap<(usize, Labels), Finding>,
    /// Alerts of the last run whose rule is there no more; they end when the rules are asked first.
    stale: Vec<Alert>,
    begun: Option<Duration>,
}

#[derive(Debug, Default)]
struct Finding {
    window: Window,
    phase: Option<Phase>,
    value: f64,
    summary: String,
    /// Whether it is remembered of the last run, and nothing is known of it in this one.
    remembered: bool,
}

/// What a rule measures of one series or check: the value, or that nothing can be said, and what a check told.
struct Measured {
    value: Option<f64>,
    told: String,
}

impl AlertManager {
    /// Alerts after these rules, told to `events`; those that fire are remembered in the file, over restarts.
    ///
    /// # Errors
    /// [`Error::Internal`] if the registry has a metric of the same name.
    pub fn new(rules: Vec<AlertRule>, events: EventStream, registry: &Registry, file: Option<&Path>) -> Result<Self> {
        let conflict =
            |error: prometheus::Error| Error::internal(format!("the metrics of alerts can not be registered: {error}"));
        let gauge = Opts::new("larder_alerts", "Alerts that there are, by rule.");
        let gauge = IntGaugeVec::new(gauge, &["rule", "level", "state"]).map_err(conflict)?;
        registry.register(Box::new(gauge.clone())).map_err(conflict)?;
        let memory = file.map(Memory::at);
        let mut state = State::default();
        for alert in memory.as_ref().map(Memory::read).unwrap_or_default() {
            match rules.iter().position(|rule| rule.name == alert.name) {
                Some(rule) => {
                    let fired_at = alert.fired_at.unwrap_or(alert.since);
                    let phase = Phase::Firing { since: alert.since, fired_at, held: Duration::ZERO };
                    let Alert { labels, value, summary, .. } = alert;
                    let finding =
                        Finding { phase: Some(phase), value, summary, remembered: true, ..Finding::default() };
                    state.found.insert((rule, labels), finding);
                }
                None => state.stale.push(alert),
            }
        }
        let (changed, _) = watch::channel(0);
        Ok(Self { rules, events, memory, gauge, state: Mutex::new(state), changed })
    }

    /// Asks all rules about what the metrics say and what health checks found. `steady` is the moment on a clock that nobody
    /// sets, `wall` the time of day.
    pub fn evaluate(&self, steady: Duration, wall: Timestamp, families: &[MetricFamily], health: &HealthReport) {
        let at = Moment { steady, wall };
        let mut state = self.state.lock();
        let begun = *state.begun.get_or_insert(steady);
        let mut changes = Vec::new();
        for alert in std::mem::take(&mut state.stale) {
            changes.push((Change::Resolved, Alert { state: AlertState::Resolved, resolved_at: Some(wall), ..alert }));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let measured = match &rule.condition {
                Condition::Health(condition) => {
                    let named = health.states().filter(|(name, _)| condition.checks.matches(name));
                    named.map(|(name, state)| (check(name), of_check(name, state, health))).collect()
                }
                Condition::Metric(condition) => self.measure(&mut state, index, condition, steady, families),
            };
            changes.extend(self.judge(&mut state, (index, rule), measured, at, steady.saturating_sub(begun) > UNKNOWN));
        }
        self.count(&state);
        if changes.is_empty() {
            return;
        }
        let firing: Vec<Alert> = self.shown(&state).filter(|alert| alert.state == AlertState::Firing).collect();
        drop(state);
        // Written down before it is told: after a crash in between it is not told again, but it is shown, and its end is told.
        if let Some(memory) = &self.memory {
            memory.write(&firing);
        }
        for (change, alert) in changes {
            self.tell(change, &alert);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// All alerts, also those that are none yet, and those that ended within the last 15 minutes: the worst first.
    pub fn alerts(&self) -> Vec<Alert> {
        let state = self.state.lock();
        let mut alerts: Vec<Alert> = self.shown(&state).collect();
        alerts.sort_by(|one, other| {
            let rank = |alert: &Alert| (alert.state != AlertState::Firing, std::cmp::Reverse(alert.level));
            rank(one).cmp(&rank(other)).then_with(|| (&one.name, &one.labels).cmp(&(&other.name, &other.labels)))
        });
        alerts
    }

    /// Tells whenever an alert began or ended.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What a metric's rule measures of each series.
    fn measure(
        &self,
        state: &mut State,
        rule: usize,
        condition: &MetricCondition,
        steady: Duration,
        families: &[MetricFamily],
    ) -> BTreeMap<Labels, Measured> {
        let Readings { series, bounds } = Readings::of(condition, families);
        let mut known = state.found.range(of_rule(rule)).count();
        let mut measured = BTreeMap::new();
        for (labels, reading) in series {
            let key = (rule, labels);
            if !state.found.contains_key(&key) {
                if known == MOST {
                    continue;
                }
                known += 1;
            }
            let window = &mut state.found.entry(key.clone()).or_default().window;
            if let Some(span) = condition.measure.window() {
                window.read(steady, &reading, span);
            }
            let value = window.measure(&condition.measure, &reading, &bounds);
            measured.insert(key.1, Measured { value, told: String::new() });
        }
        measured
    }

    /// What becomes of all that a rule found, now and before. `all_known` says that there was time enough for all to be
    /// measured.
    fn judge(
        &self,
        state: &mut State,
        (index, rule): (usize, &AlertRule),
        mut measured: BTreeMap<Labels, Measured>,
        at: Moment,
        all_known: bool,
    ) -> Vec<(Change, Alert)> {
        let of_metric = matches!(rule.condition, Condition::Metric(_));
        let mut changes = Vec::new();
        let known: Vec<(usize, Labels)> = state.found.range(of_rule(index)).map(|(key, _)| key.clone()).collect();
        let room = MOST.saturating_sub(known.len());
        let new = measured.keys().filter(|labels| !state.found.contains_key(&(index, (*labels).clone()))).take(room);
        let new: Vec<(usize, Labels)> = new.map(|labels| (index, labels.clone())).collect();
        for key in known.into_iter().chain(new) {
            let found = measured.remove(&key.1);
            let still_there = found.is_some();
            let finding = state.found.entry(key.clone()).or_default();
            match found {
                Some(Measured { value: Some(value), told }) => {
                    finding.remembered = false;
                    finding.value = value;
                    let firing = finding.phase.is_some_and(Phase::is_firing);
                    let holds = match &rule.condition {
                        Condition::Health(condition) => condition.holds(as_state(value)),
                        Condition::Metric(condition) => condition.threshold.holds(value, firing),
                    };
                    if holds || finding.summary.is_empty() {
                        finding.summary = rule.summary(&key.1, value, &told);
                    }
                    let (phase, change) = Phase::next(finding.phase, rule, holds, at);
                    finding.phase = phase;
                    changes.extend(change.map(|change| (change, key.clone())));
                }
                // What can not be told yet of what was an alert in the last run may still hold.
                None | Some(Measured { value: None, .. }) if finding.remembered && !all_known => {}
                None | Some(Measured { value: None, .. }) => {
                    let (phase, change) = Phase::next(finding.phase, rule, false, at);
                    finding.phase = phase;
                    changes.extend(change.map(|change| (change, key.clone())));
                }
            }
            // A series that is still there needs its window.
            if finding.phase.is_none() && !(still_there && of_metric) {
                state.found.remove(&key);
            }
        }
        let alert =
            |(change, key): (Change, (usize, Labels))| Some((change, self.alert(&key, state.found.get(&key)?)?));
        changes.into_iter().filter_map(alert).collect()
    }

    fn shown<'a>(&'a self, state: &'a State) -> impl Iterator<Item = Alert> + 'a {
        state.found.iter().filter_map(|(key, finding)| self.alert(key, finding))
    }

    fn alert(&self, (rule, labels): &(usize, Labels), finding: &Finding) -> Option<Alert> {
        let rule = &self.rules[*rule];
        let (state, since, fired_at, resolved_at) = match finding.phase? {
            Phase::Pending { since } => (AlertState::Pending, since.wall, None, None),
            Phase::Firing { since, fired_at, .. } => (AlertState::Firing, since, Some(fired_at), None),
            Phase::Resolved { since, fired_at, ended } => {
                (AlertState::Resolved, since, Some(fired_at), Some(ended.wall))
            }
        };
        Some(Alert {
            name: rule.name.clone(),
            labels: labels.clone(),
            level: rule.level,
            state,
            since,
            fired_at,
            resolved_at,
            value: finding.value,
            summary: finding.summary.clone(),
        })
    }

    fn tell(&self, change: Change, alert: &Alert) {
        let Alert { name, level, summary, .. } = alert;
        let level_name = level.as_str();
        match (change, level) {
            (Change::Fired, AlertLevel::Critical) => {
                tracing::error!(alert = %name, level = level_name, "alert: {summary}");
            }
            (Change::Fired, AlertLevel::Warning) => {
                tracing::warn!(alert = %name, level = level_name, "alert: {summary}")
            }
            (Change::Fired, AlertLevel::Info) => tracing::info!(alert = %name, level = level_name, "alert: {summary}"),
            (Change::Resolved, _) => tracing::info!(alert = %name, level = level_name, "alert resolved: {summary}"),
        }
        let kind = match change {
            Change::Fired => EventType::AlertFiring,
            Change::Resolved => EventType::AlertResolved,
        };
        self.events.publish(|| Event {
            kind,
            store: None,
            subject: Some(name.clone()),
            data: serde_json::to_value(alert).unwrap_or_default(),
        });
    }

    fn count(&self, state: &State) {
        let mut counts = BTreeMap::new();
        for ((rule, _), finding) in &state.found {
            let state = match finding.phase {
                Some(Phase::Pending { .. }) => AlertState::Pending,
                Some(Phase::Firing { .. }) => AlertState::Firing,
                Some(Phase::Resolved { .. }) | None => continue,
            };
            *counts.entry((*rule, state.as_str())).or_insert(0) += 1;
        }
        for (index, rule) in self.rules.iter().enumerate() {
            for state in [AlertState::Pending.as_str(), AlertState::Firing.as_str()] {
                let count = counts.get(&(index, state)).copied().unwrap_or(0);
                self.gauge.with_label_values(&[rule.name.as_str(), rule.level.as_str(), state]).set(count);
            }
        }
    }
}

/// All that was found of a rule.
fn of_rule(rule: usize) -> std::ops::Range<(usize, Labels)> {
    (rule, Labels::new())..(rule + 1, Labels::new())
}

fn check(name: &str) -> Labels {
    Labels::from([("check".to_owned(), name.to_owned())])
}

fn of_check(name: &str, state: HealthState, health: &HealthReport) -> Measured {
    let told =
        health.troubles().filter(|(trouble, _)| *trouble == name).filter_map(|(_, check)| check.output.as_deref());
    Measured { value: Some(f64::from(state as u8)), told: told.collect::<Vec<_>>().join("; ") }
}

fn as_state(value: f64) -> HealthState {
    match value as u8 {
        0 => HealthState::Healthy,
        1 => HealthState::Degraded,
        _ => HealthState::Failed,
    }
}
