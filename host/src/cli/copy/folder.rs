use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use tokio::fs;

/// The local folder that files are copied into. Nothing is written outside of it: below the folder itself no symbolic link
/// is followed.
#[derive(Debug)]
pub(in crate::cli) struct Folder {
    root: PathBuf,
    /// Folders below the root that were looked at or made, so that each is looked at once. Held for a look-up only.
    known: Mutex<HashSet<PathBuf>>,
}

impl Folder {
    pub(in crate::cli) fn new(root: PathBuf) -> Self {
        Self { root, known: Mutex::default() }
    }

    pub(in crate::cli) fn root(&self) -> &Path {
        &self.root
    }

    /// Readies the place of the file at `path`, relative to the folder, and says where that is: its parents are folders,
    /// and what is there already is a file, which may be replaced.
    pub(in crate::cli) async fn ready(&self, path: &Path) -> io::Result<PathBuf> {
        if !self.knows(Path::new("")) {
            fs::create_dir_all(&self.root).await?;
            self.learn(PathBuf::new());
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        let mut below = PathBuf::new();
        for part in parent.components() {
            below.push(part);
            if !self.knows(&below) {
                self.make(&below).await?;
                self.learn(below.clone());
            }
        }
        let target = self.root.join(path);
        match fs::symlink_metadata(&target).await {
            Ok(there) if there.is_file() || there.is_symlink() => Ok(target),
            Ok(there) if there.is_dir() => Err(io::Error::other("a folder of that name is there")),
            Ok(_) => Err(io::Error::other("a device, pipe or socket of that name is there")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(target),
            Err(error) => Err(error),
        }
    }

    async fn make(&self, below: &Path) -> io::Result<()> {
        let folder = self.root.join(below);
        match fs::create_dir(&folder).await {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        let there = fs::symlink_metadata(&folder).await?;
        if there.is_dir() {
            Ok(())
        } else if there.is_symlink() {
            Err(io::Error::other(format!("{} is a symbolic link, and could lead elsewhere", folder.display())))
        } else {
            Err(io::Error::other(format!("{} is there and is not a folder", folder.display())))
        }
    }

    fn knows(&self, below: &Path) -> bool {
        self.known.lock().contains(below)
    }

    fn learn(&self, below: PathBuf) {
        self.known.lock().insert(below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parents_are_made() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("out"));
        let target = folder.ready(Path::new("a/b/c")).await.unwrap();
        assert_eq!(target, root.path().join("out/a/b/c"));
        assert!(root.path().join("out/a/b").is_dir());
        assert_eq!(folder.ready(Path::new("d")).await.unwrap(), root.path().join("out/d"));
    }

    #[tokio::test]
    async fn what_is_in_the_way_stays() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        std::fs::create_dir(root.path().join("folder")).unwrap();
        let folder = Folder::new(root.path().to_owned());
        assert!(folder.ready(Path::new("file/a")).await.unwrap_err().to_string().contains("not a folder"));
        assert!(folder.ready(Path::new("folder")).await.unwrap_err().to_string().contains("folder of that name"));
        assert!(folder.ready(Path::new("file")).await.is_ok());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn no_link_leads_out_of_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("link")).unwrap();
        let folder = Folder::new(root.path().to_owned());
        for path in ["link/a", "link/a/b"] {
            let error = folder.ready(Path::new(path)).await.unwrap_err().to_string();
            assert!(error.contains("symbolic link"), "{error}");
        }
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
