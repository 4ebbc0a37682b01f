//! The data contracts of `schemas/*.odcs.yaml` (Open Data Contract Standard 3.1), compiled into the
//! program, and the Arrow schema that follows from each. Never reads or writes a data file.

mod document;
mod promise;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use promise::{Classification, Column, ColumnKind, Contract, KnownValue, Words};

static CONTRACTS: LazyLock<BTreeMap<String, Contract>> = LazyLock::new(document::load_all);

/// The contract of `dataset`. Panics on an unknown name, since names are compiled in.
pub fn contract(dataset: &str) -> &'static Contract {
    find(dataset).unwrap_or_else(|| panic!("no contract named {dataset} in schemas/"))
}

/// The contract of `dataset`, if there is one.
pub fn find(dataset: &str) -> Option<&'static Contract> {
    CONTRACTS.get(dataset)
}

/// Every contract, ordered by name.
pub fn all() -> impl Iterator<Item = &'static Contract> {
    CONTRACTS.values()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_has_a_key_of_required_columns_and_a_business_date() {
        assert_eq!(all().count(), 19);
        for contract in all() {
            assert!(!contract.key.is_empty(), "{}", contract.name);
            for key in &contract.key {
                let column = contract.columns.iter().find(|column| &column.name == key).unwrap();
                assert!(!column.nullable, "{}.{key}", contract.name);
            }
            assert!(contract.columns.iter().any(|column| column.name == "business_date"), "{}", contract.name);
        }
    }

    #[test]
    fn money_and_counts_are_64_bit_integers_and_names_are_lower_case() {
        for column in all().flat_map(|contract| &contract.columns) {
            assert_eq!(column.name, column.name.to_lowercase());
            if column.name.ends_with("_fen") || column.name.ends_with("_cnt") {
                assert_eq!(column.kind, ColumnKind::Integer, "{}", column.name);
            }
            assert_eq!(column.unit.as_deref() == Some("fen"), column.name.ends_with("_fen"), "{}", column.name);
            assert_eq!(
                column.unit.is_some(),
                column.kind == ColumnKind::Integer && !is_code(column),
                "{}",
                column.name
            );
        }
    }

    /// Integers that are not counts.
    fn is_code(column: &Column) -> bool {
        ["cond_source", "card_type", "is_pay", "isfriendscard", "merchanttype"].contains(&column.name.as_str())
    }

    #[test]
    fn every_column_says_in_both_languages_what_it_means_and_what_its_null_means() {
        let is_chinese = |text: &str| text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter));
        let both = |words: &Words| !words.en.is_empty() && is_chinese(&words.zh);
        for contract in all() {
            assert!(both(&contract.purpose) && both(&contract.grain), "{}", contract.name);
            assert!(!contract.usage.is_empty() && !contract.limitations.is_empty(), "{}", contract.name);
            for column in &contract.columns {
                let place = format!("{}.{}", contract.name, column.name);
                assert!(both(&column.meaning) && is_chinese(&column.title_zh), "{place}");
                assert_eq!(column.null_meaning.is_some(), column.nullable, "{place}");
                assert!(column.null_meaning.iter().all(both), "{place}");
                assert!(column.values.iter().all(|known| both(&known.meaning)), "{place}");
            }
        }
    }

    #[test]
    fn what_is_never_negative_is_a_number_of_the_contract() {
        assert_eq!(contract("payments").never_negative, ["order_fen", "settled_fen", "coupon_fee_fen"]);
        for contract in all() {
            for name in &contract.never_negative {
                let column = contract.columns.iter().find(|column| &column.name == name);
                assert_eq!(column.map(|it| it.kind), Some(ColumnKind::Integer), "{}.{name}", contract.name);
            }
        }
    }

    #[test]
    fn users_are_personal_and_what_redeems_a_coupon_is_confidential() {
        for column in all().flat_map(|contract| &contract.columns) {
            let is_user = ["openid", "order_openid", "unionid"].contains(&column.name.as_str());
            assert_eq!(column.classification == Classification::Personal, is_user, "{}", column.name);
            if column.name == "coupon_code" {
                assert_eq!(column.classification, Classification::Confidential);
            }
        }
    }

    #[test]
    fn a_column_of_one_name_has_one_type_everywhere_but_where_wechat_differs() {
        let mut kinds = BTreeMap::new();
        for column in all().flat_map(|contract| &contract.columns).filter(|column| column.name != "card_type") {
            assert_eq!(*kinds.entry(&column.name).or_insert(column.kind), column.kind, "{}", column.name);
        }
    }
}
