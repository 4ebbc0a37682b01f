//! A synthetic merchant with planted breaks, from a seed.
