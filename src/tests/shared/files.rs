//! The file of shared memory: who may have it, which one is refused, and that it is made once.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

use super::{Ground, PATIENCE, take};
use crate::algorithm::{FixedWindow, Policy};
use crate::clock::{ManualClock, Micros};
use crate::error::Error;
use crate::store::{Shared, Site};
use crate::tests::schedule::START;

const BYTES: usize = 64 << 10;

fn policy() -> Policy {
    Policy::FixedWindow(FixedWindow::new(10, Micros::from_millis(3_600_000), false))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START))
}

fn open(ground: &Ground) -> Result<Shared, Error> {
    ground.open("test", Some(BYTES), clock())
}

/// Opens it, and expects to be refused for a reason.
fn refused(ground: &Ground, is_so: impl Fn(&Error) -> bool, reason: &str) {
    let error = open(ground).err().expect("it is refused");
    assert!(is_so(&error) && error.to_string().contains(reason), "{error:?}: {error}");
}

fn is_unsafe(error: &Error) -> bool {
    matches!(error, Error::SharedUnsafe(_))
}

fn is_of_another_form(error: &Error) -> bool {
    matches!(error, Error::SharedFormat(_))
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_file_is_this_users_alone_and_all_of_it_is_there() {
    let ground = Ground::new();
    open(&ground).unwrap();
    let (folder, file) = (fs::metadata(ground.site.folder()).unwrap(), fs::metadata(ground.file("test")).unwrap());
    assert_eq!((folder.mode() & 0o7777, folder.uid()), (0o700, ground.site.user));
    assert_eq!((file.mode() & 0o7777, file.uid(), file.nlink()), (0o600, ground.site.user, 1));
    // Nothing is left to be taken from the file system when it may have no more.
    assert!(file.len() == BYTES as u64 && file.blocks() * 512 >= BYTES as u64, "{} blocks", file.blocks());
    let others = fs::read_dir(ground.site.folder()).unwrap().count();
    assert_eq!(others, 1, "no draft is left");
}

#[test]
fn what_was_counted_is_there_for_whoever_comes_later() {
    let ground = Ground::new();
    take(&open(&ground).unwrap(), policy(), "key", 4);
    let (one, other) = (open(&ground).unwrap(), open(&ground).unwrap());
    assert_eq!(take(&one, policy(), "key", 1).remaining, 5);
    assert_eq!(take(&other, policy(), "key", 1).remaining, 4);
    let elsewhere = ground.open("other", Some(BYTES), clock()).unwrap();
    assert_eq!(take(&elsewhere, policy(), "key", 1).remaining, 9);
}

#[test]
fn many_who_come_at_once_have_one_file() {
    for _ in 0..50 {
        let ground = Ground::new();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    take(&open(&ground).unwrap(), policy(), "key", 1);
                });
            }
        });
        assert_eq!(take(&open(&ground).unwrap(), policy(), "key", 1).remaining, 1);
    }
}

/// Whoever died while it made a file leaves a draft, which nobody maps.
#[test]
fn a_draft_that_was_left_is_of_no_matter() {
    let ground = Ground::new();
    drop(ground.open("first", Some(BYTES), clock()).unwrap());
    fs::write(ground.file(".test"), b"half of it").unwrap();
    take(&open(&ground).unwrap(), policy(), "key", 1);
    assert!(!ground.file(".test").exists());
}

#[test]
fn another_size_is_refused_and_none_is_any() {
    let ground = Ground::new();
    take(&open(&ground).unwrap(), policy(), "key", 4);
    let error = ground.open("test", Some(BYTES * 2), clock()).err().unwrap();
    assert!(is_of_another_form(&error) && error.to_string().contains("65536 bytes"), "{error}");
    assert_eq!(take(&ground.open("test", None, clock()).unwrap(), policy(), "key", 1).remaining, 5);
}

#[test]
fn another_version_is_refused() {
    let ground = Ground::new();
    drop(open(&ground).unwrap());
    let file = OpenOptions::new().write(true).open(ground.file("test")).unwrap();
    file.write_all_at(&[9], 8).unwrap();
    refused(&ground, is_of_another_form, "another version");
}

#[test]
fn a_header_that_is_damaged_is_refused() {
    let ground = Ground::new();
    drop(open(&ground).unwrap());
    let file = OpenOptions::new().write(true).open(ground.file("test")).unwrap();
    file.write_all_at(&[0xFF], 60).unwrap();
    refused(&ground, is_of_another_form, "damaged");
}

