//! The `gantry` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match gantry::cli::run(std::env::args()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gantry: {error}");
            ExitCode::FAILURE
        }
    }
}
