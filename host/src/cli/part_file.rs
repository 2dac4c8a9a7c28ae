use std::io;
use std::path::PathBuf;

use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

/// A file in the making: under a name of its own beside its target until it is whole, and gone if it never is.
#[derive(Debug)]
pub(super) struct PartFile {
    file: File,
    part: PathBuf,
    target: PathBuf,
    whole: bool,
}

impl PartFile {
    /// Begins what becomes `target`, in a folder that is there.
    pub(super) async fn create(target: PathBuf) -> io::Result<Self> {
        let part = target.with_file_name(format!(".larder-{}.part", ulid::Ulid::generate()));
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&part).await?;
        Ok(Self { file, part, target, whole: false })
    }

    /// What the bytes are written to.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts the file where it belongs, replacing what is there.
    pub(super) async fn commit(mut self) -> io::Result<()> {
        self.file.flush().await?;
        fs::rename(&self.part, &self.target).await?;
        self.whole = true;
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.whole {
            // The command has failed already; a part that can not be removed adds nothing to that.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn the_target_changes_only_when_the_part_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        std::fs::write(&target, "old").unwrap();

        let mut part = PartFile::create(target.clone()).await.unwrap();
        part.file().write_all(b"half").await.unwrap();
        drop(part);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");

        let mut part = PartFile::create(target.clone()).await.unwrap();
        part.file().write_all(b"new").await.unwrap();
        part.commit().await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a"]);
    }
}
