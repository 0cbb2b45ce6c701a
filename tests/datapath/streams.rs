//! Very many streams.
