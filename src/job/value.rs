//! Conversion of TOML to the types of the job file. One table of keys (`Key`) drives parsing, hints
//! for unknown keys, the fingerprint and the test against `schemas/job.schema.json`. Checks types
//! only; `check` decides whether a value makes sense.

use std::collections::BTreeMap;

use serde_json::Value;
use toml_edit::{Item, TableLike};

use super::problem::{Place, Problems, nearest};

/// A known key of a section.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// The type of its value.
    pub(super) kind: Kind,
    /// Whether it may be omitted.
    pub(super) need: Need,
    /// What it affects.
    pub(super) bearing: Bearing,
}

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Text in quotes.
    Text,
    /// Whole number.
    Integer,
    /// true or false.
    Boolean,
    /// List of texts.
    Texts,
    /// List of pairs of texts.
    Pairs,
    /// `[section]`, with its keys for the schema test.
    Table(#[cfg_attr(not(test), expect(dead_code, reason = "walked by the schema test"))] &'static [Key]),
    /// `[[section]]`.
    Tables(#[cfg_attr(not(test), expect(dead_code, reason = "walked by the schema test"))] &'static [Key]),
    /// `[section.<name>]`.
    Named(#[cfg_attr(not(test), expect(dead_code, reason = "walked by the schema test"))] &'static [Key]),
}

/// Whether a key may be omitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Required.
    Required,
    /// Optional.
    Optional,
}

/// What a key affects; only what affects the result is part of the fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearing {
    /// The published data.
    Result,
    /// How data are transferred: hosts, timeouts, locations of files on this machine.
    Transport,
    /// The location of a secret.
    Secret,
}

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub(super) struct Written<T> {
    /// The value.
    pub(super) value: T,
    /// The place.
    pub(super) place: Place,
}

/// A type of values in a job file.
pub(super) trait FromToml: Sized {
    /// Its kind.
    const KIND: Kind;

    /// Parses it; a wrong type is recorded and gives `None`.
    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<Self>;

    /// The part of it that affects the result, keys sorted.
    fn fingerprint(&self) -> Value;
}

/// A section: a table with known keys.
pub(super) trait Section: Sized {
    /// Its keys.
    const KEYS: &'static [Key];

    /// Parses it; every problem inside is recorded.
    fn from_table(table: &dyn TableLike, place: &Place, problems: &mut Problems) -> Self;

    /// The place where it starts.
    fn place(&self) -> &Place;

    /// The part of it that affects the result, keys sorted.
    fn fingerprint_of_keys(&self) -> Value;
}

/// A list of texts, each with its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts(pub(super) Vec<Written<String>>);

/// A list of pairs of texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

/// Sections with the same name, `[[orders]]`.
#[derive(Debug)]
pub(super) struct Tables<S>(pub(super) Vec<S>);

/// Sections keyed by name, `[sources.bills]`.
#[derive(Debug)]
pub(super) struct Named<S>(pub(super) BTreeMap<String, Written<S>>);

impl FromToml for String {
    const KIND: Kind = Kind::Text;

    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<String> {
        item.as_str().map(str::to_owned).or_else(|| wrong_kind(item, "text in quotes", place, problems))
    }

