//! The two documents that make a layer an image: configuration and manifest (OCI image
//! specification 1.1).

use serde_json::{Value, json};

use super::layer::{Layer, digest};

/// The manifest's media type.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image of one layer.
#[derive(Debug)]
pub(super) struct Image<'a> {
    /// What it holds.
    pub(super) layer: &'a Layer,
    /// The program that it runs.
    pub(super) entry: &'a str,
    /// As whom, by number.
    pub(super) user: &'a str,
    /// With which environment, as `NAME=value`.
    pub(super) environment: Vec<String>,
}

/// A document as it is stored.
#[derive(Debug)]
pub(super) struct Document {
    /// JSON.
    pub(super) bytes: Vec<u8>,
    /// Its digest, `sha256:…`.
    pub(super) digest: String,
}

impl Image<'_> {
    /// What a runtime needs to know.
    pub(super) fn config(&self) -> Document {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Document::of(&json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "User": self.user, "Env": self.environment, "Entrypoint": [self.entry], "WorkingDir": "/" },
            // The layer is not compressed, so it is its own content.
            "rootfs": { "type": "layers", "diff_ids": [self.layer.digest] },
        }))
    }

    /// What the image consists of.
    pub(super) fn manifest(&self, config: &Document) -> Document {
        Document::of(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": { "mediaType": CONFIG_TYPE, "digest": config.digest, "size": config.bytes.len() },
            "layers": [{ "mediaType": LAYER_TYPE, "digest": self.layer.digest, "size": self.layer.bytes.len() }],
        }))
    }
}

impl Document {
    /// With its keys in order, so that the same content is the same text.
    fn of(value: &Value) -> Self {
        let mut value = value.clone();
        value.sort_all_objects();
        let bytes = value.to_string().into_bytes();
        let digest = digest(&bytes);
        Self { bytes, digest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_share_the_layer_but_not_the_digest() {
        let layer = Layer { bytes: vec![1, 2, 3], digest: digest(&[1, 2, 3]) };
        let image = |version: &str| {
            let environment = vec![format!("VERSION={version}")];
            let image = Image { layer: &layer, entry: "/sample", user: "65532:65532", environment };
            image.manifest(&image.config())
        };
        assert_ne!(image("1.0.0").digest, image("1.1.0").digest);
        assert_eq!(image("1.0.0").digest, image("1.0.0").digest);
        assert!(String::from_utf8(image("2.0.0").bytes).unwrap().contains(&layer.digest));
    }
}
