//! The records and checkpoints of a space, from the API server or from an export.

use std::collections::BTreeMap;
use std::error::Error;

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::ObjectMeta;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::api::v1alpha1::{AuditCheckpoint, AuditRecord};
use crate::cli::connect;
use crate::settings::audit::SpaceArguments;

const API_VERSION: &str = "gantry.dev/v1alpha1";
/// Where an export says who deleted something, beside what is sealed.
pub(super) const AUTHOR: &str = "author";
/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// Everything that was recorded in a space, by name.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub space: String,
    pub entries: Vec<DynamicObject>,
    pub checkpoints: Vec<AuditCheckpoint>,
    /// Who deleted what, by record, as the API server's log says.
    pub authors: BTreeMap<String, Value>,
    /// What of an export does not read as a record or a checkpoint of the space, in sentences.
    pub unreadable: Vec<String>,
}

/// What one line of an export says.
enum Line {
    Record(DynamicObject),
    Checkpoint(AuditCheckpoint),
}

impl Records {
    /// Reads a space with the rights of the kubeconfig, which every viewer has.
    pub(super) async fn of_space(arguments: &SpaceArguments) -> Result<Self, Box<dyn Error>> {
        let (client, namespace) = connect(arguments.kubeconfig.as_deref()).await?;
        let space = arguments.namespace.clone().unwrap_or(namespace);
        // Checkpoints first: whatever a checkpoint has was there when it was written.
        let checkpoints = all::<AuditCheckpoint>(&client, &space).await?;
        let checkpoints = checkpoints.into_iter().map(typed).collect::<Result<_, _>>()?;
        Ok(Self { entries: all::<AuditRecord>(&client, &space).await?, checkpoints, space, ..Self::default() })
    }

    /// Reads what [`Records::lines`] has written. A line that is none of it is told, and the others are read: what is missing then
    /// shows in the checkpoints.
    pub(super) fn from_lines(text: &[u8]) -> Result<Self, Box<dyn Error>> {
        let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        let lines: Vec<(usize, Result<Line, String>)> = lines.map(|(number, line)| (number + 1, read(line))).collect();
        let space = lines.iter().filter_map(|(_, line)| line.as_ref().ok()).map(Line::space);
        let space = most(space).map(str::to_owned);
        let wrong = |number: usize, why: &str| format!("line {number}: {why}; give the output of gantry audit export");
        if let (None, Some((number, Err(why)))) = (&space, lines.first()) {
            return Err(wrong(*number, why).into());
        }
        let mut found = Self { space: space.unwrap_or_default(), ..Self::default() };
        for (number, line) in lines {
            match line.and_then(|line| line.of(&found.space)) {
                Ok(Line::Record(record)) => found.entries.push(record),
                Ok(Line::Checkpoint(checkpoint)) => found.checkpoints.push(checkpoint),
                Err(why) => found.unreadable.push(wrong(number, &why)),
            }
        }
        Ok(found)
    }

    /// One JSON object a line: what is sealed, and beside it who deleted something, if that is known; else nothing.
    pub(super) fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        let line = |kind: &str, meta: &ObjectMeta, spec: Value| {
            let mut said = json!({
                "apiVersion": API_VERSION,
                "kind": kind,
                "metadata": {"name": meta.name, "namespace": meta.namespace},
                "spec": spec,
            });
            if let (Some(author), Value::Object(said)) = (self.author(meta), &mut said) {
                said.insert(AUTHOR.to_owned(), author.clone());
            }
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

    /// Who deleted what a record says was deleted, if that is known.
    pub(super) fn author(&self, record: &ObjectMeta) -> Option<&Value> {
        record.name.as_ref().and_then(|name| self.authors.get(name))
    }
}

impl Line {
    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Record(record) => &record.metadata,
            Self::Checkpoint(checkpoint) => &checkpoint.metadata,
        }
    }

    fn space(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// Itself, if it is of this space.
    fn of(self, space: &str) -> Result<Self, String> {
        if self.space() == space {
            return Ok(self);
        }
        let name = self.meta().name.as_deref().unwrap_or_default();
        Err(format!("{name} is of space {}, and the others are of {space}", self.space()))
    }
}

fn read(line: &[u8]) -> Result<Line, String> {
    let object: DynamicObject = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let types = object.types.clone().unwrap_or_default();
    let name = object.metadata.name.clone().unwrap_or_default();
    match (types.api_version.as_str(), types.kind.as_str()) {
        (API_VERSION, "AuditRecord") => Ok(Line::Record(object)),
        (API_VERSION, "AuditCheckpoint") => {
            typed(object).map(Line::Checkpoint).map_err(|error| format!("AuditCheckpoint {name}: {error}"))
        }
        (version, kind) => Err(format!("{name} is of kind \"{kind}\" in \"{version}\"")),
    }
}

/// What is there most often.
fn most<'a>(words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_insert(0_usize) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(word, _)| word)
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
            ..Records::default()
        };
        let again = Records::from_lines(known.lines().unwrap().join("\n").as_bytes()).unwrap();
        assert_eq!(again.space, "shop");
        assert_eq!(seal::sealed(&again.entries[0]), seal::sealed(&known.entries[0]));
        assert_eq!(seal::checkpoint(&again.checkpoints[0]), Ok(checkpoint));
    }

    #[test]
    fn what_is_no_export_is_refused_with_its_line_and_so_is_each_line_that_does_not_belong_there() {
        for (text, told) in [
            ("no json", "line 1: expected"),
            (
                r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}"#,
                r#"line 1: x is of kind "Pod" in "v1"; give the output of gantry audit export"#,
            ),
            (r#"{"metadata": {"name": "x"}}"#, r#"line 1: x is of kind "" in """#),
        ] {
            let said = Records::from_lines(text.as_bytes()).unwrap_err().to_string();
            assert!(said.starts_with(told), "{said}");
        }
        let record = |name: &str, space: &str| json!({"apiVersion": API_VERSION, "kind": "AuditRecord", "metadata": {"name": name, "namespace": space}});
        let lines = [record("z", "other"), record("a", "shop"), record("b", "shop")].map(|line| line.to_string());
        let read = Records::from_lines([lines.join("\n").as_bytes(), b"\n\n\xff\n"].concat().as_slice()).unwrap();
        assert_eq!((read.space.as_str(), read.entries.len(), read.unreadable.len()), ("shop", 2, 2));
        assert!(read.unreadable[0].starts_with("line 1: z is of space other, and the others are of shop; "));
        assert!(read.unreadable[1].starts_with("line 5: "), "{:?}", read.unreadable);
        assert!(Records::from_lines(b"").unwrap().unreadable.is_empty());
    }
}
