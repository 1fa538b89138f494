use super::*;

/// What is said of a kubeconfig with this text.
async fn said(name: &str, text: &str) -> String {
    let path = std::env::temp_dir().join(format!("gantry-kubeconfig-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let said = read(Some(&path)).await.unwrap_err();
    std::fs::remove_file(&path).unwrap();
    said.strip_prefix(&format!("kubeconfig {}: ", path.display())).unwrap_or(&said).to_owned()
}

const GOOD: &str = r#"
apiVersion: v1
kind: Config
current-context: one
contexts: [{name: one, context: {cluster: shop, user: ann}}]
clusters: [{name: shop, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: ann, user: {token: s3cr3t}}]
"#;

#[tokio::test]
async fn what_is_wrong_with_a_kubeconfig_is_said_with_its_field_and_the_remedy() {
    let cases = [
        ("current-context: one", "", "current-context: it is not set; choose one with"),
        ("name: one", "name: two", "current-context: contexts has no \"one\"; choose one with"),
        (
            "name: shop",
            "name: store",
            "contexts: the current one names the cluster \"shop\", which clusters does not have",
        ),
        ("server: \"https://127.0.0.1:6443\"", "tls-server-name: x", "clusters[].cluster.server: it is missing; give"),
        ("https://127.0.0.1:6443", "a b", "clusters[].cluster.server: it is no address"),
        (
            "6443\"",
            "6443\", certificate-authority-data: \"?\"",
            "clusters[].cluster.certificate-authority-data: it is not base64",
        ),
        (
            "6443\"",
            "6443\", certificate-authority-data: aGk=",
            "clusters[].cluster.certificate-authority-data: it is no certificate",
        ),
        (
            "6443\"",
            "6443\", certificate-authority: /nowhere",
            "clusters[].cluster.certificate-authority: the file /nowhere cannot be read",
        ),
    ];
    for (n, (from, to, expected)) in cases.into_iter().enumerate() {
        let said = said(&n.to_string(), &GOOD.replacen(from, to, 1)).await;
        assert!(said.starts_with(expected), "{from} -> {to}: {said}");
    }
    let missing = read(Some(Path::new("/nowhere/config"))).await.unwrap_err();
    assert!(missing.starts_with("kubeconfig /nowhere/config: it cannot be read ("), "{missing}");
    assert!(missing.ends_with("; name a file that exists"), "{missing}");
}

#[tokio::test]
async fn nothing_of_a_kubeconfig_that_does_not_parse_is_shown() {
    for (n, text) in
        [GOOD.replace("s3cr3t", "s3cr3t: x"), GOOD.replace("{token: s3cr3t}", "s3cr3t"), "s3cr3t".to_owned()]
            .into_iter()
            .enumerate()
    {
        let said = said(&format!("secret-{n}"), &text).await;
        assert!(said.starts_with("it is no YAML of a kubeconfig at line "), "{said}");
        assert!(!said.contains("s3cr3t") && !said.contains('\n'), "{said}");
    }
}
