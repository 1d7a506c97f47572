//! Every rule by which a login is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use floe_destination::registry::credentials::{
    Credential, CredentialEnvironment, CredentialError, CredentialSources, Secret, find,
};
use tempfile::TempDir;

/// A helper that keeps each answer in a file named after the host, and writes down what it is asked.
const HELPER: &str = r#"#!/bin/sh
store=$(dirname "$0")/../store
mkdir -p "$store"
input=$(cat)
key=$input
[ "$1" = store ] && key=$(printf %s "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/')
file=$store/$(printf %s "$key" | tr '/:' '__')
echo "$1 $key" >> "$store/../asked"
case $1 in
  get) if [ -f "$file" ]; then cat "$file"; else echo "credentials not found in native keychain"; exit 1; fi ;;
  store) printf %s "$input" > "$file" ;;
  erase) rm "$file" ;;
  list) printf '{'; separator=
    for file in "$store"/*; do
      [ -f "$file" ] || continue
      printf '%s"%s":"%s"' "$separator" "$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' "$file")" \
        "$(sed 's/.*"Username":"\([^"]*\)".*/\1/' "$file")"
      separator=,
    done; printf '}' ;;
esac
"#;

/// A helper that cannot be used now.
const LOCKED: &str = "#!/bin/sh\necho 'the key ring is locked' >&2\nexit 1\n";

/// A home folder for one case.
pub(crate) struct Home {
    folder: TempDir,
    pub(crate) sources: CredentialSources,
}

impl Home {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path();
        for (name, text) in [("bin/docker-credential-fake", HELPER), ("bin/docker-credential-locked", LOCKED)]
        {
            write(path, name, text);
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o755)).expect("a program");
        }
        for (name, text) in files {
            write(path, name, text);
        }
        let environment = CredentialEnvironment {
            runtime_dir: Some(path.join("run")),
            home: Some(path.to_owned()),
            search_path: Some(path.join("bin").into_os_string()),
            ..CredentialEnvironment::default()
        };
        let sources = CredentialSources { environment, ..CredentialSources::default() };
        Self { folder, sources }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn find(&self, name: &str) -> Result<Credential, CredentialError> {
        let (host, repository) = name.split_once('/').expect("host/repository");
        find(&self.sources, host, repository)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file")
    }
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// `user:` with the name of a case as its password, as `auths` has it.
fn auth(password: &str) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("user:{password}"));
    format!(r#"{{"auth":"{text}"}}"#)
}

