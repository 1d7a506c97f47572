//! What `floe.toml` means, and what is said when it means nothing.

use std::fmt::Write as _;

use super::keys::{FILE_KEYS, HEALTHCHECK_KEYS, KEYS};
use super::parse::LARGEST_FILE;
use super::*;

fn parse(text: &str) -> Result<Configuration, String> {
    Configuration::parse("floe.toml", text).map_err(|errors| errors.render())
}

fn image(text: &str) -> ImageOptions {
    parse(&format!("[image.app]\n{text}")).expect("a configuration").image("app").expect("the image")
}

#[test]
fn reads_every_key() {
    let options = image(
        r#"
        name = "registry.example.com/team/app"
        tag = "1.0"
        base = "oci:debian:12"
        base-without = ["entrypoint", "env.LANG"]
        contents = ["./result", ".#app"]
        root = ["./result"]
        root-conflicts = "first"
        files = { "/etc/motd" = "hello\n", "/bin/run" = { text = "x", mode = "0755", owner = "1:2" } }
        entrypoint = ["/bin/app"]
        cmd = ["--port", "3000"]
        env = { LANG = "C.UTF-8" }
        required-env = ["DATABASE_URL"]
        user = "1000:100"
        workdir = "/srv"
        ports = [3000, "53/udp"]
        volumes = ["/data/"]
        labels = { a = "1" }
        annotations = { b = "2" }
        stop-signal = "int"
        healthcheck = { test = "true", interval = "30s", retries = 5 }
        created = 2025-01-31T12:00:00Z
        platform = "aarch64-linux"
        systems = ["x86_64-linux", "aarch64-linux"]
        layering = "popularity"
        max-layers = 20
        frequencies = "changes"
        compression = "gzip:9"
        "#,
    );
    insta::assert_debug_snapshot!(options);
}

#[test]
fn reads_scalars_in_every_form() {
    for (line, same) in [
        ("user = 1000", "user = '1000:1000'"),
        ("user = 'root'", "user = '0:0'"),
        ("stop-signal = 9", "stop-signal = '9'"),
        ("created = 0", "created = '1970-01-01T00:00:00Z'"),
        ("ports = ['80']", "ports = [80]"),
        ("files.'/a'.text = 'x'", "files = [{ path = '/a', text = 'x', mode = '644', owner = 'root' }]"),
        ("files = [{ path = '/a', text = 'x', mode = 0o755 }]", "files.'/a' = { text = 'x', mode = '0755' }"),
        ("healthcheck.test = ['/a', 'b']", "healthcheck = { test = ['CMD', '/a', 'b'] }"),
        ("healthcheck.test = 'a b'", "healthcheck.test = ['CMD-SHELL', 'a b']"),
        ("compression = 'zstd'", "compression = 'zstd:3'"),
    ] {
        assert_eq!(image(line), image(same), "{line}");
    }
}

#[test]
fn inherits_what_is_not_said() {
    let text = "
        [image.base]
        env = { A = '1', B = '1' }
        cmd = ['x']
        [image.app]
        inherits = 'base'
        env = { B = '2' }
        tag = 't'
        [image.debug]
        inherits = 'app'
        cmd = []
    ";
    let configuration = parse(text).expect("a configuration");
    assert_eq!(configuration.names().collect::<Vec<_>>(), ["app", "base", "debug"]);
    let debug = configuration.image("debug").expect("the image");
    assert_eq!(debug.name.as_deref(), Some("debug"));
    assert_eq!(debug.tag.as_deref(), Some("t"));
    assert_eq!(debug.cmd, Some(Vec::new()));
    assert_eq!(
        debug.env.into_iter().collect::<Vec<_>>(),
        [("A", "1"), ("B", "2")].map(|(a, b)| (a.into(), b.into()))
    );
    assert_eq!(configuration.image("other"), None);
}

