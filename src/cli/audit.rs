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
        Some(path) => Records::from_lines(&std::fs::read(path)?)?,
        None => Records::of_space(&arguments.space).await?,
    };
    let (report, wrong) = judge(&records, &arguments.kept);
    println!("{}", told(&records.space, records.checkpoints.len(), &report));
    for finding in &wrong {
        println!("✗ {finding}");
    }
    match wrong.len() {
        0 => Ok(()),
        count => Err(format!("{count} things are not as they were sealed").into()),
    }
}

/// What a check finds, and everything that is wrong, in sentences.
fn judge(records: &Records, kept: &[Anchor]) -> (Report, Vec<String>) {
    let said = records.entries.iter().map(seal::sealed).map(|sealed| (sealed.record, sealed.hash)).collect();
    let (mut wrong, mut checkpoints) = (records.unreadable.clone(), Vec::new());
    for object in &records.checkpoints {
        match seal::checkpoint(object) {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            Err(why) => wrong.push(why.to_string()),
        }
    }
    let report = verify(&said, &checkpoints, kept);
    wrong.extend(report.findings.iter().map(ToString::to_string));
    (report, wrong)
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
mod tests;
