//! The one layer of an image: a program at its root, and what it needs.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::PlaneError;

/// A tar archive, not compressed: it never leaves this machine, and packing would take longer than
/// copying.
#[derive(Debug)]
pub(super) struct Layer {
    /// The archive.
    pub(super) bytes: Vec<u8>,
    /// Its digest, `sha256:…`.
    pub(super) digest: String,
}

impl Layer {
    /// The layer that has the program at `path` as `/<name>`.
    pub(super) fn of(name: &str, path: &Path) -> Result<Self, PlaneError> {
        Self::of_files(&[(name.to_owned(), path.to_owned())])
    }

    /// The layer that has each of these files under its name, from the root, for everyone to read and run.
    pub(super) fn of_files(files: &[(String, PathBuf)]) -> Result<Self, PlaneError> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, path) in files {
            let content = std::fs::read(path).map_err(PlaneError::system(format!("reading {}", path.display())))?;
            // Times and owners are left at zero, so that the digest depends on the contents only.
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            let packed = archive.append_data(&mut header, name, content.as_slice());
            packed.map_err(PlaneError::system(format!("packing {name}")))?;
        }
        let bytes = archive.into_inner().map_err(PlaneError::system("packing a layer"))?;
        let digest = digest(&bytes);
        Ok(Self { bytes, digest })
    }
}

/// `sha256:` and the digest of `bytes` in lower-case hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_program_gives_the_same_layer() {
        let path = std::env::current_exe().unwrap().with_file_name("layer-test-program");
        std::fs::write(&path, b"a program").unwrap();
        let first = Layer::of("sample", &path).unwrap();
        std::fs::write(&path, b"a program").unwrap();
        let second = Layer::of("sample", &path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(first.digest, second.digest);
        let mut archive = tar::Archive::new(first.bytes.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("sample"));
        assert_eq!(entry.header().mode().unwrap(), 0o755);
    }

    #[test]
    fn a_digest_is_that_of_the_specification() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(b""), empty);
    }
}
