//! The header of a row (lengths of key and cells) and of a block (compressed and uncompressed length).

/// Bytes of a header.
pub(super) const HEAD_BYTES: usize = 8;

pub(super) fn head(one: usize, other: usize) -> [u8; HEAD_BYTES] {
    let length = |bytes: usize| u32::try_from(bytes).expect("a row or block is shorter than 4 GiB").to_le_bytes();
    let ([a, b, c, d], [e, f, g, h]) = (length(one), length(other));
    [a, b, c, d, e, f, g, h]
}

pub(super) fn lengths([a, b, c, d, e, f, g, h]: [u8; HEAD_BYTES]) -> (usize, usize) {
    (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize)
}
