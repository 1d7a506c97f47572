//! Contents: what a person names to be put into an image.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use floe_store::StorePath;

use super::BadValue;

/// Flake references that are told from paths by their beginning (Nix manual, "Flake references").
const SCHEMES: [&str; 15] = [
    "flake:",
    "github:",
    "gitlab:",
    "sourcehut:",
    "git:",
    "git+",
    "hg+",
    "path:",
    "tarball+",
    "tarball:",
    "file+",
    "file:",
    "http:",
    "https:",
    "indirect:",
];

/// One thing that an image is asked to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A store path, a link to one such as `./result`, or a plain directory.
    Path(PathBuf),
    /// What `nix build` takes: `.#app`, `nixpkgs#hello`, `github:owner/repository`.
    Installable(String),
}

impl Content {
    /// The same content with a relative path made relative to `directory`; the base name of a store
    /// path and a registry's name (`nixpkgs#hello`) belong to no directory and stay.
    pub(crate) fn within(self, directory: &Path) -> Self {
        match self {
            Self::Path(path) if is_base_name(&path) => Self::Path(path),
            Self::Path(path) => Self::Path(directory.join(path)),
            Self::Installable(text) => {
                let local = text.split_once('#').filter(|(flake, _)| is_local(flake));
                let Some((flake, attribute)) = local else { return Self::Installable(text) };
                match directory.join(flake).to_str() {
                    Some(flake) => Self::Installable(format!("{flake}#{attribute}")),
                    None => Self::Installable(text),
                }
            }
        }
    }
}

/// Whether a flake reference is a folder: it begins with `.` or `/`, or is empty.
fn is_local(flake: &str) -> bool {
    flake.is_empty() || flake.starts_with('.') || flake.starts_with('/')
}

fn is_base_name(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.parse::<StorePath>().is_ok())
}

impl FromStr for Content {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.contains(['\0', '\n']) {
            let expected = "a store path, a link to one, a directory, or a flake installable such as .#app";
            return Err(BadValue::new(text, "something to put into an image", expected));
        }
        let is_installable = text.contains('#') || SCHEMES.iter().any(|scheme| text.starts_with(scheme));
        if is_installable { Ok(Self::Installable(text.to_owned())) } else { Ok(Self::Path(text.into())) }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(formatter, "{}", path.display()),
            Self::Installable(text) => formatter.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_paths_from_installables_and_places_them() {
        for (text, expected) in [
            ("./result", Content::Path("/project/./result".into())),
            ("/srv/site", Content::Path("/srv/site".into())),
            (
                "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-app",
                Content::Path("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-app".into()),
            ),
            (".#app", Content::Installable("/project/.#app".to_owned())),
            ("./sub#app", Content::Installable("/project/./sub#app".to_owned())),
            ("nixpkgs#hello", Content::Installable("nixpkgs#hello".to_owned())),
            ("github:owner/app", Content::Installable("github:owner/app".to_owned())),
        ] {
            let content: Content = text.parse().expect("a content");
            assert_eq!(content.within(Path::new("/project")), expected, "{text}");
        }
        assert!("".parse::<Content>().is_err());
    }
}
