//! A disk that fails when it is told to: a library to be preloaded (`LD_PRELOAD`) into a process, where it stands before
//! the calls of the C library that change files.
//!
//! Of the calls that change something under `FAULTY_DISK_ROOT`, each is an event, and they are numbered from 1. At the
//! event `FAULTY_DISK_AT` what `FAULTY_DISK_HOW` says happens:
//!
//! - `kill`: the process is killed (SIGKILL) before the call
//! - `torn`: if the call writes, only half of the bytes are written; then the process is killed
//! - `eio`, `enospc`: the call does nothing and fails
//!
//! With `FAULTY_DISK_LOG` every event that succeeded is written down there, the one that was made to fail (`F`), and
//! between them what the process writes to the file `FAULTY_DISK_NOTES`, so that the order of all is known. A record is a
//! letter, four numbers in eight bytes each, little endian (the inode of an open file, a position, and the lengths of two
//! texts), and the two texts. An open file is known by its inode, since it may be renamed meanwhile.
//!
//! SQLite's shared memory (`-shm`) is left alone: it is mapped, and made anew after a crash.

#![cfg(target_os = "linux")]
#![allow(clippy::missing_safety_doc, reason = "the functions are those of the C library")]

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::fs::{self, File};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

const RTLD_NEXT: *mut c_void = -1_isize as *mut c_void;
const O_WRONLY: c_int = 1;
const O_CREAT: c_int = 0o100;
const O_TRUNC: c_int = 0o1000;
const O_APPEND: c_int = 0o2000;
const SEEK_CUR: c_int = 1;
const AT_REMOVEDIR: c_int = 0x200;
const SIGKILL: c_int = 9;
const EIO: c_int = 5;
const ENOSPC: c_int = 28;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    fn getpid() -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn lseek(fd: c_int, offset: i64, whence: c_int) -> i64;
    fn __errno_location() -> *mut c_int;
}

/// As `struct iovec`.
#[derive(Debug)]
#[repr(C)]
pub struct IoVec {
    base: *const c_void,
    len: usize,
}

/// The C library's own functions of the given names and types.
macro_rules! originals {
    ($($name:ident: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// The functions as they are without this library.
        struct Originals { $($name: unsafe extern "C" fn($($argument),*) -> $result,)* }

        static ORIGINALS: LazyLock<Originals> = LazyLock::new(|| Originals {
            $($name: {
                let name = CString::new(stringify!($name)).expect("a name holds no NUL");
                // SAFETY: the name is a C string, and the C library's function of this name has this type.
                unsafe {
                    let found = dlsym(RTLD_NEXT, name.as_ptr());
                    assert!(!found.is_null(), concat!("there is no ", stringify!($name)));
                    std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) -> $result>(found)
                }
            },)*
        });
    };
}

originals! {
    open: fn(*const c_char, c_int, c_int) -> c_int;
    open64: fn(*const c_char, c_int, c_int) -> c_int;
    close: fn(c_int) -> c_int;
    write: fn(c_int, *const c_void, usize) -> isize;
    writev: fn(c_int, *const IoVec, c_int) -> isize;
    pwrite64: fn(c_int, *const c_void, usize, i64) -> isize;
    ftruncate64: fn(c_int, i64) -> c_int;
    fsync: fn(c_int) -> c_int;
    fdatasync: fn(c_int) -> c_int;
    rename: fn(*const c_char, *const c_char) -> c_int;
    unlink: fn(*const c_char) -> c_int;
    unlinkat: fn(c_int, *const c_char, c_int) -> c_int;
    mkdir: fn(*const c_char, u32) -> c_int;
    rmdir: fn(*const c_char) -> c_int;
}

/// What happens at the event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Kill,
    Torn,
    Fail(c_int),
}

struct Disk {
    root: String,
    notes: String,
    at: u64,
    how: How,
    events: u64,
    open: HashMap<c_int, Open>,
    log: Option<c_int>,
}

/// A file that is open and counts.
#[derive(Clone)]
struct Open {
    /// Its name when it was opened.
    path: String,
    inode: u64,
}

impl Open {
    fn new(path: String, fd: c_int) -> Self {
        // SAFETY: it is open, and stays so.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
        Self { path, inode: file.metadata().expect("an open file can be looked at").ino() }
    }
}

