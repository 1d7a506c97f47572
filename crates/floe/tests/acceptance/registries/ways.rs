//! The ways to a registry: mirrors, insecure hosts, IPv6, proxies, certificates; each set up in the user's own files.

use std::collections::BTreeMap;
use std::fs;

use floe_testkit::http::fault_proxy::FaultProxy;
use floe_testkit::http::forward_proxy::ForwardProxy;
use floe_testkit::registry::Authority;
use floe_testkit::registry::distribution::{Configuration, Distribution};
use floe_testkit::registry::in_process::{Endpoint, Registry};

use super::home::Home;
use crate::program::{answer, run, succeed};

fn in_process() -> Registry {
    Registry::start().unwrap_or_else(|error| panic!("{error}"))
}

fn with_tls(client_certificates: bool) -> Distribution {
    let configuration = Configuration { tls: true, client_certificates, ..Configuration::default() };
    Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"))
}

/// Trusts a registry's authority, under the name by which floe reaches the registry.
fn trust(home: &Home, name: &str, registry: &Distribution) -> String {
    let folder = format!("home/.config/containers/certs.d/{name}");
    let authority = registry.authority().expect("it speaks TLS").certificate();
    home.write(&format!("{folder}/ca.crt"), &fs::read_to_string(authority).expect("a certificate"));
    folder
}

/// Pulls ask a mirror first; pushes go to the registry, whose place is another than its name.
#[test]
fn follows_registries_conf() {
    let (home, primary, mirror) = (Home::new(), in_process(), in_process());
    let conf = format!(
        "[[registry]]\nprefix = \"app.invalid\"\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n\
         [[registry]]\nprefix = \"evil.invalid\"\nblocked = true\n",
        primary.host(),
        mirror.host()
    );
    home.write("home/.config/containers/registries.conf", &conf);
    home.push("app.invalid/team/site:1");
    assert_eq!((primary.tags("team/site"), mirror.tags("team/site")), (vec!["1".to_owned()], vec![]));
    // The mirror has nothing yet, which is no obstacle.
    succeed(&mut home.floe(&["tag", "app.invalid/team/site:1", "2"]));
    assert!(mirror.count("GET", Endpoint::Manifest) > 0 && mirror.count("PUT", Endpoint::Manifest) == 0);
    home.push(&format!("{}/team/site:1", mirror.host()));
    primary.clear_requests();
    succeed(&mut home.floe(&["tag", "app.invalid/team/site:1", "3"]));
    assert_eq!((primary.count("GET", Endpoint::Manifest), primary.count("PUT", Endpoint::Manifest)), (0, 1));
    assert_eq!(primary.tags("team/site"), ["1", "2", "3"]);
    let said = home.failure(&["tags", "evil.invalid/x"]);
    assert!(said.contains("'evil.invalid/x' is blocked by registries.conf"), "{said}");
}

#[test]
fn reaches_an_ipv6_address() {
    let (home, registry) = (Home::new(), in_process());
    let proxy = FaultProxy::on_ipv6(registry.address()).expect("a machine with IPv6");
    assert!(proxy.host().starts_with("[::1]:"));
    let repository = format!("{}/team/site", proxy.host());
    home.push(&format!("{repository}:1"));
    assert_eq!(answer(&mut home.floe(&["tags", &repository])), "1");
    assert_eq!(registry.tags("team/site"), ["1"]);
}

/// Plain HTTP is for this machine, unless `registries.conf` or `--insecure` asks for it.
#[test]
fn reaches_a_registry_through_a_proxy() {
    let (home, plain, encrypted) = (Home::new(), in_process(), with_tls(false));
    let hosts = BTreeMap::from([
        ("plain.invalid:80".to_owned(), plain.address()),
        (format!("{}:443", Authority::SERVER), encrypted.address()),
    ]);
    let proxy = ForwardProxy::start(hosts).expect("a proxy");
    let floe = |words: &[&str]| {
        let mut command = home.floe(words);
        command.env("HTTP_PROXY", proxy.url()).env("HTTPS_PROXY", proxy.url());
        command
    };

    let said = run(&mut floe(&["tags", "plain.invalid/team/site"]), 1).stderr;
    assert!(said.contains("cannot connect to 'plain.invalid'"), "{said}");
    assert_eq!(proxy.asked(), ["CONNECT plain.invalid:443"]);
    let push = ["push", "site:1", "plain.invalid/team/site:1"];
    run(&mut floe(&push), 1);
    assert_eq!(plain.requests(), []);
    home.write(
        "home/.config/containers/registries.conf",
        "[[registry]]\nlocation = \"plain.invalid\"\ninsecure = true\n",
    );
    succeed(&mut floe(&push));
    fs::remove_file(home.path("home/.config/containers/registries.conf")).expect("it was written just now");
    assert_eq!(answer(&mut floe(&["tags", "plain.invalid/team/site", "--insecure"])), "1");
    assert!(proxy.asked().contains(&"GET http://plain.invalid/v2/team/site/tags/list?n=1000".to_owned()));

    let repository = format!("{}/team/site", Authority::SERVER);
    let said = run(&mut floe(&["tags", &repository]), 1).stderr;
    assert!(said.contains(&format!("certs.d/{}/ca.crt", Authority::SERVER)), "{said}");
    trust(&home, Authority::SERVER, &encrypted);
    succeed(&mut floe(&["push", "site:1", &format!("{repository}:1")]));
    assert_eq!(answer(&mut floe(&["tags", &repository])), "1");

    let before = proxy.asked().len();
    let mut direct = floe(&["tags", &repository]);
    run(direct.env("NO_PROXY", format!("other.invalid,{}", Authority::SERVER)), 1);
    assert_eq!(proxy.asked().len(), before);
    // This machine's own addresses are never a proxy's business.
    assert!(run(&mut floe(&["tags", &format!("{}/team/site", plain.host())]), 0).stderr.is_empty());
    assert_eq!(proxy.asked().len(), before);
}

#[test]
fn shows_a_client_certificate() {
    let (home, registry) = (Home::new(), with_tls(true));
    let folder = trust(&home, &registry.host(), &registry);
    let repository = format!("{}/team/site", registry.host());
    let said = home.failure(&["tags", &repository]);
    assert!(said.contains("wants a client certificate") && said.contains("client.cert"), "{said}");
    let (certificate, key) = registry.authority().expect("TLS").issue("client").expect("a certificate");
    home.write(&format!("{folder}/client.cert"), &fs::read_to_string(certificate).expect("a certificate"));
    let said = home.failure(&["tags", &repository]);
    assert!(said.contains("client.cert") && said.contains("client.key"), "{said}");
    home.write(&format!("{folder}/client.key"), &fs::read_to_string(key).expect("a key"));
    home.push(&format!("{repository}:1"));
    assert_eq!(answer(&mut home.floe(&["tags", &repository])), "1");
}

#[test]
fn accepts_any_certificate_only_when_asked() {
    let (home, registry) = (Home::new(), with_tls(false));
    let repository = format!("{}/team/site", registry.host());
    let said = home.failure(&["tags", &repository]);
    assert!(said.contains("cannot trust") && said.contains("ca.crt"), "{said}");
    let conf = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", registry.host());
    home.write("home/.config/containers/registries.conf", &conf);
    home.push(&format!("{repository}:1"));
    fs::remove_file(home.path("home/.config/containers/registries.conf")).expect("it was written just now");
    assert_eq!(answer(&mut home.floe(&["tags", &repository, "--insecure"])), "1");
    home.failure(&["tags", &repository]);
}
