//! The records and checkpoints of a space, from the API server or from an export.

use std::error::Error;

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::ObjectMeta;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::api::v1alpha1::{AuditCheckpoint, AuditRecord};
use crate::cli::connect;
use crate::settings::audit::SpaceArguments;

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// Everything that was recorded in a space, by name.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub space: String,
    pub entries: Vec<DynamicObject>,
    pub checkpoints: Vec<AuditCheckpoint>,
}

impl Records {
    /// Reads a space with the rights of the kubeconfig, which every viewer has.
    pub(super) async fn of_space(arguments: &SpaceArguments) -> Result<Self, Box<dyn Error>> {
        let (client, namespace) = connect(arguments.kubeconfig.as_deref()).await?;
        let space = arguments.namespace.clone().unwrap_or(namespace);
        // Checkpoints first: whatever a checkpoint has was there when it was written.
        let checkpoints = all::<AuditCheckpoint>(&client, &space).await?;
        let checkpoints = checkpoints.into_iter().map(typed).collect::<Result<_, _>>()?;
        Ok(Self { entries: all::<AuditRecord>(&client, &space).await?, checkpoints, space })
    }

    /// Reads what [`Records::lines`] has written.
    pub(super) fn from_lines(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut read = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |why: String| format!("line {}: {why}; give the output of gantry audit export", number + 1);
            let object: DynamicObject = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            let space = object.metadata.namespace.clone().unwrap_or_default();
            if !read.space.is_empty() && read.space != space {
                return Err(wrong(format!("it is of space {space}, and those before are of {}", read.space)).into());
            }
            read.space = space;
            match object.types.as_ref().map(|types| types.kind.as_str()) {
                Some("AuditRecord") => read.entries.push(object),
                Some("AuditCheckpoint") => {
                    read.checkpoints.push(typed(object).map_err(|error| wrong(error.to_string()))?);
                }
                other => return Err(wrong(format!("its kind is {}", other.unwrap_or("missing"))).into()),
            }
        }
        Ok(read)
    }

    /// One JSON object a line: what is sealed, and who it was when it was exported.
    pub(super) fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        let line = |kind: &str, meta: &ObjectMeta, spec: Value| {
            let said = json!({
                "apiVersion": "gantry.dev/v1alpha1",
                "kind": kind,
                "metadata": {
                    "name": meta.name, "namespace": meta.namespace, "uid": meta.uid,
                    "creationTimestamp": meta.creation_timestamp,
                },
                "spec": spec,
            });
            serde_json::to_string(&said)
        };
        let records = self
            .entries
            .iter()
            .map(|record| line("AuditRecord", &record.metadata, record.data.get("spec").cloned().unwrap_or_default()));
        let checkpoints = self
            .checkpoints
            .iter()
            .map(|checkpoint| line("AuditCheckpoint", &checkpoint.metadata, serde_json::to_value(&checkpoint.spec)?));
        records.chain(checkpoints).collect()
    }
}

fn typed(object: DynamicObject) -> Result<AuditCheckpoint, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(object)?)
}

async fn all<K>(client: &Client, space: &str) -> Result<Vec<DynamicObject>, Box<dyn Error>>
where
    K: kube::Resource<DynamicType = ()>,
{
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), space, &resource);
    let (mut found, mut page) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let listed = api.list(&page).await?;
        found.extend(listed.items);
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::seal;
    use crate::domain::audit::Checkpoint;

    #[test]
    fn what_is_exported_is_read_again_and_says_the_same() {
        let record = json!({"metadata": {"name": "promotion-x", "namespace": "shop", "uid": "u"}, "spec": {"phase": "Succeeded"}});
        let record: DynamicObject = serde_json::from_value(record).unwrap();
        let checkpoint = Checkpoint::after(None, [seal::sealed(&record)]);
        let known = Records {
            space: "shop".into(),
            checkpoints: vec![seal::object("shop", &checkpoint)],
            entries: vec![record],
        };
        let again = Records::from_lines(&known.lines().unwrap().join("\n")).unwrap();
        assert_eq!(again.space, "shop");
        assert_eq!(seal::sealed(&again.entries[0]), seal::sealed(&known.entries[0]));
        assert_eq!(seal::checkpoint(&again.checkpoints[0]), Ok(checkpoint));
    }

    #[test]
    fn any_byte_of_what_a_record_says_that_is_changed_shows() {
        let text = r#"{"apiVersion":"gantry.dev/v1alpha1","kind":"AuditRecord","metadata":{"name":"promotion-x","namespace":"shop"},"spec":{"applied":true,"by":{"username":"alice"},"priority":10,"steps":[{"name":"deploy"}]}}"#;
        let sealed =
            |text: &str| Records::from_lines(text).ok().and_then(|read| read.entries.first().map(seal::sealed));
        let known = sealed(text).unwrap();
        let said = text.find("\"name\":\"promotion").unwrap();
        for at in said..text.len() {
            for other in [text.as_bytes()[at] ^ 1, b'0'] {
                let mut edited = text.as_bytes().to_vec();
                let changed = std::mem::replace(&mut edited[at], other) != other;
                let Ok(edited) = String::from_utf8(edited) else { continue };
                assert!(!changed || sealed(&edited) != Some(known.clone()), "byte {at}: {edited}");
            }
        }
    }

    #[test]
    fn what_is_no_export_is_refused_with_its_line() {
        for (text, told) in [
            ("no json", "line 1: "),
            (r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {}}"#, "line 1: its kind is Pod; give the output of"),
            (
                "{\"apiVersion\": \"v1\", \"kind\": \"AuditRecord\", \"metadata\": {\"namespace\": \"a\"}}\n\n{\"apiVersion\": \"v1\", \"kind\": \"AuditRecord\", \"metadata\": {\"namespace\": \"b\"}}",
                "line 3: it is of space b, and those before are of a",
            ),
        ] {
            let said = Records::from_lines(text).unwrap_err().to_string();
            assert!(said.contains(told), "{said}");
        }
    }
}
