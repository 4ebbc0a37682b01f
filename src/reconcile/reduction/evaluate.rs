//! Evaluates terms over an Arrow batch in the three-valued logic of SQL: a comparison with null is
//! neither true nor false. A term over unsupported types is an error, never a guess.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Datum, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::kernels::{cmp, numeric};
use arrow::compute::{and_kleene, is_not_null, is_null, not, or_kleene, prep_null_mask_filter};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::term::{Comparison, Operation, Term};
use crate::clock::business_day;

/// A value per row of a batch, or one for all.
#[derive(Debug, Clone)]
struct Values {
    array: ArrayRef,
    is_constant: bool,
}

impl Datum for Values {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array.as_ref(), self.is_constant)
    }
}

/// Evaluates terms over one batch; shared subterms are computed once.
pub(super) struct Evaluator<'a> {
    batch: &'a RecordBatch,
    known: HashMap<&'a Term, Values>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Evaluator<'a> {
        Evaluator { batch, known: HashMap::new() }
    }

    /// For every row, whether the condition is true; null counts as false.
    pub(super) fn rows_where(&mut self, condition: &'a Term) -> Result<BooleanArray, ArrowError> {
        let truths = self.truths(condition)?;
        Ok(if truths.null_count() > 0 { prep_null_mask_filter(&truths) } else { truths })
    }

    fn truths(&mut self, condition: &'a Term) -> Result<BooleanArray, ArrowError> {
        let values = self.values(condition)?;
        let truths = values.array.as_boolean_opt().ok_or_else(|| misfit(condition))?;
        if !values.is_constant {
            return Ok(truths.clone());
        }
        let truth = truths.is_valid(0).then(|| truths.value(0));
        Ok(std::iter::repeat_n(truth, self.batch.num_rows()).collect())
    }

    fn values(&mut self, term: &'a Term) -> Result<Values, ArrowError> {
        if let Some(values) = self.known.get(term) {
            return Ok(values.clone());
        }
        let values = self.compute(term)?;
        if !matches!(term, Term::Text(_) | Term::Integer(_) | Term::Flag(_) | Term::Day(_) | Term::Instant(_)) {
            self.known.insert(term, values.clone());
        }
        Ok(values)
    }

    fn compute(&mut self, term: &'a Term) -> Result<Values, ArrowError> {
        let array: ArrayRef = match term {
            Term::Column(_, name) => {
                let column = self.batch.column_by_name(name);
                column.ok_or_else(|| ArrowError::SchemaError(format!("no column `{name}`")))?.clone()
            }
            Term::Text(text) => return Ok(constant(StringArray::from(vec![text.as_str()]))),
            Term::Integer(number) => return Ok(constant(Int64Array::from(vec![*number]))),
            Term::Flag(flag) => return Ok(constant(BooleanArray::from(vec![*flag]))),
            Term::Day(day) => return Ok(constant(Date32Array::from(vec![*day]))),
            Term::Instant(micros) => {
                return Ok(constant(TimestampMicrosecondArray::from(vec![*micros]).with_timezone("UTC")));
            }
            Term::Compare(comparison, one, other) => return self.compared(*comparison, one, other),
            Term::All(terms) => Arc::new(self.folded(terms, and_kleene)?),
            Term::Any(terms) => Arc::new(self.folded(terms, or_kleene)?),
            Term::Not(term) => Arc::new(not(&self.truths(term)?)?),
            Term::IsNull(term) => {
                let values = self.values(term)?;
                return Ok(Values { array: Arc::new(is_null(&values.array)?), is_constant: values.is_constant });
            }
            Term::Arithmetic(operation, one, other) => return self.calculated(*operation, one, other),
            Term::Absolute(term) => return self.absolute(term),
            Term::First(terms) => return self.first(terms),
            Term::Case(cases, otherwise) => return self.case(cases, otherwise.as_deref()),
            Term::BusinessDay(term) => return self.business_day(term),
            Term::Unknown | Term::There(_) | Term::Count(_) => return Err(misfit(term)),
        };
        Ok(Values { array, is_constant: false })
    }

    fn folded(
        &mut self,
        terms: &'a [Term],
        fold: fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>,
    ) -> Result<BooleanArray, ArrowError> {
        let mut truths = terms.iter().map(|term| self.truths(term));
        let first = truths.next().unwrap_or_else(|| Err(ArrowError::ComputeError("nothing to fold".to_owned())))?;
        truths.try_fold(first, |one, other| fold(&one, &other?))
    }

    fn compared(&mut self, comparison: Comparison, one: &'a Term, other: &'a Term) -> Result<Values, ArrowError> {
        let (left, right) = (self.values(one)?, self.values(other)?);
        if left.array.data_type() != right.array.data_type() {
            return Err(misfit(one));
        }
        let compare = match comparison {
            Comparison::Equal => cmp::eq,
            Comparison::NotEqual => cmp::neq,
            Comparison::Less => cmp::lt,
            Comparison::LessOrEqual => cmp::lt_eq,
            Comparison::Greater => cmp::gt,
            Comparison::GreaterOrEqual => cmp::gt_eq,
        };
        let is_constant = left.is_constant && right.is_constant;
        Ok(Values { array: Arc::new(compare(&left, &right)?), is_constant })
    }

    fn calculated(&mut self, operation: Operation, one: &'a Term, other: &'a Term) -> Result<Values, ArrowError> {
        let (left, right) = (self.values(one)?, self.values(other)?);
        if [&left, &right].iter().any(|values| *values.array.data_type() != DataType::Int64) {
            return Err(misfit(one));
        }
        let calculate = match operation {
            Operation::Add => numeric::add_wrapping,
            Operation::Subtract => numeric::sub_wrapping,
            Operation::Multiply => numeric::mul_wrapping,
        };
        Ok(Values { array: calculate(&left, &right)?, is_constant: left.is_constant && right.is_constant })
    }

    fn absolute(&mut self, term: &'a Term) -> Result<Values, ArrowError> {
        let values = self.values(term)?;
        let numbers = values.array.as_primitive_opt::<Int64Type>().ok_or_else(|| misfit(term))?;
        let absolute: Int64Array = numbers.unary(i64::wrapping_abs);
        Ok(Values { array: Arc::new(absolute), is_constant: values.is_constant })
    }

    /// The first term that is not null.
    fn first(&mut self, terms: &'a [Term]) -> Result<Values, ArrowError> {
        let values = terms.iter().map(|term| self.values(term)).collect::<Result<Vec<_>, _>>()?;
        let mut from_last = values.into_iter().rev();
        let last = from_last.next().ok_or_else(|| ArrowError::ComputeError("nothing to choose from".to_owned()))?;
        from_last.try_fold(last, |otherwise, values| {
            if values.is_constant {
                return Ok(if values.array.is_null(0) { otherwise } else { values });
            }
            self.chosen(&is_not_null(&values.array)?, &values, &otherwise)
        })
    }

    fn case(&mut self, cases: &'a [(Term, Term)], otherwise: Option<&'a Term>) -> Result<Values, ArrowError> {
        let results = cases.iter().map(|(_, result)| self.values(result)).collect::<Result<Vec<_>, _>>()?;
        let kind = results.first().ok_or_else(|| ArrowError::ComputeError("a case of nothing".to_owned()))?;
        let nothing = Values { array: new_null_array(kind.array.data_type(), 1), is_constant: true };
        let otherwise = otherwise.map_or(Ok(nothing), |term| self.values(term))?;
        let from_last = cases.iter().zip(results).rev();
        from_last.into_iter().try_fold(otherwise, |otherwise, ((condition, _), result)| {
            let is_it = self.rows_where(condition)?;
            self.chosen(&is_it, &result, &otherwise)
        })
    }

    fn chosen(&self, choice: &BooleanArray, yes: &Values, no: &Values) -> Result<Values, ArrowError> {
        if yes.array.data_type() != no.array.data_type() {
            return Err(ArrowError::ComputeError("a choice between types".to_owned()));
        }
        Ok(Values { array: zip(choice, yes, no)?, is_constant: false })
    }

    fn business_day(&mut self, term: &'a Term) -> Result<Values, ArrowError> {
        let values = self.values(term)?;
        let instants = values.array.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| misfit(term))?;
        let days: Date32Array = instants.unary(business_day);
        Ok(Values { array: Arc::new(days), is_constant: values.is_constant })
    }
}

fn constant(array: impl Array + 'static) -> Values {
    Values { array: Arc::new(array), is_constant: true }
}

fn misfit(term: &Term) -> ArrowError {
    ArrowError::ComputeError(format!("cannot evaluate {term:?}"))
}
