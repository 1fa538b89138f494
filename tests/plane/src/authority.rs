//! The certificate authority of one cluster.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::error::PlaneError;

/// Signs every certificate of one cluster. Its key never leaves the process.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate with its private key, both PEM.
#[derive(Clone)]
pub struct Credential {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credential")
    }
}

/// A credential in two files, for programs that take paths.
#[derive(Debug, Clone)]
pub struct CredentialFiles {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The private key's file, mode 0600.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority with a key of its own.
    ///
    /// # Errors
    /// No key could be made.
    pub fn create() -> Result<Self, PlaneError> {
        let failed = || refused("the cluster's authority");
        let key = KeyPair::generate().map_err(failed())?;
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        parameters.distinguished_name = named("gantry-plane", &[]);
        let certificate = parameters.self_signed(&key).map_err(failed())?.pem();
        Ok(Self { issuer: Issuer::new(parameters, key), certificate })
    }

    /// The authority's own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A credential for a server that is reached under `names` (host names and addresses).
    ///
    /// # Errors
    /// A name is not a host name.
    pub fn server(&self, name: &str, names: &[&str]) -> Result<Credential, PlaneError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(names).map_err(refused(name))?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.distinguished_name = named(name, &[]);
        self.sign(name, parameters)
    }

    /// A credential that the API server takes for the user `name` in `groups`.
    ///
    /// # Errors
    /// More than two groups, which a certificate of ours cannot say, or the signer refuses.
    pub fn client(&self, name: &str, groups: &[String]) -> Result<Credential, PlaneError> {
        if groups.len() > 2 {
            return Err(PlaneError::Unmet(format!("{name} has more than two groups: name at most two")));
        }
        let mut parameters = CertificateParams::default();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.distinguished_name = named(name, groups);
        self.sign(name, parameters)
    }

    fn sign(&self, subject: &str, mut parameters: CertificateParams) -> Result<Credential, PlaneError> {
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(refused(subject))?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(refused(subject))?;
        Ok(Credential { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Credential {
    /// Writes `<name>.crt` and `<name>.key` into `directory`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> Result<CredentialFiles, PlaneError> {
        let certificate = directory.join(format!("{name}.crt"));
        let key = directory.join(format!("{name}.key"));
        write_private(&certificate, self.certificate.as_bytes())?;
        write_private(&key, self.key.as_bytes())?;
        Ok(CredentialFiles { certificate, key })
    }
}

/// Writes a file that only its owner can read. Whoever reads it meanwhile sees the old content or the new one.
pub(crate) fn write_private(path: &Path, contents: &[u8]) -> Result<(), PlaneError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    let failed = || PlaneError::system(format!("writing {}", path.display()));
    let partial = path.with_extension(format!("partial{}", WRITTEN.fetch_add(1, Ordering::Relaxed)));
    let opened = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&partial);
    opened.map_err(failed())?.write_all(contents).map_err(failed())?;
    std::fs::rename(&partial, path).map_err(failed())
}

/// The signer keeps one entry for each spelling of a kind, and "organisation" has two spellings: its
/// name and its number.
fn named(name: &str, groups: &[String]) -> rcgen::DistinguishedName {
    let spellings = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    for (spelling, group) in spellings.into_iter().zip(groups) {
        subject.push(spelling, group.as_str());
    }
    subject
}

fn refused(subject: &str) -> impl FnOnce(rcgen::Error) -> PlaneError {
    let subject = subject.to_owned();
    move |source| PlaneError::Certificate { subject, source }
}
