use serde_json::{Value, json};

use super::*;
use crate::domain::audit::{Checkpoint, Hash, Sealed};

#[test]
fn the_answer_says_what_is_good_what_is_too_new_and_what_to_keep() {
    let sealed = |record: &str| Sealed { record: record.into(), hash: Hash::leaf(record.as_bytes()) };
    let checkpoint = Checkpoint::after(None, [sealed("a")]);
    let records = ["a", "b"].map(|record| (record.to_owned(), sealed(record).hash)).into();
    let report = verify(&records, std::slice::from_ref(&checkpoint), &[]);
    let expected = format!(
        "space shop: 1 records are as 1 checkpoints sealed them\n\
         not sealed yet, so written a moment ago or while Gantry did not run: b\n\
         keep this outside, and give it the next time: --kept 1:{}",
        checkpoint.root
    );
    assert_eq!(told("shop", 1, &report), expected);
}

/// An export of four records that three checkpoints have sealed, as lines, and what was kept of it: the newest checkpoint.
fn export() -> (Vec<String>, Anchor) {
    let record = |name: &str, spec: Value| {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "shop", "uid": "u"}, "spec": spec}))
            .unwrap()
    };
    let step = json!({"name": "deploy", "namespace": "shop-dev", "phase": "Succeeded", "startedAt": "2026-01-01T00:00:01.000000Z"});
    let entries = vec![
        record(
            "approval-qqqq",
            json!({"kind": "Approval", "by": {"username": "bob"}, "approval": {"decision": "Reject", "counted": true}}),
        ),
        record(
            "block-wwww",
            json!({"kind": "Block", "block": {"blocked": true, "reason": "bug 42 \u{1b}[31m, \"loses\" Bücher"}}),
        ),
        record(
            "change-yyyy",
            json!({"kind": "Change", "change": {"action": "Changed", "missedSince": 2, "spec": "{\"order\":10}"}}),
        ),
        record("promotion-zzzz", json!({"phase": "Succeeded", "applied": true, "priority": -10, "steps": [step]})),
    ];
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for batch in [&entries[..1], &entries[1..3], &entries[3..]] {
        let before = checkpoints.last().map(Checkpoint::anchor);
        checkpoints.push(Checkpoint::after(before, batch.iter().map(seal::sealed)));
    }
    let kept = checkpoints[2].anchor();
    let checkpoints = checkpoints.iter().map(|one| seal::object("shop", one)).collect();
    let records = Records { space: "shop".into(), entries, checkpoints, ..Records::default() };
    (records.lines().unwrap(), kept)
}

/// What a check of these lines finds wrong.
fn wrong(lines: &[impl AsRef<[u8]>], kept: Anchor) -> Vec<String> {
    let text: Vec<&[u8]> = lines.iter().map(AsRef::as_ref).collect();
    Records::from_lines(&text.join(&b'\n')).map_or_else(|error| vec![error.to_string()], |read| judge(&read, &[kept]).1)
}

/// How findings name what each line is of.
const NAMES: [&[&str]; 7] = [
    &["record approval-qqqq"],
    &["record block-wwww"],
    &["record change-yyyy"],
    &["record promotion-zzzz"],
    &["checkpoint 1 ", "checkpoint-0000000001"],
    &["checkpoint 2 ", "checkpoint-0000000002"],
    &["checkpoint 3 ", "checkpoint-0000000003"],
];

/// Whether these findings blame this line and no other one.
fn blames(findings: &[String], place: usize) -> bool {
    let is_of = |finding: &String| NAMES[place].iter().any(|name| finding.contains(name));
    let is_line = |finding: &String| {
        // An edit may break the line in two.
        (place + 1..=place + 2).any(|number| finding.starts_with(&format!("line {number}: ")))
    };
    // The name of a checkpoint may be what was edited; then its number says which one it is.
    let misnamed = |finding: &String| finding.starts_with("AuditCheckpoint ");
    findings.iter().any(is_of) && findings.iter().all(|finding| is_of(finding) || is_line(finding) || misnamed(finding))
}

#[test]
fn any_bit_of_an_export_that_is_changed_is_found_and_named_to_its_record_or_checkpoint() {
    let (lines, kept) = export();
    assert_eq!(wrong(&lines, kept), Vec::<String>::new());
    let mut found = 0_usize;
    for (place, line) in lines.iter().enumerate() {
        let known: Value = serde_json::from_str(line).unwrap();
        for (at, bit) in (0..line.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut edited = line.clone().into_bytes();
            edited[at] ^= 1 << bit;
            // The case of hexadecimal digits of an escaped character says nothing.
            if serde_json::from_slice::<Value>(&edited).is_ok_and(|said| said == known) {
                continue;
            }
            let told = String::from_utf8_lossy(&edited).into_owned();
            let mut all: Vec<Vec<u8>> = lines.iter().map(|line| line.clone().into_bytes()).collect();
            all[place] = edited;
            let findings = wrong(&all, kept);
            assert!(blames(&findings, place), "byte {at}, bit {bit} of {told}: {findings:#?}");
            found += 1;
        }
    }
    assert!(found > 8 * lines.iter().map(String::len).sum::<usize>() - 10, "{found}");
}

#[test]
fn each_line_of_an_export_that_is_dropped_is_named() {
    let (lines, kept) = export();
    for place in 0..lines.len() {
        let mut rest = lines.clone();
        rest.remove(place);
        let findings = wrong(&rest, kept);
        assert!(blames(&findings, place) && findings.len() == 1, "{place}: {findings:#?}");
    }
}

#[test]
fn an_export_that_ends_early_wherever_that_is_does_not_pass_for_the_whole() {
    let (lines, kept) = export();
    let text = lines.join("\n");
    for end in 0..text.len() {
        let findings = wrong(&[&text.as_bytes()[..end]], kept);
        assert!(!findings.is_empty(), "{end}");
    }
    // The last checkpoints gone, and then the records, too.
    for left in 0..lines.len() {
        let findings = wrong(&lines[..left], kept);
        let cut = "checkpoint 3 was kept outside and is not here: the history was cut, or is another";
        assert!(findings.iter().any(|finding| finding == cut), "{left}: {findings:#?}");
    }
}
