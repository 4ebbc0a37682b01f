//! Rewrites a rule's SQL so that every mention of a table has a name, and therefore rows, of its own.

use std::ops::ControlFlow;

use sqlparser::ast::{Ident, ObjectName, TableAlias, TableFactor, VisitMut, VisitorMut};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// The query with its tables renamed by `name_of`, which gets their position in the text.
pub(in crate::reconcile) fn with_names(sql: &str, name_of: fn(usize) -> String) -> Option<String> {
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql).ok()?;
    let mut renamer = Renamer { name_of, next: 0 };
    let _ = statements.visit(&mut renamer);
    Some(statements.pop()?.to_string())
}

struct Renamer {
    name_of: fn(usize) -> String,
    next: usize,
}

impl VisitorMut for Renamer {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor {
            let own = ObjectName::from(vec![Ident::new((self.name_of)(self.next))]);
            let before = std::mem::replace(name, own);
            self.next += 1;
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: Ident::new(before.to_string()),
                columns: Vec::new(),
                at: None,
            });
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_gets_a_name_in_the_order_of_the_text_and_keeps_the_one_its_columns_are_called_by() {
        let sql = "SELECT l.a AS a FROM coupons l JOIN (SELECT x FROM receipts) r ON r.x = l.a CROSS JOIN params";
        let renamed = with_names(sql, |place| format!("t{place}")).unwrap();
        let expected = "SELECT l.a AS a FROM t0 l JOIN (SELECT x FROM t1 AS receipts) r ON r.x = l.a \
                        CROSS JOIN t2 AS params";
        assert_eq!(renamed, expected);
    }
}
