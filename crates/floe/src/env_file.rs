//! A file of environment variables, as engines take it with `--env-file`: a `NAME=VALUE` on each line.

/// The names that a file of variables sets: `NAME=VALUE`, or `NAME` for this machine's value.
pub(crate) fn names(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(|line| {
        match line.split_once('=') {
            Some((name, _)) => Some(name.trim().to_owned()),
            None => std::env::var_os(line).map(|_| line.to_owned()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_names_of_a_file_of_variables() {
        let found: Vec<String> = names("# comment\nA=1\n\n B = 2\nNOT_SET_ANYWHERE_HERE\nC=").collect();
        assert_eq!(found, ["A", "B", "C"]);
    }
}
