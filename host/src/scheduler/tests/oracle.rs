//! A year of schedules, against a model that goes through it minute by minute, with code of its own for fields, calendars
//! and daylight saving time.

use std::ops::Range;

use chrono::Datelike;

use super::*;
use crate::random::Random;

/// In minutes since 1970.
fn minute_of(text: &str) -> i64 {
    at(text).timestamp() / 60
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Utc,
    Berlin,
    NewYork,
}

impl Zone {
    fn tz(self) -> Tz {
        match self {
            Self::Utc => Tz::UTC,
            Self::Berlin => Tz::Europe__Berlin,
            Self::NewYork => Tz::America__New_York,
        }
    }

    /// By how many minutes its clocks are ahead of UTC, but for daylight saving time.
    fn standard(self) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Berlin => 60,
            Self::NewYork => -300,
        }
    }

    /// When its clocks are an hour further ahead, in the years that matter.
    fn summers(self) -> Vec<Range<i64>> {
        let sunday =
            |year, month, nth| minute_of(&format!("{year}-{month:02}-{:02}T00:00:00Z", nth_sunday(year, month, nth)));
        let summer = |year| match self {
            Self::Utc => 0..0,
            Self::Berlin => sunday(year, 3, Nth::Last) + 60..sunday(year, 10, Nth::Last) + 60,
            Self::NewYork => sunday(year, 3, Nth::Second) + 7 * 60..sunday(year, 11, Nth::First) + 6 * 60,
        };
        (2025..=2027).map(summer).collect()
    }
}

#[derive(Clone, Copy)]
enum Nth {
    First,
    Second,
    Last,
}

fn nth_sunday(year: i32, month: u32, nth: Nth) -> u32 {
    let is_sunday = |day: &u32| {
        chrono::NaiveDate::from_ymd_opt(year, month, *day).is_some_and(|day| day.weekday() == chrono::Weekday::Sun)
    };
    let sundays: Vec<u32> = (1..=31).filter(is_sunday).collect();
    match nth {
        Nth::First => sundays[0],
        Nth::Second => sundays[1],
        Nth::Last => sundays[sundays.len() - 1],
    }
}

fn at_minute(minute: i64) -> Timestamp {
    DateTime::from_timestamp(minute * 60, 0).unwrap()
}

/// A cron expression, and what the model takes it for.
struct Case {
    expression: &'static str,
    zone: Zone,
    minutes: Vec<u32>,
    hours: Vec<u32>,
    /// Month, day of the month, day of the week from Sunday on.
    day: fn(u32, u32, u32) -> bool,
    /// Whether it is one time of day, which is made up for in a gap and not repeated.
    is_time_of_day: bool,
}

fn cases() -> Vec<Case> {
    let case = |expression, zone, minutes: &[u32], hours: &[u32], day, is_time_of_day| Case {
        expression,
        zone,
        minutes: minutes.to_vec(),
        hours: hours.to_vec(),
        day,
        is_time_of_day,
    };
    let early: Vec<u32> = (0..=5).collect();
    let any_day = |_, _, _| true;
    vec![
        case("0 3 * * *", Zone::Berlin, &[0], &[3], any_day, true),
        case("30 2 * * *", Zone::Berlin, &[30], &[2], any_day, true),
        case("0 2,14 * * *", Zone::Berlin, &[0], &[2, 14], any_day, false),
        case("30 1 * * SUN", Zone::NewYork, &[30], &[1], |_, _, weekday| weekday == 0, true),
        case("45 2 8-14 3 *", Zone::NewYork, &[45], &[2], |month, day, _| month == 3 && (8..=14).contains(&day), true),
        case("*/20 0-5 * * *", Zone::NewYork, &[0, 20, 40], &early, any_day, false),
        case("15 4 1,15 * MON", Zone::Utc, &[15], &[4], |_, day, weekday| day == 1 || day == 15 || weekday == 1, true),
        case(
            "5 9-17/2 * JAN-MAR,DEC MON-FRI",
            Zone::Utc,
            &[5],
            &[9, 11, 13, 15, 17],
            |month, _, weekday| (month <= 3 || month == 12) && (1..=5).contains(&weekday),
            false,
        ),
    ]
}

