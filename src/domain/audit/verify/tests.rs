use super::super::checkpoint::Sealed;
use super::super::checkpoint::example::{chain, sealed};
use super::*;
use proptest::prelude::*;

fn records(names: &[&str]) -> BTreeMap<String, Hash> {
    names.iter().map(|name| ((*name).to_owned(), sealed(name).hash)).collect()
}

fn found(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_as_it_was_sealed_has_no_findings_and_what_is_too_new_is_named() {
    let checkpoints = chain(&[&["a", "b"], &["c"]]);
    let report = verify(&records(&["a", "b", "c", "d"]), &checkpoints, &[]);
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!((report.sealed, report.unsealed), (3, vec!["d".to_owned()]));
    assert_eq!(report.newest, Some(checkpoints[1].anchor()));
    assert_eq!(verify(&BTreeMap::new(), &[], &[]), Report::default());
}

// Attack T31.
#[test]
fn a_record_that_was_edited_or_deleted_is_named_with_the_checkpoint_that_has_it() {
    let checkpoints = chain(&[&["a", "b"], &["c"]]);
    let mut now = records(&["a", "b"]);
    now.insert("b".into(), Hash::leaf(b"something else"));
    assert_eq!(
        found(&verify(&now, &checkpoints, &[])),
        ["record c, sealed by checkpoint 2, is gone", "record b does not say what checkpoint 1 sealed"]
    );
}

#[test]
fn a_checkpoint_that_was_edited_deleted_or_replaced_is_named() {
    let known = chain(&[&["a"], &["b"], &["c"]]);
    let all = records(&["a", "b", "c"]);
    let without_second = [known[0].clone(), known[2].clone()];
    assert_eq!(found(&verify(&all, &without_second, &[])), ["checkpoint 2 is gone"]);
    let mut edited = known.clone();
    edited[1].records.clear();
    let said = "its root is not that of its records, so it says of none of them whether it is as it was";
    assert_eq!(found(&verify(&all, &edited, &[])), [format!("checkpoint 2 was edited: {said}")]);
    // Neither the record that it names nor the checkpoint after it is to blame.
    let mut forged = known.clone();
    (forged[0].records[0].hash, forged[1].root) = (Hash::leaf(b"x"), Hash::leaf(b"y"));
    let expected = [1, 2].map(|number| format!("checkpoint {number} was edited: {said}"));
    let report = verify(&all, &forged, &[]);
    assert_eq!((found(&report), report.sealed, report.unsealed), (expected.to_vec(), 1, Vec::new()));
    let mut replaced = known.clone();
    replaced[1] = Checkpoint::after(Some(known[0].anchor()), [sealed("x")]);
    assert_eq!(
        found(&verify(&records(&["a", "x", "c"]), &replaced, &[])),
        ["checkpoint 3 does not follow from the one before: one of them was replaced"]
    );
    let twice = chain(&[&["a"], &["a"]]);
    assert_eq!(found(&verify(&records(&["a"]), &twice, &[])), ["record a is sealed by checkpoint 1 and again by 2"]);
}

// Attack T31.
#[test]
fn a_history_that_was_cut_or_rewritten_shows_against_a_checkpoint_that_was_kept() {
    let known = chain(&[&["a"], &["b"]]);
    let anchor = known[1].anchor();
    let cut = verify(&records(&["a"]), &known[..1], &[anchor]);
    assert_eq!(found(&cut), ["checkpoint 2 was kept outside and is not here: the history was cut, or is another"]);
    let rewritten = chain(&[&["a"], &["x"]]);
    assert_eq!(
        found(&verify(&records(&["a", "x"]), &rewritten, &[anchor])),
        ["checkpoint 2 has another root than the one that was kept outside: the history was rewritten"]
    );
    assert_eq!(found(&verify(&records(&["a", "b"]), &known, &[anchor])), Vec::<String>::new());
}

/// A chain over records `r0`, `r1`… in batches of these sizes.
fn sealed_in(sizes: &[usize]) -> (BTreeMap<String, Hash>, Vec<Checkpoint>) {
    let (mut checkpoints, mut all): (Vec<Checkpoint>, Vec<Sealed>) = (Vec::new(), Vec::new());
    for size in sizes {
        let batch: Vec<Sealed> = (all.len()..all.len() + size).map(|n| sealed(&format!("r{n}"))).collect();
        checkpoints.push(Checkpoint::after(checkpoints.last().map(Checkpoint::anchor), batch.clone()));
        all.extend(batch);
    }
    (all.into_iter().map(|one| (one.record, one.hash)).collect(), checkpoints)
}

proptest! {
    #[test]
    fn whatever_is_taken_away_or_changed_after_it_was_anchored_is_found(
        sizes in prop::collection::vec(1_usize..5, 1..6), at: prop::sample::Index, what in 0..5
    ) {
        let (mut now, mut checkpoints) = sealed_in(&sizes);
        let anchors = [checkpoints.last().unwrap().anchor()];
        prop_assert_eq!(verify(&now, &checkpoints, &anchors).findings.len(), 0);
        let record = now.keys().nth(at.index(now.len())).unwrap().clone();
        let place = at.index(checkpoints.len());
        match what {
            0 => drop(now.remove(&record)),
            1 => drop(now.insert(record, Hash::leaf(b"edited"))),
            2 => drop(checkpoints.remove(place)),
            3 => drop(checkpoints[place].records.pop()),
            _ => {
                let before = place.checked_sub(1).map(|before| checkpoints[before].anchor());
                checkpoints[place] = Checkpoint::after(before, [sealed("forged")]);
            }
        }
        prop_assert!(!verify(&now, &checkpoints, &anchors).findings.is_empty());
    }
}
