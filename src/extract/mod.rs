//! One file per stage: plan, pages, typed rows.
