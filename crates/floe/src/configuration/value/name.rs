//! An image's name and tag.

use floe_image::oci::Reference;

use super::BadValue;

/// Reads a name without a tag and a digest, such as `app` or `registry.example.com:5000/team/app`.
pub(crate) fn image_name(text: &str) -> Result<String, BadValue> {
    let expected = "lower-case words such as app, team/app or registry.example.com/team/app";
    let last = text.rsplit('/').next().unwrap_or_default();
    if text.contains('@') || last.contains(':') {
        let tag =
            if text.contains('@') { "a name has no digest" } else { "the tag is a value of its own: `tag`" };
        return Err(BadValue::new(text, "a name", expected).hint(tag));
    }
    match text.parse::<Reference>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(BadValue::new(text, "a name", expected)),
    }
}

/// Reads a tag.
pub(crate) fn tag(text: &str) -> Result<String, BadValue> {
    // Any repository serves: the tag's grammar is that of references.
    match format!("app:{text}").parse::<Reference>() {
        Ok(reference) if reference.tag() == Some(text) && reference.digest().is_none() => Ok(text.to_owned()),
        _ => {
            let expected = "1 to 128 letters, digits, '_', '.' or '-', beginning with none of '.', '-'";
            Err(BadValue::new(text, "a tag", expected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_tags() {
        for name in ["app", "team/app", "registry.example.com:5000/team/app", "localhost/app"] {
            assert_eq!(image_name(name).as_deref(), Ok(name));
        }
        for name in ["", "App", "app:1", "a/b:1", "app@sha256:00", "a b"] {
            assert!(image_name(name).is_err(), "{name}");
        }
        assert_eq!(tag("1.0_x-y").as_deref(), Ok("1.0_x-y"));
        for text in ["", ".x", "a b", "a/b", "a@b", "a:b"] {
            assert!(tag(text).is_err(), "{text}");
        }
    }
}
