//! Standard output and standard error without a reader.

use std::fs::File;
use std::io::{PipeReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;

/// A pipe whose reader is gone.
pub fn broken() -> Stdio {
    Stdio::from(std::io::pipe().unwrap().1)
}

/// A pipe that is full, and the reader, who does not read.
pub fn full() -> (PipeReader, Stdio) {
    /// As Linux has it on x86-64 and aarch64.
    const O_NONBLOCK: i32 = 0o4000;
    let (reader, writer) = std::io::pipe().unwrap();
    // The same pipe, opened so that a write to a full one fails.
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let mut filling = File::options().write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    while filling.write(&[b' '; 4096]).is_ok() {}
    (reader, writer.into())
}
