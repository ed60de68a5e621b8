//! The file: where it lies, who may have made it, and that nobody maps one which is half made.
//!
//! It lies in a folder of this user's own, which nobody else may enter, and whoever makes or replaces it holds the folder's lock
//! meanwhile, so that of many processes that start at once one does it. It gets its name when it is whole. All of its bytes are
//! taken from the file system then: where there are too few, that is an error here, and no signal later.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::geometry::Geometry;
use super::header::{Boot, Header, LENGTH, Refusal};
use super::lock;
use super::mapping::Mapping;
use crate::clock::Micros;
use crate::error::Error;

/// Where the folders lie: memory that has names, or where there is none a disk.
const BASES: [&str; 2] = ["/dev/shm", "/tmp"];

/// How long another process may take to make a file. It takes some milliseconds.
const LONGEST_MAKING: Duration = Duration::from_secs(5);

/// Where files lie, whose they are, and since when the machine runs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) base: PathBuf,
    pub(crate) user: u32,
    pub(crate) boot: Boot,
}

impl Site {
    /// This process's own.
    pub(crate) fn here() -> Result<Self, Error> {
        let base = BASES.into_iter().map(PathBuf::from).find(|base| base.is_dir());
        let base =
            base.ok_or_else(|| Error::SharedUnavailable(format!("there is neither {} nor {}", BASES[0], BASES[1])))?;
        // SAFETY: it cannot fail, and touches no memory.
        let user = unsafe { libc::geteuid() };
        Ok(Self { base, user, boot: boot()? })
    }

    /// The folder of this user's files.
    pub(crate) fn folder(&self) -> PathBuf {
        self.base.join(format!("distributed-rate-limiter-{}", self.user))
    }
}

/// The number that the kernel has given to this start of the machine.
fn boot() -> Result<Boot, Error> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(PATH).map_err(|error| cannot("read", Path::new(PATH), &error))?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    let number =
        number.ok_or_else(|| Error::SharedUnavailable(format!("{PATH} does not tell when the machine was started")))?;
    Ok(number.to_be_bytes())
}

/// A file of that name, mapped, with what it says of itself. It is made where there is none; one that is there must have `bytes`, where
/// anybody says how many.
pub(super) fn open(
    site: &Site,
    name: &str,
    bytes: Option<usize>,
    default: usize,
    offset: Micros,
) -> Result<(Mapping, Header), Error> {
    let folder = folder(site)?;
    let path = site.folder().join(name);
    let _lock = lock_folder(&folder, &site.folder())?;
    if let Some(file) = existing(&path)? {
        let length = is_safe(site, &path, &file)?;
        match read_header(&path, &file, length, site.boot)? {
            Ok(header) => {
                let wanted = bytes.map_or(header.geometry, Geometry::of);
                if wanted != header.geometry {
                    return Err(Error::SharedFormat(format!(
                        "{} has {} bytes, and `maxMemory` asks for {}",
                        path.display(),
                        header.geometry.bytes,
                        wanted.bytes
                    )));
                }
                let mapping = map(&path, &file, header.geometry)?;
                return Ok((mapping, header));
            }
            Err(Refusal::Bygone) => {}
            Err(refusal) => return Err(refused(&path, &refusal)),
        }
    }
    make(site, &path, Geometry::of(bytes.unwrap_or(default)), offset)
}

fn refused(path: &Path, refusal: &Refusal) -> Error {
    let what = match refusal {
        Refusal::Foreign => "is no file of this library",
        Refusal::Version => "was made by another version of this library",
        Refusal::Platform => "was made by a program with another C library or for another processor",
        Refusal::Damaged | Refusal::Bygone => "is damaged",
    };
    Error::SharedFormat(format!("{} {what}", path.display()))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::SharedUnavailable(format!("cannot {what} {}: {error}", path.display()))
}

/// The folder, made where there is none, and only this user's.
fn folder(site: &Site) -> Result<File, Error> {
    let path = site.folder();
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(cannot("make", &path, &error)),
        _ => {}
    }
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let folder = OpenOptions::new().read(true).custom_flags(flags).open(&path).map_err(|error| {
        // Of a link: that it is no folder.
        if matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP)) {
            Error::SharedUnsafe(format!("{} is no folder", path.display()))
        } else {
            cannot("open", &path, &error)
        }
    })?;
    let about = folder.metadata().map_err(|error| cannot("look at", &path, &error))?;
    is_own(site, &path, about.uid(), about.mode())?;
    Ok(folder)
}

fn is_own(site: &Site, path: &Path, user: u32, mode: u32) -> Result<(), Error> {
    let path = path.display();
    if user != site.user {
        return Err(Error::SharedUnsafe(format!("{path} belongs to user {user}, and this is user {}", site.user)));
    }
    if mode & 0o077 != 0 {
        return Err(Error::SharedUnsafe(format!("{path} may be used by others (mode {:o})", mode & 0o7777)));
    }
    Ok(())
}

