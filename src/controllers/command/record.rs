//! The record of a command that has ended: who had what done where, and how it ended; never what it showed. Pure.

use kube::core::ObjectMeta;

use crate::api::condition::cut;
use crate::api::v1alpha1::audit_command::{AuditCommandTarget, CommandPart};
use crate::api::v1alpha1::audit_object::AuditObject;
use crate::api::v1alpha1::audit_record::AuditKind;
use crate::api::v1alpha1::command_run::{CommandRunStatus, CommandTarget};
use crate::api::v1alpha1::{AuditRecord, AuditRecordSpec, CommandRun};
use crate::controllers::guard::vouched::is_vouched;
use crate::domain::guard::Guard;

/// The record of a command with the status that it is about to have. Of one that never began it says who asked only where the guard
/// vouches for that.
#[must_use]
pub fn record(command: &CommandRun, status: &CommandRunStatus, guard: &Guard) -> AuditRecord {
    let (meta, spec) = (&command.metadata, &command.spec);
    let uid = meta.uid.clone().unwrap_or_default();
    let workload = spec.logs.as_ref().map(|logs| &logs.workload);
    let workload = workload.or(spec.restart.as_ref().map(|restart| &restart.workload));
    AuditRecord {
        metadata: ObjectMeta {
            name: Some(format!("command-{uid}")),
            namespace: meta.namespace.clone(),
            ..ObjectMeta::default()
        },
        spec: AuditRecordSpec {
            kind: Some(AuditKind::Command),
            by: spec.by.clone().filter(|_| !status.targets.is_empty() || is_vouched(guard, command)),
            at: status.finished_at.clone(),
            object: Some(AuditObject::of(command)),
            project: Some(spec.project.clone()),
            environment: Some(spec.environment.clone()),
            command: Some(CommandPart {
                command: status.command.clone().unwrap_or_default(),
                workload: workload.cloned(),
                image: status.image.clone(),
                script_sha256: status.script_sha256.clone(),
                reason_given: spec.reason.clone(),
                phase: status.phase.clone().unwrap_or_default(),
                message: cut(status.message.as_deref().unwrap_or_default(), 1024),
                targets: status.targets.iter().map(target).collect(),
            }),
            ..AuditRecordSpec::default()
        },
    }
}

fn target(row: &CommandTarget) -> AuditCommandTarget {
    AuditCommandTarget {
        name: row.name.clone(),
        namespace: row.namespace.clone(),
        phase: row.phase.clone(),
        reason: row.reason.clone(),
        exit_code: row.exit_code,
        started_at: row.started_at.clone(),
        finished_at: row.finished_at.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::guard::always;

    #[test]
    fn it_says_who_what_where_and_how_it_ended_and_never_what_it_showed() {
        let command = json!({
            "metadata": {"name": "clean", "namespace": "shop", "uid": "u", "generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z"},
            "spec": {"environment": "dev", "project": "checkout", "reason": "CHG-1", "by": {"username": "ada"},
                "script": {"image": "tools:1", "run": "echo hello", "timeout": "1m"}},
        });
        let row = json!({"name": "eu", "namespace": "shop-eu", "phase": "Failed", "reason": "ExitCode", "exitCode": 3, "output": "hello"});
        let status = json!({"phase": "Failed", "finished": true, "command": "script", "message": "m", "image": "i",
            "scriptSha256": "h", "targets": [row]});
        let record =
            record(&serde_json::from_value(command).unwrap(), &serde_json::from_value(status).unwrap(), &always());
        let said = serde_json::to_value(&record).unwrap();
        assert_eq!((&said["metadata"]["name"], &said["spec"]["by"]["username"]), (&json!("command-u"), &json!("ada")));
        let expected = json!({
            "command": "script", "image": "i", "scriptSha256": "h", "reasonGiven": "CHG-1", "phase": "Failed", "message": "m",
            "targets": [{"name": "eu", "namespace": "shop-eu", "phase": "Failed", "reason": "ExitCode", "exitCode": 3}],
        });
        assert_eq!(said["spec"]["command"], expected);
        assert!(!said.to_string().contains("hello"));
    }
    #[test]
    fn whoever_a_command_names_that_never_began_is_recorded_only_if_the_guard_vouches_for_it() {
        let command = json!({
            "metadata": {"name": "clean", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-03-01T12:00:00Z"},
            "spec": {"environment": "dev", "project": "checkout", "reason": "CHG-1", "by": {"username": "ada"},
                "restart": {"workload": "Deployment/checkout"}},
        });
        let command: CommandRun = serde_json::from_value(command).unwrap();
        let refused: CommandRunStatus = serde_json::from_value(json!({"phase": "Failed", "finished": true})).unwrap();
        let row = json!({"name": "eu", "namespace": "shop-eu", "phase": "Failed"});
        let began = CommandRunStatus { targets: vec![serde_json::from_value(row).unwrap()], ..refused.clone() };
        let by =
            |status: &CommandRunStatus, guard: &Guard| record(&command, status, guard).spec.by.map(|by| by.username);
        assert_eq!(by(&refused, &always()).as_deref(), Some("ada"));
        assert_eq!(by(&refused, &Guard::default()), None);
        assert_eq!(by(&began, &Guard::default()).as_deref(), Some("ada"), "it was vouched for when it began");
    }
}
