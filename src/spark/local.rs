//! Converts small Arrow tables to rows that the client can send, since the client uses another
//! version of Arrow.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType as Arrow, Date32Type, Field, Int64Type, TimestampMicrosecondType};
use spark_connect::row::{Row, Value};
use spark_connect::types::{DataType, StructField};

/// The columns and rows of at least one batch. Only the five types of the contracts are supported.
pub(super) fn local_relation(batches: &[RecordBatch]) -> (DataType, Vec<Row>) {
    let schema = batches.first().expect("a table has its columns").schema();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let fields = schema.fields().iter().map(|field| column(field)).collect();
    let rows = batches.iter().flat_map(|batch| {
        let names = names.clone();
        (0..batch.num_rows())
            .map(move |row| Row::new(names.clone(), batch.columns().iter().map(|it| value(it.as_ref(), row)).collect()))
    });
    (DataType::Struct { fields }, rows.collect())
}

fn column(field: &Field) -> StructField {
    let data_type = match field.data_type() {
        Arrow::Int64 => DataType::Long,
        Arrow::Boolean => DataType::Boolean,
        Arrow::Date32 => DataType::Date,
        Arrow::Timestamp(..) => DataType::Timestamp,
        _ => DataType::String { collation: "UTF8_BINARY".to_owned() },
    };
    StructField { name: field.name().clone(), data_type, nullable: true, metadata: BTreeMap::new() }
}

fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        Arrow::Int64 => Value::Long(array.as_primitive::<Int64Type>().value(row)),
        Arrow::Boolean => Value::Bool(array.as_boolean().value(row)),
        Arrow::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        Arrow::Timestamp(..) => Value::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        Arrow::Utf8View => Value::String(array.as_string_view().value(row).to_owned()),
        Arrow::LargeUtf8 => Value::String(array.as_string::<i64>().value(row).to_owned()),
        Arrow::Utf8 => Value::String(array.as_string::<i32>().value(row).to_owned()),
        other => unreachable!("the small tables of a night have no {other}"),
    }
}
