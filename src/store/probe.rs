//! Whether a store supports all a night needs: read, list and, above all, rejecting a conditional put. A store that accepts
//! every put cannot keep two runs apart.

use super::condition::NOBODY;
use super::{Cause, Put, Store, StoreError};

/// Puts a small object at `key`, tries operations that must be refused, and removes it.
///
/// # Errors
/// The first operation that fails or wrongly succeeds.
pub fn probe(store: &Store, key: &str) -> Result<(), StoreError> {
    store.list("datasets")?;
    let result = try_puts(store, key);
    let removed = store.remove(key);
    result.and(removed)
}

fn try_puts(store: &Store, key: &str) -> Result<(), StoreError> {
    let etag = store.put(key, b"one".to_vec(), Put::New)?;
    must_refuse(store, key, Put::New)?;
    must_refuse(store, key, Put::Replacing(NOBODY))?;
    store.put(key, b"two".to_vec(), Put::Replacing(&etag))?;
    match store.get(key)? {
        Some((bytes, _)) if bytes == b"two" => Ok(()),
        _ => Err(unlike(store, key)),
    }
}

fn must_refuse(store: &Store, key: &str, put: Put<'_>) -> Result<(), StoreError> {
    match store.put(key, b"wrong".to_vec(), put) {
        Err(error) if error.cause() == Cause::Conflict => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(StoreError::ignores_conditions(&store.url_of(key))),
    }
}

fn unlike(store: &Store, key: &str) -> StoreError {
    let why = "does not read back as it was put".to_owned();
    StoreError::Remote { url: store.url_of(key), cause: Cause::Unsupported, why }
}

#[cfg(test)]
mod tests {
    use super::super::in_memory;
    use super::*;

    #[test]
    fn a_store_that_keeps_conditions_passes_and_keeps_nothing() {
        let store = in_memory();
        probe(&store, "state/check-1").unwrap();
        assert!(store.list("state").unwrap().is_empty());
    }
}