/// Holds the folder's lock until it is dropped: the kernel opens it when the file is closed, however that comes about.
fn lock_folder(folder: &File, path: &Path) -> Result<File, Error> {
    let folder = folder.try_clone().map_err(|error| cannot("lock", path, &error))?;
    let until = Instant::now() + LONGEST_MAKING;
    loop {
        // SAFETY: a descriptor that is open.
        if unsafe { libc::flock(folder.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Ok(folder);
        }
        let error = io::Error::last_os_error();
        let is_held = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
        if !is_held || Instant::now() >= until {
            return Err(cannot("lock", path, &error));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The file, where there is one. A link is never followed, and nothing is waited for.
fn existing(path: &Path) -> Result<Option<File>, Error> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    match OpenOptions::new().read(true).write(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => match error.raw_os_error() {
            Some(libc::ELOOP) => Err(Error::SharedUnsafe(format!("{} is a symbolic link", path.display()))),
            Some(libc::EISDIR | libc::ENXIO) => Err(Error::SharedUnsafe(format!("{} is no file", path.display()))),
            _ => Err(cannot("open", path, &error)),
        },
    }
}

/// Whether it is a plain file that only this user can have made or change. Answers its length.
fn is_safe(site: &Site, path: &Path, file: &File) -> Result<u64, Error> {
    let about = file.metadata().map_err(|error| cannot("look at", path, &error))?;
    if !about.is_file() {
        return Err(Error::SharedUnsafe(format!("{} is no file", path.display())));
    }
    is_own(site, path, about.uid(), about.mode())?;
    if about.nlink() != 1 {
        return Err(Error::SharedUnsafe(format!("{} has {} names", path.display(), about.nlink())));
    }
    Ok(about.len())
}

fn read_header(path: &Path, file: &File, length: u64, boot: Boot) -> Result<Result<Header, Refusal>, Error> {
    let mut bytes = [0; LENGTH];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(Header::decode(&bytes, length, boot)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(Refusal::Foreign)),
        Err(error) => Err(cannot("read", path, &error)),
    }
}

fn map(path: &Path, file: &File, geometry: Geometry) -> Result<Mapping, Error> {
    Mapping::of(file, geometry.bytes).map_err(|error| cannot("map", path, &error))
}

/// Makes a file, beside the one of an earlier start where there is one, and gives it its name when it is whole.
fn make(site: &Site, path: &Path, geometry: Geometry, offset: Micros) -> Result<(Mapping, Header), Error> {
    // No name that can be asked for begins with a dot.
    let draft = path.with_file_name(format!(".{}", path.file_name().unwrap_or_default().to_string_lossy()));
    // What is there was left by somebody who died over it, since this process has the lock.
    let _ = fs::remove_file(&draft);
    let made = make_draft(site, &draft, geometry, offset)
        .and_then(|made| fs::rename(&draft, path).map(|()| made).map_err(|error| cannot("name", path, &error)));
    if made.is_err() {
        let _ = fs::remove_file(&draft);
    }
    made
}

fn make_draft(site: &Site, draft: &Path, geometry: Geometry, offset: Micros) -> Result<(Mapping, Header), Error> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).custom_flags(flags).open(draft);
    let file = file.map_err(|error| cannot("make", draft, &error))?;
    // Whatever mask this process has.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| cannot("make", draft, &error))?;
    take_bytes(&file, geometry.bytes)
        .map_err(|error| cannot(&format!("take {} bytes for", geometry.bytes), draft, &error))?;
    let mapping = map(draft, &file, geometry)?;
    for shard in 0..geometry.shards {
        lock::make(&mapping, geometry.shard(shard)).map_err(|error| cannot("make a lock in", draft, &error))?;
    }
    let header = Header { geometry, boot: site.boot, offset, secret: secret()? };
    // SAFETY: nobody else has the file yet.
    unsafe { mapping.write(0, &header.encode()) };
    Ok((mapping, header))
}

/// Takes all bytes from the file system, as zeros.
fn take_bytes(file: &File, bytes: usize) -> io::Result<()> {
    let bytes = libc::off_t::try_from(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    loop {
        // SAFETY: a descriptor that is open.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, bytes) } {
            0 => return Ok(()),
            libc::EINTR => {}
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Sixteen bytes that nobody can guess.
fn secret() -> Result<[u8; 16], Error> {
    const PATH: &str = "/dev/urandom";
    let mut secret = [0; 16];
    let read = File::open(PATH).and_then(|mut source| source.read_exact(&mut secret));
    read.map_err(|error| cannot("read", Path::new(PATH), &error))?;
    Ok(secret)
}
