use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use super::*;
use crate::events::{EventStream, EventType, Subscription, Told};
use crate::monitor::{HealthCheck, HealthReport, HealthState};
use crate::object::{Timestamp, now};

/// Rules over a registry of their own, and a clock that stands still unless it is told.
struct Bench {
    manager: AlertManager,
    registry: Registry,
    events: Subscription,
    begun: Timestamp,
    at: Duration,
    checks: BTreeMap<String, Vec<HealthCheck>>,
}

fn bench(rules: Vec<AlertRule>, file: Option<&std::path::Path>) -> Bench {
    let (registry, stream) = (Registry::new(), EventStream::default());
    let events = stream.subscribe();
    let manager = AlertManager::new(rules, stream, &registry, file).unwrap();
    Bench { manager, registry, events, begun: now(), at: Duration::ZERO, checks: BTreeMap::new() }
}

fn rule(condition: Condition) -> AlertRule {
    AlertRule {
        name: "rule".into(),
        level: AlertLevel::Warning,
        condition,
        hold: Duration::ZERO,
        keep: Duration::ZERO,
        summary: None,
    }
}

fn of_metric(metric: &str, measure: Measure, threshold: Threshold) -> Condition {
    Condition::Metric(MetricCondition { metric: metric.into(), labels: BTreeMap::new(), by: None, measure, threshold })
}

fn above(above: f64) -> Threshold {
    Threshold::Above { above, until: above }
}

impl Bench {
    /// Lets so many seconds pass, asks the rules, and returns what was told.
    async fn pass(&mut self, seconds: u64) -> Vec<(EventType, String)> {
        self.at += Duration::from_secs(seconds);
        let wall = self.begun + self.at;
        let health = HealthReport::new(wall, self.checks.clone());
        self.manager.evaluate(self.at, wall, &self.registry.gather(), &health);
        let mut told = Vec::new();
        while let Ok(Some(next)) = tokio::time::timeout(Duration::ZERO, self.events.next()).await {
            let Told::Event(event) = next else { panic!("events were lost") };
            told.push((event.event.kind, event.event.data["summary"].as_str().unwrap().to_owned()));
        }
        told
    }

    fn check(&mut self, name: &str, state: HealthState, output: &str) {
        let check = HealthCheck {
            state,
            component_type: "system".into(),
            component_id: None,
            observed_value: None,
            observed_unit: None,
            output: Some(output.to_owned()),
            time: self.begun,
        };
        self.checks.insert(name.to_owned(), vec![check]);
    }

    fn states(&self) -> Vec<AlertState> {
        self.manager.alerts().into_iter().map(|alert| alert.state).collect()
    }

    fn gauge(&self) -> IntGauge {
        let gauge = IntGauge::new("queue", "waiting").unwrap();
        self.registry.register(Box::new(gauge.clone())).unwrap();
        gauge
    }
}

#[tokio::test]
async fn what_holds_long_enough_is_told_once_and_so_is_its_end() {
    let condition = of_metric("queue", Measure::Value, Threshold::Above { above: 10.0, until: 5.0 });
    let (hold, keep) = (Duration::from_secs(30), Duration::from_secs(20));
    let mut bench = bench(vec![AlertRule { hold, keep, ..rule(condition) }], None);
    let queue = bench.gauge();
    assert_eq!(bench.pass(0).await, []);
    queue.set(11);
    assert_eq!(bench.pass(10).await, []);
    assert_eq!(bench.states(), [AlertState::Pending]);
    queue.set(9);
    assert_eq!(bench.pass(10).await, [], "it did not hold for long enough");
    assert_eq!(bench.states(), []);
    queue.set(12);
    assert_eq!(bench.pass(10).await, []);
    assert_eq!(bench.pass(29).await, []);
    assert_eq!(bench.pass(1).await, [(EventType::AlertFiring, "queue is 12, above 10".to_owned())]);
    assert_eq!(bench.states(), [AlertState::Firing]);
    queue.set(6);
    assert_eq!(bench.pass(60).await, [], "it is not down far enough, and nobody is told again");
    queue.set(5);
    assert_eq!(bench.pass(10).await, [], "not for long enough");
    queue.set(6);
    assert_eq!(bench.pass(10).await, []);
    queue.set(5);
    assert_eq!(bench.pass(10).await, []);
    assert_eq!(bench.pass(10).await.len(), 1);
    assert_eq!(bench.states(), [AlertState::Resolved]);
    assert_eq!(bench.pass(10).await, []);
    assert_eq!(bench.pass(15 * 60).await, []);
    assert_eq!(bench.states(), [], "it is shown for 15 minutes");
}

