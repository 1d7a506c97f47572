//! Where a login is kept, listed and forgotten.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use floe_destination::registry::credentials::{
    CredentialSources, Login, LoginName, LoginPlace, Secret, login, logins, logout, logout_all,
};

use crate::credentials::{Home, auths, check};

const NOWHERE: [LoginPlace; 0] = [];

fn named(text: &str) -> LoginName {
    text.parse().expect("a registry")
}

/// Changes what the process was started with, given the home folder's paths.
type Surroundings = fn(&mut CredentialSources, &dyn Fn(&str) -> std::path::PathBuf);

#[test]
fn writes_the_file_that_is_read() {
    let with_host = auths(&[("r.example", "old")]);
    let nothing: Surroundings = |_, _| {};
    let docker_config: Surroundings =
        |sources, path| sources.environment.docker_config = Some(path("docker"));
    let variable: Surroundings = |sources, path| {
        sources.environment.docker_config = Some(path("docker"));
        sources.environment.registry_auth_file = Some(path("variable.json"));
    };
    let given: Surroundings = |sources, path| {
        sources.environment.registry_auth_file = Some(path("variable.json"));
        sources.environment.docker_auth_config = Some(Secret::new("{}"));
        sources.auth_file = Some(path("given.json"));
    };
    let config_home: Surroundings = |sources, path| sources.environment.config_home = Some(path("xdg"));
    for (surroundings, before, name, file) in [
        (nothing, None, "r.example", ".docker/config.json"),
        (nothing, Some("run/containers/auth.json"), "r.example", ".docker/config.json"),
        (nothing, Some(".dockercfg"), "r.example", ".docker/config.json"),
        (docker_config, None, "r.example", "docker/config.json"),
        (variable, None, "r.example", "variable.json"),
        (given, None, "r.example", "given.json"),
        // docker would take a namespace's login for the whole registry's, so it goes where only podman looks.
        (nothing, None, "r.example/team", ".config/containers/auth.json"),
        (config_home, None, "r.example/team", "xdg/containers/auth.json"),
        (docker_config, None, "r.example/team", "docker/config.json"),
        (variable, None, "r.example/team", "variable.json"),
        (given, None, "r.example/team", "given.json"),
    ] {
        let text = match before {
            Some(".dockercfg") => with_host.replace(r#"{"auths":"#, "").replacen("}}}", "}}", 1),
            _ => with_host.clone(),
        };
        let mut home = Home::new(&before.map(|file| (file, text.as_str())).into_iter().collect::<Vec<_>>());
        let root = home.path("");
        surroundings(&mut home.sources, &|file| root.join(file));
        let place = login(&home.sources, &named(name), "user", &Secret::new("new")).expect("kept");
        assert_eq!(place, LoginPlace::File(home.path(file)), "{name}");
        check(&home, "r.example/team/app", "user:new");
        let mode = fs::metadata(home.path(file)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");

        let place = LoginPlace::File(home.path(file));
        let expected = Login { registry: name.to_owned(), username: Some("user".to_owned()), place };
        let found = logins(&home.sources).expect("a list");
        // An older login in a file that is read first was replaced there, and is the one that is used.
        let is_used = before == Some("run/containers/auth.json");
        let place = if is_used {
            LoginPlace::File(home.path("run/containers/auth.json"))
        } else {
            expected.place.clone()
        };
        assert_eq!(found, [Login { place, ..expected }], "{name} {file}");

        assert!(!logout(&home.sources, &named(name)).expect("forgotten").is_empty());
        check(&home, "r.example/team/app", "-");
        assert_eq!(logins(&home.sources).expect("a list"), []);
    }
}

/// podman looks no further than the first file that knows a repository, so a namespace's login goes into that one.
#[test]
fn a_namespace_goes_beside_its_registry() {
    let home = Home::new(&[(
        "run/containers/auth.json",
        &auths(&[("r.example/team", "old"), ("r.example", "all")]),
    )]);
    let place = login(&home.sources, &named("r.example/team"), "user", &Secret::new("new")).expect("kept");
    assert_eq!(place, LoginPlace::File(home.path("run/containers/auth.json")));
    check(&home, "r.example/team/app", "user:new");
    check(&home, "r.example/other", "user:all");
    logout(&home.sources, &named("r.example/team")).expect("forgotten");
    check(&home, "r.example/team/app", "user:all");
}

#[test]
fn lists_and_forgets_all() {
    let hub = r#"{"ServerURL":"https://index.docker.io/v1/","Username":"hub","Secret":"s"}"#;
    let docker = auths(&[("r.example", "1"), ("https://t.example/v1/", "2")]);
    let docker = format!(r#"{{"credsStore":"fake","credHelpers":{{"h.example":"fake"}},{}"#, &docker[1..]);
    let mut home = Home::new(&[
        ("run/containers/auth.json", &auths(&[("r.example", "3"), ("r.example/team", "4")])),
        (".docker/config.json", &docker),
        ("store/https___index.docker.io_v1_", hub),
        (
            "store/h.example",
            &hub.replace("https://index.docker.io/v1/", "h.example").replace(":\"hub", ":\"helped"),
        ),
    ]);
    let variable = "DOCKER_AUTH_CONFIG";
    home.sources.environment.docker_auth_config = Some(Secret::new(auths(&[("v.example", "5")])));
    let file = |name: &str| LoginPlace::File(home.path(name));
    let helper = LoginPlace::Helper("fake".to_owned());
    let expected = [
        ("docker.io", "hub", helper.clone()),
        ("h.example", "helped", helper.clone()),
        ("r.example", "user", file("run/containers/auth.json")),
        ("r.example/team", "user", file("run/containers/auth.json")),
        ("t.example", "user", file(".docker/config.json")),
        ("v.example", "user", LoginPlace::Variable(variable)),
    ];
    let expected = expected.map(|(registry, username, place)| Login {
        registry: registry.to_owned(),
        username: Some(username.to_owned()),
        place,
    });
    assert_eq!(logins(&home.sources).expect("a list"), expected);

    let places = logout_all(&home.sources).expect("forgotten");
    assert_eq!(places, [file("run/containers/auth.json"), helper, file(".docker/config.json")]);
    assert_eq!(logins(&home.sources).expect("a list"), expected[5..]);
    assert_eq!(logout_all(&home.sources).expect("nothing to do"), NOWHERE);
    assert!(home.read(".docker/config.json").contains("credsStore"));
}

/// A login in a helper that is asked first would hide the new one.
#[test]
fn replaces_a_login_in_a_helper_that_is_asked_first() {
    let stored = r#"{"ServerURL":"r.example","Username":"user","Secret":"old"}"#;
    let home =
        Home::new(&[("run/containers/auth.json", r#"{"credsStore":"fake"}"#), ("store/r.example", stored)]);
    let place = login(&home.sources, &named("r.example"), "user", &Secret::new("new")).expect("kept");
    assert_eq!(place, LoginPlace::File(home.path(".docker/config.json")));
    check(&home, "r.example/a", "user:new");
    // Another host's login is none of that helper's.
    login(&home.sources, &named("s.example"), "user", &Secret::new("new")).expect("kept");
    assert!(!home.path("store/s.example").exists());
}

#[test]
fn keeps_and_forgets_logins() {
    let mut home = Home::new(&[
        (
            ".docker/config.json",
            r#"{"auths":{"https://r.example/v1/":{"auth":"eDp5"}},"HttpHeaders":{"X":"y"}}"#,
        ),
        (
            "run/containers/auth.json",
            r#"{"auths":{"r.example":{"auth":"eDp5"},"r.example/a":{"auth":"eDp5"}}}"#,
        ),
    ]);
    let password = Secret::new("new:pass");
    let place = login(&home.sources, &named("r.example"), "user", &password).expect("kept");
    assert_eq!(place, LoginPlace::File(home.path(".docker/config.json")));
    check(&home, "r.example/b", "user:new:pass");
    let text = home.read(".docker/config.json");
    assert!(text.contains("HttpHeaders") && !text.contains("https://r.example"), "{text}");
    for file in [".docker/config.json", "run/containers/auth.json"] {
        let mode = fs::metadata(home.path(file)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    let places = logout(&home.sources, &named("r.example")).expect("forgotten");
    assert_eq!(places.len(), 2);
    check(&home, "r.example/b", "-");
    check(&home, "r.example/a", "x:y");
    assert_eq!(logout(&home.sources, &named("r.example")).expect("nothing to do"), NOWHERE);

    // The Hub's login is where Docker looks for it.
    login(&home.sources, &named("docker.io"), "user", &password).expect("kept");
    assert!(home.read(".docker/config.json").contains("\"https://index.docker.io/v1/\""));
    check(&home, "docker.io/library/nginx", "user:new:pass");

    // A link is followed, not replaced.
    fs::rename(home.path(".docker/config.json"), home.path("elsewhere.json")).expect("a file");
    std::os::unix::fs::symlink(home.path("elsewhere.json"), home.path(".docker/config.json"))
        .expect("a link");
    login(&home.sources, &named("r.example"), "user", &password).expect("kept");
    assert!(home.read("elsewhere.json").contains("r.example"));
    assert!(fs::symlink_metadata(home.path(".docker/config.json")).expect("a link").is_symlink());

    // A file given with the command is made with its folder.
    home.sources.auth_file = Some(home.path("new/auth.json"));
    login(&home.sources, &named("r.example"), "user", &password).expect("kept");
    check(&home, "r.example/a", "user:new:pass");

    fs::write(home.path("new/auth.json"), "not JSON").expect("a file");
    assert!(login(&home.sources, &named("r.example"), "user", &password).is_err());
    assert_eq!(home.read("new/auth.json"), "not JSON");
}

/// Needs root, which logs in for another user here.
#[test]
fn the_file_stays_its_owners() {
    let home = Home::new(&[(".docker/config.json", &auths(&[("s.example", "old")]))]);
    let file = home.path(".docker/config.json");
    std::os::unix::fs::chown(&file, Some(1000), Some(1000)).expect("root may");
    login(&home.sources, &named("r.example"), "user", &Secret::new("new")).expect("kept");
    let metadata = fs::metadata(&file).expect("a file");
    assert_eq!((metadata.uid(), metadata.gid(), metadata.permissions().mode() & 0o777), (1000, 1000, 0o600));
    check(&home, "s.example/a", "user:old");
    // A folder that is made on the way is its maker's alone.
    login(&home.sources, &named("r.example/team"), "user", &Secret::new("new")).expect("kept");
    let folder = fs::metadata(home.path(".config/containers")).expect("a folder");
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[test]
fn keeps_and_forgets_logins_in_helpers() {
    for text in [r#"{"credsStore":"fake"}"#, r#"{"credHelpers":{"r.example":"fake"}}"#] {
        let home = Home::new(&[(".docker/config.json", text)]);
        let place = login(&home.sources, &named("r.example"), "user", &Secret::new("helped")).expect("kept");
        assert_eq!(place, LoginPlace::Helper("fake".to_owned()));
        assert!(!home.read(".docker/config.json").contains("auth\""));
        check(&home, "r.example/a", "user:helped");
        let places = logout(&home.sources, &named("r.example")).expect("forgotten");
        assert!(places.contains(&LoginPlace::Helper("fake".to_owned())));
        check(&home, "r.example/a", "-");
        assert_eq!(logout(&home.sources, &named("r.example")).expect("nothing to do"), NOWHERE);
    }
}
