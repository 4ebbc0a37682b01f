//! Where a condition stops holding, found by halves. Knows nothing of what is asked.

use std::ops::Range;

/// The first number of a range for which `holds` does not, or its end. For no number behind one for which it does not may
/// it hold again.
pub(crate) fn first_not(numbers: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let Range { mut start, mut end } = numbers;
    while start < end {
        let middle = start.midpoint(end);
        (start, end) = if holds(middle) { (middle + 1, end) } else { (start, middle) };
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_where_one_question_after_the_other_leads(start in 0..50_usize, length in 0..50_usize, bound in 0..120_usize) {
            let numbers = start..start + length;
            let one_by_one = numbers.clone().find(|number| *number >= bound).unwrap_or(numbers.end);
            prop_assert_eq!(first_not(numbers, |number| number < bound), one_by_one);
        }
    }
}
