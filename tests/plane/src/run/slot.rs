//! A slot: one of the places on this machine where a cluster can run.
//!
//! A slot is a directory and a lock file beside it. Whoever holds the lock owns the directory; a
//! directory whose lock is free was left behind by a run that is over, and is swept.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::sweep;
use crate::error::PlaneError;

/// Ports below the range from which outgoing connections draw theirs (32768).
const FIRST_PORT: u16 = 21_000;

/// A slot that this process holds.
#[derive(Debug)]
pub(super) struct Slot {
    number: u8,
    root: PathBuf,
    lock: File,
}

impl Slot {
    /// Slots of a machine. Each has a subnet 10.(88 + number).0.0/16 of its own.
    const COUNT: u8 = 32;
    /// Ports of a slot.
    pub(super) const PORTS: u16 = 50;

    /// Takes the first free slot, after sweeping whatever was left behind in any of them.
    pub(super) fn take() -> Result<Self, PlaneError> {
        let root = root()?;
        let mut taken = None;
        for number in 0..Self::COUNT {
            if taken.is_some() && !root.join(number.to_string()).exists() {
                continue;
            }
            let Some(mut slot) = Self::try_take(number, &root)? else { continue };
            if slot.directory().exists() {
                sweep(&slot.directory());
            }
            if taken.is_none() && !slot.directory().exists() {
                // For people who look; the lock is what counts.
                let _ = slot.lock.set_len(0);
                let _ = writeln!(slot.lock, "held by process {}", std::process::id());
                taken = Some(slot);
            }
        }
        taken.ok_or_else(|| PlaneError::NoSlot { slots: Self::COUNT, root: root.display().to_string() })
    }

    fn try_take(number: u8, root: &Path) -> Result<Option<Self>, PlaneError> {
        let path = root.join(format!("{number}.lock"));
        let opened = File::options().create(true).append(true).open(&path);
        let lock = opened.map_err(PlaneError::system(format!("opening {}", path.display())))?;
        Ok(lock.try_lock().is_ok().then(|| Self { number, root: root.to_owned(), lock }))
    }

    pub(super) const fn number(&self) -> u8 {
        self.number
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.root.join(self.number.to_string())
    }

    pub(super) fn first_port(&self) -> u16 {
        Self::first_port_of(self.number)
    }

    pub(super) fn first_port_of(number: u8) -> u16 {
        FIRST_PORT + u16::from(number) * Self::PORTS
    }

    /// The locked file: the slot is taken for as long as anyone has it open.
    pub(super) fn into_lock(self) -> File {
        self.lock
    }
}

/// One directory a user, closed to others.
fn root() -> Result<PathBuf, PlaneError> {
    let user = fs::metadata("/proc/self").map_err(PlaneError::system("reading /proc/self"))?.uid();
    let root = std::env::temp_dir().join(format!("gantry-plane-{user}"));
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&root);
    made.map_err(PlaneError::system(format!("making {}", root.display())))?;
    if fs::metadata(&root).is_ok_and(|metadata| metadata.uid() != user) {
        return Err(PlaneError::Unmet(format!("{} belongs to another user: remove it", root.display())));
    }
    Ok(root)
}
