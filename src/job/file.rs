//! The schema of the job file: its sections and keys with their types, each value with its place.
//! Knows no meaning of a value: `check` makes the settings.

use serde_json::{Map, Value};
use toml_edit::TableLike;

use super::problem::{Place, Problems};
use super::value::{
    Bearing, FromToml, Key, Named, Need, Pairs, Section, Tables, Texts, Written, read_key, refuse_unknown,
};

/// Declares a section: its struct, its table of keys, and how it is parsed.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $kind:ty, $need:ident $bearing:ident;)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name {
            place: Place,
            $(pub(super) $key: Option<Written<$kind>>,)*
        }

        impl Section for $name {
            const KEYS: &'static [Key] = &[$(Key {
                name: stringify!($key),
                kind: <$kind as FromToml>::KIND,
                need: Need::$need,
                bearing: Bearing::$bearing,
            },)*];

            fn from_table(table: &dyn TableLike, place: &Place, problems: &mut Problems) -> Self {
                refuse_unknown(table, Self::KEYS, place, problems);
                let mut keys = Self::KEYS.iter();
                let mut key = || keys.next().expect("one key per field, in order");
                Self { place: place.clone(), $($key: read_key(table, key(), place, problems),)* }
            }

            fn place(&self) -> &Place {
                &self.place
            }

            fn fingerprint_of_keys(&self) -> Value {
                let mut fields = Map::new();
                $(if let (Bearing::Result, Some(written)) = (Bearing::$bearing, &self.$key) {
                    fields.insert(stringify!($key).to_owned(), written.value.fingerprint());
                })*
                fields.sort_keys();
                Value::Object(fields)
            }
        }
    };
}

section! {
    /// The whole file.
    JobFile {
        job: JobSection, Required Result;
        store: StoreSection, Optional Transport;
        pay_v3: PayV3Section, Optional Result;
        pay_v2: PayV2Section, Optional Result;
        mp: MpSection, Optional Result;
        stocks: StocksSection, Optional Result;
        wallets: WalletsSection, Optional Result;
        orders: Tables<OrdersSection>, Optional Result;
        bills: BillsSection, Optional Result;
        sources: Named<SourceSection>, Optional Result;
        subsidy_ledger: SubsidyLedgerSection, Optional Result;
        subsidy_programs: Tables<SubsidyProgramSection>, Optional Result;
        notifications: NotificationsSection, Optional Result;
        rules: RulesSection, Optional Result;
        engine: EngineSection, Optional Transport;
        decisions: DecisionsSection, Optional Result;
        report: ReportSection, Optional Result;
        openlineage: OpenlineageSection, Optional Transport;
        metrics: MetricsSection, Optional Transport;
        webhook: WebhookSection, Optional Transport;
    }
}

section! {
    /// `[job]`.
    JobSection {
        name: String, Required Result;
        formerly: String, Optional Transport;
        first_date: String, Optional Result;
        timeout_seconds: i64, Optional Transport;
        retry_deadline_seconds: i64, Optional Transport;
        lake: String, Required Transport;
        work_dir: String, Optional Transport;
        part_bytes: i64, Optional Transport;
        pii: String, Optional Result;
        pii_key_env: String, Optional Secret;
        pii_key_file: String, Optional Secret;
    }
}

section! {
    /// `[store]`.
    StoreSection {
        endpoint: String, Optional Transport;
        region: String, Optional Transport;
        path_style: bool, Optional Transport;
        credentials: String, Optional Transport;
        access_key_id_env: String, Optional Secret;
        access_key_id_file: String, Optional Secret;
        secret_access_key_env: String, Optional Secret;
        secret_access_key_file: String, Optional Secret;
        session_token_env: String, Optional Secret;
        session_token_file: String, Optional Secret;
    }
}

section! {
    /// `[pay_v3]`.
    PayV3Section {
        base_url: String, Optional Transport;
        backup_url: String, Optional Transport;
        mchid: String, Required Result;
        serial_no: String, Required Transport;
        private_key_env: String, Optional Secret;
        private_key_file: String, Optional Secret;
        api_v3_key_env: String, Optional Secret;
        api_v3_key_file: String, Optional Secret;
        public_key_id: String, Optional Transport;
        public_key_file: String, Optional Transport;
        rate_per_second: i64, Optional Transport;
        concurrency: i64, Optional Transport;
        timeout_seconds: i64, Optional Transport;
        retry_deadline_seconds: i64, Optional Transport;
    }
}

section! {
    /// `[pay_v2]`.
    PayV2Section {
        base_url: String, Optional Transport;
        backup_url: String, Optional Transport;
        mch_id: String, Required Result;
        appid: String, Required Result;
        api_key_env: String, Optional Secret;
        api_key_file: String, Optional Secret;
        client_certificate_file: String, Optional Transport;
        client_key_env: String, Optional Secret;
        client_key_file: String, Optional Secret;
        stock_ids: Texts, Required Result;
        coupons_file: String, Optional Result;
        on_signature_mismatch: String, Optional Result;
        rate_per_second: i64, Optional Transport;
        concurrency: i64, Optional Transport;
        timeout_seconds: i64, Optional Transport;
        retry_deadline_seconds: i64, Optional Transport;
    }
}

