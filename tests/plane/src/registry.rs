//! An image registry on this machine, with or without TLS, with or without a password.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::authority::{Credential, write_private};
use crate::error::PlaneError;
use crate::programs::{self, Program};
use crate::readiness::{answers, until_ready};
use crate::run::{Ending, Invocation, Run};

/// A user name and the password that goes with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Under which address a registry answers, and how.
#[derive(Debug, Clone, Default)]
pub enum Reach {
    /// `localhost`, plain HTTP: clients take that name without TLS.
    #[default]
    Local,
    /// [`REMOTE`], plain HTTP: clients take it for another machine.
    Plain,
    /// [`REMOTE`] with TLS, and this certificate for it.
    Tls(Credential),
}

/// An address of this machine that clients do not know as such.
pub const REMOTE: &str = "127.0.0.2";

impl Reach {
    const fn address(&self) -> &'static str {
        match self {
            Self::Local => "127.0.0.1",
            Self::Plain | Self::Tls(_) => REMOTE,
        }
    }
}

/// A service whose tokens a registry takes instead of passwords, as public registries do.
#[derive(Debug, Clone)]
pub struct TokenAuth {
    /// Where clients ask for a token.
    pub realm: String,
    /// Whom its tokens are for.
    pub service: String,
    /// Who signs them.
    pub issuer: String,
    /// The public keys, as a JSON Web Key Set.
    pub keys: Value,
}

/// What a registry should be like.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Who may read and write; everyone if nobody is named.
    pub auth: Option<Login>,
    /// Whose tokens it takes; without, it asks for the password itself.
    pub tokens: Option<TokenAuth>,
    /// How it is reached.
    pub reach: Reach,
}

/// A running registry. It ends with the run that it belongs to.
#[derive(Debug)]
pub struct Registry {
    run: Arc<Run>,
    name: String,
    port: u16,
    auth: Option<Login>,
    reach: Reach,
}

impl Registry {
    /// Starts a registry of its own, apart from any cluster.
    ///
    /// # Errors
    /// The program cannot be had, or does not become ready.
    pub async fn start(options: RegistryOptions) -> Result<Self, PlaneError> {
        let program = programs::ensure(Program::Registry).await?;
        let run = Arc::new(Run::create()?);
        let registry = Self::launch(run, "registry", Launch { program, options })?;
        registry.until_ready().await?;
        Ok(registry)
    }

    /// Starts a registry called `name` in `run`, without waiting for it.
    pub(crate) fn launch(run: Arc<Run>, name: &str, launch: Launch) -> Result<Self, PlaneError> {
        let Launch { program, options } = launch;
        let port = run.free_port()?;
        let auth = authentication(&run, name, &options)?;
        let tls = match &options.reach {
            Reach::Local | Reach::Plain => json!({}),
            Reach::Tls(credential) => {
                let files = credential.write(run.directory(), name)?;
                json!({ "certificate": files.certificate, "key": files.key })
            }
        };
        let address = format!("{}:{port}", options.reach.address());
        let http = json!({ "addr": address, "secret": "not shared with anyone", "tls": tls });
        let config = configuration(&run, name, (http, auth));
        let path = run.directory().join(format!("{name}.json"));
        write_private(&path, config.to_string().as_bytes())?;
        // Otherwise it would look for a trace collector on this machine.
        let environment = vec![("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned())];
        let arguments = vec!["serve".to_owned(), path.display().to_string()];
        run.start(name, Invocation { program, arguments, environment })?;
        Ok(Self { run, name: name.to_owned(), port, auth: options.auth, reach: options.reach })
    }

    /// Waits until it answers.
    pub(crate) async fn until_ready(&self) -> Result<(), PlaneError> {
        // With TLS it tells who asks without that so is no right request.
        let statuses = if self.is_secure() { &["400"][..] } else { &["200", "401"] };
        let server = (self.reach.address(), self.port);
        until_ready(&self.run, &self.name, async || answers(server, "/v2/", statuses).await).await
    }

    /// The host part of image names, with the port.
    #[must_use]
    pub fn host(&self) -> String {
        let name = if matches!(self.reach, Reach::Local) { "localhost" } else { REMOTE };
        format!("{name}:{}", self.port)
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self.reach, Reach::Tls(_))
    }

    /// Who may use it, if not everyone.
    #[must_use]
    pub const fn auth(&self) -> Option<&Login> {
        self.auth.as_ref()
    }

    /// Ends the program; what was pushed stays.
    ///
    /// # Errors
    /// It does not go.
    pub fn halt(&self) -> Result<(), PlaneError> {
        self.run.end(&self.name, Ending::Kill)
    }

    /// Starts the program again after [`Registry::halt`], with the same data and port.
    ///
    /// # Errors
    /// It cannot be started, or does not become ready.
    pub async fn resume(&self) -> Result<(), PlaneError> {
        self.run.start_again(&self.name)?;
        self.until_ready().await
    }
}

/// The program and how it should be.
pub(crate) struct Launch {
    pub(crate) program: std::path::PathBuf,
    pub(crate) options: RegistryOptions,
}

fn authentication(run: &Run, name: &str, options: &RegistryOptions) -> Result<Value, PlaneError> {
    if let Some(TokenAuth { realm, service, issuer, keys }) = &options.tokens {
        let path = run.directory().join(format!("{name}.jwks"));
        write_private(&path, keys.to_string().as_bytes())?;
        return Ok(json!({ "token": { "realm": realm, "service": service, "issuer": issuer, "jwks": path } }));
    }
    let Some(login) = &options.auth else { return Ok(Value::Null) };
    let path = run.directory().join(format!("{name}.htpasswd"));
    write_private(&path, password_line(login)?.as_bytes())?;
    Ok(json!({ "htpasswd": { "realm": "gantry-plane", "path": path } }))
}

fn configuration(run: &Run, name: &str, (http, auth): (Value, Value)) -> Value {
    let mut config = json!({
        "version": "0.1",
        "log": { "level": "info" },
        "storage": {
            "filesystem": { "rootdirectory": run.directory().join(format!("{name}-data")) },
            "delete": { "enabled": true },
        },
        "http": http,
    });
    if let (Some(fields), false) = (config.as_object_mut(), auth.is_null()) {
        fields.insert("auth".to_owned(), auth);
    }
    config
}

/// The registry takes bcrypt only. The cheapest cost: it is asked at every request.
fn password_line(login: &Login) -> Result<String, PlaneError> {
    let hash = bcrypt::hash(&login.password, 4)
        .map_err(|error| PlaneError::Unmet(format!("the password of {} cannot be hashed: {error}", login.user)))?;
    Ok(format!("{}:{hash}\n", login.user))
}
