//! Columns whose texts the program tells apart: an enum with `as_str` and `of` is read and written as the text of its
//! column.

/// Makes an enum a column: `as_str` is what is written, `of` what a text is read as.
macro_rules! word {
    ($word:ident) => {
        impl std::fmt::Display for $word {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $word {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl From<String> for $word {
            fn from(text: String) -> $word {
                $word::of(&text)
            }
        }

        impl $crate::record::packed::Cell for $word {
            fn pack(&self, cells: &mut $crate::sorter::CellPacker<'_>) {
                cells.text(self.as_str());
            }
        }

        impl $crate::record::packed::Unpacked<'_> for $word {
            type Owned = $word;

            fn unpack(cells: &mut $crate::sorter::Unpacker<'_>) -> $word {
                $word::of(cells.text())
            }

            fn own(self) -> $word {
                self
            }
        }
    };
}

pub(super) use word;
