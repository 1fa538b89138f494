//! Who a client of the cluster is.

use sha2::{Digest as _, Sha256};

/// Groups that are longer than this are in the name of a file by their digest.
const LONG: usize = 100;

/// Who a client of the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// The user `gantry-plane-admin` in `system:masters`: may do everything.
    Admin,
    /// A user with a client certificate. RBAC alone says what it may do.
    User {
        /// The user's name.
        name: String,
        /// Its groups; `system:authenticated` comes by itself.
        groups: Vec<String>,
    },
    /// A service account that exists, with a token that lasts for a week.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Identity {
    /// A user without groups.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self::User { name: name.to_owned(), groups: Vec::new() }
    }

    /// A service account.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The name as the API server and its audit log say it.
    #[must_use]
    pub fn user_name(&self) -> String {
        match self {
            Self::Admin => "gantry-plane-admin".to_owned(),
            Self::User { name, .. } => name.clone(),
            Self::ServiceAccount { namespace, name } => format!("system:serviceaccount:{namespace}:{name}"),
        }
    }

    /// A file name of its own.
    pub(crate) fn file_name(&self) -> String {
        let mut groups = if let Self::User { groups, .. } = self { groups.join("+") } else { String::new() };
        if groups.len() > LONG {
            groups = Sha256::digest(groups).map(|byte| format!("{byte:02x}")).as_slice().concat();
        }
        let text = format!("{}+{groups}.kubeconfig", self.user_name());
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.+".contains(c) { c } else { '_' }).collect()
    }
}
