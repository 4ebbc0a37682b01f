//! Files the merchant has: orders, trade bills, subsidy ledger, notifications, roster.
