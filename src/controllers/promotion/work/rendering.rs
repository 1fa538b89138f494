//! From a step of a snapshot to the objects of one target: variables resolved, secrets read, expressions replaced.
//!
//! Secrets of the space are read here, at the moment of use, each by its name, and only those that an expression wants. What is
//! read goes into objects and into [`Rendered::secrets`], and nowhere else.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::manifests;
use super::variables;
use crate::api::v1alpha1::variable::UsedVariable;
use crate::api::{SECRET_ENVIRONMENTS_LABEL, variables as wire};
use crate::cluster::cache::Key;
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;
use crate::controllers::promotion::observe::Observed;
use crate::controllers::promotion::plan::{Plan, PlannedStep};
use crate::controllers::secret_versions;
use crate::domain::variable::bindings::Secrets;
use crate::domain::variable::{Bindings, FaultReason, SecretReference, SecretText};
use crate::steps::apply::ownership::Scope;
use crate::steps::apply::prepare::Prepared;
use crate::steps::apply::problem::{Problem, ProblemReason, Problems};
use crate::steps::apply::substitute::{Substituted, substitute};

/// How often secrets may lead to further secrets.
const ROUNDS: usize = 4;
/// The most Secrets of the space that one step reads.
const SECRETS: usize = 64;

/// The objects of a step in a target.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// With labels and images.
    pub prepared: Vec<Prepared>,
    /// The variables in them.
    pub used: Vec<UsedVariable>,
    /// The secrets in them.
    pub secrets: Vec<SecretText>,
}

/// Renders the steps of one promotion.
pub struct Renderer<'a> {
    /// What Secrets are read with.
    pub context: &'a Context,
    /// The promotion and its environment.
    pub observed: &'a Observed,
    /// Its plan.
    pub plan: &'a Plan,
}

impl Renderer<'_> {
    /// The objects of a step.
    ///
    /// # Errors
    /// The outer error: a Secret could not be read now. The inner one: all problems of all manifests.
    pub async fn render(
        &self,
        planned: &PlannedStep,
        scope: &Scope,
    ) -> Result<Result<Rendered, Problems>, ClusterError> {
        let promotion = &self.observed.promotion;
        let names = variables::names(promotion, self.plan, &planned.record);
        let subject = variables::subject(self.observed, &planned.record);
        let given = wire::given(&promotion.spec.variables);
        let mut secrets = Secrets::new();
        for _ in 0..ROUNDS {
            let mut bindings = Bindings::new((&self.plan.variables, &given), &subject, (&names, &secrets));
            let done = substitute(manifests::written(&planned.step), scope, &mut bindings);
            let wanted: BTreeSet<SecretReference> = bindings.wanted().clone();
            if wanted.is_empty() {
                let complaints = self.complaints(&bindings, planned);
                return Ok(self.prepared(done, complaints, (&bindings, planned, scope)));
            }
            for reference in wanted {
                let read = if secrets.len() < SECRETS {
                    self.read(&reference).await?
                } else {
                    Err(format!("a step reads at most {SECRETS} secrets: split it"))
                };
                secrets.insert(reference, read);
            }
        }
        let message = "uses too many secrets one after the other: use fewer".to_owned();
        let problem =
            Problem { step: planned.record.name.clone(), ..self.problem((FaultReason::SecretUnavailable, message)) };
        Ok(Err(Problems::from(problem)))
    }

    fn prepared(
        &self,
        done: Result<Substituted, Problems>,
        complaints: Problems,
        (bindings, planned, scope): (&Bindings<'_>, &PlannedStep, &Scope),
    ) -> Result<Rendered, Problems> {
        let mut problems = complaints;
        let prepared = done.and_then(|done| {
            let prepared = manifests::prepared(done.manifests, scope, &self.plan.packages)?;
            Ok((prepared, done.secrets))
        });
        let (prepared, secrets) = match prepared {
            Ok(done) => done,
            Err(found) => {
                problems.append(found);
                return Err(problems);
            }
        };
        let salt = self.observed.project.as_ref().and_then(|project| project.metadata.uid.clone()).unwrap_or_default();
        let used = variables::used(bindings, &planned.record, &salt);
        problems.or(Rendered { prepared, used, secrets })
    }

    /// What is wrong with the values that came with the promotion: told once, by the first step.
    fn complaints(&self, bindings: &Bindings<'_>, planned: &PlannedStep) -> Problems {
        let mut problems = Problems::default();
        if self.plan.first(&self.observed.promotion) == Some(planned) {
            for (_, fault) in bindings.complaints() {
                problems.push(self.problem((fault.reason, fault.to_string())));
            }
        }
        problems
    }

    /// Of what came with the promotion, whatever step uses it.
    fn problem(&self, (reason, message): (FaultReason, String)) -> Problem {
        let name = self.observed.promotion.metadata.name.as_deref().unwrap_or_default();
        Problem {
            step: String::new(),
            targets: Vec::new(),
            object: format!("Promotion {name}"),
            path: "spec.variables".to_owned(),
            reason: ProblemReason::Variable(reason),
            message,
        }
    }

    /// One entry of a Secret of the space, if its label lets this environment use it.
    async fn read(&self, reference: &SecretReference) -> Result<Result<SecretText, String>, ClusterError> {
        let spec = &self.observed.promotion.spec;
        let space = self.observed.promotion.metadata.namespace.as_deref().unwrap_or_default();
        let secrets: Api<Secret> = Api::namespaced(self.context.cluster.client(), space);
        let SecretReference { name, .. } = reference;
        let found = secrets.get_opt(name).await;
        self.saw(Key::new(space, name), &found);
        let secret = match found {
            Ok(Some(secret)) => secret,
            Ok(None) => {
                return Ok(Err(format!(
                    "Secret {name} does not exist in this space: create it, or correct the variable"
                )));
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                return Ok(Err(format!(
                    "Gantry may not read Secret {name}: bind ClusterRole gantry-space to its ServiceAccount in space {space}"
                )));
            }
            Err(error) => return Err(ClusterError::api(format!("read Secret {name}"), error)),
        };
        Ok(entry(&secret, reference, &spec.environment))
    }

    /// Releases say which of their Secrets changed.
    fn saw(&self, key: Key, found: &Result<Option<Secret>, kube::Error>) {
        if let Ok(found) = found {
            let seen = secret_versions::of(found.as_ref().map(|secret| secret.metadata.resource_version.clone()));
            self.context.secret_versions.saw(key, seen, Timestamp::now());
        }
    }
}