impl Case {
    fn matches(&self, local: i64) -> bool {
        let of_day = local.rem_euclid(24 * 60) as u32;
        if !self.minutes.contains(&(of_day % 60)) || !self.hours.contains(&(of_day / 60)) {
            return false;
        }
        let local = at_minute(local);
        (self.day)(local.month(), local.day(), local.weekday().num_days_from_sunday())
    }

    /// All minutes of the year, and a while before and after, at which it is met.
    fn met(&self) -> Vec<i64> {
        let (first, last) = (minute_of("2025-11-15T00:00:00Z"), minute_of("2027-02-15T00:00:00Z"));
        let (summers, standard) = (self.zone.summers(), self.zone.standard());
        let offset_at = |minute| standard + if summers.iter().any(|summer| summer.contains(&minute)) { 60 } else { 0 };
        let mut met = Vec::new();
        let (mut offset, mut repeats_until) = (offset_at(first), first);
        for minute in first..last {
            let now = offset_at(minute);
            let mut is_met = self.matches(minute + now);
            if now > offset {
                let skipped = minute + offset..minute + now;
                is_met |= self.is_time_of_day && skipped.into_iter().any(|local| self.matches(local));
            } else if now < offset {
                repeats_until = minute + (offset - now);
            }
            offset = now;
            if is_met && !(self.is_time_of_day && minute < repeats_until) {
                met.push(minute);
            }
        }
        met
    }
}

/// What happens in the middle of a minute.
#[derive(Clone, Copy, Debug)]
struct Event {
    /// So many minutes after the one before.
    after: i64,
    /// The host is down for so long; 0: it goes on.
    down: i64,
    /// By how many minutes the clock is set, at the end of that.
    jump: i64,
}

fn events(random: &mut Random) -> Vec<Event> {
    let mut events = Vec::new();
    let mut minutes = 0;
    while minutes < 365 * 24 * 60 {
        let after = random.within(60..20_000) as i64;
        let down = if random.once_in(2) { random.pick(&[1, 2, 5, 60, 180, 1_000, 5_000]) } else { 0 };
        let jump = match random.pick(&[0, 0, 1, 2]) {
            0 if down > 0 => 0,
            0 | 1 => random.pick(&[1, 2, 59, 61, 180, 200, 1_500]),
            _ => -random.pick(&[1, 2, 59, 61, 179, 181, 240, 1_500]),
        };
        minutes += after + down;
        events.push(Event { after, down, jump });
    }
    events
}

/// When a task of a case starts, by the time of day, in seconds since 1970.
fn expected(met: &[i64], missed: MissedStarts, start: i64, events: &[Event]) -> Vec<i64> {
    let next_after = |minute: i64| met.get(met.partition_point(|met| *met <= minute)).copied().unwrap_or(i64::MAX);
    let mut starts = Vec::new();
    // The host starts on the minute, and looks at it half a minute later first; all that happens does at such moments.
    let (mut wall, mut next) = (start, next_after(start));
    for Event { after, down, jump } in events {
        for _ in 0..*after {
            wall += 1;
            if wall == next {
                starts.push(wall * 60);
                next = next_after(wall);
            }
        }
        let before = wall;
        wall += down + jump;
        let back = if *down > 0 { before - wall } else { -jump };
        if back > 180 {
            next = next_after(wall);
        } else if next == wall {
            starts.push(wall * 60 + 30);
            next = next_after(wall);
        } else if next < wall {
            let just_now = met.binary_search(&wall).is_ok();
            if just_now || missed == MissedStarts::RunOnce {
                starts.push(wall * 60 + 30);
            }
            next = next_after(wall);
        }
    }
    starts
}

#[derive(Debug)]
struct Noted {
    clock: Arc<SimulatedClock>,
    /// The time of day, and the steady reading.
    starts: Mutex<Vec<(Timestamp, Duration)>>,
}

