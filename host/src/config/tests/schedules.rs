//! When something is done.

use super::*;

#[test]
fn a_task_is_scheduled_in_few_words_or_many() {
    let text = "
plugins: { retention: { path: retention.wasm } }
stores:
  short: { provider_type: file, lifecycle: { policies: [retention] }, scrub: 0 4 * * SUN }
  every: { provider_type: file, lifecycle: { policies: [retention], every: 6h } }
  long:
    provider_type: file
    lifecycle:
      policies: [retention]
      schedule: { cron: 30 3 * * MON-FRI, time_zone: Europe/Berlin, jitter: 10m, deadline: 2h, retries: 3, missed: skip }
    backup: { to: backups, schedule: { every: 1d }, keep: { last: 7, yearly: 10 } }
  mirrored: { provider_type: file, backup: { to: larder://long, schedule: '@daily' } }
";
    let config = parse(text).unwrap();
    let schedule = |store: &str| config.stores[store].lifecycle.as_ref().unwrap().schedule().to_string();
    assert_eq!([schedule("short"), schedule("every")], ["every 1h", "every 6h"]);
    assert_eq!(schedule("long"), "at 30 3 * * MON-FRI Europe/Berlin");
    let to = |store: &str| config.stores[store].backup.as_ref().unwrap().to.to_string();
    assert_eq!([to("long"), to("mirrored")], ["/data/backups", "larder://long"]);
    let summary = config.summary().to_string();
    assert!(summary.contains("scrubbed at 0 4 * * SUN UTC"), "{summary}");
    let backups = "backed up to /data/backups every 1day, where it keeps last 7, yearly 10";
    assert!(summary.contains(backups), "{summary}");
    let text = serde_yaml::to_string(&config).unwrap();
    assert_eq!(parse(&text).unwrap().stores, config.stores);
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused_at_its_line() {
    let store = |rest: &str| format!("stores:\n  documents:\n    provider_type: file\n{rest}");
    for (rest, expected) in [
        (
            "    scrub: 0 25 * * *\n",
            "larder.yaml:4:12: stores.documents.scrub: \"0 25 * * *\" is no cron expression: \"25\" is no hour; write *, or 0 \
             to 23, as a number, a range 1-5, a list 1,3 or a step */2",
        ),
        (
            "    scrub:\n      cron: 0 3 * * *\n      time_zone: Europe/Berln\n",
            "larder.yaml:6:18: stores.documents.scrub.time_zone: \"Europe/Berln\" is no time zone (did you mean \
             Europe/Berlin?); write a name of the IANA database, such as Europe/Berlin or UTC",
        ),
        (
            "    scrub: { cron: 0 3 * * *, retires: 3 }\n",
            "larder.yaml:4:31: stores.documents.scrub: unknown key `retires`; did you mean `retries`? known here: every, \
             cron, time_zone, jitter, deadline, retries, missed",
        ),
        (
            "    backup: { to: larder://documents, schedule: '@daily' }\n",
            "larder.yaml:4:15: stores.documents.backup.to: a store is not backed up to itself; name another store, or a \
             folder",
        ),
        (
            "    backup: { to: larder://vault, schedule: '@daily' }\n",
            "larder.yaml:4:15: stores.documents.backup.to: there is no store `vault` (there are: documents); define it under \
             `stores`",
        ),
        (
            "    backup: { to: /srv, schedule: '@daily', keep: {} }\n",
            "larder.yaml:4:45: stores.documents.backup.keep: it would keep no backup; say which, such as { last: 7, weekly: \
             8 }, or remove it",
        ),
        (
            "    base_path: /srv/files\n    backup: { to: /srv, schedule: '@daily' }\n",
            "larder.yaml:5:15: stores.documents.backup.to: `documents` has its files in /srv/files; name a folder that is \
             apart from it",
        ),
    ] {
        assert_eq!(refusal(&store(rest)), expected);
    }
    let both = "
plugins: { retention: { path: retention.wasm } }
stores:
  documents:
    provider_type: file
    lifecycle: { policies: [retention], every: 1h, schedule: '@daily' }
";
    assert_eq!(
        refusal(both),
        "larder.yaml:6:52: stores.documents.lifecycle.schedule: `every` says already when they are asked; remove one of them"
    );
}
