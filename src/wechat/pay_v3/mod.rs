//! pay_v3 client.
