//! Without overlap.
