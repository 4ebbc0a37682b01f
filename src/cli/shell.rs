//! Words of commands that a message proposes, as a shell reads them when they are pasted. Runs nothing.

use std::path::Path;

/// A path as one word of a shell.
pub(super) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:=@,%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        for plain in ["plan.json", "/srv/瑞云/job-1.toml"] {
            assert_eq!(word(Path::new(plain)), plain);
        }
        assert_eq!(word(Path::new("计 划.json")), "'计 划.json'");
        assert_eq!(word(Path::new("it's $HOME.toml")), r"'it'\''s $HOME.toml'");
    }
}
