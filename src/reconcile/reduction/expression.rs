//! Converts a parsed SQL expression to a term over base tables. Anything else becomes `Unknown`, which
//! a rule may use but which reduces nothing.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    UnaryOperator, Value,
};

use super::scope::Scope;
use super::term::{Comparison, Operation, Term};

/// Functions with one value per row; any other function may be an aggregate.
const OF_ONE_ROW: [&str; 4] = ["ABS", "COALESCE", "GREATEST", "LEAST"];

/// Whether a function has one value per row.
pub(super) fn is_of_one_row(function: &Function) -> bool {
    let name = function.name.to_string().to_ascii_uppercase();
    function.over.is_none() && OF_ONE_ROW.contains(&name.as_str())
}

/// The term of an expression, with the names of `scope`.
pub(super) fn term(expression: &Expr, scope: &Scope) -> Term {
    let boxed = |expression: &Expr| Box::new(term(expression, scope));
    match expression {
        Expr::Identifier(name) => scope.column(None, &name.value),
        Expr::CompoundIdentifier(path) => match path.as_slice() {
            [source, column] => scope.column(Some(&source.value), &column.value),
            _ => Term::Unknown,
        },
        Expr::Nested(inner) => term(inner, scope),
        Expr::Value(value) => literal(&value.value),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Term::Not(boxed(expr)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            Term::Arithmetic(Operation::Subtract, Box::new(Term::Integer(0)), boxed(expr))
        }
        Expr::IsNull(expr) => Term::IsNull(boxed(expr)),
        Expr::IsNotNull(expr) => Term::Not(Box::new(Term::IsNull(boxed(expr)))),
        Expr::BinaryOp { left, op, right } => binary(op, boxed(left), boxed(right)),
        Expr::InList { expr, list, negated } => {
            let equals = |item: &Expr| Term::Compare(Comparison::Equal, boxed(expr), boxed(item));
            negated_if(*negated, Term::Any(list.iter().map(equals).collect()))
        }
        Expr::Between { expr, negated, low, high } => {
            let from = Term::Compare(Comparison::GreaterOrEqual, boxed(expr), boxed(low));
            let to = Term::Compare(Comparison::LessOrEqual, boxed(expr), boxed(high));
            negated_if(*negated, Term::All(vec![from, to]))
        }
        Expr::Cast { kind: CastKind::Cast, expr, data_type: DataType::Date, .. } => business_day(expr, scope),
        Expr::Function(function) => called(function, scope),
        Expr::Case { operand: None, conditions, else_result, .. } => {
            let case = |case: &CaseWhen| (term(&case.condition, scope), term(&case.result, scope));
            Term::Case(conditions.iter().map(case).collect(), else_result.as_deref().map(boxed))
        }
        _ => Term::Unknown,
    }
}

fn literal(value: &Value) -> Term {
    match value {
        Value::Number(digits, false) => digits.parse().map_or(Term::Unknown, Term::Integer),
        Value::SingleQuotedString(text) => Term::Text(text.clone()),
        Value::Boolean(flag) => Term::Flag(*flag),
        _ => Term::Unknown,
    }
}

fn negated_if(negated: bool, term: Term) -> Term {
    if negated { Term::Not(Box::new(term)) } else { term }
}

fn binary(operator: &BinaryOperator, left: Box<Term>, right: Box<Term>) -> Term {
    let compare = |comparison| Term::Compare(comparison, left.clone(), right.clone());
    let calculate = |operation| Term::Arithmetic(operation, left.clone(), right.clone());
    match operator {
        BinaryOperator::And => Term::All(vec![*left, *right]),
        BinaryOperator::Or => Term::Any(vec![*left, *right]),
        BinaryOperator::Eq => compare(Comparison::Equal),
        BinaryOperator::NotEq => compare(Comparison::NotEqual),
        BinaryOperator::Lt => compare(Comparison::Less),
        BinaryOperator::LtEq => compare(Comparison::LessOrEqual),
        BinaryOperator::Gt => compare(Comparison::Greater),
        BinaryOperator::GtEq => compare(Comparison::GreaterOrEqual),
        BinaryOperator::Plus => calculate(Operation::Add),
        BinaryOperator::Minus => calculate(Operation::Subtract),
        BinaryOperator::Multiply => calculate(Operation::Multiply),
        _ => Term::Unknown,
    }
}

/// `CAST(instant + INTERVAL '8 HOUR' AS DATE)` is the business date; no other cast is supported.
fn business_day(expression: &Expr, scope: &Scope) -> Term {
    match expression {
        Expr::BinaryOp { left, op: BinaryOperator::Plus, right } if right.to_string() == "INTERVAL '8 HOUR'" => {
            Term::BusinessDay(Box::new(term(left, scope)))
        }
        _ => Term::Unknown,
    }
}

fn called(function: &Function, scope: &Scope) -> Term {
    let FunctionArguments::List(list) = &function.args else { return Term::Unknown };
    let is_plain = list.clauses.is_empty() && list.duplicate_treatment.is_none() && function.filter.is_none();
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => term(expression, scope),
        _ => Term::Unknown,
    };
    let mut arguments: Vec<_> = list.args.iter().map(argument).collect();
    match function.name.to_string().to_ascii_uppercase().as_str() {
        "COALESCE" if is_plain => Term::First(arguments),
        "ABS" if is_plain && arguments.len() == 1 => Term::Absolute(Box::new(arguments.remove(0))),
        _ => Term::Unknown,
    }
}
