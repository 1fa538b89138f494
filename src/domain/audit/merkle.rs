//! SHA-256 and the Merkle tree over it, as in RFC 6962 (Certificate Transparency) section 2.1: leaves and nodes are hashed with
//! different prefixes, so that no node can be passed off as a leaf.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of a leaf.
    #[must_use]
    pub fn leaf(content: &[u8]) -> Self {
        Self(Sha256::new().chain_update([LEAF]).chain_update(content).finalize().into())
    }

    fn node(left: Self, right: Self) -> Self {
        Self(Sha256::new().chain_update([NODE]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 digits of 0-9 and a-f")]
pub struct NoHash;

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let plain = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 32];
        if !plain {
            return Err(NoHash);
        }
        for (place, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * place..2 * place + 2).ok_or(NoHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NoHash)?;
        }
        Ok(Self(bytes))
    }
}

/// The root over leaves in their order; that of no leaves is the hash of nothing.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash(Sha256::digest(b"").into()),
        [leaf] => *leaf,
        many => {
            // The largest power of two below their number: what is left of it is a full tree.
            let split = many.len().next_power_of_two() / 2;
            let (left, right) = many.split_at(split);
            Hash::node(root(left), root(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Leaves and roots of the reference implementation's test data (certificate-transparency, `merkle_tree_test.cc`).
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()).collect()
    }

    #[test]
    fn roots_are_those_of_the_reference_implementation() {
        let leaves: Vec<Hash> = LEAVES.iter().map(|leaf| Hash::leaf(&bytes(leaf))).collect();
        for (n, expected) in ROOTS.iter().enumerate() {
            assert_eq!(root(&leaves[..=n]).to_string(), *expected, "{} leaves", n + 1);
        }
        assert_eq!(root(&[]).to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    proptest! {
        #[test]
        fn a_hash_reads_as_it_is_written(content: Vec<u8>) {
            let hash = Hash::leaf(&content);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        }

        #[test]
        fn any_other_leaf_order_or_number_is_another_root(contents in prop::collection::vec(any::<u16>(), 1..20), at: prop::sample::Index) {
            let leaves: Vec<Hash> = contents.iter().map(|content| Hash::leaf(&content.to_be_bytes())).collect();
            let before = root(&leaves);
            let mut edited = leaves.clone();
            edited[at.index(leaves.len())] = Hash::leaf(b"another");
            prop_assert_ne!(root(&edited), before);
            let mut fewer = leaves.clone();
            fewer.remove(at.index(leaves.len()));
            prop_assert_ne!(root(&fewer), before);
        }
    }
}
