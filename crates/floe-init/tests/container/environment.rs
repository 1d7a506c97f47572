//! The environment's rules in a container.

use crate::container::{Container, Ended};

/// Options that mount a file of the container's root somewhere, and others.
type Options<'a> = &'a [&'a str];

#[test]
fn takes_values_from_everywhere() {
    let container = Container::new();
    container.write("run/token", "hush\n");
    container.write("run/app.env", "LEVEL=debug\nPORT=1\nexport NAME='from file'\n");
    container.write("floe/defaults", "LEVEL=info\nCOLOUR=blue\nNAME=default\n");
    let options: Options<'_> = &[
        "--env=FLOE_REQUIRED_ENV=TOKEN PORT:port LEVEL:one-of=debug,info",
        "--env=TOKEN_FILE=/run/token",
        "--env=SSL_CERT_FILE=/none",
        "--env=FLOE_ENV_FILES=/run/app.env",
        "--env=PORT=3000",
    ];
    let Ended { code, stdout, stderr } =
        container.script(options, "echo $TOKEN $TOKEN_FILE $PORT $LEVEL $NAME $COLOUR $SSL_CERT_FILE");
    assert_eq!((code, stdout.as_str()), (Some(0), "hush 3000 debug from file blue /none\n"), "{stderr}");
    assert_eq!(stderr, "");
    let Ended { code, stderr, .. } = container.run(options, &["check-env"]);
    assert_eq!(code, Some(0));
    assert_eq!(stderr, "floe-init: the environment is as required (3 variables)\n");
}

#[test]
fn tells_every_problem_before_anything_runs() {
    let container = Container::new();
    container.write("run/nul", b"hu\0sh");
    container.write("run/secret", "hush");
    container.write("run/app.env", "BROKEN\nMODE=hush\n");
    let options: Options<'_> = &[
        "--env=FLOE_REQUIRED_ENV=URL:url PORT:port KEY BOTH GONE MODE:one-of=a,b EMPTY",
        "--env=FLOE_ENV_FILES=/run/app.env:/run/none",
        "--env=URL=hush",
        "--env=PORT=hush",
        "--env=KEY_FILE=/run/nul",
        "--env=BOTH=hush",
        "--env=BOTH_FILE=/run/secret",
        "--env=EMPTY=",
    ];
    for arguments in [&["check-env"] as &[&str], &["--", "sh", "-c", "echo it ran"]] {
        let Ended { code, stdout, stderr } = container.run(options, arguments);
        assert_eq!((code, stdout.as_str()), (Some(78), ""), "{stderr}");
        for expected in [
            "BOTH: both BOTH and BOTH_FILE are set (hint: unset one of them)",
            "KEY: /run/nul holds a NUL byte",
            "/run/app.env, line 1: expected <name>=<value>",
            "cannot read /run/none",
            "URL: must be a URL, <scheme>://<host> (source: the environment; it has another form; hint:",
            "PORT: must be a port, 1 to 65535 (source: the environment",
            "GONE: must not be empty (source: set nowhere; hint: set GONE, or GONE_FILE",
            "EMPTY: must not be empty (source: the environment; it is empty",
        ] {
            assert!(stderr.contains(expected), "expected '{expected}' in:\n{stderr}");
        }
        assert!(!stderr.contains("hush"), "{stderr}");
        assert!(stderr.lines().all(|line| line.starts_with("floe-init: error: ")), "{stderr}");
    }
    let Ended { code, stderr, .. } = container.run(&["--env=FLOE_REQUIRED_ENV=PORT:prime"], &["check-env"]);
    assert_eq!(code, Some(78));
    assert!(stderr.contains("FLOE_REQUIRED_ENV: 'prime' is no rule: expected not-empty"), "{stderr}");
}
