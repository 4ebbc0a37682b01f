//! Checks single values: texts, numbers, choices, dates, times, lists of ids. Never reads files or
//! the environment.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{Datelike, NaiveDate, NaiveTime};

use super::Checker;
use crate::job::problem::nearest;
use crate::job::value::{Texts, Written};

/// Ten years: the maximum for look-backs and grace periods.
pub(super) const MOST_DAYS: i64 = 3_660;

impl Checker<'_> {
    /// A text that is not blank; a missing one is `None` and was reported when the file was parsed.
    pub(super) fn text(&mut self, written: &Option<Written<String>>) -> Option<String> {
        let written = written.as_ref()?;
        let text = written.value.trim();
        if text.is_empty() {
            self.problems.add(&written.place, format!("`{}` is empty", written.place.key));
            return None;
        }
        Some(text.to_owned())
    }

    /// A text; an empty one means "not given".
    pub(super) fn text_or_none(&mut self, written: &Option<Written<String>>) -> Option<String> {
        let text = written.as_ref()?.value.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Digits, for merchant numbers.
    pub(super) fn digits(&mut self, written: &Option<Written<String>>) -> Option<String> {
        let text = self.text(written)?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let place = &written.as_ref()?.place;
            self.problems.add(place, format!("`{}` is `{text}`: a merchant number has digits only", place.key));
        }
        Some(text)
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        written: &Option<Written<String>>,
        default: T,
        choices: &[(&'static str, T)],
    ) -> T {
        let Some(written) = written else { return default };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == written.value) {
            return *choice;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let text = format!("`{}` is `{}`: it must be {}", written.place.key, written.value, one_of(&words));
        match nearest(&written.value, words.iter().copied()) {
            Some(near) => self.problems.add_with_hint(&written.place, text, format!("did you mean `{near}`?")),
            None => self.problems.add(&written.place, text),
        }
        default
    }

    /// An integer of at least `least`.
    pub(super) fn number<T: TryFrom<i64>>(&mut self, written: &Option<Written<i64>>, default: T, least: i64) -> T {
        self.number_within(written, default, least..=i64::MAX)
    }

    /// A number of days, limited so that dates stay within the calendar.
    pub(super) fn days(&mut self, written: &Option<Written<i64>>, default: u32, least: i64) -> u32 {
        self.number_within(written, default, least..=MOST_DAYS)
    }

    /// An integer within bounds.
    pub(super) fn number_within<T: TryFrom<i64>>(
        &mut self,
        written: &Option<Written<i64>>,
        default: T,
        bounds: RangeInclusive<i64>,
    ) -> T {
        let Some(Written { value, place }) = written else { return default };
        let problem = match T::try_from(*value) {
            Ok(number) if bounds.contains(value) => return number,
            _ if value < bounds.start() => {
                format!("`{}` is {value}: it must be at least {}", place.key, bounds.start())
            }
            _ if value > bounds.end() => format!("`{}` is {value}: it must be at most {}", place.key, bounds.end()),
            _ => format!("`{}` is {value}: that is too large", place.key),
        };
        self.problems.add(place, problem);
        default
    }

    /// A positive number of seconds.
    pub(super) fn seconds(&mut self, written: &Option<Written<i64>>, default: Duration) -> Duration {
        Duration::from_secs(self.number(written, default.as_secs(), 1))
    }

    /// A date.
    pub(super) fn date(&mut self, written: &Option<Written<String>>) -> Option<NaiveDate> {
        let written = written.as_ref()?;
        let date = NaiveDate::parse_from_str(&written.value, "%Y-%m-%d").ok();
        // `%Y` takes `26` for the year 26.
        let date = date.filter(|date| (2000..2200).contains(&date.year()));
        if date.is_none() {
            let text = format!("`{}` is `{}`: it must be a day such as `2026-11-18`", written.place.key, written.value);
            self.problems.add(&written.place, text);
        }
        date
    }

    /// A time of the day, `HH:MM`.
    pub(super) fn time(&mut self, written: &Option<Written<String>>) -> Option<NaiveTime> {
        let written = written.as_ref()?;
        // chrono accepts `9:5`; the file should be unambiguous.
        let time =
            (written.value.len() == 5).then(|| NaiveTime::parse_from_str(&written.value, "%H:%M").ok()).flatten();
        if time.is_none() {
            let text = format!("`{}` is `{}`: it must be a time such as `10:00`", written.place.key, written.value);
            self.problems.add(&written.place, text);
        }
        time
    }

    /// Ids without spaces and duplicates.
    pub(super) fn ids(&mut self, written: &Option<Written<Texts>>) -> Vec<String> {
        let texts = written.as_ref().map_or(&[][..], |written| &written.value.0);
        let mut seen = BTreeSet::new();
        for text in texts {
            if text.value.trim().is_empty() || text.value.trim() != text.value {
                self.problems.add(&text.place, format!("`{}` has an empty or padded entry", text.place.key));
            } else if !seen.insert(text.value.as_str()) {
                self.problems.add(&text.place, format!("`{}` has `{}` twice", text.place.key, text.value));
            }
        }
        texts.iter().map(|text| text.value.clone()).collect()
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
