//! What a Markdown page has: prose, headings, blocks of code.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the repository, without what is hidden or built, by their paths in it.
pub fn files(is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && !name.starts_with('.') && name != "target" => walk(&entry.path(), found),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), &mut found);
    let name = |path: PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<String> = found.into_iter().map(name).filter(|path| is_wanted(path)).collect();
    found.sort();
    found
}

/// A page, and where it is.
pub struct Page {
    pub path: String,
    /// What is outside of blocks, a line for each line of the page.
    pub prose: Vec<String>,
    pub blocks: Vec<Block>,
}

/// A block of code.
pub struct Block {
    /// The word behind the opening fence.
    pub language: String,
    /// Without the indentation of a list.
    pub text: String,
    /// The line where it begins, from 1.
    pub line: usize,
}

/// All pages of the repository.
pub fn pages() -> Vec<Page> {
    files(|path| Path::new(path).extension().is_some_and(|extension| extension == "md"))
        .into_iter()
        .map(|path| Page::read(&fs::read_to_string(root().join(&path)).unwrap(), path))
        .collect()
}

impl Page {
    pub fn read(text: &str, path: String) -> Self {
        let (mut prose, mut blocks) = (Vec::new(), Vec::<Block>::new());
        let mut indent = None;
        for (index, line) in text.lines().enumerate() {
            let content = line.trim_start();
            let fence = content.strip_prefix("```");
            prose.push(String::new());
            match (indent, fence) {
                (None, Some(language)) => {
                    indent = Some(line.len() - content.len());
                    blocks.push(Block { language: language.to_owned(), text: String::new(), line: index + 1 });
                }
                (None, None) => line.clone_into(prose.last_mut().unwrap()),
                (Some(_), Some(_)) => indent = None,
                (Some(indent), None) => {
                    let text = &mut blocks.last_mut().unwrap().text;
                    text.push_str(line.get(indent..).unwrap_or_default());
                    text.push('\n');
                }
            }
        }
        assert!(indent.is_none(), "{path}: a block does not end");
        Self { path, prose, blocks }
    }

    /// The anchors of its headings. Those that repeat are numbered.
    pub fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for line in self.prose.iter().filter(|line| line.starts_with('#')) {
            let text = line.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
            let anchor = kept.replace(' ', "-");
            let same = anchors.iter().filter(|other| **other == anchor).count();
            anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
        }
        anchors
    }

    /// What is in backticks, which may go over the end of a line.
    pub fn inline_code(&self) -> Vec<String> {
        let prose = self.prose.join("\n");
        let paragraphs = prose.split("\n\n");
        let code = paragraphs.flat_map(|text| text.split('`').skip(1).step_by(2));
        code.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }
}
