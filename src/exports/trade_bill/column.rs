//! The columns of trade bills by their header texts, current and legacy (reference v3 §4.3, v2 §B.5). Never
//! relies on positions or on the requested bill type.

use std::ops::Range;

use super::error::BillError;
use super::lines::Line;

/// A column that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Column {
    TradeTime,
    Appid,
    Mchid,
    SubMchid,
    DeviceInfo,
    TransactionId,
    OutTradeNo,
    Openid,
    TradeType,
    TradeState,
    BankType,
    FeeType,
    Settled,
    CouponFee,
    RefundAppliedTime,
    RefundSuccessTime,
    RefundId,
    OutRefundNo,
    Refund,
    CouponRefund,
    RefundType,
    RefundStatus,
    Body,
    Attach,
    ServiceFee,
    Rate,
    Order,
    AppliedRefund,
    RateRemark,
}

/// Every column with its header texts, the current one first.
const COLUMNS: [(Column, &[&str]); 29] = [
    (Column::TradeTime, &["交易时间"]),
    (Column::Appid, &["公众账号ID"]),
    (Column::Mchid, &["商户号"]),
    (Column::SubMchid, &["特约商户号", "子商户号"]),
    (Column::DeviceInfo, &["设备号"]),
    (Column::TransactionId, &["微信订单号"]),
    (Column::OutTradeNo, &["商户订单号"]),
    (Column::Openid, &["用户标识"]),
    (Column::TradeType, &["交易类型"]),
    (Column::TradeState, &["交易状态"]),
    (Column::BankType, &["付款银行"]),
    (Column::FeeType, &["货币种类"]),
    (Column::Settled, &["应结订单金额", "总金额"]),
    (Column::CouponFee, &["代金券金额", "代金券或立减优惠金额", "企业红包金额"]),
    (Column::RefundAppliedTime, &["退款申请时间"]),
    (Column::RefundSuccessTime, &["退款成功时间"]),
    (Column::RefundId, &["微信退款单号"]),
    (Column::OutRefundNo, &["商户退款单号"]),
    (Column::Refund, &["退款金额"]),
    (Column::CouponRefund, &["充值券退款金额", "代金券或立减优惠退款金额", "企业红包退款金额"]),
    (Column::RefundType, &["退款类型"]),
    (Column::RefundStatus, &["退款状态"]),
    (Column::Body, &["商品名称"]),
    (Column::Attach, &["商户数据包"]),
    (Column::ServiceFee, &["手续费", "返还手续费"]),
    (Column::Rate, &["费率"]),
    (Column::Order, &["订单金额"]),
    (Column::AppliedRefund, &["申请退款金额"]),
    (Column::RateRemark, &["费率备注"]),
];

/// Without these a line cannot be parsed.
const REQUIRED: [Column; 6] = [
    Column::TradeTime,
    Column::TransactionId,
    Column::OutTradeNo,
    Column::TradeState,
    Column::Settled,
    Column::ServiceFee,
];

impl Column {
    /// Its current header text.
    pub(super) fn header(self) -> &'static str {
        COLUMNS[self as usize].1[0]
    }
}

/// The positions of the columns in one bill. Unknown columns are ignored.
#[derive(Debug)]
pub(super) struct Layout {
    headers: Vec<String>,
    places: [Option<usize>; COLUMNS.len()],
}

impl Layout {
    /// The layout of a header line.
    pub(super) fn parse(file: &str, line: &Line) -> Result<Layout, BillError> {
        let headers: Vec<_> = line.text.split(',').map(|cell| cell.trim().trim_start_matches('`').to_owned()).collect();
        refuse_more_lines(file, line, &headers)?;
        let place = |texts: &[&str]| headers.iter().position(|header| texts.contains(&header.as_str()));
        let places = COLUMNS.map(|(_, texts)| place(texts));
        let layout = Layout { headers, places };
        let missing: Vec<_> = REQUIRED.iter().filter(|column| layout.place(**column).is_none()).collect();
        if missing.is_empty() {
            return Ok(layout);
        }
        Err(BillError::Header {
            file: file.to_owned(),
            missing: missing.iter().map(|column| format!("`{}`", column.header())).collect::<Vec<_>>().join(", "),
            found: format!("`{}`", line.text.chars().take(120).collect::<String>()),
        })
    }

    /// Columns of the header.
    pub(super) fn width(&self) -> usize {
        self.headers.len()
    }

    /// The columns with the merchant's own texts, if they are adjacent.
    pub(super) fn texts(&self) -> Option<Range<usize>> {
        match (self.place(Column::Body), self.place(Column::Attach)) {
            (Some(body), Some(attach)) => (attach == body + 1).then_some(body..attach + 1),
            (body, attach) => body.or(attach).map(|only| only..only + 1),
        }
    }

    /// The position of a column, if the bill has it.
    pub(super) fn place(&self, column: Column) -> Option<usize> {
        self.places[column as usize]
    }

    /// The header text of a column as this bill writes it.
    pub(super) fn header(&self, column: Column) -> String {
        self.place(column).map_or(column.header(), |place| &self.headers[place]).to_owned()
    }
}

/// Detects lines that end with a carriage return alone, or not at all: they would be one line to us, a header
/// whose rows nobody would miss. Product names may contain line breaks, headers do not.
fn refuse_more_lines(file: &str, line: &Line, headers: &[String]) -> Result<(), BillError> {
    let is_no_header = |found: char| found == '`' || found.is_control();
    let Some((header, _)) = headers.iter().find_map(|header| header.split_once(is_no_header)) else { return Ok(()) };
    Err(BillError::Row {
        file: file.to_owned(),
        line: line.number,
        column: String::new(),
        value: header.chars().take(40).collect(),
        why:
            "more text follows in the line of the headers: the lines of a bill end with CRLF or LF; download it again and do not save it with another program"
                .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_stands_at_its_own_number_and_no_header_names_two() {
        let mut texts = std::collections::BTreeSet::new();
        for (index, (column, headers)) in COLUMNS.iter().enumerate() {
            assert_eq!(*column as usize, index);
            assert!(headers.iter().all(|header| texts.insert(*header)), "{headers:?}");
        }
    }
}
