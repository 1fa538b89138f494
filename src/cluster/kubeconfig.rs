//! The configuration that leads to the API server. What is wrong with it is one sentence that names file and field, and shows
//! nothing of what stands there: it may be a credential.

use std::path::Path;

use kube::Config;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError, LoadDataError};

/// Reads a kubeconfig, or takes what the environment offers: `KUBECONFIG`, the one in the home folder, or the pod's account.
///
/// # Errors
/// What is wrong with it, with the field and the remedy.
pub async fn read(path: Option<&Path>) -> Result<Config, String> {
    let Some(path) = path else {
        return Config::infer().await.map_err(|error| nothing_offered(&error));
    };
    let unusable = |error| format!("kubeconfig {}: {}", path.display(), wrong(&error));
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(unusable)?;
    // The library takes any text for a list of certificates, of none if need be.
    if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
        return Err(format!("kubeconfig {}: {NO_CERTIFICATE}", path.display()));
    }
    Ok(config)
}

const NO_CERTIFICATE: &str = "clusters[].cluster.certificate-authority-data: it is no certificate as PEM; give the one that signed the API server's";

fn nothing_offered(error: &InferConfigError) -> String {
    let kubeconfig = std::error::Error::source(error).and_then(|source| source.downcast_ref::<KubeconfigError>());
    let why = kubeconfig.map_or_else(|| "it cannot be read".to_owned(), wrong);
    format!("this is no pod with an account, and the kubeconfig that KUBECONFIG or the home folder names: {why}")
}

/// The field, what is wrong, and what to do.
fn wrong(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::FindPath => "there is none; give --kubeconfig or set KUBECONFIG".to_owned(),
        KubeconfigError::ReadConfig(why, _) => format!("it cannot be read ({why}); name a file that exists"),
        KubeconfigError::Parse(why) => {
            let place = why.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
            format!("it is no YAML of a kubeconfig{}; correct it there", place.unwrap_or_default())
        }
        KubeconfigError::CurrentContextNotSet => {
            "current-context: it is not set; choose one with kubectl config use-context".to_owned()
        }
        KubeconfigError::LoadContext(name) => {
            format!("current-context: contexts has no {name:?}; choose one with kubectl config use-context")
        }
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("contexts: the current one names the cluster {name:?}, which clusters does not have; add it")
        }
        KubeconfigError::MissingClusterUrl => {
            "clusters[].cluster.server: it is missing; give the API server's address".to_owned()
        }
        KubeconfigError::ParseClusterUrl(why) => {
            format!("clusters[].cluster.server: it is no address ({why}); give the API server's")
        }
        KubeconfigError::ParseProxyUrl(why) => {
            format!("clusters[].cluster.proxy-url: it is no address ({why}); correct or remove it")
        }
        KubeconfigError::LoadCertificateAuthority(why) => data("clusters[].cluster.certificate-authority", why),
        KubeconfigError::ParseCertificates(_) => NO_CERTIFICATE.to_owned(),
        KubeconfigError::LoadClientCertificate(why) => data("users[].user.client-certificate", why),
        KubeconfigError::LoadClientKey(why) => data("users[].user.client-key", why),
        // The library's words for the rest are fixed ones.
        other => format!("{other}; correct it"),
    }
}

fn data(field: &str, why: &LoadDataError) -> String {
    match why {
        LoadDataError::DecodeBase64(_) => format!("{field}-data: it is not base64; correct it"),
        LoadDataError::ReadFile(why, path) => {
            format!("{field}: the file {} cannot be read ({why}); name one that exists", path.display())
        }
        LoadDataError::NoBase64DataOrFile => format!("{field}-data: it is missing; give it"),
    }
}

#[cfg(test)]
mod tests;
