//! What the API server said against an object, without what it quotes of a Secret: validation, policies and webhooks of others
//! write values into their messages, of the Secret that is applied, of the one that is there, and of one that is to go. Pure.

use kube::core::Status;

use super::object::ObjectRef;
use super::refusal;
use crate::cluster::error::ClusterError;

/// After these words others say what they want.
const OTHERS: [&str; 2] = [" denied request", " denied the request"];
/// What the API server says with 403, 404 and 409 of itself, once what others say is cut off: it quotes no value.
const OWN: [&str; 5] =
    ["\" cannot ", "exceeded quota: ", "the object has been modified", "\" not found", "\" already exists"];
/// What stands for everything else.
const HIDDEN: &str =
    "the reason is not shown, since it may quote the Secret; whoever may read it sees the reason with kubectl";

/// The error of an action on an object.
pub(super) fn error(object: &ObjectRef, action: &str, error: kube::Error) -> ClusterError {
    let action = format!("{action} {object}");
    if object.is_secret() { of_secret(action, error) } else { ClusterError::api(action, error) }
}

/// The error of an action on a Secret.
#[must_use]
pub fn of_secret(action: String, error: kube::Error) -> ClusterError {
    let error = match error {
        kube::Error::Api(mut status) => {
            unquote(&mut status);
            kube::Error::Api(status)
        }
        other => other,
    };
    ClusterError::api(action, error)
}

fn unquote(status: &mut Status) {
    status.message = message(status.code, &status.message);
    let causes = status.details.iter_mut().flat_map(|details| &mut details.causes);
    // Who manages which field is no value.
    for cause in causes.filter(|cause| cause.reason != refusal::FIELD_CONFLICT) {
        cause.message.clone_from(&cause.reason);
    }
}

fn message(code: u16, said: &str) -> String {
    if let Some((before, _)) = OTHERS.iter().find_map(|words| said.split_once(words)) {
        return format!("{before} denied the request: {HIDDEN}");
    }
    if matches!(code, 403 | 404 | 409) && OWN.iter().any(|words| said.contains(words)) {
        return said.to_owned();
    }
    refusal::recognised(said).unwrap_or_else(|| HIDDEN.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const VALUE: &str = "hunter2-hunter2";

    fn said(kind: &str, status: Value) -> String {
        let object = ObjectRef {
            group: String::new(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: "shop-dev".into(),
            name: "database".into(),
        };
        let status: Status = serde_json::from_value(status).unwrap();
        format!("{:?}", error(&object, "apply", kube::Error::Api(status.into())))
    }

    #[test]
    fn nobody_s_words_about_a_secret_are_repeated_and_who_spoke_is_named() {
        let cause = json!({"reason": "FieldValueInvalid", "field": "data[token]", "message": VALUE});
        for (status, kept) in [
            (
                json!({"code": 403, "message": format!("secrets \"database\" is forbidden: ValidatingAdmissionPolicy 'strict' with binding 'all' denied request: {VALUE}")}),
                "ValidatingAdmissionPolicy 'strict' with binding 'all' denied the request",
            ),
            (
                json!({"code": 418, "message": format!("admission webhook \"a.b\" denied the request: User \"x\" cannot {VALUE}")}),
                "admission webhook \\\"a.b\\\" denied the request",
            ),
            (json!({"code": 422, "message": VALUE, "details": {"causes": [cause]}}), "FieldValueInvalid"),
            (json!({"code": 500, "message": format!("failed calling webhook: {VALUE}")}), "the reason is not shown"),
            (
                json!({"code": 500, "message": format!("failed to convert new object (x) to proper version: illegal base64 data at {VALUE}")}),
                "failed to convert new object: illegal base64",
            ),
        ] {
            let told = said("Secret", status);
            assert!(told.contains(kept) && !told.contains(VALUE), "{told}");
        }
        assert!(said("ConfigMap", json!({"code": 403, "message": VALUE})).contains(VALUE), "other kinds hold none");
    }

    #[test]
    fn what_the_api_server_says_of_itself_is_kept() {
        let conflict = json!({"reason": "FieldManagerConflict", "field": ".data.token", "message": "conflict with \"somebody\" using v1"});
        for status in [
            json!({"code": 403, "message": "secrets \"database\" is forbidden: User \"u\" cannot patch resource \"secrets\""}),
            json!({"code": 409, "message": "Operation cannot be fulfilled on secrets \"database\": the object has been modified"}),
        ] {
            assert!(said("Secret", status.clone()).contains(&status["message"].as_str().unwrap().replace('"', "\\\"")));
        }
        let told = said("Secret", json!({"code": 409, "message": "Apply failed", "details": {"causes": [conflict]}}));
        assert!(told.contains("somebody"), "{told}");
    }
}
