//! Breaks and ledger as bytes for people: CSV. Never touches a file.