#[tokio::test]
async fn health_checks_are_told_by_name_and_state() {
    let health = |state| Condition::Health(HealthCondition { checks: CheckPattern::new("store:*"), state });
    let rules = vec![
        AlertRule { name: "failed".into(), level: AlertLevel::Critical, ..rule(health(Some(HealthState::Failed))) },
        AlertRule { name: "unwell".into(), ..rule(health(None)) },
    ];
    let mut bench = bench(rules, None);
    bench.check("disk:data_dir", HealthState::Failed, "full");
    bench.check("store:a", HealthState::Degraded, "slow");
    bench.check("store:b", HealthState::Healthy, "");
    assert_eq!(bench.pass(0).await, [(EventType::AlertFiring, "store:a: slow".to_owned())]);
    bench.check("store:a", HealthState::Failed, "gone");
    assert_eq!(bench.pass(15).await, [(EventType::AlertFiring, "store:a: gone".to_owned())]);
    let alerts = bench.manager.alerts();
    assert_eq!(alerts.iter().map(|alert| alert.name.as_str()).collect::<Vec<_>>(), ["failed", "unwell"]);
    assert_eq!(alerts[0].labels, BTreeMap::from([("check".to_owned(), "store:a".to_owned())]));
    bench.checks.remove("store:a");
    assert_eq!(bench.pass(15).await.len(), 2, "what is there no more is no trouble any more");
}

#[tokio::test]
async fn each_series_is_an_alert_of_its_own_unless_they_are_summed() {
    let condition = |by: Option<Vec<String>>| {
        let metric = MetricCondition {
            metric: "errors_total".into(),
            labels: BTreeMap::from([("outcome".to_owned(), "internal".to_owned())]),
            by,
            measure: Measure::Rate(Duration::from_secs(60)),
            threshold: above(1.0),
        };
        Condition::Metric(metric)
    };
    let by = vec!["store".to_owned()];
    let rules = vec![
        AlertRule { name: "each".into(), ..rule(condition(None)) },
        AlertRule { name: "store".into(), ..rule(condition(Some(by))) },
    ];
    let mut bench = bench(rules, None);
    let errors = IntCounterVec::new(Opts::new("errors_total", "errors"), &["store", "operation", "outcome"]).unwrap();
    bench.registry.register(Box::new(errors.clone())).unwrap();
    let count = |operation: &str, outcome: &str, by| errors.with_label_values(&["a", operation, outcome]).inc_by(by);
    count("store", "internal", 0);
    count("list", "internal", 0);
    assert_eq!(bench.pass(0).await, []);
    count("store", "internal", 8);
    count("list", "internal", 8);
    count("list", "ok", 1000);
    assert_eq!(
        bench.pass(10).await,
        [(EventType::AlertFiring, r#"errors_total{store="a"} is 1.6, above 1"#.to_owned())]
    );
    count("store", "internal", 40);
    assert_eq!(bench.pass(10).await.len(), 1);
    assert_eq!(bench.manager.alerts().len(), 2);
    assert_eq!(bench.pass(100).await.len(), 2, "nothing was added since");
}

#[tokio::test]
async fn a_restart_tells_nothing_twice_and_ends_what_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.json");
    let named = |name: &str, metric: &str| AlertRule {
        name: name.into(),
        ..rule(of_metric(metric, Measure::Value, above(1.0)))
    };
    let mut first = bench(vec![named("gone", "queue"), named("kept", "queue")], Some(&file));
    first.gauge().set(2);
    assert_eq!(first.pass(0).await.len(), 2);
    let since = first.manager.alerts()[0].since;
    drop(first);

    let mut second = bench(vec![named("kept", "queue")], Some(&file));
    assert_eq!(second.states(), [AlertState::Firing], "it is known before the rules are asked");
    assert_eq!(second.pass(0).await.len(), 1, "the end of the alert whose rule is gone is told");
    assert_eq!(second.states(), [AlertState::Firing], "nothing is known of the queue yet");
    let queue = second.gauge();
    queue.set(3);
    assert_eq!(second.pass(10).await, [], "it was told by the first");
    assert_eq!(second.manager.alerts()[0].since, since);
    queue.set(0);
    assert_eq!(second.pass(10).await.len(), 1);
    drop(second);

    let mut third = bench(vec![named("kept", "queue")], Some(&file));
    assert_eq!((third.pass(0).await, third.states()), (vec![], vec![]));
}

#[tokio::test]
async fn what_is_never_heard_of_again_ends_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts.json");
    let rules = || vec![rule(of_metric("queue", Measure::Value, above(1.0)))];
    let mut first = bench(rules(), Some(&file));
    first.gauge().set(2);
    assert_eq!(first.pass(0).await.len(), 1);
    let mut second = bench(rules(), Some(&file));
    assert_eq!(second.pass(0).await, []);
    assert_eq!(second.pass(299).await, []);
    assert_eq!(second.pass(2).await.len(), 1);
}

#[tokio::test]
async fn a_rule_that_holds_for_everything_is_no_flood() {
    let mut bench = bench(vec![rule(of_metric("many", Measure::Value, above(0.0)))], None);
    let many = IntCounterVec::new(Opts::new("many", "many"), &["key"]).unwrap();
    bench.registry.register(Box::new(many.clone())).unwrap();
    (0..1000).for_each(|key: u32| many.with_label_values(&[key.to_string().as_str()]).inc());
    assert_eq!(bench.pass(0).await.len(), 200);
    assert_eq!(bench.pass(10).await, []);
}
