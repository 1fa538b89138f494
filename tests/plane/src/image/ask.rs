//! Asking a running `sample` over HTTP.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The port that `sample` listens on unless `PORT` says otherwise.
const PORT: u16 = 8080;
/// A container on this machine that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than `sample` ever says, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What a container answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status, such as 200.
    pub status: u16,
    /// The body, without white space at its end.
    pub body: String,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody took the connection, or it broke.
    #[error("asking {address} for {path} failed: {source}")]
    Connection {
        /// The pod's address.
        address: IpAddr,
        /// The path.
        path: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// Somebody answered, but not in HTTP.
    #[error("{address} did not answer {path} in HTTP")]
    NotHttp {
        /// The pod's address.
        address: IpAddr,
        /// The path.
        path: String,
    },
}

/// `GET path` from the pod at `address`, port 8080, over a connection of its own.
///
/// # Errors
/// No connection, no answer within 5 s, or none in HTTP.
pub async fn ask(address: IpAddr, path: &str) -> Result<Answer, AskError> {
    let exchange = tokio::time::timeout(PATIENCE, exchange(address, path));
    let answer = exchange.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let text = answer.map_err(|source| AskError::Connection { address, path: path.to_owned(), source })?;
    parse(&text).ok_or_else(|| AskError::NotHttp { address, path: path.to_owned() })
}

async fn exchange(address: IpAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((address, PORT)).await?;
    // HTTP/1.0: the answer ends with the connection, and comes in one piece.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let text = "HTTP/1.0 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nnot ready\n";
        assert_eq!(parse(text), Some(Answer { status: 503, body: "not ready".to_owned() }));
        assert_eq!(parse("SSH-2.0-OpenSSH"), None);
    }
}
