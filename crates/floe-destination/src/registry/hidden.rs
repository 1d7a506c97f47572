//! What no text from outside may show: every secret of this client, in each form in which it is sent.
//!
//! Registries, token servers and proxies repeat what they were shown, and their words end up in errors, events and logs.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use reqwest::Url;

use super::credentials::{Credential, Secret};

/// Shorter secrets are found in ordinary words, and protect nothing.
const SHORTEST: usize = 4;

/// The secrets that were used so far.
#[derive(Default)]
pub(super) struct Hidden {
    forms: Mutex<BTreeSet<String>>,
}

impl Hidden {
    /// Hides the secrets of a login from now on.
    pub(super) fn add_login(&self, credential: &Credential) {
        match credential {
            Credential::Anonymous => {}
            Credential::Password { password: secret, .. }
            | Credential::IdentityToken { token: secret, .. }
            | Credential::RegistryToken(secret) => self.add(secret),
        }
        if let Some(pair) = credential.basic_pair() {
            self.forms().insert(STANDARD_NO_PAD.encode(pair.reveal()));
        }
    }

    /// Hides a token from now on.
    pub(super) fn add(&self, secret: &Secret) {
        if secret.reveal().len() < SHORTEST {
            return;
        }
        let mut form = Url::parse("form:").expect("a scheme alone is a URL");
        form.query_pairs_mut().append_key_only(secret.reveal());
        let forms = [secret.reveal().to_owned(), STANDARD_NO_PAD.encode(secret.reveal())];
        self.forms().extend(forms.into_iter().chain(form.query().map(str::to_owned)));
    }

    /// A text from outside with `***` in place of every secret.
    pub(super) fn blank(&self, text: &str) -> String {
        let forms = self.forms();
        let mut forms: Vec<&str> = forms.iter().map(String::as_str).collect();
        // A secret may be the beginning of another one.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.iter().fold(text.to_owned(), |text, form| text.replace(form, "***"))
    }

    fn forms(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Every change under this lock is an insertion, so a panic elsewhere left the set whole.
        self.forms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_every_form() {
        let hidden = Hidden::default();
        hidden.add_login(&Credential::password("user", "open sesame:1"));
        hidden.add(&Secret::new("tok"));
        hidden.add(&Secret::new("token-of-mine"));
        hidden.add(&Secret::new("token-of-mine-too"));
        for (text, expected) in [
            ("nothing of ours", "nothing of ours"),
            ("you sent open sesame:1, user", "you sent ***, user"),
            ("Basic dXNlcjpvcGVuIHNlc2FtZTox", "Basic ***"),
            ("password=open+sesame%3A1&x=y", "password=***&x=y"),
            ("token-of-mine-too and token-of-mine", "*** and ***"),
            ("a tok stays", "a tok stays"),
        ] {
            assert_eq!(hidden.blank(text), expected);
        }
    }
}
