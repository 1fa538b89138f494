//! A record is at most 8 KiB: what people said is cut first, then the ends of lists are left out and counted. Who, what, when and
//! how it ended stays. Pure.

use crate::api::condition::cut;
use crate::api::v1alpha1::{AuditRecord, AuditRecordSpec};

/// The most bytes of JSON that a record has.
pub const MOST: usize = 8192;
/// How long a text may be, tried one after the other.
const TEXTS: [usize; 6] = [4096, 1024, 512, 256, 128, 32];

/// The record as it may be written.
#[must_use]
pub fn fit(mut record: AuditRecord) -> AuditRecord {
    for longest in TEXTS {
        if size(&record) <= MOST {
            return record;
        }
        for text in texts(&mut record.spec) {
            *text = cut(text, longest);
        }
    }
    while size(&record) > MOST && leave_out_one(&mut record.spec) {
        record.spec.omitted = Some(record.spec.omitted.unwrap_or(0).saturating_add(1));
    }
    record
}

fn size(record: &AuditRecord) -> usize {
    serde_json::to_vec(record).map_or(usize::MAX, |json| json.len())
}

/// Whatever somebody said in his own words, and what is said for people.
fn texts(spec: &mut AuditRecordSpec) -> Vec<&mut String> {
    let mut texts = Vec::new();
    if let Some(ended) = &mut spec.ended {
        texts.push(&mut ended.message);
        texts.extend(&mut ended.reason_given);
        texts.extend(ended.freeze_override.as_mut().map(|given| &mut given.reason));
        texts.extend(ended.recovery.as_mut().map(|recovery| &mut recovery.reason));
        texts.extend(ended.approvals.iter_mut().filter_map(|approval| approval.comment.as_mut()));
    }
    if let Some(approval) = &mut spec.approval {
        texts.extend(&mut approval.void);
        texts.extend(&mut approval.comment);
    }
    texts.extend(spec.overridden.as_mut().map(|part| &mut part.reason));
    texts.extend(spec.block.as_mut().and_then(|block| block.reason.as_mut()));
    if let Some(command) = &mut spec.command {
        texts.push(&mut command.reason_given);
        texts.push(&mut command.message);
    }
    // The digest stands for the whole.
    texts.extend(spec.change.as_mut().and_then(|change| change.spec.as_mut()));
    texts
}

/// Leaves out the last entry of the longest list that is left. The snapshot of a promotion has all packages and steps.
fn leave_out_one(spec: &mut AuditRecordSpec) -> bool {
    if let Some(provisioning) = &mut spec.provisioning {
        return provisioning.objects.pop().is_some();
    }
    let Some(ended) = &mut spec.ended else { return false };
    let lengths = [ended.steps.len(), ended.packages.len(), ended.approvals.len()];
    match lengths.iter().max() {
        None | Some(0) => false,
        Some(most) if *most == ended.steps.len() => ended.steps.pop().is_some(),
        Some(most) if *most == ended.packages.len() => ended.packages.pop().is_some(),
        Some(_) => ended.approvals.pop().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record(spec: &serde_json::Value) -> AuditRecord {
        serde_json::from_value(json!({"metadata": {"name": "r", "namespace": "shop"}, "spec": spec})).unwrap()
    }

    fn ended(text: &str, steps: usize, packages: usize, approvals: usize) -> AuditRecord {
        let name = "n".repeat(63);
        let step = json!({"name": name, "namespace": name, "phase": "Succeeded",
            "startedAt": "2026-01-01T00:00:00.000000Z", "finishedAt": "2026-01-01T00:00:00.000000Z"});
        let package = json!({"name": name, "image": "i".repeat(255), "version": "v".repeat(128),
            "digest": format!("sha256:{}", "a".repeat(64))});
        let approval = json!({"by": {"username": "u".repeat(253), "uid": "i".repeat(64)}, "decision": "Approve",
            "at": "2026-01-01T00:00:00Z", "comment": text});
        record(&json!({
            "kind": "Promotion", "by": {"username": "u".repeat(253)}, "project": name, "environment": name,
            "object": {"kind": "Promotion", "name": "p".repeat(200), "uid": "u".repeat(36), "generation": 1},
            "promotion": "p".repeat(200), "promotionUid": "u".repeat(36), "version": name, "reasonGiven": text,
            "phase": "Failed", "reason": "CrashLoopBackOff", "message": text, "applied": true,
            "createdAt": "2026-01-01T00:00:00.000000Z", "finishedAt": "2026-01-01T00:00:00.000000Z",
            "requestedBy": {"username": "u".repeat(253)}, "snapshot": "s".repeat(253), "planDigest": "d".repeat(64),
            "steps": vec![step; steps], "packages": vec![package; packages], "approvals": vec![approval; approvals],
        }))
    }

    /// What is left when words and lists are taken away.
    fn facts(record: &AuditRecord) -> AuditRecordSpec {
        let mut spec = record.spec.clone();
        texts(&mut spec).into_iter().for_each(String::clear);
        spec.omitted = None;
        if let Some(ended) = &mut spec.ended {
            (ended.steps, ended.packages, ended.approvals) = (Vec::new(), Vec::new(), Vec::new());
        }
        spec
    }

    fn lists(record: &AuditRecord) -> usize {
        record.spec.ended.as_ref().map_or(0, |ended| ended.steps.len() + ended.packages.len() + ended.approvals.len())
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let small = ended("as it was", 3, 2, 1);
        assert_eq!(fit(small.clone()), small);
    }

    #[test]
    fn the_spec_of_a_change_is_cut_and_its_digest_stays() {
        let long = record(&json!({
            "kind": "Change", "at": "2026-01-01T00:00:00.000000Z", "object": {"kind": "Project", "name": "checkout", "uid": "u"},
            "change": {"action": "Changed", "digest": "d".repeat(64), "spec": "\"".repeat(4096)},
        }));
        let fitted = fit(long.clone());
        assert!(size(&fitted) <= MOST);
        let change = fitted.spec.change.unwrap();
        assert_eq!(change.digest, long.spec.change.unwrap().digest);
        assert!(change.spec.unwrap().ends_with('…'));
    }

    proptest! {
        #[test]
        fn it_is_never_longer_than_it_may_be_and_facts_are_never_cut(
            text in any::<String>().prop_map(|text| text.repeat(20)),
            control in any::<bool>(),
            steps in 0_usize..=32, packages in 0_usize..=20, approvals in 0_usize..=10,
        ) {
            // A control character is six bytes of JSON.
            let text = if control { "\u{1}".repeat(1024) } else { text };
            let known = ended(&text, steps, packages, approvals);
            let fitted = fit(known.clone());
            prop_assert!(size(&fitted) <= MOST, "{}", size(&fitted));
            prop_assert_eq!(facts(&fitted), facts(&known));
            let omitted = usize::try_from(fitted.spec.omitted.unwrap_or(0)).unwrap();
            prop_assert_eq!(lists(&fitted) + omitted, lists(&known), "what is left out is counted");
        }
    }
}
