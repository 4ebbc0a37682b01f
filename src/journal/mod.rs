//! The page journal: every remote answer, durable before anything is made of it.