section! {
    /// `[mp]`.
    MpSection {
        base_url: String, Optional Transport;
        backup_url: String, Optional Transport;
        appid: String, Required Result;
        secret_env: String, Optional Secret;
        secret_file: String, Optional Secret;
        repull_days: i64, Optional Result;
        member_card_ids: Texts, Optional Result;
        rate_per_second: i64, Optional Transport;
        concurrency: i64, Optional Transport;
        timeout_seconds: i64, Optional Transport;
        retry_deadline_seconds: i64, Optional Transport;
    }
}

section! {
    /// `[stocks]`.
    StocksSection {
        ids: Texts, Required Result;
    }
}

section! {
    /// `[wallets]`.
    WalletsSection {
        appid: String, Required Result;
        creator_merchant: String, Optional Result;
        belong_merchant: String, Optional Result;
        sender_merchant: String, Optional Result;
        refresh: String, Optional Result;
        audit_days: i64, Optional Result;
        roster_file: String, Optional Result;
        max_unsettled: i64, Optional Result;
    }
}

section! {
    /// `[[orders]]`.
    OrdersSection {
        path: String, Required Result;
        format: String, Optional Result;
        encoding: String, Optional Result;
        delimiter: String, Optional Result;
        amount_unit: String, Optional Result;
        thousands_separators: bool, Optional Result;
        time_format: String, Optional Result;
        on_bad_row: String, Optional Result;
        wechat_channels: Texts, Optional Result;
        columns: OrderColumnsSection, Required Result;
    }
}

section! {
    /// `[orders.columns]`.
    OrderColumnsSection {
        out_trade_no: String, Required Result;
        transaction_id: String, Optional Result;
        merchant: String, Optional Result;
        openid: String, Optional Result;
        paid_at: String, Required Result;
        goods: String, Required Result;
        discount: String, Required Result;
        paid: String, Required Result;
        refund: String, Optional Result;
        stock_id: String, Required Result;
        coupon_code: String, Required Result;
        channel: String, Optional Result;
        product: String, Optional Result;
        remark: String, Optional Result;
    }
}

section! {
    /// `[bills]`.
    BillsSection {
        source: String, Optional Result;
        path: String, Optional Result;
        tar_type: String, Optional Transport;
    }
}

section! {
    /// `[sources.<name>]`.
    SourceSection {
        ready_at: String, Optional Transport;
        grace_days: i64, Optional Result;
    }
}

section! {
    /// `[subsidy_ledger]`.
    SubsidyLedgerSection {
        path: String, Required Result;
    }
}

section! {
    /// `[[subsidy_programs]]`.
    SubsidyProgramSection {
        stock_id: String, Required Result;
        payer_merchant: String, Required Result;
        payee_merchant: String, Required Result;
        amount_fen: i64, Optional Result;
        percent_of_discount: i64, Optional Result;
        due_days: i64, Optional Result;
    }
}

section! {
    /// `[notifications]`.
    NotificationsSection {
        spool: String, Required Result;
    }
}

section! {
    /// `[rules]`.
    RulesSection {
        off: Texts, Optional Result;
        must_associate: Texts, Optional Result;
        merchant_pairs: Pairs, Optional Result;
        use_request_pattern: String, Optional Result;
        folders: Texts, Optional Result;
        max_coupons_per_order: i64, Optional Result;
        tolerance: ToleranceSection, Optional Result;
        lookback_days: i64, Optional Result;
        stuck_hours: i64, Optional Result;
    }
}

section! {
    /// `[rules.tolerance]`.
    ToleranceSection {
        use_time_minutes: i64, Optional Result;
        discount_fen: i64, Optional Result;
    }
}

section! {
    /// `[engine]`.
    EngineSection {
        kind: String, Optional Transport;
        remote: String, Optional Transport;
        token_env: String, Optional Secret;
        token_file: String, Optional Secret;
        shared_mount: bool, Optional Transport;
        query_timeout_seconds: i64, Optional Transport;
    }
}

section! {
    /// `[decisions]`.
    DecisionsSection {
        path: String, Required Result;
    }
}

section! {
    /// `[report]`.
    ReportSection {
        language: String, Optional Result;
        excel_ids: String, Optional Result;
        trailer: bool, Optional Result;
    }
}

section! {
    /// `[openlineage]`.
    OpenlineageSection {
        namespace: String, Optional Transport;
        url: String, Optional Transport;
        api_key_env: String, Optional Secret;
        api_key_file: String, Optional Secret;
    }
}

section! {
    /// `[metrics]`.
    MetricsSection {
        textfile: String, Required Transport;
    }
}

section! {
    /// `[webhook]`.
    WebhookSection {
        url_env: String, Optional Secret;
        url_file: String, Optional Secret;
    }
}
