//! The v2 coupons to ask for by querycouponsinfo (`pay_v2.coupons_file`): coupon_id, openid, stock_id.
//! Reference v2 §B.3: the call needs all three.

use std::path::Path;

use super::cell;
use super::distinct::Keyed;
use super::fixed::{self, FixedRow};
use super::found::Found;
use super::sheet::Fault;
use super::{Export, ExportError};

/// One coupon to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V2CouponQuery {
    /// Coupon id.
    pub coupon_id: String,
    /// Its user, raw.
    pub openid: String,
    /// Its stock.
    pub stock_id: String,
}

/// The coupons of the file, distinct, by coupon id.
pub fn read(path: &Path) -> Result<Export<V2CouponQuery>, ExportError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files = [Found { path: path.to_owned(), name }];
    fixed::read(&files, &[("coupon_id", true), ("openid", true), ("stock_id", true)], query)
}

fn query(row: &FixedRow) -> Result<V2CouponQuery, Fault> {
    Ok(V2CouponQuery {
        coupon_id: row.cell(0, cell::required_id)?,
        openid: row.private_cell(1, cell::required_id)?,
        stock_id: row.cell(2, cell::required_id)?,
    })
}

impl Keyed for V2CouponQuery {
    fn key(&self) -> [&str; 3] {
        [&self.coupon_id, "", ""]
    }

    fn difference(&self, other: &V2CouponQuery) -> Option<&'static str> {
        let differs = [("openid", self.openid != other.openid), ("stock_id", self.stock_id != other.stock_id)];
        differs.into_iter().find(|(_, differs)| *differs).map(|(column, _)| column)
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
        let ids: Vec<_> = read(&path).unwrap().rows.into_iter().map(|coupon| coupon.coupon_id).collect();
        assert_eq!(ids, ["1", "2"]);
        std::fs::write(&path, "coupon_id,openid,stock_id\n1,oSecretB,s\n1,oSecretA,s\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("another `openid`") && !error.contains("oSecret"), "{error}");
    }
}