#[async_trait]
impl TaskExecutor for Noted {
    async fn execute(&self, now: Timestamp) -> Result<()> {
        self.starts.lock().push((now, self.clock.steady()));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_year_goes_as_the_model_has_it() {
    let start = "2026-01-01T00:00:30Z";
    let clock = SimulatedClock::starting(start);
    let cases = cases();
    let policies = [MissedStarts::RunOnce, MissedStarts::Skip];
    let noted = |_| Arc::new(Noted { clock: clock.clone(), starts: Mutex::default() });
    let probes: Vec<Arc<Noted>> = (0..cases.len() * 2 + 1).map(noted).collect();
    let tasks = || {
        let of = |(index, probe): (usize, &Arc<Noted>)| {
            let schedule = match cases.get(index / 2) {
                Some(case) => cron(case.expression, case.zone.tz()),
                None => every(7 * HOUR),
            };
            let task = ScheduledTask::new(index.to_string(), "test", schedule, probe.clone());
            ScheduledTask { missed: policies[index % 2], ..task }
        };
        probes.iter().enumerate().map(of).collect::<Vec<_>>()
    };
    let events = events(&mut Random::new(2026));
    let mut work = AtWork::begin(TaskScheduler::with_clock(clock.clone()), tasks());
    // Steady readings of whatever may disturb an interval.
    let mut disturbed = Vec::new();
    for Event { after, down, jump } in &events {
        pass(MINUTE * *after as u32).await;
        if *down > 0 {
            let records = work.scheduler.records();
            work.work.abort();
            let records = serde_json::from_slice(&serde_json::to_vec(&records).unwrap()).unwrap();
            pass(MINUTE * *down as u32).await;
            clock.jump(chrono::Duration::minutes(*jump));
            disturbed.push(clock.steady());
            let scheduler = TaskScheduler::with_records(clock.clone(), None, Some(records));
            work = AtWork::begin(scheduler, tasks());
        } else {
            clock.jump(chrono::Duration::minutes(*jump));
        }
        // What is due at once starts before anything else happens.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    assert!(events.len() > 30 && disturbed.len() > 10, "little happens: {events:?}");

    let mut compared = 0;
    for (index, case) in cases.iter().enumerate() {
        let met = case.met();
        for (missed, probe) in policies.into_iter().zip(&probes[index * 2..]) {
            let expected = expected(&met, missed, minute_of(start), &events);
            let starts: Vec<i64> = probe.starts.lock().iter().map(|(wall, _)| wall.timestamp()).collect();
            let differ = expected.iter().zip(&starts).position(|(expected, start)| expected != start);
            let shown = |of: &[i64]| {
                let from = differ.unwrap_or(of.len().min(starts.len()).min(expected.len())).saturating_sub(2);
                let shown = of.iter().skip(from).take(5);
                shown.map(|second| DateTime::from_timestamp(*second, 0).unwrap().to_string()).collect::<Vec<_>>()
            };
            assert!(
                expected == starts,
                "{} {:?} {missed:?}: expected {:?}, got {:?}",
                case.expression,
                case.zone,
                shown(&expected),
                shown(&starts)
            );
            compared += starts.len();
        }
    }
    assert!(compared > 15_000, "{compared}");

    let starts = probes[cases.len() * 2].starts.lock();
    let spans = starts.windows(2).map(|pair| (pair[0].1, pair[1].1));
    // After a restart the first start may make up for others, and the second is where it would have been.
    let undisturbed = |span: &(Duration, Duration)| {
        let begin = span.0.saturating_sub(8 * HOUR);
        !disturbed.iter().any(|at| (begin..=span.1).contains(at))
    };
    for (from, to) in spans.filter(undisturbed) {
        let hours = (to - from).as_secs_f64() / 3600.0;
        assert!((6.29..=7.71).contains(&hours), "an interval of 7 h took {hours} h");
    }
    assert!(starts.len() > 1_000, "{}", starts.len());
}
