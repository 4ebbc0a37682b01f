//! Binary search over a range of integers: `slice::partition_point` without a slice. Knows nothing about the values
//! behind the indices.

use std::ops::Range;

/// The first index of a range for which `holds` is false, or the end of the range. Once false, `holds` must stay false.
pub(crate) fn partition_point(numbers: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
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
            prop_assert_eq!(partition_point(numbers, |number| number < bound), one_by_one);
        }
    }
}