/// Beyond its end there is no memory: whoever touched it would be ended by a signal.
#[test]
fn a_file_that_was_cut_is_refused() {
    for length in [0, 10, 4_096, BYTES as u64 - 1] {
        let ground = Ground::new();
        drop(open(&ground).unwrap());
        OpenOptions::new().write(true).open(ground.file("test")).unwrap().set_len(length).unwrap();
        let reason = if length < 96 { "no file of this library" } else { "damaged" };
        refused(&ground, is_of_another_form, reason);
    }
}

#[test]
fn somebody_elses_file_is_refused() {
    let ground = Ground::new();
    drop(ground.open("first", Some(BYTES), clock()).unwrap());
    fs::write(ground.file("test"), vec![7; BYTES]).unwrap();
    chmod(&ground.file("test"), 0o600);
    refused(&ground, is_of_another_form, "no file of this library");
    assert_eq!(fs::read(ground.file("test")).unwrap(), vec![7; BYTES], "and left as it is");
}

#[test]
fn links_are_refused() {
    let ground = Ground::new();
    drop(ground.open("first", Some(BYTES), clock()).unwrap());
    symlink(ground.file("first"), ground.file("test")).unwrap();
    refused(&ground, is_unsafe, "symbolic link");
    fs::remove_file(ground.file("test")).unwrap();
    fs::hard_link(ground.file("first"), ground.file("test")).unwrap();
    refused(&ground, is_unsafe, "2 names");
    fs::remove_file(ground.file("test")).unwrap();
    fs::create_dir(ground.file("test")).unwrap();
    refused(&ground, is_unsafe, "no file");
}

#[test]
fn a_file_or_folder_that_others_may_use_is_refused() {
    let ground = Ground::new();
    drop(open(&ground).unwrap());
    for mode in [0o604, 0o620, 0o666] {
        chmod(&ground.file("test"), mode);
        refused(&ground, is_unsafe, "may be used by others");
    }
    chmod(&ground.file("test"), 0o600);
    for mode in [0o701, 0o770, 0o1777] {
        chmod(&ground.site.folder(), mode);
        refused(&ground, is_unsafe, "may be used by others");
    }
    chmod(&ground.site.folder(), 0o700);
    open(&ground).unwrap();
}

#[test]
fn another_users_file_or_folder_is_refused() {
    let ground = Ground::new();
    drop(open(&ground).unwrap());
    // To them, we are another user.
    let them = Site { user: ground.site.user + 1, ..ground.site.clone() };
    fs::rename(ground.site.folder(), them.folder()).unwrap();
    let opened = || Shared::open_at(&them, "test", Some(BYTES), PATIENCE, Some(clock())).err();
    let error = opened().unwrap();
    assert!(is_unsafe(&error) && error.to_string().contains("belongs to user"), "{error}");
}

#[test]
fn a_folder_that_is_a_link_is_refused() {
    let ground = Ground::new();
    let elsewhere = ground.site.base.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    chmod(&elsewhere, 0o700);
    symlink(&elsewhere, ground.site.folder()).unwrap();
    refused(&ground, is_unsafe, "no folder");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

/// Its locks may be closed for ever, and its times are none of this start's.
#[test]
fn a_file_of_an_earlier_start_is_made_anew() {
    let ground = Ground::new();
    let store = open(&ground).unwrap();
    take(&store, policy(), "key", 10);
    let later = Site { boot: *b"a later start...", ..ground.site.clone() };
    let anew = Shared::open_at(&later, "test", Some(BYTES * 2), PATIENCE, Some(clock())).unwrap();
    assert_eq!(take(&anew, policy(), "key", 1).remaining, 9);
    let again = Shared::open_at(&later, "test", None, PATIENCE, Some(clock())).unwrap();
    assert_eq!(take(&again, policy(), "key", 1).remaining, 8);
    // Whoever had the old one still has it: it was not written to.
    assert!(!take(&store, policy(), "key", 1).allowed);
}

#[test]
fn where_there_is_no_room_for_the_file_that_is_said_at_once() {
    let ground = Ground::new();
    // More than there is of any memory.
    let error = ground.open("test", Some(1 << 50), clock()).err().unwrap();
    assert!(matches!(error, Error::SharedUnavailable(_)), "{error:?}");
    assert_eq!(fs::read_dir(ground.site.folder()).unwrap().count(), 0, "nothing is left of it");
    open(&ground).unwrap();
}