#[test]
fn shows_each_problem_at_its_line() {
    let mut shown = String::new();
    for text in [
        "[image.app]\nname = \"app\nx = 1\n",
        "[image.app]\nname = 'a'\nname = 'b'\n",
        "[images.app]\n",
        "[image]\nname = 'app'\n",
        "[image.'my app']\n",
        "[image.app]\nentrypiont = ['/bin/app']\n",
        "[image.app]\nsystem = 'x86_64-linux'\n",
        "[image.app]\nfrobnicate = 1\n",
        "[image.app]\ncmd = 'run'\nenv = { PORT = 3000 }\nports = [80, true]\n",
        "[image.app]\nhealthcheck = { intervall = '1s' }\n",
        "[image.app]\nfiles = [{ path = '/etc/motd' }]\n",
        "[image.app]\nfiles = [{ path = '/a', text = '', mode = 644 }, { path = '/a', text = '' }]\n",
        "[image.a]\ninherits = 'b'\n[image.b]\ninherits = 'a'\n[image.c]\ninherits = 'a'\n[image.d]\ninherits = 'e2'\n",
    ] {
        let problems = parse(text).expect_err("a problem");
        writeln!(shown, "--- {}\n{problems}", text.escape_debug()).expect("a string takes text");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn names_every_bad_value() {
    let mut shown = String::new();
    for line in [
        "name = 'App'",
        "name = 'app:1'",
        "tag = '.x'",
        "contents = ['']",
        "root-conflicts = 'frist'",
        "env = { 'A=B' = 'x' }",
        "required-env = ['']",
        "user = 'nobody'",
        "workdir = 'srv'",
        "ports = [70000]",
        "ports = ['8080:80']",
        "volumes = ['/a/../b']",
        "labels = { '' = 'x' }",
        "stop-signal = 'SIGTREM'",
        "healthcheck = { test = [] }",
        "healthcheck = { test = 'x', interval = '30' }",
        "healthcheck = { test = 'x', retries = 0 }",
        "created = 'yesterday'",
        "created = 12:00:00",
        "platform = 'windows'",
        "layering = 'stabel'",
        "max-layers = 128",
        "max-layers = 1",
        "compression = 'zstd:20'",
        "files = { 'etc/motd' = '' }",
        "files = { '/' = '' }",
    ] {
        let errors = Configuration::parse("floe.toml", &format!("[image.app]\n{line}\n")).expect_err(line);
        assert_eq!(errors.problems().len(), 1, "{line}");
        writeln!(shown, "{errors}").expect("a string takes text");
        for hint in errors.hints() {
            writeln!(shown, "    hint: {hint}").expect("a string takes text");
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn refuses_large_files_and_long_chains() {
    assert!(parse(&" ".repeat(LARGEST_FILE)).is_ok());
    assert!(parse(&" ".repeat(LARGEST_FILE + 1)).is_err());
    let mut chain = String::from("[image.i0]\n");
    for index in 1..30 {
        writeln!(chain, "[image.i{index}]\ninherits = 'i{}'", index - 1).expect("a string takes text");
    }
    let message = parse(&chain).expect_err("a long chain");
    assert!(message.contains("inherits through more than 16 images"), "{message}");
}

#[test]
fn documents_every_key_and_its_examples_parse() {
    let page = include_str!("../../../../docs/floe-toml.md");
    let row = |name: &str, form: &str, default: &str, summary: &str| {
        format!("| `{name}` | {form} | {default} | {summary} |")
    };
    let rows = (KEYS.iter().map(|key| row(key.name, key.form, key.default, key.summary)))
        .chain(HEALTHCHECK_KEYS.iter().map(|key| row(key.name, key.form, key.default, key.summary)))
        .chain(FILE_KEYS.iter().map(|key| row(key.name, key.form, key.default, key.summary)));
    for row in rows {
        assert!(page.contains(&row), "docs/floe-toml.md lacks this row:\n{row}");
    }
    for key in KEYS {
        assert!(
            page.contains(&format!("\n{} = ", key.name)) || page.contains(&format!(".{}]", key.name)),
            "{}",
            key.name
        );
    }
    let mut blocks = 0;
    for block in page.split("```toml\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        parse(block)
            .unwrap_or_else(|problems| panic!("an example of docs/floe-toml.md is wrong:\n{problems}"));
        blocks += 1;
    }
    assert!(blocks > 0);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Lines that mean much, so that random files come deep into the reader.
    fn line() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            proptest::sample::select(KEYS.iter().map(|key| key.name.to_owned()).collect::<Vec<_>>()),
            "[a-z.'\"-]{1,8}",
        ];
        let value = prop_oneof![
            "[0-9]{1,12}",
            "'[ -~]{0,12}'",
            "\"\\PC{0,8}\"",
            Just("[]".to_owned()),
            "\\['[a-z/:.]{0,6}', [0-9]{1,6}\\]",
            "\\{ (path|text|test|mode|x) = '?[a-z/0-9]{0,6}'? \\}",
            Just("{}".to_owned()),
            Just("2025-01-31T12:00:00Z".to_owned()),
        ];
        prop_oneof![
            6 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
            2 => "\\[image\\.[a-c]\\]",
            1 => "inherits = '[a-c]'",
            1 => "\\PC{0,20}",
        ]
    }

    proptest! {
        #[test]
        fn never_panics_on_text(text in "\\PC{0,80}(\\r?\\n\\PC{0,20}){0,3}") {
            if let Err(errors) = Configuration::parse("floe.toml", &text) {
                prop_assert!(!errors.render().is_empty());
                prop_assert!(!errors.to_string().is_empty());
            }
        }

        #[test]
        fn never_panics_on_near_files(lines in proptest::collection::vec(line(), 0..12)) {
            match Configuration::parse("floe.toml", &lines.join("\n")) {
                Ok(configuration) => {
                    let names: Vec<&str> = configuration.names().collect();
                    prop_assert!(names.iter().all(|name| configuration.image(name).is_some()));
                }
                Err(errors) => prop_assert!(errors.render().contains("floe.toml")),
            }
        }
    }
}
