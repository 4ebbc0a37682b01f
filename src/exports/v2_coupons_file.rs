//! Reads the v2 coupons to request by querycouponsinfo (`pay_v2.coupons_file`): coupon_id, openid,
//! stock_id. The call needs all three (reference v2 §B.3).

use std::borrow::Cow;
use std::path::Path;

use super::cell;
use super::distinct::{Export, ExportRow, first_difference};
use super::error::ExportError;
use super::fixed::{self, FixedRow};
use super::found::Found;
use super::row::Fault;
use crate::sorter::{CellPacker, KeyPacker, Packed, Room, Unpacker};

/// One coupon to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V2CouponQuery {
    /// Coupon id.
    pub coupon_id: String,
    /// Its user, raw.
    pub openid: String,
    /// Its stock.
    pub stock_id: String,
}

/// A line of the file.
#[derive(Debug)]
pub struct Listed<'r> {
    coupon_id: Cow<'r, str>,
    openid: Cow<'r, str>,
    stock_id: Cow<'r, str>,
    file: Cow<'r, str>,
    line: u64,
}

/// The coupons of the file, distinct, by coupon id, sorted in `room`.
pub fn read(path: &Path, room: &Room) -> Result<Export<Listed<'static>>, ExportError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files = [Found { path: path.to_owned(), name }];
    fixed::read::<Listed, _>(&files, &["coupon_id", "openid", "stock_id"], room, listed)
}

fn listed<'r>(row: &FixedRow<'r, '_>) -> Result<Listed<'r>, Fault> {
    Ok(Listed {
        coupon_id: row.cell(0, cell::required_id)?,
        openid: row.private_cell(1, cell::required_id)?,
        stock_id: row.cell(2, cell::required_id)?,
        file: Cow::Borrowed(row.file),
        line: row.line,
    })
}

impl Listed<'_> {
    /// The coupon to request.
    pub fn query(self) -> V2CouponQuery {
        let own = Cow::into_owned;
        V2CouponQuery { coupon_id: own(self.coupon_id), openid: own(self.openid), stock_id: own(self.stock_id) }
    }
}

impl Packed for Listed<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(&self.coupon_id);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.text(&self.openid);
        cells.text(&self.stock_id);
        cells.text(&self.file);
        cells.integer(self.line.cast_signed());
    }
}

impl ExportRow for Listed<'static> {
    type Row<'r> = Listed<'r>;

    fn unpack<'r>(cells: &mut Unpacker<'r>) -> Listed<'r> {
        Listed {
            coupon_id: cells.key_text(),
            openid: Cow::Borrowed(cells.text()),
            stock_id: Cow::Borrowed(cells.text()),
            file: Cow::Borrowed(cells.text()),
            line: cells.integer().cast_unsigned(),
        }
    }

    fn key<'a>(row: &'a Listed<'_>) -> [&'a str; 3] {
        [&row.coupon_id, "", ""]
    }

    fn difference(one: &Listed<'_>, other: &Listed<'_>) -> Option<&'static str> {
        first_difference([("openid", one.openid != other.openid), ("stock_id", one.stock_id != other.stock_id)])
    }

    fn place<'a>(row: &'a Listed<'_>) -> (&'a str, u64) {
        (&row.file, row.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coupons_are_read_and_contradictions_show_no_openid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.csv");
        std::fs::write(&path, "coupon_id,openid,stock_id\n2,oB,s\n1,oA,s\n").unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes: 1 };
        let ids = read(&path, &room).unwrap().collect(|line| line.query().coupon_id).unwrap();
        assert_eq!(ids, ["1", "2"]);
        std::fs::write(&path, "coupon_id,openid,stock_id\n1,oSecretB,s\n1,oSecretA,s\n").unwrap();
        let error = read(&path, &room).unwrap().finish().unwrap_err().to_string();
        assert!(error.contains("another `openid`") && !error.contains("oSecret"), "{error}");
    }
}
