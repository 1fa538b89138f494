//! A program of this machine with what it needs to run elsewhere: its shared libraries, and the authorities that it trusts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::layer::Layer;
use crate::error::PlaneError;

/// Where images have the authorities that the system trusts; as on Debian.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The layer that has the program at `path` as `/<name>`, and everything else where it is on this machine.
pub(super) fn layer(name: &str, path: &Path) -> Result<Layer, PlaneError> {
    let mut files = vec![(name.to_owned(), path.to_owned())];
    let besides = libraries(path)?.into_iter().chain([PathBuf::from(AUTHORITIES)].into_iter().filter(|it| it.exists()));
    files.extend(besides.map(|path| (path.display().to_string().trim_start_matches('/').to_owned(), path)));
    Layer::of_files(&files)
}

/// The shared libraries that the program is linked with, and the loader.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, PlaneError> {
    let what = format!("ldd {}", program.display());
    let output = Command::new("ldd").arg(program).stdin(Stdio::null()).output();
    let output = output.map_err(PlaneError::system(what.clone()))?;
    if !output.status.success() {
        let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(PlaneError::Unmet(format!("{what} failed: {answer}")));
    }
    Ok(paths(&String::from_utf8_lossy(&output.stdout)))
}

/// The paths that `ldd` says: `libc.so.6 => /lib/…/libc.so.6 (0x…)`, and for the loader `/lib64/ld-….so.2 (0x…)`.
fn paths(said: &str) -> Vec<PathBuf> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    said.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_where_ldd_says() {
        let said = "\tlinux-vdso.so.1 (0x00007ff2504ca000)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007ff24d61e000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007ff2504cc000)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(paths(said), expected);
    }
}
