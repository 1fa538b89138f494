//! `gantry audit verify` and `gantry audit export`: what happened in a space, checked and taken out, with the rights of whoever
//! asks.

mod events;
mod records;

use std::error::Error;

use crate::api::seal;
use crate::domain::audit::{Anchor, Report, verify};
use crate::settings::audit::{AuditCommand, ExportArguments, Format, VerifyArguments};
use records::Records;

/// Does what was asked, to standard output.
///
/// # Errors
/// When records cannot be read, and when they are not as they were sealed: then the process ends with another code than 0.
pub async fn run(command: AuditCommand) -> Result<(), Box<dyn Error>> {
    match command {
        AuditCommand::Verify(arguments) => check(&arguments).await,
        AuditCommand::Export(arguments) => export(&arguments).await,
    }
}

async fn check(arguments: &VerifyArguments) -> Result<(), Box<dyn Error>> {
    let records = match &arguments.file {
        Some(path) => Records::from_lines(&std::fs::read_to_string(path)?)?,
        None => Records::of_space(&arguments.space).await?,
    };
    let said = records.entries.iter().map(seal::sealed).map(|sealed| (sealed.record, sealed.hash)).collect();
    let mut unreadable = Vec::new();
    let mut checkpoints = Vec::new();
    for object in &records.checkpoints {
        match seal::checkpoint(object) {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            Err(why) => unreadable.push(why.to_string()),
        }
    }
    let report = verify(&said, &checkpoints, &arguments.kept);
    println!("{}", told(&records.space, checkpoints.len(), &report));
    let wrong: Vec<String> = unreadable.into_iter().chain(report.findings.iter().map(ToString::to_string)).collect();
    for finding in &wrong {
        println!("✗ {finding}");
    }
    match wrong.len() {
        0 => Ok(()),
        count => Err(format!("{count} things are not as they were sealed").into()),
    }
}

/// What is good, and what to keep.
fn told(space: &str, checkpoints: usize, report: &Report) -> String {
    let mut lines =
        vec![format!("space {space}: {} records are as {checkpoints} checkpoints sealed them", report.sealed)];
    if !report.unsealed.is_empty() {
        let names = report.unsealed.join(" ");
        lines.push(format!("not sealed yet, so written a moment ago or while Gantry did not run: {names}"));
    }
    if let Some(Anchor { number, root }) = report.newest {
        lines.push(format!("keep this outside, and give it the next time: --kept {number}:{root}"));
    }
    lines.join("\n")
}

async fn export(arguments: &ExportArguments) -> Result<(), Box<dyn Error>> {
    let records = Records::of_space(&arguments.space).await?;
    let lines = match arguments.format {
        Format::Json => records.lines()?,
        Format::CloudEvents => events::lines(&records.entries)?,
    };
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
}
