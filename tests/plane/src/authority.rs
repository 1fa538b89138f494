//! The certificate authority of one cluster.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SigningKey as _,
};
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, construct_der, parse_der};

use crate::error::PlaneError;

/// The attributes of a subject: whose it is, and the groups.
const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];
const ORGANISATION: [u64; 4] = [2, 5, 4, 10];
/// How many parts the body of our certificates has, and which of them is the subject.
const PARTS: usize = 8;
const SUBJECT: usize = 5;

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
        parameters.distinguished_name = named("gantry-plane");
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
        parameters.distinguished_name = named(name);
        self.sign(name, parameters)
    }

    /// A credential that the API server takes for the user `name` in `groups`.
    ///
    /// # Errors
    /// The signer refuses.
    pub fn client(&self, name: &str, groups: &[String]) -> Result<Credential, PlaneError> {
        let mut parameters = CertificateParams::default();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.distinguished_name = named(name);
        let (certificate, key) = self.signed(name, parameters)?;
        let certificate = self.renamed(certificate.der(), &subject(name, groups)).map_err(refused(name))?;
        Ok(Credential { certificate: pem::encode(&pem::Pem::new("CERTIFICATE", certificate)), key })
    }

    /// A certificate with another subject, signed anew.
    fn renamed(&self, certificate: &[u8], subject: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let (parts, algorithm) = parts(certificate).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        let body = construct_der(|writer| {
            writer.write_sequence(|writer| {
                for (place, part) in parts.iter().enumerate() {
                    writer.next().write_der(if place == SUBJECT { subject } else { part });
                }
            });
        });
        let signature = self.issuer.key().sign(&body)?;
        Ok(construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(&body);
                writer.next().write_der(&algorithm);
                writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
            });
        }))
    }

    fn sign(&self, subject: &str, parameters: CertificateParams) -> Result<Credential, PlaneError> {
        let (certificate, key) = self.signed(subject, parameters)?;
        Ok(Credential { certificate: certificate.pem(), key })
    }

    /// A certificate, and its key as PEM.
    fn signed(
        &self,
        subject: &str,
        mut parameters: CertificateParams,
    ) -> Result<(rcgen::Certificate, String), PlaneError> {
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(refused(subject))?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(refused(subject))?;
        Ok((certificate, key.serialize_pem()))
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

fn named(name: &str) -> rcgen::DistinguishedName {
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// A subject of this name in these groups: to the API server each organisation is one. The signer keeps only one of them.
fn subject(name: &str, groups: &[String]) -> Vec<u8> {
    let attributes =
        std::iter::once((COMMON_NAME, name)).chain(groups.iter().map(|group| (ORGANISATION, group.as_str())));
    construct_der(|writer| {
        writer.write_sequence(|writer| {
            for (kind, value) in attributes {
                writer.next().write_set(|writer| {
                    writer.next().write_sequence(|writer| {
                        writer.next().write_oid(&ObjectIdentifier::from_slice(&kind));
                        writer.next().write_utf8_string(value);
                    });
                });
            }
        });
    })
}

/// The parts of a certificate's body, and the algorithm that it is signed by.
fn parts(certificate: &[u8]) -> ASN1Result<(Vec<Vec<u8>>, Vec<u8>)> {
    parse_der(certificate, |reader| {
        reader.read_sequence(|reader| {
            let parts = reader.next().read_sequence(|reader| (0..PARTS).map(|_| reader.next().read_der()).collect())?;
            let algorithm = reader.next().read_der()?;
            reader.next().read_der()?;
            Ok((parts, algorithm))
        })
    })
}

fn refused(subject: &str) -> impl FnOnce(rcgen::Error) -> PlaneError {
    let subject = subject.to_owned();
    move |source| PlaneError::Certificate { subject, source }
}