static DISK: LazyLock<Mutex<Disk>> = LazyLock::new(|| {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let log = CString::new(variable("FAULTY_DISK_LOG")).ok().filter(|path| !path.is_empty()).map(|path| {
        // SAFETY: the path is a C string.
        unsafe { (ORIGINALS.open)(path.as_ptr(), O_WRONLY | O_CREAT | O_APPEND, 0o600) }
    });
    Mutex::new(Disk {
        root: variable("FAULTY_DISK_ROOT"),
        notes: variable("FAULTY_DISK_NOTES"),
        at: variable("FAULTY_DISK_AT").parse().unwrap_or(0),
        how: match &*variable("FAULTY_DISK_HOW") {
            "torn" => How::Torn,
            "eio" => How::Fail(EIO),
            "enospc" => How::Fail(ENOSPC),
            _ => How::Kill,
        },
        events: 0,
        open: HashMap::new(),
        log,
    })
});

fn disk() -> MutexGuard<'static, Disk> {
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    fn counts(&self, path: &str) -> bool {
        !self.root.is_empty() && path.starts_with(&self.root) && !path.ends_with("-shm")
    }

    /// Counts an event, which would have this letter. `torn` does half of what is to be done. Returns whether the call is to
    /// fail.
    fn event(&mut self, letter: u8, path: &str, torn: impl FnOnce()) -> bool {
        self.events += 1;
        if self.events != self.at {
            return false;
        }
        match self.how {
            How::Kill => die(),
            How::Torn => {
                torn();
                die()
            }
            How::Fail(number) => {
                self.note(b'F', 0, 0, path.as_bytes(), &[letter]);
                // SAFETY: it points to the number of this thread.
                unsafe { *__errno_location() = number };
                true
            }
        }
    }

    fn note(&self, letter: u8, inode: u64, position: u64, first: &[u8], second: &[u8]) {
        let Some(log) = self.log else { return };
        let mut record = vec![letter];
        for number in [inode, position, first.len() as u64, second.len() as u64] {
            record.extend(number.to_le_bytes());
        }
        record.extend_from_slice(first);
        record.extend_from_slice(second);
        // SAFETY: the bytes are there for the time of the call.
        let written = unsafe { (ORIGINALS.write)(log, record.as_ptr().cast(), record.len()) };
        assert_eq!(written, record.len() as isize, "the log is not whole");
    }
}

fn die() -> ! {
    // SAFETY: it kills this process and nothing else.
    unsafe { kill(getpid(), SIGKILL) };
    loop {
        std::thread::park();
    }
}

/// # Safety
/// `path` is a C string.
unsafe fn text(path: *const c_char) -> String {
    // SAFETY: as above.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    path.to_string_lossy().into_owned()
}

