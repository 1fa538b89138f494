use serde_json::json;

use super::*;

fn pem(what: &str) -> String {
    STANDARD.encode(format!("-----BEGIN {what}-----\nMIIB\n-----END {what}-----\n"))
}

/// A kubeconfig that is taken.
fn good() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "eu", "preferences": {},
        "clusters": [{"name": "eu", "cluster": {
            "server": "https://eu.example.com:6443", "certificate-authority-data": pem("CERTIFICATE")}}],
        "users": [{"name": "gantry", "user": {"token": "swordfish"}}],
        "contexts": [{"name": "eu", "context": {"cluster": "eu", "user": "gantry", "namespace": "default"}}],
    })
}

fn with(pointer: &str, field: &str, value: Value) -> Value {
    let mut config = good();
    config.pointer_mut(pointer).unwrap()[field] = value;
    config
}

/// What is said against it.
fn said(config: &Value) -> Vec<String> {
    parse(&config.to_string()).err().unwrap_or_default().iter().map(Invalid::to_string).collect()
}

#[test]
fn a_server_whom_to_trust_and_one_credential_are_taken() {
    let read = parse(&good().to_string()).unwrap();
    assert_eq!(read.server, "https://eu.example.com:6443");
    assert!(read.authority.starts_with(b"-----BEGIN CERTIFICATE"));
    assert!(matches!(read.credential, Credential::Token(token) if token == "swordfish"));
    let user = json!({"client-certificate-data": pem("CERTIFICATE"), "client-key-data": pem("EC PRIVATE KEY")});
    let read = parse(&with("/users/0", "user", user).to_string()).unwrap();
    assert!(matches!(read.credential, Credential::Certificate { key, .. } if key.starts_with(b"-----BEGIN EC")));
    let yaml = serde_saphyr::to_string(&good()).unwrap();
    assert!(parse(&yaml).is_ok(), "as kubectl writes it: {yaml}");
}

// Attack T22.
#[test]
fn every_field_that_leads_out_of_the_text_is_refused_alone_with_its_name_and_a_remedy() {
    let (cluster, user) = ("clusters[0].cluster", "users[0].user");
    let table = [
        (
            user,
            "exec",
            json!({"command": "/bin/sh", "apiVersion": "client.authentication.k8s.io/v1"}),
            "it runs a program",
        ),
        (user, "auth-provider", json!({"name": "gcp"}), "it runs a program or asks another server"),
        (user, "tokenFile", json!("/var/run/secrets/token"), "it reads a file"),
        (user, "client-certificate", json!("/etc/cert.pem"), "it reads a file"),
        (user, "client-key", json!("/etc/key.pem"), "it reads a file"),
        (user, "username", json!("admin"), "API servers take no passwords"),
        (user, "password", json!("hunter2"), "API servers take no passwords"),
        (user, "as", json!("admin"), "it acts as somebody else"),
        (user, "as-uid", json!("1"), "it acts as somebody else"),
        (user, "as-groups", json!(["system:masters"]), "it acts as somebody else"),
        (user, "as-user-extra", json!({}), "it acts as somebody else"),
        (user, "extensions", json!([]), "it is not needed"),
        (cluster, "certificate-authority", json!("/etc/ca.pem"), "it reads a file"),
        (cluster, "insecure-skip-tls-verify", json!(true), "anybody could be that server"),
        (cluster, "insecure-skip-tls-verify", json!(false), "anybody could be that server"),
        (cluster, "proxy-url", json!("http://proxy"), "everything would go through another server"),
        (cluster, "tls-server-name", json!("other"), "the certificate must be that of the server"),
        (cluster, "disable-compression", json!(true), "it is not needed"),
    ];
    for (place, field, value, why) in table {
        let pointer = format!("/{}", place.replace("[0].", "/0/"));
        let said = said(&with(&pointer, field, value));
        let [said] = said.as_slice() else { panic!("{place}.{field}: {said:?}") };
        assert!(said.starts_with(&format!("{place}.{field}: {why}")) && said.matches(": ").count() == 2, "{said}");
    }
    let preferences = said(&with("", "preferences", json!({"colors": true})));
    assert_eq!(preferences, ["preferences: it is not needed: remove it or leave it empty"]);
}

