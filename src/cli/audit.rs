//! `gantry audit verify` and `gantry audit export`: what happened in a space, checked and taken out, with the rights of whoever
//! asks.

mod events;
mod records;
mod witness;

use std::error::Error;
use std::path::PathBuf;

use crate::api::seal;
use crate::domain::audit::{Anchor, Report, verify};
use crate::settings::audit::{AuditCommand, ExportArguments, Format, VerifyArguments};
use records::{AUTHOR, Records};
use witness::Log;

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
    let (report, mut wrong) = judge(&records, &arguments.kept);
    println!("{}", told(&records.space, records.checkpoints.len(), &report));
    let (deletions, differing) = deletions(&records, &arguments.witness.audit_log)?;
    for line in deletions {
        println!("{line}");
    }
    wrong.extend(differing);
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

/// Who deleted what by the API server's log, and where an export says something else.
fn deletions(records: &Records, paths: &[PathBuf]) -> Result<(Vec<String>, Vec<String>), Box<dyn Error>> {
    let log = Log::read(paths)?;
    let (mut lines, mut differing) = (log.unreadable.clone(), Vec::new());
    if paths.is_empty() {
        return Ok((lines, differing));
    }
    let said = |record: &str| records.entries.iter().find(|entry| entry.metadata.name.as_deref() == Some(record));
    for joined in log.join(&records.entries) {
        let author = said(&joined.record).and_then(|entry| entry.data.get(AUTHOR));
        if author.is_some_and(|author| *author != joined.author) {
            differing.push(format!("record {} names another author than the log: {}", joined.record, joined.told));
        }
        lines.push(joined.told);
    }
    Ok((lines, differing))
}

async fn export(arguments: &ExportArguments) -> Result<(), Box<dyn Error>> {
    let mut records = Records::of_space(&arguments.space).await?;
    let paths = &arguments.witness.audit_log;
    if !paths.is_empty() {
        let log = Log::read(paths)?;
        for line in &log.unreadable {
            eprintln!("{line}");
        }
        records.authors = log.join(&records.entries).into_iter().map(|joined| (joined.record, joined.author)).collect();
    }
    let lines = match arguments.format {
        Format::Json => records.lines()?,
        Format::CloudEvents => events::lines(&records)?,
    };
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