/// # Safety
/// As `open`'s.
unsafe fn open_file(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: the caller's.
    let (name, original) = unsafe { (text(path), ORIGINALS.open64) };
    let mut disk = disk();
    let is_note = !disk.notes.is_empty() && name == disk.notes;
    if !disk.counts(&name) && !is_note {
        drop(disk);
        // SAFETY: the caller's.
        return unsafe { original(path, flags, mode) };
    }
    let makes = flags & O_CREAT != 0 && !Path::new(&name).exists();
    let empties = flags & O_TRUNC != 0;
    if !is_note && (makes || empties) && disk.event(if makes { b'C' } else { b'T' }, &name, || ()) {
        return -1;
    }
    // SAFETY: the caller's.
    let fd = unsafe { original(path, flags, mode) };
    if fd >= 0 {
        let file = Open::new(name, fd);
        if makes && !is_note {
            disk.note(b'C', file.inode, 0, file.path.as_bytes(), b"");
        }
        if empties && !is_note {
            disk.note(b'T', file.inode, 0, file.path.as_bytes(), b"");
        }
        disk.open.insert(fd, file);
    }
    fd
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: the caller's.
    unsafe { open_file(path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_int) -> c_int {
    // SAFETY: the caller's.
    unsafe { open_file(path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    disk().open.remove(&fd);
    // SAFETY: the caller's.
    unsafe { (ORIGINALS.close)(fd) }
}

/// Writes bytes at a position, or where the file stands.
///
/// # Safety
/// The bytes are there.
unsafe fn write_at(fd: c_int, bytes: *const c_void, len: usize, position: Option<i64>) -> isize {
    // SAFETY: the caller's.
    let original = |len: usize| unsafe {
        match position {
            Some(position) => (ORIGINALS.pwrite64)(fd, bytes, len, position),
            None => (ORIGINALS.write)(fd, bytes, len),
        }
    };
    let mut disk = disk();
    let Some(Open { path, inode }) = disk.open.get(&fd).cloned() else {
        drop(disk);
        return original(len);
    };
    let is_note = path == disk.notes;
    let half = || {
        original(len / 2);
    };
    if !is_note && disk.event(b'W', &path, half) {
        return -1;
    }
    // SAFETY: the file is open.
    let start = position.unwrap_or_else(|| unsafe { lseek(fd, 0, SEEK_CUR) });
    let written = original(len);
    if written > 0 {
        // SAFETY: so many bytes were written, so they are there.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), written as usize) };
        disk.note(if is_note { b'N' } else { b'W' }, inode, start as u64, path.as_bytes(), bytes);
    }
    written
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, len: usize) -> isize {
    // SAFETY: the caller's.
    unsafe { write_at(fd, bytes, len, None) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(fd: c_int, bytes: *const c_void, len: usize, position: i64) -> isize {
    // SAFETY: the caller's.
    unsafe { write_at(fd, bytes, len, Some(position)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, len: usize, position: i64) -> isize {
    // SAFETY: the caller's.
    unsafe { write_at(fd, bytes, len, Some(position)) }
}

/// Writes the first piece that is not empty, which is as much as a caller may count on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, pieces: *const IoVec, count: c_int) -> isize {
    if !disk().open.contains_key(&fd) {
        // SAFETY: the caller's.
        return unsafe { (ORIGINALS.writev)(fd, pieces, count) };
    }
    // SAFETY: the caller's.
    let pieces = unsafe { std::slice::from_raw_parts(pieces, count as usize) };
    let first = pieces.iter().find(|piece| piece.len > 0);
    // SAFETY: the caller's.
    first.map_or(0, |piece| unsafe { write_at(fd, piece.base, piece.len, None) })
}

/// # Safety
/// As `ftruncate`'s.
unsafe fn truncate(fd: c_int, len: i64) -> c_int {
    let mut disk = disk();
    let file = disk.open.get(&fd).cloned();
    if file.as_ref().is_some_and(|file| disk.event(b'T', &file.path, || ())) {
        return -1;
    }
    // SAFETY: the caller's.
    let done = unsafe { (ORIGINALS.ftruncate64)(fd, len) };
    if let (Some(file), 0) = (file, done) {
        disk.note(b'T', file.inode, len as u64, file.path.as_bytes(), b"");
    }
    done
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(fd: c_int, len: i64) -> c_int {
    // SAFETY: the caller's.
    unsafe { truncate(fd, len) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, len: i64) -> c_int {
    // SAFETY: the caller's.
    unsafe { truncate(fd, len) }
}

/// # Safety
/// As `fsync`'s.
unsafe fn sync(fd: c_int, original: unsafe extern "C" fn(c_int) -> c_int) -> c_int {
    let mut disk = disk();
    let file = disk.open.get(&fd).cloned();
    if file.as_ref().is_some_and(|file| disk.event(b'S', &file.path, || ())) {
        return -1;
    }
    // SAFETY: the caller's.
    let done = unsafe { original(fd) };
    if let (Some(file), 0) = (file, done) {
        disk.note(b'S', file.inode, 0, file.path.as_bytes(), b"");
    }
    done
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    // SAFETY: the caller's.
    unsafe { sync(fd, ORIGINALS.fsync) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    // SAFETY: the caller's.
    unsafe { sync(fd, ORIGINALS.fdatasync) }
}

/// A call that changes names.
fn change(letter: u8, path: &str, second: &str, original: impl FnOnce() -> c_int) -> c_int {
    let mut disk = disk();
    let counts = disk.counts(path);
    if counts && disk.event(letter, path, || ()) {
        return -1;
    }
    let done = original();
    if counts && done == 0 {
        disk.note(letter, 0, 0, path.as_bytes(), second.as_bytes());
    }
    done
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { change(b'R', &text(from), &text(to), || (ORIGINALS.rename)(from, to)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { change(b'U', &text(path), "", || (ORIGINALS.unlink)(path)) }
}

/// As the standard library removes what is in a folder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlinkat(folder: c_int, name: *const c_char, flags: c_int) -> c_int {
    let letter = if flags & AT_REMOVEDIR == 0 { b'U' } else { b'D' };
    // Without a folder the name is a path.
    let path = fs::read_link(format!("/proc/self/fd/{folder}")).unwrap_or_default();
    // SAFETY: the caller's.
    unsafe {
        let path = path.join(text(name));
        change(letter, &path.to_string_lossy(), "", || (ORIGINALS.unlinkat)(folder, name, flags))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: u32) -> c_int {
    // SAFETY: the caller's.
    unsafe { change(b'M', &text(path), "", || (ORIGINALS.mkdir)(path, mode)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: the caller's.
    unsafe { change(b'D', &text(path), "", || (ORIGINALS.rmdir)(path)) }
}
