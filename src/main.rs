//! The `gantry` binary.

use std::error::Error;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match gantry::cli::run(std::env::args()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantry: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Libraries leave out of an error what its cause says.
fn with_causes(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        next = cause.source();
    }
    said
}
