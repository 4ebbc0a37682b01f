//! Translations of the codes in the datasets into the language of the report. A code that this version
//! does not know is shown unchanged.

use crate::job::Language;
use crate::record::{coupon_state, match_pass, receipt_status};

/// Code, Chinese, English.
pub(super) type Words = [(&'static str, &'static str, &'static str)];

/// Status of a break.
pub(super) const STATUS: &Words = &[
    ("expected", "待到账", "expected"),
    ("new", "新增", "new"),
    ("open", "未结", "open"),
    ("resolved", "已解决", "resolved"),
    ("reopened", "重新打开", "reopened"),
    ("accepted", "已认可", "accepted"),
    ("written_off", "已核销账", "written off"),
];
/// Severity of a break.
pub(super) const SEVERITY: &Words = &[("high", "高", "high"), ("medium", "中", "medium"), ("low", "低", "low")];
/// Who should act on a break.
pub(super) const SIDE: &Words = &[
    ("merchant", "商户", "merchant"),
    ("finance", "财务", "finance"),
    ("marketing", "营销", "marketing"),
    ("wechat", "微信支付", "WeChat Pay"),
];
/// State of a coupon at the end of the day.
pub(super) const COUPON: &Words = &[
    (coupon_state::USED, "已核销", "used"),
    (coupon_state::SENDED, "未核销", "not used"),
    (coupon_state::EXPIRED, "已过期", "expired"),
    (coupon_state::DEACTIVATED, "已失效", "deactivated"),
];
/// How the order of a coupon was found.
pub(super) const MATCH_PASS: &Words = &[
    (match_pass::CLAIM, "订单报券", "claim"),
    (match_pass::ASSOCIATION, "关联订单", "association"),
    (match_pass::USE_REQUEST, "核销请求号", "use request"),
    (match_pass::AMBIGUOUS, "多单争用", "ambiguous"),
];
/// Status of a subsidy receipt.
pub(super) const RECEIPT: &Words = &[
    (receipt_status::ACCEPTED, "处理中", "accepted"),
    (receipt_status::SUCCESS, "补差成功", "paid"),
    (receipt_status::FAIL, "补差失败", "failed"),
    (receipt_status::RETURNING, "回退中", "returning"),
    (receipt_status::PARTIAL_RETURN, "部分回退", "partly returned"),
    (receipt_status::FULL_RETURN, "全额回退", "fully returned"),
];
/// What the match compares, by the dataset of the side.
pub(super) const MATCHED: &Words = &[
    ("user_coupons", "券包", "Coupons"),
    ("orders", "报券订单行", "Order lines"),
    ("subsidy_payments", "补差单", "Subsidies"),
    ("payments", "账单支付", "Bill payments"),
    ("refunds", "账单退款", "Bill refunds"),
];
/// Result of reconciliation.
pub(super) const RESULT: &Words = &[
    ("agrees", "相符", "agrees"),
    ("differs", "有差异", "differs"),
    ("pending", "待补差", "pending"),
    ("unproven", "未核实", "unproven"),
];

/// The word for `code` in `language`.
pub(super) fn word<'a>(words: &Words, language: Language, code: &'a str) -> &'a str {
    let Some((_, zh, en)) = words.iter().find(|(it, ..)| *it == code) else { return code };
    match language {
        Language::Zh => zh,
        Language::En => en,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_nobody_knows_is_shown_as_it_is() {
        assert_eq!(word(SEVERITY, Language::Zh, "high"), "高");
        assert_eq!(word(STATUS, Language::En, "written_off"), "written off");
        assert_eq!(word(COUPON, Language::Zh, "FROZEN"), "FROZEN");
    }
}