/// An entry of a Secret, or why it cannot be used in an environment.
fn entry(secret: &Secret, reference: &SecretReference, environment: &str) -> Result<SecretText, String> {
    let SecretReference { name, key, .. } = reference;
    let label = secret.metadata.labels.as_ref().and_then(|labels| labels.get(SECRET_ENVIRONMENTS_LABEL));
    let allowed = label.is_some_and(|label| label.split('_').any(|allowed| allowed == environment));
    if !allowed {
        return Err(format!(
            "Secret {name} may not be used in environment {environment}: add it to the Secret's label {SECRET_ENVIRONMENTS_LABEL} (several are joined with _), or use another Secret"
        ));
    }
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    let bytes = bytes.ok_or_else(|| format!("Secret {name} has no key {key}: add it, or correct the variable"))?;
    let text = String::from_utf8(bytes.0.clone());
    let text = text.map_err(|_| format!("key {key} of Secret {name} is no text: use it with from: Target"))?;
    Ok(SecretText::new(text, secret.metadata.uid.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::variable::secret::SecretPlace;

    fn read(labels: &serde_json::Value, key: &str) -> Result<SecretText, String> {
        let secret = serde_json::from_value(json!({
            "metadata": {"name": "db", "uid": "u", "labels": labels}, "data": {"password": "aHVudGVyMg==", "bytes": "/w=="},
        }));
        let reference = SecretReference { name: "db".into(), key: key.into(), from: SecretPlace::Space };
        entry(&secret.unwrap(), &reference, "dev")
    }

    #[test]
    fn a_secret_is_used_only_where_its_own_label_says() {
        let label = |text: &str| json!({"gantry.dev/environments": text});
        assert_eq!(read(&label("dev"), "password").unwrap().reveal(), "hunter2");
        assert!(read(&label("test_dev"), "password").is_ok());
        for refused in [json!({}), label("test"), label("develop"), label("dev.test"), label("")] {
            assert!(
                read(&refused, "password").unwrap_err().starts_with("Secret db may not be used in environment dev")
            );
        }
    }

    #[test]
    fn an_entry_that_is_not_there_or_no_text_says_so() {
        let label = json!({"gantry.dev/environments": "dev"});
        assert!(read(&label, "user").unwrap_err().starts_with("Secret db has no key user: add it"));
        assert!(read(&label, "bytes").unwrap_err().starts_with("key bytes of Secret db is no text"));
    }
}
