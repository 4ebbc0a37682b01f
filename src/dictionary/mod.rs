//! Generated descriptions of what is published: the data dictionary, made from the contracts and the rules, and a page and a
//! Table Schema per CSV of the finance pack, made from its tables. Returns texts only; `cargo run --example describe` writes them,
//! and a test checks that they are current.

mod described;
mod finance_page;
mod page;
mod readers;
mod table_schema;

pub use described::Described;

/// Every generated description.
pub fn describe() -> Vec<Described> {
    let page = Described { path: "docs/data-dictionary.md".to_owned(), text: page::render() };
    let finance = Described { path: "docs/finance-pack.md".to_owned(), text: finance_page::render() };
    [page, finance].into_iter().chain(table_schema::describe()).collect()
}
