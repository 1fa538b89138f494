//! A Git repository, served on loopback by plain HTTP as any Git server does: `git upload-pack` behind two paths.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// A repository with a branch `main`. It is served as long as the runtime of the test lives.
pub struct Repository {
    directory: PathBuf,
    /// Where it is served.
    pub url: String,
}

impl Repository {
    /// An empty repository in a folder of its own under `parent`.
    pub async fn create(parent: &std::path::Path, name: &str) -> Self {
        let directory = parent.join(format!("git-{name}"));
        std::fs::create_dir_all(&directory).expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/repository.git", listener.local_addr().expect("an address"));
        let repository = Self { directory: directory.clone(), url };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        let router = Router::new()
            .route("/repository.git/info/refs", get(refs))
            .route("/repository.git/git-upload-pack", post(pack))
            .with_state(directory);
        tokio::spawn(async move { axum::serve(listener, router).await });
        repository
    }

    /// Writes files (nothing removes one), commits, and gives back the commit.
    pub fn commit(&self, message: &str, files: &[(&str, Option<&str>)]) -> String {
        for (name, text) in files {
            let path = self.directory.join(name);
            match text {
                Some(text) => std::fs::write(path, text).expect("a file"),
                None => std::fs::remove_file(path).expect("a file that is there"),
            }
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Reverts the newest commit, and gives back the commit that does so.
    pub fn revert(&self) -> String {
        self.git(&["revert", "--no-edit", "HEAD"]);
        self.head()
    }

    /// The text of a file as it is now.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.join(name)).expect("a file that is there")
    }

    fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(&self.directory)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// What branches there are.
async fn refs(State(directory): State<PathBuf>) -> impl IntoResponse {
    let mut answer = b"001e# service=git-upload-pack\n0000".to_vec();
    answer.extend(upload_pack(&directory, &["--advertise-refs"], Bytes::new()).await);
    ([(CONTENT_TYPE, "application/x-git-upload-pack-advertisement")], answer)
}

/// What is in them.
async fn pack(State(directory): State<PathBuf>, request: Bytes) -> impl IntoResponse {
    let answer = upload_pack(&directory, &[], request).await;
    ([(CONTENT_TYPE, "application/x-git-upload-pack-result")], answer)
}

async fn upload_pack(directory: &std::path::Path, arguments: &[&str], request: Bytes) -> Vec<u8> {
    let mut child = tokio::process::Command::new("git")
        .args(["-c", "safe.directory=*", "upload-pack", "--stateless-rpc"])
        .args(arguments)
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git");
    let mut input = child.stdin.take().expect("a pipe");
    let written = tokio::spawn(async move { input.write_all(&request).await });
    let output = child.wait_with_output().await.expect("git runs");
    // Git may have read all that it needed.
    let _ = written.await;
    output.stdout
}
