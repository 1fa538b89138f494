//! What a release is once it is sealed. Pure.

use super::problem::Problem;
use super::secrets;
use super::snapshot::{
    self, Content, LARGEST, Snapshot, SnapshotLifecycle, SnapshotPackage, SnapshotStep, SnapshotVariableSet,
};
use crate::api::condition::Reason;
use crate::api::v1alpha1::Project;
use crate::api::v1alpha1::release::{ResolvedPackage, SealedSecret};

/// Everything that is fixed for good.
#[derive(Clone, Debug, PartialEq)]
pub struct Seal {
    /// The channel that it was made in.
    pub channel: Option<String>,
    /// The packages by digest.
    pub packages: Vec<ResolvedPackage>,
    /// The Secrets that the variables refer to.
    pub secrets: Vec<SealedSecret>,
    /// Name of the snapshot.
    pub name: String,
    /// The snapshot.
    pub content: Content,
}

/// Fixes a project's process and variables, and a release's channel and packages.
///
/// # Errors
/// When the snapshot is too large.
pub fn seal(
    project: &Project,
    (process, variable_sets): (Vec<SnapshotStep>, Vec<SnapshotVariableSet>),
    (channel, packages): (Option<String>, Vec<ResolvedPackage>),
) -> Result<Seal, Problem> {
    let package = |package: &crate::api::v1alpha1::project::Package| SnapshotPackage {
        name: package.name.clone(),
        image: package.image.clone(),
        pull_secret: package.pull_secret.clone(),
    };
    let snapshot = Snapshot {
        process,
        packages: project.spec.packages.iter().map(package).collect(),
        lifecycle: SnapshotLifecycle::ByOrder,
        variables: project.spec.variables.clone(),
        variable_sets,
    };
    let shared = snapshot.variable_sets.iter().flat_map(|set| &set.variables);
    let secrets = secrets::referenced(snapshot.variables.iter().chain(shared));
    let content = snapshot
        .content()
        .map_err(|error| Problem::new(Reason::Failed, format!("the process cannot be written as JSON: {error}")))?;
    if content.bytes > LARGEST {
        let message = format!(
            "the project's spec.process with its manifests is {} KiB and may be {}: move large texts out of the manifests, or split the project",
            content.bytes.div_ceil(1024),
            LARGEST / 1024
        );
        return Err(Problem::new(Reason::SnapshotTooLarge, message));
    }
    let name = snapshot::revision_name(project.metadata.name.as_deref().unwrap_or_default(), &content);
    Ok(Seal { channel, packages, secrets, name, content })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::snapshot::{SnapshotApply, SnapshotManifest};
    use super::*;

    fn step(text: &str) -> SnapshotStep {
        let manifests = vec![SnapshotManifest { origin: "manifests[0]".into(), object: json!({"text": text}) }];
        let apply = SnapshotApply { manifests, force_conflicts: false };
        SnapshotStep { name: "deploy".into(), timeout: "10m".into(), apply, ..SnapshotStep::default() }
    }

    #[test]
    fn a_snapshot_that_is_too_large_says_how_large_it_may_be() {
        let project = Project::default();
        assert!(seal(&project, (vec![step(&"x".repeat(LARGEST - 1024))], Vec::new()), (None, Vec::new())).is_ok());
        let problem = seal(&project, (vec![step(&"x".repeat(LARGEST))], Vec::new()), (None, Vec::new())).unwrap_err();
        assert_eq!(problem.reason, Reason::SnapshotTooLarge);
        assert!(problem.message.contains("is 257 KiB and may be 256"), "{}", problem.message);
    }

    #[test]
    fn digests_are_no_part_of_the_snapshot_so_releases_share_it() {
        let pinned = |digest: &str| {
            let package = json!({"name": "api", "image": "ghcr.io/acme/checkout", "digest": digest});
            (None, vec![serde_json::from_value(package).unwrap()])
        };
        let one = seal(&Project::default(), (vec![step("a")], Vec::new()), pinned("sha256:1")).unwrap();
        let other = seal(&Project::default(), (vec![step("a")], Vec::new()), pinned("sha256:2")).unwrap();
        assert_eq!(one.name, other.name);
    }
}
