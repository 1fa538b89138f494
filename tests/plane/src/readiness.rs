//! Waiting until a program answers.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::PlaneError;
use crate::run::Run;

/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(25);
/// A probe that takes longer counts as "not ready".
const PROBE: Duration = Duration::from_secs(2);
/// How long a program may take to become ready. Generous: the machine may be building meanwhile.
const DEADLINE: Duration = Duration::from_secs(90);

/// Asks `probe` until it says yes. Gives up when the program called `name` has ended, or in time.
pub(crate) async fn until_ready<F>(run: &Run, name: &str, mut probe: F) -> Result<(), PlaneError>
where
    F: AsyncFnMut() -> bool,
{
    let start = Instant::now();
    loop {
        if tokio::time::timeout(PROBE, probe()).await.unwrap_or(false) {
            return Ok(());
        }
        let program = name.to_owned();
        if run.process_id(name).is_none() {
            return Err(PlaneError::Ended { program, log: run.log_tail(name) });
        }
        if start.elapsed() > DEADLINE {
            return Err(PlaneError::NotReady { program, seconds: DEADLINE.as_secs(), log: run.log_tail(name) });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether the plain HTTP server at an address and port answers `GET path` with one of `statuses`.
pub async fn answers(server: (&str, u16), path: &str, statuses: &[&str]) -> bool {
    status(server, path).await.is_some_and(|status| statuses.contains(&status.as_str()))
}

async fn status(server: (&str, u16), path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.ok()?;
    String::from_utf8_lossy(&answer).split_whitespace().nth(1).map(str::to_owned)
}
