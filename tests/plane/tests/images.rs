//! Images in a registry: what the tests and the demo run.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Instant;

use gantry_plane::image::{self, VERSIONS};
use gantry_plane::{Login, Registry, RegistryOptions};

#[tokio::test]
async fn every_version_has_a_digest_of_its_own_and_keeps_it() {
    let registry = Registry::start(RegistryOptions::default()).await.expect("a registry");
    let start = Instant::now();
    image::push(&registry).await.expect("the images are pushed");
    println!("pushed in {:?}", start.elapsed());
    let mut digests = Vec::new();
    for version in VERSIONS {
        digests.push(image::push_sample(&registry, "shop/basket", version).await.expect("another repository"));
    }
    println!("pushed again in {:?}: {digests:?}", start.elapsed());
    for (version, digest) in VERSIONS.into_iter().zip(&digests) {
        let again = image::push_sample(&registry, image::REPOSITORY, version).await.expect("the same image");
        assert_eq!(&again, digest, "{version}");
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), VERSIONS.len());
}

#[tokio::test]
async fn a_registry_with_a_password_takes_images_too() {
    let login = Login { user: "ci".to_owned(), password: "ci-password".to_owned() };
    let registry =
        Registry::start(RegistryOptions { auth: Some(login), ..RegistryOptions::default() }).await.expect("a registry");
    let digest = image::push_sample(&registry, "private/checkout", "1.0.0").await.expect("the image is pushed");
    assert!(digest.starts_with("sha256:"));
}
