//! A number of things in a sentence: `1 wallet`, `2 wallets`, with the words that agree with the number.

use std::fmt::Display;

/// The number and the words after it, a verb included where there is one: `1 answer is`, `2 answers are`.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    let words = agreeing(&count, one, many);
    format!("{count} {words}")
}

/// The words that agree with a number which is written in another way, or elsewhere in the sentence.
pub(crate) fn agreeing<'a, N: PartialEq + From<u8>>(count: &N, one: &'a str, many: &'a str) -> &'a str {
    if *count == N::from(1) { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular_and_none_or_several_are_plural() {
        let told = [0, 1, 2].map(|count| counted(count, "answer is", "answers are"));
        assert_eq!(told, ["0 answers are", "1 answer is", "2 answers are"]);
    }
}