    fn fingerprint(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl FromToml for i64 {
    const KIND: Kind = Kind::Integer;

    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<i64> {
        item.as_integer().or_else(|| wrong_kind(item, &whole_number(&place.key), place, problems))
    }

    fn fingerprint(&self) -> Value {
        Value::from(*self)
    }
}

/// The unit of a number is the last word of its key.
fn whole_number(key: &str) -> String {
    match key.rsplit(['.', '_']).next() {
        Some(unit @ ("bytes" | "seconds" | "minutes" | "hours" | "days" | "fen")) => {
            format!("a whole number of {unit}")
        }
        _ => "a whole number".to_owned(),
    }
}

impl FromToml for bool {
    const KIND: Kind = Kind::Boolean;

    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<bool> {
        item.as_bool().or_else(|| wrong_kind(item, "true or false", place, problems))
    }

    fn fingerprint(&self) -> Value {
        Value::from(*self)
    }
}

impl FromToml for Texts {
    const KIND: Kind = Kind::Texts;

    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<Texts> {
        let Some(array) = item.as_array() else {
            return wrong_kind(item, "a list of texts", place, problems);
        };
        let mut texts = Vec::new();
        for value in array {
            let at = Place { byte: value.span().map(|span| span.start).or(place.byte), ..place.clone() };
            match value.as_str() {
                Some(text) => texts.push(Written { value: text.to_owned(), place: at }),
                None => problems.add(&at, expected(&at, "a list of texts in quotes", value.type_name())),
            }
        }
        Some(Texts(texts))
    }

    fn fingerprint(&self) -> Value {
        self.0.iter().map(|text| text.value.as_str()).collect()
    }
}

impl FromToml for Pairs {
    const KIND: Kind = Kind::Pairs;

    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<Pairs> {
        let pair = |value: &toml_edit::Value| {
            let array = value.as_array().filter(|array| array.len() == 2)?;
            Some((array.get(0)?.as_str()?.to_owned(), array.get(1)?.as_str()?.to_owned()))
        };
        let pairs: Option<Vec<_>> = item.as_array().and_then(|array| array.iter().map(pair).collect());
        match pairs {
            Some(pairs) => Some(Pairs(pairs)),
            None => wrong_kind(item, "a list of pairs of texts, `[[\"a\", \"b\"]]`", place, problems),
        }
    }

    fn fingerprint(&self) -> Value {
        self.0.iter().map(|(one, other)| Value::from(vec![one.as_str(), other.as_str()])).collect()
    }
}

impl<S: Section> FromToml for S {
    const KIND: Kind = Kind::Table(S::KEYS);

    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<S> {
        match item.as_table_like() {
            Some(table) => Some(S::from_table(table, place, problems)),
            None => wrong_kind(item, &format!("a section `[{}]`", place.key), place, problems),
        }
    }

    fn fingerprint(&self) -> Value {
        self.fingerprint_of_keys()
    }
}

impl<S: Section> FromToml for Tables<S> {
    const KIND: Kind = Kind::Tables(S::KEYS);

    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<Tables<S>> {
        let Some(tables) = item.as_array_of_tables() else {
            return wrong_kind(item, &format!("sections `[[{}]]` in double brackets", place.key), place, problems);
        };
        let read = |(entry, table): (usize, &toml_edit::Table)| {
            let byte = table.span().map(|span| span.start).or(place.byte);
            S::from_table(table, &Place { key: place.key.clone(), byte, entry }, problems)
        };
        Some(Tables(tables.iter().enumerate().map(read).collect()))
    }

    fn fingerprint(&self) -> Value {
        self.0.iter().map(Section::fingerprint_of_keys).collect()
    }
}

impl<S: Section> FromToml for Named<S> {
    const KIND: Kind = Kind::Named(S::KEYS);

    fn read(item: &Item, place: &Place, problems: &mut Problems) -> Option<Named<S>> {
        let Some(table) = item.as_table_like() else {
            return wrong_kind(item, &format!("sections `[{}.<name>]`", place.key), place, problems);
        };
        let mut named = BTreeMap::new();
        for (name, child) in table.iter() {
            let at = place_of(table, name, child, place);
            if let Some(section) = S::read(child, &at, problems) {
                named.insert(name.to_owned(), Written { value: section, place: at });
            }
        }
        Some(Named(named))
    }

    fn fingerprint(&self) -> Value {
        let entries = self.0.iter().map(|(name, section)| (name.clone(), section.value.fingerprint_of_keys()));
        Value::Object(entries.collect())
    }
}

/// Parses one known key of a section.
pub(super) fn read_key<T: FromToml>(
    table: &dyn TableLike,
    key: &Key,
    section: &Place,
    problems: &mut Problems,
) -> Option<Written<T>> {
    let Some(item) = table.get(key.name) else {
        if key.need == Need::Required && !problems.is_told(section, &[key.name]) {
            let place = section.child(key.name, None);
            problems.add_with_hint(&place, format!("`{}` is missing", place.key), how_to_write(key, &place.key));
        }
        return None;
    };
    let place = place_of(table, key.name, item, section);
    T::read(item, &place, problems).map(|value| Written { value, place })
}

/// Reports every key of `table` that is not in `known`.
pub(super) fn refuse_unknown(table: &dyn TableLike, known: &[Key], section: &Place, problems: &mut Problems) {
    for (name, item) in table.iter().filter(|(name, _)| known.iter().all(|key| key.name != *name)) {
        let byte = table.key(name).and_then(|key| key.span()).or(item.span()).map(|span| span.start);
        let place = section.child(name, byte);
        if is_secret(name, known) {
            refuse_secret(name, &place, problems);
            continue;
        }
        // A key that the section has already is less likely to be meant.
        let absent = known.iter().map(|key| key.name).filter(|known| !table.contains_key(known));
        let meant = nearest(name, absent);
        refuse(meant.or_else(|| nearest(name, known.iter().map(|key| key.name))), known, &place, problems);
        meant.into_iter().for_each(|meant| problems.note(section, meant));
    }
}

/// Whether `<name>_env` is a key that says where a secret is.
fn is_secret(name: &str, known: &[Key]) -> bool {
    let by_environment = format!("{name}_env");
    known.iter().any(|key| key.bearing == Bearing::Secret && key.name == by_environment)
}

fn refuse_secret(name: &str, place: &Place, problems: &mut Problems) {
    let hint = format!("write `{name}_env = \"NAME\"` or `{name}_file = \"path\"` instead, and change the secret");
    problems.add_with_hint(place, format!("the secret `{}` is written in the job file", place.key), hint);
}

fn refuse(near: Option<&str>, known: &[Key], place: &Place, problems: &mut Problems) {
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
    };
    problems.add_with_hint(place, format!("unknown key `{}`", place.key), hint);
}

/// The position of the value, or of its key where the value has none (dotted keys).
fn place_of(table: &dyn TableLike, name: &str, item: &Item, section: &Place) -> Place {
    let span = item.span().or_else(|| table.key(name).and_then(|key| key.span()));
    section.child(name, span.map(|span| span.start))
}

fn how_to_write(key: &Key, path: &str) -> String {
    match key.kind {
        Kind::Text => format!("write `{} = \"…\"`", key.name),
        Kind::Integer => format!("write `{} = 1`", key.name),
        Kind::Boolean => format!("write `{} = true`", key.name),
        Kind::Texts | Kind::Pairs => format!("write `{} = […]`", key.name),
        Kind::Table(_) | Kind::Named(_) => format!("add a section `[{path}]`"),
        Kind::Tables(_) => format!("add a section `[[{path}]]`"),
    }
}

fn wrong_kind<T>(item: &Item, wanted: &str, place: &Place, problems: &mut Problems) -> Option<T> {
    problems.add(place, expected(place, wanted, item.type_name()));
    None
}

fn expected(place: &Place, wanted: &str, found: &str) -> String {
    format!("`{}` must be {wanted}, not {found}", place.key)
}
