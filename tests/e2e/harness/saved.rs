//! What a stopped server has stored, in memory.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The files of a folder, from which other servers start.
pub struct Saved {
    files: Vec<Contents>,
}

struct Contents {
    /// Inside the folder.
    path: PathBuf,
    /// Up to the last byte that is not zero: etcd writes into files of a fixed size, which are empty at first.
    bytes: Vec<u8>,
    /// With the zeros that follow.
    length: u64,
}

impl Saved {
    /// What is in a folder and below it.
    pub fn of(folder: &Path) -> Self {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut bytes = fs::read(&path).unwrap();
                let length = bytes.len() as u64;
                bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
                bytes.shrink_to_fit();
                files.push(Contents { path: path.strip_prefix(folder).unwrap().to_owned(), bytes, length });
            }
        }
        Self { files }
    }

    /// Writes all of it into a folder, which need not exist.
    pub fn restore(&self, folder: &Path) {
        for Contents { path, bytes, length } in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut file = File::create(path).unwrap();
            file.write_all(bytes).unwrap();
            file.set_len(*length).unwrap();
        }
    }
}
