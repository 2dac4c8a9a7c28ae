use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use super::Finding;
use crate::config::DiskConfig;
use crate::monitor::HealthState;

/// A file system that the host keeps something on.
#[derive(Clone, Debug)]
pub(in super::super) struct Disk {
    /// What of it is there: `data_dir`, or the store whose folder lies elsewhere.
    name: String,
    path: PathBuf,
}

/// How much of a disk must be free, from 0 to 1 of all that there is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct DiskLimits {
    /// With less than this it is degraded.
    pub(in super::super) degraded_below: f64,
    /// With less than this it has failed: writes soon do.
    pub(in super::super) failed_below: f64,
}

impl From<DiskConfig> for DiskLimits {
    fn from(config: DiskConfig) -> Self {
        let DiskConfig { degraded_below, failed_below } = config;
        Self { degraded_below: degraded_below.as_fraction(), failed_below: failed_below.as_fraction() }
    }
}

impl Disk {
    /// The file systems of these folders, each once, under the first name.
    pub(in super::super) fn under(folders: impl IntoIterator<Item = (String, PathBuf)>) -> Vec<Self> {
        let mut known = BTreeSet::new();
        let disks = folders.into_iter().map(|(name, path)| Self { name, path });
        // A folder that can not be looked at is told of by its store.
        disks.filter(|disk| std::fs::metadata(&disk.path).is_ok_and(|found| known.insert(found.dev()))).collect()
    }
}

/// Looks how much is free on each disk: of the bytes, and of the files that it can hold.
pub(super) async fn look(disks: &[Disk], limits: DiskLimits) -> Vec<Finding> {
    let disks = disks.to_vec();
    // A network's file system can take its time.
    let looked = tokio::task::spawn_blocking(move || disks.iter().flat_map(|disk| measure(disk, limits)).collect());
    looked.await.unwrap_or_default()
}

fn measure(disk: &Disk, limits: DiskLimits) -> Vec<Finding> {
    let space = Finding::new("disk", &disk.name, "system");
    let found = match statvfs(&disk.path) {
        Ok(found) => found,
        Err(error) => {
            let why = format!("{} can not be looked at: {error}", disk.path.display());
            return vec![space.in_trouble(HealthState::Failed, why)];
        }
    };
    let free = ByteSize::b(found.f_bavail.saturating_mul(found.f_frsize));
    let of_space = Some((found.f_bavail, found.f_blocks));
    // Some file systems make room for files as they come, and say 0.
    let of_files = Some((found.f_favail, found.f_files)).filter(|(_, all)| *all > 0);
    let path = disk.path.display();
    let space = judged(space, of_space, limits, || format!("{} are free under {path}", free.display().iec()));
    let files = Finding::new("inodes", &disk.name, "system");
    let files = judged(files, of_files, limits, || format!("room for {} files is left under {path}", found.f_favail));
    vec![space, files]
}

fn statvfs(path: &Path) -> std::io::Result<rustix::fs::StatVfs> {
    Ok(rustix::fs::statvfs(path)?)
}

/// How a disk is of which so much of so much is free.
fn judged(finding: Finding, free: Option<(u64, u64)>, limits: DiskLimits, told: impl Fn() -> String) -> Finding {
    let Some((free, all)) = free else { return finding };
    let part = if all == 0 { 0.0 } else { free as f64 / all as f64 };
    let finding = finding.measured((part * 1000.0).round() / 10.0, "% free");
    if part < limits.failed_below {
        finding.in_trouble(HealthState::Failed, told())
    } else if part < limits.degraded_below {
        finding.in_trouble(HealthState::Degraded, told())
    } else {
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_judged_by_what_is_free() {
        let limits = DiskLimits { degraded_below: 0.1, failed_below: 0.01 };
        let state = |free| {
            let finding = Finding::new("disk", "data_dir", "system");
            judged(finding, free, limits, || "little is free".into()).check.state
        };
        let states = [(100, 1000), (99, 1000), (10, 1000), (9, 1000), (0, 0)].map(|free| state(Some(free)));
        use HealthState::{Degraded, Failed, Healthy};
        assert_eq!(states, [Healthy, Degraded, Degraded, Failed, Failed]);
        assert_eq!(state(None), Healthy, "nothing is known of it");
    }

    #[tokio::test]
    async fn folders_on_one_disk_are_one_disk() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let folders = [("data_dir".to_owned(), folder.path().to_owned()), ("documents".to_owned(), other)];
        let disks = Disk::under(folders.clone());
        assert_eq!(disks.iter().map(|disk| disk.name.as_str()).collect::<Vec<_>>(), ["data_dir"]);
        let found = look(&disks, DiskLimits { degraded_below: 0.0, failed_below: 0.0 }).await;
        assert_eq!(
            found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(),
            ["disk:data_dir", "inodes:data_dir"]
        );
        drop(folder);
        let found = look(&disks, DiskLimits { degraded_below: 0.0, failed_below: 0.0 }).await;
        assert_eq!(found[0].check.state, HealthState::Failed, "it is there no more");
    }
}