// Attack T22.
#[test]
fn fields_that_nobody_knows_are_refused_wherever_they_are() {
    for pointer in ["", "/clusters/0", "/clusters/0/cluster", "/users/0", "/users/0/user", "/contexts/0/context"] {
        let said = said(&with(pointer, "swordfish", json!("x")));
        assert_eq!(said.len(), 1, "{pointer}: {said:?}");
        assert!(said[0].contains("it has a field that is not known: leave only "), "{said:?}");
        assert!(!said[0].contains("swordfish"), "{said:?}");
    }
}

#[test]
fn what_is_missing_ambiguous_or_not_by_https_is_refused_with_its_field() {
    let two = json!([good()["contexts"][0], good()["contexts"][0]]);
    let plain = "clusters[0].cluster.server: it is not the https:// address";
    let table = [
        (with("", "apiVersion", json!("v2")), "apiVersion: it is not v1"),
        (with("", "kind", json!("Secret")), "kind: it is not Config"),
        (with("", "contexts", two), "contexts: it must have exactly one entry"),
        (with("", "clusters", json!([])), "clusters: it must have exactly one entry"),
        (with("", "users", json!("x")), "users: it must have exactly one entry"),
        (with("", "current-context", json!("us")), "current-context: it does not name the one context"),
        (with("/contexts/0/context", "user", json!("x")), "contexts[0].context.user: it does not name the one user"),
        (
            with("/contexts/0/context", "cluster", json!(1)),
            "contexts[0].context.cluster: it does not name the one cluster",
        ),
        (with("/clusters/0/cluster", "server", json!(null)), "clusters[0].cluster.server: it is missing"),
        (with("/clusters/0/cluster", "server", json!("http://eu.example.com")), plain),
        (with("/clusters/0/cluster", "server", json!("https://")), plain),
        (with("/clusters/0/cluster", "server", json!("https://user:pass@eu.example.com")), plain),
        (with("/clusters/0/cluster", "server", json!("https://eu.example.com/?a=b")), plain),
        (with("/clusters/0/cluster", "server", json!("https://eu.example.com/../x")), plain),
        (with("/clusters/0/cluster", "server", json!("unix:///run/x")), plain),
        (
            with("/clusters/0/cluster", "certificate-authority-data", json!("!!")),
            "clusters[0].cluster.certificate-authority-data: it is no PEM",
        ),
        (
            with("/clusters/0/cluster", "certificate-authority-data", json!(null)),
            "clusters[0].cluster.certificate-authority-data: it is missing",
        ),
        (with("/users/0", "user", json!({})), "users[0].user: it has no credential"),
        (with("/users/0", "user", json!({"token": "two words"})), "users[0].user.token: it is no token"),
        (with("/users/0", "user", json!({"token": ""})), "users[0].user.token: it is no token"),
        (
            with("/users/0", "user", json!({"client-certificate-data": pem("CERTIFICATE")})),
            "users[0].user.client-key-data: it is missing",
        ),
        (with("/users/0/user", "client-key-data", json!(pem("KEY"))), "users[0].user: it has two credentials"),
        (with("/users/0", "name", json!("")), "users[0].user: it is missing"),
    ];
    for (config, expected) in table {
        let said = said(&config);
        assert!(said.iter().any(|one| one.starts_with(expected)), "{expected}: {said:?}");
    }
}

#[test]
fn a_text_that_is_no_kubeconfig_or_made_to_exhaust_a_parser_is_refused() {
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    let twice = format!("{}\nkind: Config\n", serde_saphyr::to_string(&good()).unwrap());
    for text in ["", "x", "[]", ": :", bomb, &twice, "a: 1\n---\nb: 2\n", &"[".repeat(1000)] {
        let wrong = parse(text).err().unwrap_or_default();
        assert_eq!(wrong.len(), 1, "{text:.20}: {wrong:?}");
        assert!(wrong[0].to_string().starts_with("kubeconfig: it is no YAML object"), "{wrong:?}");
    }
    let long = parse(&" ".repeat(LONGEST + 1)).err().unwrap();
    assert_eq!(long[0].reason, InvalidReason::TooLarge);
}

#[test]
fn no_credential_shows_in_a_message_or_in_a_log() {
    let mut config = with("/users/0/user", "client-key-data", json!("swordfish"));
    config["clusters"][0]["cluster"]["server"] = json!("https://swordfish@eu");
    assert!(!said(&config).join(" ").contains("swordfish"));
    assert!(!format!("{:?}", parse(&good().to_string()).unwrap()).contains("swordfish"));
}
