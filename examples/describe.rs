//! Writes the generated descriptions: the data dictionary and what else is made of contracts and code.
//! `cargo run --example describe`; `tests/it/schemas.rs` fails while they are not current.

use std::path::Path;

use coupon_recon::dictionary;

fn main() -> std::io::Result<()> {
    for it in dictionary::describe() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(&it.path), it.text)?;
        println!("{}", it.path);
    }
    Ok(())
}
