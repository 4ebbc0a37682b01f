//! What is published, described for others: the data dictionary, made of the contracts and the rules, and a
//! Table Schema per CSV of the finance pack, made of its tables. Gives texts; `cargo run --example describe` writes them
//! and a test holds that they are current.

mod described;
mod page;
mod readers;
mod table_schema;

pub use described::Described;

/// Every generated description.
pub fn describe() -> Vec<Described> {
    let page = Described { path: "docs/data-dictionary.md".to_owned(), text: page::render() };
    std::iter::once(page).chain(table_schema::describe()).collect()
}
