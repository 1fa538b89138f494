//! A first promotion: a real cluster, Gantry in it, and `checkout` through dev, test and production.
//!
//! `cargo run --example demo` ends with exit code 0 only if every step really happened; `-- --keep` leaves everything running,
//! `-- --simulated` needs no root, `-- --within 120` fails if all of it takes longer than so many seconds, building aside.

#[path = "demo/stage.rs"]
mod stage;

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use gantry::api::condition::{self, ConditionType};
use gantry::api::v1alpha1::{Environment, Project, Promotion, Release};
use gantry_plane::image::ask;
use gantry_plane::node::simulated::FAIL;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::ListParams;
use stage::{Outcome, SPACE, Story};

/// How many changes of a promotion are told at most.
const CHANGES: usize = 20;

/// What the demo is asked for.
#[derive(Parser)]
#[command(about = "Starts a cluster, installs Gantry, and moves checkout through three environments")]
struct Arguments {
    /// Leaves everything running until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Simulates containers, even where real ones could run.
    #[arg(long)]
    simulated: bool,
    /// Fails if it takes longer than this once the programs are built, in seconds.
    #[arg(long, value_name = "SECONDS")]
    within: Option<u64>,
    /// The operator's arguments, when the demo starts itself as the operator.
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true)]
    operator: Option<Vec<String>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let told = match &arguments.operator {
        Some(operator) => gantry::cli::run(std::iter::once("gantry".to_owned()).chain(operator.clone())).await,
        None => Box::pin(demo(&arguments)).await,
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n✗ {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: &Arguments) -> Outcome<()> {
    // Whoever installed one before has the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let story = Story::begin(arguments.simulated).await?;
    story.install().await?;
    story.operator().await?;
    story.describe().await?;
    let begun = Instant::now();
    story.first_release().await?;
    story.second_release().await?;
    story.chosen_release().await?;
    story.broken_release().await?;
    story.back_again().await?;
    story.overview().await?;
    story.nothing_was_left_out()?;
    println!("\n✓ Everything above really happened, in {:.0?} since the first object was applied.", begun.elapsed());
    if let Some(within) = arguments.within.map(Duration::from_secs) {
        story.took_at_most(within)?;
    }
    story.end(arguments.keep).await
}

impl Story {
    /// Everything but releases and promotions.
    async fn describe(&self) -> Outcome<()> {
        let host = self.plane.registry().host();
        println!("\n▸ Team {SPACE} says what it has; its registry is {host} here");
        for name in ["1-space", "2-environments", "2-lifecycle", "3-project"] {
            self.sample(&format!("checkout/{name}")).await?;
        }
        for name in ["dev", "test", "production"] {
            let ready = self.until(name, |known: &Environment| {
                let status = known.status.as_ref();
                status.is_some_and(|status| condition::is_true(&status.conditions, ConditionType::Ready))
            });
            let namespaces = ready.await?.status.map(|status| status.targets).unwrap_or_default();
            let namespaces: Vec<_> = namespaces.into_iter().map(|target| target.namespace).collect();
            self.say(&format!("environment {name} is ready: namespace {}", namespaces.join(", ")));
        }
        let seen = |known: &Project| {
            known.status.as_ref().is_some_and(|status| condition::is_true(&status.conditions, ConditionType::Ready))
        };
        self.until("checkout", seen).await?;
        self.say("project checkout is ready");
        Ok(())
    }

    async fn first_release(&self) -> Outcome<()> {
        println!("\n▸ checkout 1.0.0: sealed, then through dev, test and production");
        self.sample("checkout/4-release-1.0.0").await?;
        self.sealed("checkout-1.0.0").await?;
        self.sample("checkout/5-promotions-1.0.0").await?;
        self.succeeds_everywhere("1.0.0").await
    }

    async fn second_release(&self) -> Outcome<()> {
        println!("\n▸ checkout 1.1.0: the same way");
        self.sample("later/1-release-1.1.0").await?;
        self.sealed("checkout-1.1.0").await?;
        self.sample("later/2-promotions-1.1.0").await?;
        self.succeeds_everywhere("1.1.0").await
    }

    /// All are asked for at once, and each waits for the one before it.
    async fn succeeds_everywhere(&self, version: &str) -> Outcome<()> {
        let ends = ["dev", "test", "production"].map(|environment| async move {
            self.succeeds(&format!("checkout-{version}-{environment}"), environment, version).await
        });
        futures::future::try_join_all(ends).await?;
        Ok(())
    }

    /// No version is named: the channel chooses.
    async fn chosen_release(&self) -> Outcome<()> {
        println!("\n▸ checkout 1.2.0-next: the highest version in the registry that channel next takes");
        self.sample("later/3-release-next").await?;
        let chosen = self.sealed("checkout-1.2.0-next").await?;
        if chosen != ["1.2.0-rc.1"] {
            return Err(format!("channel next should have chosen 1.2.0-rc.1, not {chosen:?}").into());
        }
        Ok(())
    }

    /// The digest is given, so the registry is not asked, and the release seals; its image cannot be pulled. Simulated containers
    /// pull every image, so there the pods of this one release say that they fail in the same way.
    async fn broken_release(&self) -> Outcome<()> {
        println!("\n▸ checkout 9.9.9: an image that does not exist");
        if !self.real {
            self.say("containers are simulated: the pods of this release are told to fail as a missing image does");
            self.project_whose_image_is_missing().await?;
        }
        self.sample("later/4-release-9.9.9").await?;
        self.sealed("checkout-9.9.9").await?;
        self.sample("later/5-promotion-9.9.9").await?;
        let name = "checkout-9.9.9-dev";
        let status = self.ended(name).await?.status.unwrap_or_default();
        let (phase, reason) = (status.phase.unwrap_or_default(), status.reason.unwrap_or_default());
        let message = status.message.unwrap_or_default();
        if phase != "Failed" || !["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str()) {
            return Err(format!("{name} should have failed for its image: {phase} ({reason}): {message}").into());
        }
        self.say(&format!("{name} failed ({reason}): {message}"));
        if !self.real {
            return self.sample("checkout/3-project").await;
        }
        let answers = self.versions("dev", "1.1.0").await?;
        if answers.is_empty() || answers.iter().any(|answer| !answer.contains("1.1.0")) {
            return Err(format!("dev should still answer 1.1.0, and answers {answers:?}").into());
        }
        self.say(&format!("dev still answers: {}", answers.join(", ")));
        Ok(())
    }

    /// The project of the sample, whose simulated pods cannot pull their image.
    async fn project_whose_image_is_missing(&self) -> Outcome<()> {
        let labels = "metadata: {labels: {app: checkout}}";
        let failing = format!("metadata: {{labels: {{app: checkout}}, annotations: {{{FAIL}: image-pull}}}}");
        let text = self.text_of("checkout/3-project")?;
        if !text.contains(labels) {
            return Err("the sample's pod template is not as it was: mend the demo".into());
        }
        self.apply(&text.replace(labels, &failing)).await
    }

    async fn back_again(&self) -> Outcome<()> {
        println!("\n▸ Back to checkout 1.0.0 in dev");
        self.sample("later/6-promotion-back").await?;
        self.succeeds("checkout-1.0.0-dev-again", "dev", "1.0.0").await
    }

    /// Waits until a release is sealed, and gives back the versions of its packages.
    async fn sealed(&self, name: &str) -> Outcome<Vec<String>> {
        let release = self.until(name, |known: &Release| {
            known.status.as_ref().is_some_and(|status| condition::is_true(&status.conditions, ConditionType::Sealed))
        });
        let mut versions = Vec::new();
        for package in release.await?.status.map(|status| status.packages).unwrap_or_default() {
            let short: String = package.digest.chars().take(19).collect();
            let version = package.version.unwrap_or_default();
            self.say(&format!("release {name} is sealed: {} is {}:{version}@{short}…", package.name, package.image));
            versions.push(version);
        }
        Ok(versions)
    }

    /// Waits for the end of a promotion, and tells what it says of itself until then, whenever that changes.
    async fn ended(&self, name: &str) -> Outcome<Promotion> {
        let told = RefCell::new(Vec::new());
        self.until(name, |known: &Promotion| {
            let Some(status) = &known.status else { return false };
            if let (Some(phase), Some(message), false) = (&status.phase, &status.message, status.finished) {
                let now = format!("{name} is {phase}: {message}");
                let mut told = told.borrow_mut();
                if told.last() != Some(&now) && told.len() < CHANGES {
                    self.say(&now);
                    told.push(now);
                }
            }
            status.finished
        })
        .await
    }

    /// The promotion succeeds, and the containers themselves say the version, and the value of a variable that differs by environment.
    async fn succeeds(&self, name: &str, environment: &str, version: &str) -> Outcome<()> {
        let status = self.ended(name).await?.status.unwrap_or_default();
        if status.phase.as_deref() != Some("Succeeded") {
            return Err(
                format!("{name}: {} {}", status.phase.unwrap_or_default(), status.message.unwrap_or_default()).into()
            );
        }
        let answers = self.versions(environment, version).await?;
        let stage = if environment == "production" { "for customers" } else { "for trying things out" };
        let as_wanted = |answer: &String| answer.contains(version) && answer.contains(stage);
        if self.real && (answers.is_empty() || !answers.iter().all(as_wanted)) {
            return Err(format!("{environment} answers {answers:?}, not {version} and {stage:?}").into());
        }
        let took = match (&status.started_at, &status.finished_at) {
            (Some(from), Some(to)) => format!(" in {:.1}s", to.0.duration_since(from.0).as_secs_f64()),
            _ => String::new(),
        };
        let said = if answers.is_empty() {
            String::new()
        } else {
            format!("; its containers run the sealed image and answer: {}", answers.join(", "))
        };
        self.say(&format!("{environment} runs {version}{took}{said}"));
        Ok(())
    }

    /// What the running containers of an environment answer over HTTP. Each of them must run the very image that the release of this
    /// version was sealed with: what it answers it might have been told.
    async fn versions(&self, environment: &str, version: &str) -> Outcome<Vec<String>> {
        if !self.real {
            return Ok(Vec::new());
        }
        let releases: Api<Release> = Api::namespaced(self.client.clone(), SPACE);
        let sealed = releases.get(&format!("checkout-{version}")).await?.status.unwrap_or_default().packages;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &format!("{SPACE}-{environment}"));
        let mut answers = Vec::new();
        for pod in pods.list(&ListParams::default().labels("app=checkout")).await? {
            let going = pod.metadata.deletion_timestamp.is_some();
            let Some(status) = pod.status.filter(|status| !going && is_ready(status)) else { continue };
            for container in status.container_statuses.iter().flatten() {
                if !sealed.iter().any(|package| container.image_id.ends_with(&package.digest)) {
                    return Err(format!("{environment} runs {}, not the image of {version}", container.image_id).into());
                }
            }
            if let Some(ip) = status.pod_ip {
                answers.push(ask(ip.parse()?, "/version").await?.body);
            }
        }
        Ok(answers)
    }

    /// What `kubectl get projects` cannot show in one line: a row an environment.
    async fn overview(&self) -> Outcome<()> {
        let recorded = |known: &Project| {
            let rows = known.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
            rows.iter().any(|row| row.last.as_ref().is_some_and(|last| last.promotion.ends_with("-again")))
        };
        let project = self.until("checkout", recorded).await?;
        println!("\n  ENVIRONMENT   RUNS     BEFORE   BY                   LAST PROMOTION");
        let mut runs = Vec::new();
        for row in project.status.map(|status| status.environments).unwrap_or_default() {
            let (version, by) = row.current.map(|current| (current.version, current.by)).unwrap_or_default();
            let before = row.previous.map(|previous| previous.version).unwrap_or_default();
            let last = row.last.map(|last| format!("{} {}", last.promotion, last.phase)).unwrap_or_default();
            println!("  {:<13} {version:<8} {before:<8} {by:<20} {last}", row.name);
            runs.push(format!("{} {version} {last}", row.name));
        }
        let expected = ["dev 1.0.0", "production 1.1.0", "test 1.1.0"];
        runs.sort();
        if runs.len() != expected.len()
            || !runs
                .iter()
                .zip(expected)
                .all(|(row, expected)| row.starts_with(expected) && row.ends_with(" Succeeded"))
        {
            return Err(format!("the overview should say {expected:?}, all succeeded, and says {runs:?}").into());
        }
        Ok(())
    }
}

fn is_ready(pod: &PodStatus) -> bool {
    pod.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
