//! The last lines that a container logged, for the message about its failure.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use super::ContainerRef;
use crate::steps::apply::deployer::Deployer;
use crate::steps::apply::problem::shortened;

/// How many lines are kept.
const LINES: usize = 20;
/// The most bytes that are kept: a status has room for little, and the log itself is where it was.
const BYTES: usize = 2 * 1024;
/// The most characters of a line.
const LINE: usize = 400;
/// The most bytes that are read: lines may be of any length.
const READ: i64 = 64 * 1024;

/// The last lines, as the deployer. None if they cannot be read: a failure stands without its log.
pub async fn tail(deployer: &Deployer, container: &ContainerRef) -> Vec<String> {
    let pods: Api<Pod> = Api::namespaced(deployer.client.clone(), &deployer.namespace);
    // A run that is cleaned up has no log, but the next one may have ended the same way.
    let runs = if container.previous { &[true, false][..] } else { &[false][..] };
    for previous in runs {
        let params = LogParams {
            container: Some(container.container.clone()),
            tail_lines: i64::try_from(LINES).ok(),
            limit_bytes: Some(READ),
            previous: *previous,
            ..LogParams::default()
        };
        match pods.logs(&container.pod, &params).await {
            Ok(text) if !text.trim().is_empty() => return last_lines(&text),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, %container, "the log of a container cannot be read"),
        }
    }
    Vec::new()
}

/// The last lines without control characters: they are shown in terminals. Secrets cannot be told from text here; whoever logs one
/// has shown it to everybody who may read logs.
fn last_lines(text: &str) -> Vec<String> {
    let plain = |line: &str| shortened(line.chars().filter(|c| !c.is_control()).collect::<String>().trim_end(), LINE);
    let mut room = BYTES;
    let mut kept: Vec<String> = Vec::new();
    for line in text.lines().rev().map(plain).skip_while(String::is_empty).take(LINES) {
        let Some(left) = room.checked_sub(line.len()) else { break };
        room = left;
        kept.push(line);
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    // Attack T29.
    #[test]
    fn the_last_lines_are_kept_in_order_and_without_control_characters() {
        assert_eq!(last_lines("a\n\u{1b}[31mred\u{1b}[0m\r\nlast\n\n"), ["a", "[31mred[0m", "last"]);
        assert_eq!(last_lines("\n\n"), [""; 0]);
    }

    #[test]
    fn no_log_is_too_long_for_a_status() {
        let many = (0..50).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let kept = last_lines(&many);
        assert_eq!(
            (kept.len(), kept.first().map(String::as_str), kept.last().map(String::as_str)),
            (20, Some("line 30"), Some("line 49"))
        );
        let long = format!("{}\n", "ä".repeat(5000)).repeat(30);
        let kept = last_lines(&long);
        assert!(kept.iter().map(String::len).sum::<usize>() <= BYTES);
        assert!(kept.iter().all(|line| line.chars().count() <= LINE));
        assert!(!kept.is_empty());
    }
}
