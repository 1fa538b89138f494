//! Images of a release, written into the containers of an object. Pure.

use std::str::FromStr;

use serde_json::Value;

use super::problem::ProblemReason;
use crate::domain::image::{Digest, ImageReference, Repository, Tag};

/// The lists that hold containers, wherever in an object they are: custom kinds embed pod templates too.
pub(super) const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// An image as a release fixed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedImage {
    /// Where its versions are.
    pub repository: Repository,
    /// The version for people, where one was chosen.
    pub tag: Option<Tag>,
    /// The version for truth.
    pub digest: Digest,
}

/// An image that cannot be written: the field, the class, the sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub path: String,
    pub reason: ProblemReason,
    pub message: String,
}

/// Gives every container the image of the release. What cannot be written is refused and left as it is.
pub(super) fn write_images(object: &mut Value, images: &[PinnedImage]) -> Vec<Refused> {
    let mut refused = Vec::new();
    walk(object, "", &mut |image, path| match pinned(image, images) {
        Ok(None) => {}
        Ok(Some(pinned)) => *image = pinned,
        Err(message) => refused.push(Refused { path, reason: ProblemReason::InvalidImage, message }),
    });
    refused
}

fn walk(value: &mut Value, path: &str, visit: &mut dyn FnMut(&mut String, String)) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if LISTS.contains(&key.as_str()) {
                    visit_containers(field, &path, visit);
                }
                walk(field, &path, visit);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                walk(item, &format!("{path}[{at}]"), visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn visit_containers(list: &mut Value, path: &str, visit: &mut dyn FnMut(&mut String, String)) {
    let Value::Array(containers) = list else { return };
    for (at, container) in containers.iter_mut().enumerate() {
        if let Some(Value::String(image)) = container.get_mut("image") {
            visit(image, format!("{path}[{at}].image"));
        }
    }
}

/// The image to write, nothing if it stays as it is, or why it is refused.
fn pinned(text: &str, images: &[PinnedImage]) -> Result<Option<String>, String> {
    let written = ImageReference::from_str(text).map_err(|error| error.to_string())?;
    if written.digest.is_some() {
        return Ok(None);
    }
    let package = images.iter().find(|image| image.repository.same_as(&written.repository));
    match (package, written.tag) {
        (Some(image), None) => {
            let tag = image.tag.clone();
            let pinned =
                ImageReference { repository: image.repository.clone(), tag, digest: Some(image.digest.clone()) };
            Ok(Some(pinned.to_string()))
        }
        (Some(image), Some(tag)) => Err(format!(
            "image {text} names version {tag} of a package: write {}, the release gives it the version",
            image.repository
        )),
        (None, _) => Err(format!(
            "image {text} is no package of the project and has no digest: add it to the project's packages, or write it with @sha256:…"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hex(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn images() -> Vec<PinnedImage> {
        let image = |repository: &str, tag: Option<&str>, digit| PinnedImage {
            repository: repository.parse().unwrap(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest: hex(digit).parse().unwrap(),
        };
        vec![image("ghcr.io/acme/checkout", Some("1.4.2"), 'a'), image("nginx", None, 'b')]
    }

    #[test]
    fn the_image_of_every_container_is_written_wherever_it_is() {
        let mut object = json!({
            "spec": {"jobTemplate": {"spec": {"template": {"spec": {
                "initContainers": [{"name": "a", "image": "docker.io/library/nginx"}],
                "containers": [{"name": "b", "image": "ghcr.io/acme/checkout"}, {"name": "c", "image": "GHCR.io/acme/checkout"}],
                "ephemeralContainers": [{"name": "d", "image": "nginx"}],
            }}}}},
            "parts": [{"containers": [{"image": "nginx"}]}],
        });
        assert_eq!(write_images(&mut object, &images()), []);
        let checkout = format!("ghcr.io/acme/checkout:1.4.2@{}", hex('a'));
        let nginx = format!("docker.io/library/nginx@{}", hex('b'));
        assert_eq!(
            object,
            json!({
                "spec": {"jobTemplate": {"spec": {"template": {"spec": {
                    "initContainers": [{"name": "a", "image": nginx}],
                    "containers": [{"name": "b", "image": checkout}, {"name": "c", "image": checkout}],
                    "ephemeralContainers": [{"name": "d", "image": nginx}],
                }}}}},
                "parts": [{"containers": [{"image": nginx}]}],
            })
        );
    }

    #[test]
    fn an_image_with_a_digest_of_its_own_stays() {
        let image = format!("quay.io/other/sidecar:2@{}", hex('c'));
        let mut object = json!({"spec": {"containers": [{"image": image}]}});
        assert_eq!(write_images(&mut object, &images()), []);
        assert_eq!(object, json!({"spec": {"containers": [{"image": image}]}}));
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_field_and_remedy() {
        let mut object = json!({"spec": {"containers": [
            {"image": "nginx:1.27"}, {"image": "busybox"}, {"image": "busybox:1"}, {"image": "Not An Image"}, {"name": "none"},
        ]}});
        let refused = write_images(&mut object, &images());
        assert_eq!(refused.len(), 4);
        assert_eq!(refused[0].path, "spec.containers[0].image");
        assert_eq!(
            refused[0].message,
            "image nginx:1.27 names version 1.27 of a package: write docker.io/library/nginx, the release gives it the version"
        );
        assert!(refused[1].message.contains("busybox is no package of the project and has no digest"));
        assert_eq!(refused[3].path, "spec.containers[3].image");
    }

    #[test]
    fn text_that_only_looks_like_an_image_is_left_alone() {
        let object = json!({"data": {"containers": "nginx", "image": "nginx"}, "spec": {"image": "nginx"}});
        let mut written = object.clone();
        assert_eq!(write_images(&mut written, &images()), []);
        assert_eq!(written, object);
    }
}
