//! mp client.
