//! Who this process is to the API server.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::{Api, Client};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// The name of the account that requests of this client are made with, asked until there is an answer. Everybody may ask.
pub async fn own(client: &Client) -> String {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    loop {
        let (parameters, question) = (PostParams::default(), SelfSubjectReview::default());
        match tokio::time::timeout(DEADLINE, reviews.create(&parameters, &question)).await {
            Ok(Ok(review)) => {
                let name = review.status.and_then(|status| status.user_info?.username);
                return name.unwrap_or_default();
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the API server does not say who this process is; it is asked again");
            }
            Err(_) => tracing::warn!("the API server does not answer who this process is; it is asked again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
