//! `docs/finance-pack.md`: what every column of the finance files means, in Chinese and English.

use std::fmt::Write;

use crate::report::{Column, Kind, Table, tables};

const HEAD: &str = "\
# Finance pack · 对账报表

Made from the tables in `src/report/` and the contracts by `cargo run --example describe`; edit those instead of this page.
本页由报表定义与契约生成，请勿直接修改。

- Each table is a CSV and a sheet of `reconciliation.xlsx`. The header of a sheet has these explanations as notes: point at
  it. 每张表同时为 CSV 与工作簿的工作表；指向工作表的表头即显示说明。
- Amounts are yuan with two decimals, those in the sentences of `why` fen (1/100 yuan); times are Asia/Shanghai. 金额单位为元，两位小数；`why`（原因）
  一列的文字中金额以分计；时间为北京时间。
- Ids are text; in a CSV they begin with the mark that `report.excel_ids` sets. 编号为文本；在 CSV 中前缀由 `report.excel_ids` 决定。
- **Σ**: the last line has the number of rows and these sums (`report.trailer`); an amount that several coupons share is shown on the first of them
  only. 末行为笔数与合计（`report.trailer`）；多张券共有的金额只记在首张。
";

/// The whole page.
pub(super) fn render() -> String {
    let mut page = HEAD.to_owned();
    tables().into_iter().for_each(|table| section(&mut page, table));
    page
}

fn section(page: &mut String, table: &Table) {
    let _ = write!(page, "\n## {}.csv\n\n{} · {}\n\n", table.name, table.en, table.zh);
    page.push_str("| column | 列名 | English | kind | meaning · 含义 |\n|---|---|---|---|---|\n");
    for column in table.columns {
        let (zh, en) = table.meaning(column);
        let Column { name, zh: title, en: heading, .. } = column;
        let _ = writeln!(page, "| {name} | {title} | {heading} | {} | {en} {zh} |", kind(column));
    }
}

fn kind(column: &Column) -> String {
    let kind = match column.kind {
        Kind::Id => "id",
        Kind::Word => "word",
        Kind::Text => "text",
        Kind::Yuan => "yuan",
        Kind::Count => "number",
        Kind::Date => "date",
        Kind::Time => "time",
    };
    let sum = if column.is_summed { ", Σ" } else { "" };
    format!("{kind}{sum}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_says_in_both_languages_what_it_means_and_nothing_of_fen() {
        let is_chinese = |text: &str| text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter));
        for table in tables() {
            for column in table.columns {
                let (zh, en) = table.meaning(column);
                let place = format!("{}.{}: {en} {zh}", table.name, column.name);
                assert!(is_chinese(zh) && zh.ends_with('。') && en.ends_with('.'), "{place}");
                assert!(!en.contains("fen"), "amounts of the pack are in yuan: {place}");
                assert!(!format!("{en}{zh}").contains('|'), "{place}");
            }
        }
    }
}
