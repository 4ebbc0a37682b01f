//! `docs/data-dictionary.md`: every dataset and column in English and Chinese.

use std::fmt::Write;

use super::readers::Readers;
use crate::contract::{self, Classification, Column, ColumnKind, Contract, KnownValue, Words};
use crate::reconcile::rules::Rules;

const HEAD: &str = "\
# Data dictionary · 数据字典

Made from `schemas/*.odcs.yaml` and `jobs/rules/` by `cargo run --example describe`; edit those instead of this page.
本页由契约与规则生成，请勿直接修改。

- **fen** is 1/100 yuan, a whole number in 64 bits. 金额单位为分（0.01 元），64 位整数。
- **text** is UTF-8; ids are always text, even if they look like numbers. 编号一律为文本。
- **instant** is a point in time in UTC, to the microsecond. 时刻为 UTC，精确到微秒。
- **date** is a calendar day in Asia/Shanghai. 日期为北京时间的自然日。
- A dataset has one partition a day, `dt=YYYY-MM-DD`, and its key is unique within it. 每日一个分区，键在分区内唯一。
- **personal** columns identify a user and hold a keyed HMAC unless the job says `pii = \"raw\"`; **confidential** ones are
  worth money or come as free text from outside. personal 为个人信息，confidential 为敏感信息，请勿外传。
- Values marked *and others* are not a closed list: unlisted ones are kept as they are. 标注 and others 者取值不限于所列，未列出的原样保留。
- *read by* names the rules whose SQL reads the column, and in italics the shared views through which others do (last
  section). read by 为直接读取该列的规则与共享视图（斜体）。
";

/// The whole page.
pub(super) fn render() -> String {
    let rules = Rules::built_in();
    let readers = Readers::of(&rules);
    let mut page = HEAD.to_owned();
    page.push_str("\n| dataset | holds | 内容 | key |\n|---|---|---|---|\n");
    for contract in contract::all() {
        let name = &contract.name;
        let (holds, key) = (&contract.purpose, contract.key.join(", "));
        let _ = writeln!(page, "| [{name}](#{name}) | {} | {} | {key} |", cell(&holds.en), cell(&holds.zh));
    }
    for contract in contract::all() {
        dataset(&mut page, contract, &readers);
    }
    views(&mut page, &readers);
    page
}

fn dataset(page: &mut String, contract: &Contract, readers: &Readers) {
    let Contract { name, purpose, grain, usage, limitations, version, .. } = contract;
    let _ = write!(page, "\n## {name}\n\n{}\n{}\n\n", purpose.en, purpose.zh);
    let _ = writeln!(page, "- Row: {} {}\n- Key: {}", grain.en, grain.zh, contract.key.join(", "));
    let _ = writeln!(page, "- Use: {usage}\n- Limits: {limitations}\n- Contract version: {version}\n");
    page.push_str("| column | 列名 | type | meaning · 含义 | read by |\n|---|---|---|---|---|\n");
    for column in &contract.columns {
        let read_by = read_by(contract, column, readers);
        let (name, kind, meaning) = (name_of(contract, column), kind(column), meaning(column));
        let _ = writeln!(page, "| {name} | {} | {kind} | {meaning} | {read_by} |", column.title_zh);
    }
}

fn name_of(contract: &Contract, column: &Column) -> String {
    let is_key = contract.key.contains(&column.name);
    if is_key { format!("**{}**", column.name) } else { column.name.clone() }
}

fn kind(column: &Column) -> String {
    let kind = match column.kind {
        ColumnKind::Text => "text",
        ColumnKind::Integer => "integer",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Date => "date",
        ColumnKind::Instant => "instant",
    };
    let unit = column.unit.as_ref().map(|unit| format!(", {unit}")).unwrap_or_default();
    let shown = match column.classification {
        Classification::Internal => "",
        Classification::Confidential => "<br>confidential",
        Classification::Personal => "<br>personal",
    };
    format!("{kind}{unit}{shown}")
}

fn meaning(column: &Column) -> String {
    let mut lines = vec![both(&column.meaning)];
    if !column.values.is_empty() {
        let values: Vec<_> = column.values.iter().map(value).collect();
        let others = if column.has_known_values_only { "" } else { "; and others" };
        lines.push(format!("{}{others}", values.join("; ")));
    }
    lines.extend(column.null_meaning.as_ref().map(|words| format!("null: {}", both(words))));
    lines.join("<br>")
}

fn both(words: &Words) -> String {
    format!("{} {}", cell(&words.en), cell(&words.zh))
}

fn value(known: &KnownValue) -> String {
    format!("`{}` {} {}", known.value, cell(&known.meaning.en), cell(&known.meaning.zh))
}

fn read_by(contract: &Contract, column: &Column, readers: &Readers) -> String {
    let (rules, views) = readers.of_column(&contract.name, &column.name);
    let views = views.into_iter().map(|view| format!("*{view}*"));
    rules.into_iter().map(str::to_owned).chain(views).collect::<Vec<_>>().join(" ")
}

fn views(page: &mut String, readers: &Readers) {
    page.push_str("\n## Shared views · 共享视图\n\nQueries of `jobs/rules/views/` that rules build on.\n\n");
    page.push_str("| view | rules that read it, directly or through another view |\n|---|---|\n");
    for (view, rules) in readers.of_views() {
        let _ = writeln!(page, "| *{view}* | {} |", rules.join(" "));
    }
}

/// Escapes a text for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
