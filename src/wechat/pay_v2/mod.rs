//! pay_v2 client.
