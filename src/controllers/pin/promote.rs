//! Makes the promotion of a pin's generation, once.

use kube::Api;
use kube::api::PostParams;
use sha2::{Digest, Sha256};

use crate::api::v1alpha1::promotion::{Cause, WhenNotReady};
use crate::api::v1alpha1::{Pin, Promotion, PromotionSpec};
use crate::cluster::error::ClusterError;
use crate::controllers::context::Context;

/// The kind of cause that promotions of pins have.
pub const CAUSE: &str = "Pin";

/// Makes the promotion of this generation; one that it made before is left alone.
///
/// # Errors
/// When the API server does not take it, and when somebody else used its name: both are tried again, and told on the pin.
pub async fn promote(context: &Context, pin: &Pin) -> Result<(), ClusterError> {
    context.guard.admits()?;
    let wanted = promotion(pin);
    let (name, space) = (name(pin), pin.metadata.namespace.as_deref().unwrap_or_default());
    let promotions: Api<Promotion> = Api::namespaced(context.cluster.client(), space);
    match promotions.create(&PostParams::default(), &wanted).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(kube::Error::Api(status)) if status.code == 403 || status.code == 422 => {
            let what = format!("the API server does not take promotion {name}: {}", status.message);
            return Err(ClusterError::Refused { what });
        }
        Err(error) => return Err(ClusterError::api(format!("make promotion {name}"), error)),
    }
    let read = promotions.get_opt(&name).await;
    let known = read.map_err(|error| ClusterError::api(format!("read promotion {name}"), error))?;
    match known {
        Some(known) if known.spec.cause == wanted.spec.cause => Ok(()),
        Some(_) => Err(ClusterError::Refused {
            what: format!(
                "promotion {name} exists and was not made for this pin: change spec.retry to use another name"
            ),
        }),
        None => Err(ClusterError::Busy { object: format!("promotion {name}") }),
    }
}

/// The name of the promotion of this generation: `checkout-1.4.2-production-5f0c29ab`. People call theirs without the end, and names
/// are used once; a pin that is deleted and made again has another UID, and so another name. At most 200 characters, as its parts
/// are bounded.
#[must_use]
pub fn name(pin: &Pin) -> String {
    let (uid, generation) = (pin.metadata.uid.as_deref().unwrap_or_default(), pin.metadata.generation);
    let digest = Sha256::digest(format!("{uid}/{}", generation.unwrap_or_default()));
    let end = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{}-{}-{}-{end:08x}", pin.spec.project, pin.spec.version, pin.spec.environment)
}

/// The promotion as Gantry makes it: whoever changed the pin asks for it, and it waits for whatever it must.
#[must_use]
pub fn promotion(pin: &Pin) -> Promotion {
    let own_name = pin.metadata.name.clone().unwrap_or_default();
    let spec = PromotionSpec {
        project: pin.spec.project.clone(),
        version: pin.spec.version.clone(),
        environment: pin.spec.environment.clone(),
        reason: pin.spec.reason.clone().or_else(|| Some(format!("pin {own_name}"))),
        on_behalf_of: pin.spec.on_behalf_of.clone(),
        when_not_ready: WhenNotReady::Wait,
        requested_by: pin.spec.requested_by.clone(),
        cause: Some(Cause {
            kind: CAUSE.to_owned(),
            name: own_name,
            uid: pin.metadata.uid.clone().unwrap_or_default(),
            generation: pin.metadata.generation,
        }),
        ..PromotionSpec::default()
    };
    let mut promotion = Promotion::new(&name(pin), spec);
    promotion.metadata.namespace.clone_from(&pin.metadata.namespace);
    promotion
}
