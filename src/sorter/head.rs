//! The header of a row (lengths of key and cells) and of a block (compressed and uncompressed length).

/// Bytes of a header.
pub(super) const HEAD_BYTES: usize = 8;

pub(super) fn head(one: usize, other: usize) -> [u8; HEAD_BYTES] {
    let length = |bytes: usize| u64::from(u32::try_from(bytes).expect("a row or block is shorter than 4 GiB"));
    (length(one) | (length(other) << 32)).to_le_bytes()
}

pub(super) fn lengths(head: [u8; HEAD_BYTES]) -> (usize, usize) {
    let both = u64::from_le_bytes(head);
    ((both & 0xFFFF_FFFF) as usize, (both >> 32) as usize)
}
