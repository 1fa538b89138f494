//! What people are told while they wait for a build.

use std::io::Write;

/// Says a line on standard error, past what captures the output of a test: who runs `cargo test` on a clean machine waits for
/// minutes.
pub(crate) fn say(line: &str) {
    // Whoever closed it does not want to know.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "building a program: as a test it says so";

    #[test]
    fn a_line_is_said() {
        say(LINE);
    }

    #[test]
    fn what_is_said_is_seen_although_the_output_of_tests_is_captured() {
        let tests = std::env::current_exe().unwrap();
        let one = ["--exact", "progress::tests::a_line_is_said"];
        let ended = std::process::Command::new(tests).args(one).output().unwrap();
        assert!(ended.status.success());
        assert!(String::from_utf8_lossy(&ended.stderr).contains(LINE), "{ended:?}");
    }
}
