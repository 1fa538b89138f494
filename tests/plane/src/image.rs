//! Images for tests and the demo, put into the registry without Docker.
//!
//! [`push_program`] makes one of any program of this machine. The others are of two static programs of ours (`go/images`):
//! `sample`, an HTTP server that says its version and misbehaves as its environment tells it (see
//! `go/images/sample/main.go`), and `pause`, which holds the namespaces of a pod on a real node. The same sources give the
//! same digests.

mod ask;
mod document;
mod layer;
mod linked;

use std::path::Path;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio::sync::OnceCell;

use crate::error::PlaneError;
use crate::programs::{GoProgram, find_or_build};
use crate::registry::Registry;
pub use ask::{Answer, AskError, ask};
use document::{Image, MANIFEST_TYPE};
use layer::Layer;

/// The repository that [`push`] fills.
pub const REPOSITORY: &str = "checkout";
/// The versions that [`push`] puts there, as tags.
pub const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "1.2.0-rc.1", "2.0.0"];
/// The image that holds a pod's namespaces, without the registry's host.
pub const PAUSE: &str = "pause:3.10";

/// The user that programs run as: not root, as the Pod Security level `restricted` asks.
const SAMPLE_USER: &str = "65532:65532";
/// The user that upstream's pause image has.
const PAUSE_USER: &str = "65535:65535";

/// The programs in the images, to build them before they are needed.
pub const PROGRAMS: [GoProgram; 2] = [SAMPLE, PAUSE_PROGRAM];
const SAMPLE: GoProgram = program("sample", "./sample");
const PAUSE_PROGRAM: GoProgram = program("pause", "./pause");

/// Built and read once a process; all images of a program have this layer.
static SAMPLE_LAYER: OnceCell<Layer> = OnceCell::const_new();
static PAUSE_LAYER: OnceCell<Layer> = OnceCell::const_new();

/// Puts all [`VERSIONS`] of `sample` into the repository [`REPOSITORY`], and [`PAUSE`].
///
/// # Errors
/// The programs cannot be built, or the registry refuses.
pub async fn push(registry: &Registry) -> Result<(), PlaneError> {
    for version in VERSIONS {
        push_sample(registry, REPOSITORY, version).await?;
    }
    push_pause(registry).await?;
    Ok(())
}

/// Puts `sample` as `version` into `repository`, tagged with the version, and gives the digest
/// (`sha256:…`) of its manifest.
///
/// # Errors
/// As [`push`].
pub async fn push_sample(registry: &Registry, repository: &str, version: &str) -> Result<String, PlaneError> {
    let layer = SAMPLE_LAYER.get_or_try_init(|| build(SAMPLE)).await?;
    let environment = vec![format!("VERSION={version}")];
    let image = Image { layer, entry: "/sample", user: SAMPLE_USER, environment };
    put(registry, repository, version, &image).await
}

/// Puts the pause image there, and gives the digest of its manifest.
///
/// # Errors
/// As [`push`].
pub async fn push_pause(registry: &Registry) -> Result<String, PlaneError> {
    let layer = PAUSE_LAYER.get_or_try_init(|| build(PAUSE_PROGRAM)).await?;
    let image = Image { layer, entry: "/pause", user: PAUSE_USER, environment: Vec::new() };
    let (repository, tag) = PAUSE.split_once(':').unwrap_or((PAUSE, "latest"));
    put(registry, repository, tag, &image).await
}

/// Puts a program of this machine, with its shared libraries and the authorities that the machine trusts, into `repository` as
/// `tag`, to run as a user that is not root, and gives the digest of its manifest. The program is at the root under the
/// repository's name.
///
/// # Errors
/// The program or a library cannot be read, or the registry refuses.
pub async fn push_program(
    registry: &Registry,
    repository: &str,
    tag: &str,
    program: &Path,
) -> Result<String, PlaneError> {
    let layer = linked::layer(repository, program)?;
    let entry = format!("/{repository}");
    let image = Image { layer: &layer, entry: &entry, user: SAMPLE_USER, environment: Vec::new() };
    put(registry, repository, tag, &image).await
}

const fn program(name: &'static str, package: &'static str) -> GoProgram {
    GoProgram { module: "images", package, name, seconds: 15 }
}

async fn build(program: GoProgram) -> Result<Layer, PlaneError> {
    let path = find_or_build(program).await?;
    Layer::of(program.name, &path)
}

async fn put(registry: &Registry, repository: &str, tag: &str, image: &Image<'_>) -> Result<String, PlaneError> {
    let name = format!("{}/{repository}:{tag}", registry.host());
    let invalid = |error| PlaneError::Unmet(format!("{name} is not an image name: {error}"));
    let reference: Reference = name.parse().map_err(invalid)?;
    let refused = |error| PlaneError::Unmet(format!("pushing {name} failed: {error}"));
    let config = image.config();
    let manifest = image.manifest(&config);
    let client = client(registry).await;
    for (digest, bytes) in [(&image.layer.digest, &image.layer.bytes), (&config.digest, &config.bytes)] {
        if !client.blob_exists(&reference, digest).await.map_err(refused)? {
            client.push_blob(&reference, bytes.clone(), digest).await.map_err(refused)?;
        }
    }
    let kind = http::HeaderValue::from_static(MANIFEST_TYPE);
    client.push_manifest_raw(&reference, manifest.bytes, kind).await.map_err(refused)?;
    Ok(manifest.digest)
}

/// A client that speaks plain HTTP, with the registry's own login.
async fn client(registry: &Registry) -> Client {
    // Another crate of the process may have installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        use_monolithic_push: true,
        ..ClientConfig::default()
    });
    let login = registry.auth().cloned();
    let auth = login.map_or(RegistryAuth::Anonymous, |login| RegistryAuth::Basic(login.user, login.password));
    client.store_auth_if_needed(&registry.host(), &auth).await;
    client
}