pub(crate) fn auths(entries: &[(&str, &str)]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(key, password)| format!(r#""{key}":{}"#, auth(password))).collect();
    format!(r#"{{"auths":{{{}}}}}"#, entries.join(","))
}

/// The password that was found, `token:…` for an identity token, `-` for nobody.
fn describe(credential: Credential) -> String {
    match credential {
        Credential::Anonymous => "-".to_owned(),
        Credential::Password { username, password } => format!("{username}:{}", password.reveal()),
        Credential::IdentityToken { token, .. } => format!("token:{}", token.reveal()),
        Credential::RegistryToken(token) => format!("bearer:{}", token.reveal()),
    }
}

pub(crate) fn check(home: &Home, name: &str, expected: &str) {
    let found = home.find(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(describe(found), expected, "{name}");
}

#[test]
fn asks_the_sources_in_their_order() {
    let host = "r.example";
    let named = |password: &str| auths(&[(host, password)]);
    let legacy = format!(r#"{{"{host}":{}}}"#, auth("dockercfg"));
    let mut home = Home::new(&[
        (".dockercfg", &legacy),
        (".docker/config.json", &named("docker")),
        (".config/containers/auth.json", &named("config")),
        ("run/containers/auth.json", &named("runtime")),
        ("given.json", &named("given")),
        ("variable.json", &named("variable")),
        ("dockerdir/config.json", &named("dockerdir")),
        ("other/containers/auth.json", &named("xdg")),
    ]);
    // From the last source to the first: each wins over those before.
    for (remove, expected) in [
        ("", "user:runtime"),
        ("run/containers/auth.json", "user:config"),
        (".config/containers/auth.json", "user:docker"),
        (".docker/config.json", "user:dockercfg"),
        (".dockercfg", "-"),
    ] {
        if !remove.is_empty() {
            fs::remove_file(home.path(remove)).expect("a file");
        }
        check(&home, "r.example/a", expected);
    }
    home.sources.environment.config_home = Some(home.path("other"));
    check(&home, "r.example/a", "user:xdg");
    home.sources.environment.docker_config = Some(home.path("dockerdir"));
    check(&home, "r.example/a", "user:dockerdir");
    home.sources.environment.registry_auth_file = Some(home.path("variable.json"));
    check(&home, "r.example/a", "user:variable");
    home.sources.environment.docker_auth_config = Some(Secret::new(named("inline")));
    check(&home, "r.example/a", "user:inline");
    home.sources.auth_file = Some(home.path("given.json"));
    check(&home, "r.example/a", "user:given");
    home.sources.explicit.insert(host.to_owned(), Credential::password("user", "explicit"));
    check(&home, "r.example/a", "user:explicit");
    check(&home, "other.example/a", "-");
}

#[test]
fn exclusive_sources_have_nothing_behind_them() {
    let mut home = Home::new(&[
        (".docker/config.json", &auths(&[("r.example", "docker")])),
        ("empty.json", "{}"),
        ("dockerdir/other", ""),
    ]);
    // Inline JSON that does not know the host is not exclusive.
    home.sources.environment.docker_auth_config = Some(Secret::new(auths(&[("x.example", "inline")])));
    check(&home, "r.example/a", "user:docker");
    home.sources.environment.docker_config = Some(home.path("dockerdir"));
    check(&home, "r.example/a", "-");
    home.sources.environment.registry_auth_file = Some(home.path("absent.json"));
    check(&home, "r.example/a", "-");
    home.sources.auth_file = Some(home.path("empty.json"));
    check(&home, "r.example/a", "-");
}

#[test]
fn takes_the_longest_key() {
    let home = Home::new(&[(
        ".docker/config.json",
        &auths(&[
            ("r.example", "host"),
            ("r.example/a", "a"),
            ("r.example/a/b", "ab"),
            ("r.example/a/b/c", "abc"),
            ("https://scheme.example/v1/", "scheme"),
            ("http://plain.example", "plain"),
            ("r.example:5000", "port"),
            ("https://index.docker.io/v1/", "hub"),
            ("docker.io/team", "hub-team"),
        ]),
    )]);
    for (name, expected) in [
        ("r.example/a/b/c", "user:abc"),
        ("r.example/a/b/c/d", "user:abc"),
        ("r.example/a/b/x", "user:ab"),
        ("r.example/a/bb", "user:a"),
        ("r.example/aa", "user:host"),
        ("r.example:5000/a", "user:port"),
        ("scheme.example/x", "user:scheme"),
        ("plain.example/x", "user:plain"),
        ("docker.io/library/nginx", "user:hub"),
        ("registry-1.docker.io/library/nginx", "user:hub"),
        ("index.docker.io/library/nginx", "user:hub"),
        ("docker.io/team/app", "user:hub-team"),
        ("other.example/a", "-"),
    ] {
        check(&home, name, expected);
    }
    for key in ["docker.io", "index.docker.io", "registry-1.docker.io", "https://registry-1.docker.io/v2/"] {
        let home = Home::new(&[(".docker/config.json", &auths(&[(key, "hub")]))]);
        check(&home, "docker.io/library/nginx", "user:hub");
    }
    // A namespace's key is not its host's.
    let home = Home::new(&[(".docker/config.json", &auths(&[("r.example/a", "a")]))]);
    check(&home, "r.example/b", "-");
}

#[test]
fn reads_every_form_of_entry() {
    for (entry, expected) in [
        (r#"{"auth":"dXNlcjpwYXNz"}"#, "user:pass"),
        (r#"{"auth":"dXNlcjpwYTpzcw=="}"#, "user:pa:ss"),
        (r#"{"auth":"dXNlcjpwYTpzcw"}"#, "user:pa:ss"),
        // "user:pass" with NULs behind it.
        (r#"{"auth":"dXNlcjpwYXNzAAAA"}"#, "user:pass"),
        (r#"{"username":"user","password":"plain"}"#, "user:plain"),
        (r#"{"auth":"","username":"user","password":"plain"}"#, "user:plain"),
        (r#"{"auth":"dXNlcjo=","identitytoken":"abc"}"#, "token:abc"),
        (r#"{"registrytoken":"abc"}"#, "bearer:abc"),
        (r#"{"auth":"dXNlcjpwYXNz","email":"x@y.example","more":1}"#, "user:pass"),
        ("{}", "-"),
        ("null", "-"),
    ] {
        let home = Home::new(&[(".docker/config.json", &format!(r#"{{"auths":{{"r.example":{entry}}}}}"#))]);
        check(&home, "r.example/a", expected);
    }
    for text in ["", "{}", r#"{"auths":null}"#, r#"{"auths":{},"credsStore":"","credHelpers":null}"#] {
        check(&Home::new(&[(".docker/config.json", text)]), "r.example/a", "-");
    }
}

#[test]
fn an_empty_entry_does_not_end_the_search() {
    let home = Home::new(&[
        ("run/containers/auth.json", r#"{"auths":{"r.example":{}}}"#),
        (".docker/config.json", &auths(&[("r.example", "docker")])),
    ]);
    check(&home, "r.example/a", "user:docker");
}

#[test]
fn asks_helpers() {
    let answer = r#"{"ServerURL":"r.example","Username":"user","Secret":"helped"}"#;
    let token = r#"{"Username":"<token>","Secret":"abc"}"#;
    let stored: &[(&str, &str)] = &[
        ("store/r.example", answer),
        ("store/t.example", token),
        ("store/https___index.docker.io_v1_", &answer.replace("r.example", "hub")),
    ];
    let config = |text: &str| {
        let mut files = stored.to_vec();
        files.push((".docker/config.json", text));
        Home::new(&files)
    };
    let store = config(r#"{"auths":{"r.example":{}},"credsStore":"fake"}"#);
    for (name, expected) in [
        ("r.example/a", "user:helped"),
        ("t.example/a", "token:abc"),
        ("docker.io/library/nginx", "user:helped"),
        ("absent.example/a", "-"),
    ] {
        check(&store, name, expected);
    }
    // The helper sees a host and never a path.
    let asked = store.read("asked");
    assert!(asked.lines().any(|line| line == "get r.example"), "{asked}");
    assert!(!asked.contains("r.example/a"), "{asked}");

    // The host's helper comes before `auths`, `credsStore` behind.
    let both = format!(r#"{{"credHelpers":{{"r.example":"fake"}},{}"#, &auths(&[("r.example", "file")])[1..]);
    check(&config(&both), "r.example/a", "user:helped");
    let both = format!(r#"{{"credsStore":"fake",{}"#, &auths(&[("r.example", "file")])[1..]);
    check(&config(&both), "r.example/a", "user:file");
    check(&config(r#"{"credHelpers":{"r.example":"fake"}}"#), "t.example/a", "-");
}

#[test]
fn failures_are_told_without_secrets() {
    let secret = "aHVudGVyMg";
    for (text, part) in [
        (format!(r#"{{"auths":{{"r.example":{{"auth":"{secret}"}}}}}}"#), "config.json"),
        (format!(r#"{{"auths":{{"r.example":{{"auth":"{secret}"#), "line 1"),
        (r#"{"credsStore":"locked"}"#.to_owned(), "r.example"),
        (r#"{"credsStore":"absent"}"#.to_owned(), "r.example"),
        (r#"{"credsStore":"../bin/docker-credential-fake"}"#.to_owned(), "r.example"),
    ] {
        let home = Home::new(&[(".docker/config.json", &text)]);
        let error = home.find("r.example/a").expect_err(&text);
        let shown = format!("{} {error:?}", crate::image::whole(&error));
        assert!(shown.contains(part) && !shown.contains(secret), "{shown}");
    }
}
