//! A secret that no log, error or debug output can show, and the credential that is made of it.

use std::fmt;

/// The user name that marks a password as an identity token (docker-credential-helpers, "Development").
pub(in crate::registry) const TOKEN_USER: &str = "<token>";

/// A password or token. Neither `Debug` nor `Display` ever shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for a request header, a helper's standard input or a login file, and nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// What floe shows to a registry or its token server.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Credential {
    /// Nothing: no source knows the host.
    #[default]
    Anonymous,
    /// A user name and its password.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token that the token server gave out at a login.
    IdentityToken {
        /// The user, where the source names one.
        username: Option<String>,
        /// The refresh token.
        token: Secret,
    },
    /// A token that the registry itself takes as Bearer, without a token server.
    RegistryToken(Secret),
}

impl Credential {
    /// A user name with its password.
    #[must_use]
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password { username: username.into(), password: Secret::new(password) }
    }

    /// User name and password as Basic joins them (RFC 7617); `None` for a credential that is shown otherwise.
    pub(in crate::registry) fn basic_pair(&self) -> Option<Secret> {
        let (username, secret) = match self {
            Self::Password { username, password } => (username.as_str(), password),
            Self::IdentityToken { username, token } => (username.as_deref().unwrap_or(TOKEN_USER), token),
            Self::RegistryToken(_) | Self::Anonymous => return None,
        };
        Some(Secret::new(format!("{username}:{}", secret.reveal())))
    }

    /// Whether nothing is shown.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_a_secret() {
        for credential in [
            Credential::password("user", "hunter2"),
            Credential::IdentityToken { username: None, token: Secret::new("hunter2") },
            Credential::RegistryToken(Secret::new("hunter2")),
        ] {
            assert!(!format!("{credential:?} {credential:#?}").contains("hunter2"));
        }
        assert_eq!(Secret::new("hunter2").to_string(), "***");
    }
}
