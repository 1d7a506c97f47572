//! What a container is started with: its user, folders, variables, platform.

use floe_image::layer::Owner;
use floe_image::oci::Platform;
use floe_store::System;

use super::BadValue;

/// Reads `1000:1000`, `1000` (the group of the same number) and `root`.
///
/// Other names are refused: an image's `/etc/passwd` is made from this value.
pub(crate) fn owner(text: &str) -> Result<Owner, BadValue> {
    if text == "root" {
        return Ok(Owner { uid: 0, gid: 0 });
    }
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let number = |digits: &str| {
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        // The highest number is -1, with which chown(2) means "leave as it is".
        digits.parse().ok().filter(|number| is_plain && *number != u32::MAX)
    };
    match (number(uid), number(gid)) {
        (Some(uid), Some(gid)) => Ok(Owner { uid, gid }),
        _ => Err(BadValue::new(text, "a user", "\"UID:GID\", a number, or \"root\"")
            .hint("floe writes the image's passwd entry for the number, so no name is needed")),
    }
}

/// Reads a path in the image: absolute, without `.` and `..` and doubled slashes.
pub(crate) fn absolute_path(text: &str) -> Result<String, BadValue> {
    let is_fine = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    match text.strip_prefix('/') {
        Some("") => Ok(text.to_owned()),
        Some(rest) if rest.strip_suffix('/').unwrap_or(rest).split('/').all(is_fine) => {
            Ok(text.strip_suffix('/').unwrap_or(text).to_owned())
        }
        _ => Err(BadValue::new(
            text,
            "a path in the image",
            "an absolute path such as /srv/data, without '..'",
        )),
    }
}

/// Reads the name of an environment variable.
pub(crate) fn variable_name(text: &str) -> Result<String, BadValue> {
    if text.is_empty() || text.contains(['=', '\0', '\n']) {
        let expected = "a name such as DATABASE_URL, without '='";
        return Err(BadValue::new(text, "the name of an environment variable", expected));
    }
    Ok(text.to_owned())
}

/// Reads `NAME=value`; the value may be empty and may hold `=`.
pub(crate) fn variable(text: &str) -> Result<(String, String), BadValue> {
    let (name, value) = text
        .split_once('=')
        .filter(|(_, value)| !value.contains('\0'))
        .ok_or_else(|| BadValue::new(text, "a setting of a variable", "NAME=value, such as LANG=C.UTF-8"))?;
    Ok((variable_name(name)?, value.to_owned()))
}

/// Makes a health check's test from a list: a command, or one that begins with `CMD`, `CMD-SHELL` or `NONE`.
pub(crate) fn healthcheck_test(mut words: Vec<String>) -> Result<Vec<String>, BadValue> {
    let rest = words.len().saturating_sub(1);
    match words.first().map(String::as_str) {
        None => Err(BadValue::new("[]", "a health check", "a command, as a list of words or one shell line")),
        Some("CMD") if rest == 0 => Err(BadValue::new("CMD", "a health check", "a command after CMD")),
        Some("CMD-SHELL") if rest != 1 => {
            Err(BadValue::new("CMD-SHELL", "a health check", "one shell line after CMD-SHELL"))
        }
        Some("NONE") if rest != 0 => Err(BadValue::new("NONE", "a health check", "nothing after NONE")),
        Some("CMD" | "CMD-SHELL" | "NONE") => Ok(words),
        Some(_) => {
            words.insert(0, "CMD".to_owned());
            Ok(words)
        }
    }
}

/// Reads `linux/arm64`, `linux/arm/v7`, or a Nix system such as `aarch64-linux`.
pub(crate) fn platform(text: &str) -> Result<Platform, BadValue> {
    text.parse().map_err(|_| {
        let expected = "os/architecture such as linux/amd64, or a Nix system such as x86_64-linux";
        BadValue::new(text, "a platform", expected)
    })
}

/// Reads a Nix system that images are made for, such as `aarch64-linux`.
pub(crate) fn system(text: &str) -> Result<System, BadValue> {
    let known = text.parse().ok().filter(|_| Platform::from_system(text).is_some());
    known.ok_or_else(|| BadValue::new(text, "a system", "a Nix system such as x86_64-linux or aarch64-linux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_owners() {
        for (text, expected) in [
            ("1000:100", Some((1000, 100))),
            ("1000", Some((1000, 1000))),
            ("root", Some((0, 0))),
            ("nobody", None),
            ("1000:", None),
            ("-1", None),
            ("+1", None),
            ("4294967295", None),
            ("", None),
        ] {
            assert_eq!(owner(text).ok().map(|owner| (owner.uid, owner.gid)), expected, "{text}");
        }
    }

    #[test]
    fn reads_paths_in_the_image() {
        for (text, expected) in [
            ("/", Some("/")),
            ("/srv/data/", Some("/srv/data")),
            ("srv", None),
            ("/a/../b", None),
            ("/a//b", None),
            ("//", None),
            ("", None),
        ] {
            assert_eq!(absolute_path(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn reads_variables() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(variable("A=b=c"), Ok(pair("A", "b=c")));
        assert_eq!(variable("A="), Ok(pair("A", "")));
        assert!(variable("A").is_err() && variable("=b").is_err());
    }

    #[test]
    fn makes_healthcheck_tests() {
        let words = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        for (line, expected) in [
            ("/bin/check now", Some("CMD /bin/check now")),
            ("CMD /bin/check", Some("CMD /bin/check")),
            ("CMD-SHELL true", Some("CMD-SHELL true")),
            ("NONE", Some("NONE")),
            ("", None),
            ("CMD", None),
            ("NONE x", None),
            ("CMD-SHELL a b", None),
        ] {
            assert_eq!(healthcheck_test(words(line)).ok(), expected.map(words), "{line}");
        }
    }
}
