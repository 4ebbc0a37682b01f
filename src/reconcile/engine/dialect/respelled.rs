//! Expressions from texts that were put together of parsed ones: shorter than their syntax trees. Takes no text of a rule.

use sqlparser::ast::Expr;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// The expression that a text spells.
///
/// # Panics
/// The text is no expression; the engine makes that the error of the rule.
pub(super) fn parsed(text: &str) -> Expr {
    let expr = Parser::new(&GenericDialect {}).try_with_sql(text).and_then(|mut parser| parser.parse_expr());
    expr.expect("a text made of parsed ones")
}
