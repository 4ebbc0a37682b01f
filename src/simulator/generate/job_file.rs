//! The job files of a merchant (design §11), with every section, and every secret in a file of its
//! own. One for public-key mode, one for platform certificates.

use super::cards::MEMBER_CARDS;
use super::catalog::{
    APPID, ASSOCIATED, CATALOG, FIXED_SUBSIDY, FRANCHISEE, MCHID, Program, ProgramAmount, SHARED_SUBSIDY,
};
use super::credentials::Credentials;
use super::merchant::Merchant;
use super::vouchers::STOCK_IDS;

/// The address of `simulate`.
const BASE_URL: &str = "http://127.0.0.1:18080";

/// How answers are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyMode {
    PublicKey,
    Certificates,
}

/// The job file of a mode.
pub(super) fn render(merchant: &Merchant, credentials: &Credentials, mode: KeyMode) -> String {
    [
        head(merchant),
        pay_v3(credentials, mode),
        pay_v2(),
        mp(),
        wallets(),
        ORDERS.to_owned(),
        SOURCES.to_owned(),
        programs(),
        rules(),
        TAIL.to_owned(),
    ]
    .concat()
}

fn head(merchant: &Merchant) -> String {
    format!(
        "# {brand}, a synthetic merchant with planted breaks: `truth/` says what a night must find.\n\
         # Made by `coupon-recon generate --seed {seed} --users {users} --nights {nights} --first-date {first}`.\n\n\
         [job]\n\
         name = \"{name}\"\n\
         first_date = \"{first}\"\n\
         timeout_seconds = 30\n\
         retry_deadline_seconds = 120\n\
         lake = \"../out/lake\"\n\
         pii = \"hmac\"\n\
         pii_key_file = \"secrets/pii.key\"\n\n",
        brand = merchant.recipe.kind.brand(),
        seed = merchant.recipe.seed,
        users = merchant.recipe.users,
        nights = merchant.recipe.nights,
        first = merchant.recipe.first_date,
        name = merchant.recipe.name,
    )
}

fn pay_v3(credentials: &Credentials, mode: KeyMode) -> String {
    let account = &credentials.account;
    let public_key = match mode {
        KeyMode::PublicKey => {
            format!("public_key_id = \"{}\"\npublic_key_file = \"secrets/wxp_pub.pem\"\n", account.public_key_id)
        }
        KeyMode::Certificates => "# Without public_key_id: answers are verified by platform certificates.\n".to_owned(),
    };
    format!(
        "[pay_v3]\n\
         base_url = \"{BASE_URL}\"\n\
         mchid = \"{MCHID}\"\n\
         serial_no = \"{serial}\"\n\
         private_key_file = \"secrets/apiclient_key.pem\"\n\
         api_v3_key_file = \"secrets/api_v3.key\"\n\
         {public_key}\
         rate_per_second = 500\n\
         concurrency = 32\n\n",
        serial = account.merchant_serial_no,
    )
}

fn pay_v2() -> String {
    format!(
        "[pay_v2]\n\
         base_url = \"{BASE_URL}\"\n\
         mch_id = \"{MCHID}\"\n\
         appid = \"{APPID}\"\n\
         api_key_file = \"secrets/v2.key\"\n\
         stock_ids = {}\n\
         coupons_file = \"v2-coupons.csv\"\n\n",
        list(&STOCK_IDS)
    )
}

fn mp() -> String {
    format!(
        "[mp]\n\
         base_url = \"{BASE_URL}\"\n\
         appid = \"{APPID}\"\n\
         secret_file = \"secrets/mp.secret\"\n\
         repull_days = 3\n\
         member_card_ids = {}\n\n",
        list(&MEMBER_CARDS)
    )
}

fn wallets() -> String {
    let stock_ids = CATALOG.map(|stock| stock.stock_id);
    format!(
        "[stocks]\n\
         ids = {}\n\n\
         [wallets]\n\
         appid = \"{APPID}\"\n\
         creator_merchant = \"{MCHID}\"\n\
         refresh = \"active\"\n\
         audit_days = 30\n\
         roster_file = \"roster.csv\"\n\
         max_unsettled = 0\n\n",
        list(&stock_ids)
    )
}

const ORDERS: &str = r#"[[orders]]
path = "orders/{date}.csv"
format = "csv"
encoding = "utf-8"
amount_unit = "yuan"
time_format = "%Y-%m-%d %H:%M:%S"
on_bad_row = "fail"
wechat_channels = ["微信支付"]

[orders.columns]
out_trade_no = "商户订单号"
transaction_id = "微信支付订单号"
merchant = "商户号"
openid = "用户标识"
paid_at = "支付时间"
goods = "商品金额"
discount = "券优惠金额"
paid = "实付金额"
refund = "退款金额"
stock_id = "批次号"
coupon_code = "券码"
channel = "支付渠道"
product = "商品名称"
remark = "备注"

"#;

const SOURCES: &str = r#"[bills]
source = "api"
tar_type = "GZIP"

[sources.bills]
ready_at = "10:00"
grace_days = 0

[subsidy_ledger]
path = "subsidy-orders/{date}.csv"

"#;

fn programs() -> String {
    let stocks = [&FIXED_SUBSIDY, &SHARED_SUBSIDY];
    stocks.iter().filter_map(|stock| Some(program(stock.stock_id, stock.program?))).collect()
}

fn program(stock_id: &str, program: Program) -> String {
    let amount = match program.amount {
        ProgramAmount::Fixed(fen) => format!("amount_fen = {fen}"),
        ProgramAmount::PercentOfDiscount(percent) => format!("percent_of_discount = {percent}"),
    };
    format!(
        "[[subsidy_programs]]\n\
         stock_id = \"{stock_id}\"\n\
         payer_merchant = \"{MCHID}\"\n\
         payee_merchant = \"{FRANCHISEE}\"\n\
         {amount}\n\
         due_days = {}\n\n",
        program.due_days
    )
}

fn rules() -> String {
    format!(
        "[notifications]\n\
         spool = \"notifications/\"\n\n\
         [rules]\n\
         off = []\n\
         must_associate = {}\n\
         merchant_pairs = [[\"{FRANCHISEE}\", \"{MCHID}\"]]\n\
         use_request_pattern = \"\"\n\
         folders = []\n\
         max_coupons_per_order = 1\n\
         tolerance.use_time_minutes = 10\n\
         tolerance.discount_fen = 1\n\
         lookback_days = 30\n\
         stuck_hours = 24\n\n",
        list(&[ASSOCIATED.stock_id])
    )
}

const TAIL: &str = r#"[engine]
kind = "polars"
remote = "sc://127.0.0.1:15002"

[decisions]
path = "decisions.csv"

[report]
language = "zh"
excel_ids = "backtick"
trailer = true
"#;

/// A TOML list of strings.
fn list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
