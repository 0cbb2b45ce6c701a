//! A child process that does not outlive its test, however the test ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running program, its output in a file.
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts a program; its output goes to `<name>.log` in the folder.
    pub fn start(folder: &Path, name: &str, program: &Path, arguments: &[String]) -> Self {
        Self::start_in(folder, name, program, arguments, &[])
    }

    /// The same with further variables of the environment.
    pub fn start_in(
        folder: &Path,
        name: &str,
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Self {
        let output = folder.join(format!("{name}.log"));
        let log = File::options().append(true).create(true).open(&output).unwrap();
        // Should the test itself be killed, nobody is left to drop us: then the kernel ends the child.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().cloned())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { name: name.to_owned(), child, output }
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        // Of the last line perhaps only a part is written yet.
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// The end of what it has printed, for messages.
    pub fn last_words(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        let last: Vec<String> =
            lines[lines.len().saturating_sub(8)..].iter().map(|line| line.chars().take(400).collect()).collect();
        format!("{} says:\n{}", self.name, last.join("\n"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap().success());
    }

    /// Waits for its end and gives its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
