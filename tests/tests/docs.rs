//! What the documentation tells a reader to type works as it says.
//!
//! Blocks marked `console` are run, one shell for each document: lines that begin with `$ ` are typed, and the lines
//! below are what is answered. A command fails if the answer shown holds `error:` or `"error":`, and succeeds if not.
//! Addresses of the embedded configuration become those of a host that runs on a copy of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use larder_tests::host::{Home, Host, program};
use larder_tests::{built_component, project, skipped};

/// A block of a document.
#[derive(Debug)]
struct Block {
    /// What stands behind the fence that opens it.
    tag: String,
    /// The line of its first line in the document, counted from 1.
    line: usize,
    lines: Vec<String>,
}

/// A command that a reader is shown.
#[derive(Debug)]
struct Shown {
    /// Where: `README.md:12`.
    place: String,
    typed: String,
    fails: bool,
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(project().join("host/docs")).expect("there are documents");
    let mut documents: Vec<PathBuf> = docs.map(|entry| entry.unwrap().path()).collect();
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.push(project().join("README.md"));
    documents.sort();
    documents
}

fn read(document: &Path) -> String {
    fs::read_to_string(document).unwrap_or_else(|error| panic!("{}: {error}", document.display()))
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(tag), false) => {
                blocks.push(Block { tag: tag.to_owned(), line: number + 2, lines: Vec::new() });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => blocks.last_mut().expect("one was opened").lines.push(line.to_owned()),
            (None, false) => {}
        }
    }
    blocks
}

/// The commands of the blocks marked `console`.
fn shown(document: &Path) -> Vec<Shown> {
    let name = document.file_name().unwrap().to_string_lossy().into_owned();
    let mut commands: Vec<Shown> = Vec::new();
    for block in blocks(&read(document)).into_iter().filter(|block| block.tag == "console") {
        for (offset, line) in block.lines.iter().enumerate() {
            let place = format!("{name}:{}", block.line + offset);
            match line.strip_prefix("$ ") {
                Some(typed) => commands.push(Shown { place, typed: typed.to_owned(), fails: false }),
                None => {
                    if let (Some(more), Some(command)) = (line.strip_prefix("> "), commands.last_mut()) {
                        command.typed.push_str(&format!("\n{more}"));
                        continue;
                    }
                    let command = commands.last_mut().unwrap_or_else(|| panic!("{place}: an answer to no command"));
                    command.fails |= line.starts_with("error:") || line.contains("\"error\":");
                }
            }
        }
    }
    commands
}

/// A home with a copy of the embedded configuration on free ports, and what the documents take to be there.
fn reader() -> Home {
    built_component("memory");
    let home = Home::embedded();
    fs::write(home.path("report.pdf"), "pdf").unwrap();
    fs::create_dir_all(home.path("src/b")).unwrap();
    for number in 0..10 {
        fs::write(home.path(&format!("src/{number}.txt")), "some text").unwrap();
        fs::write(home.path(&format!("src/b/{number}.txt")), "more text").unwrap();
    }
    fs::create_dir(home.path("bin")).unwrap();
    std::os::unix::fs::symlink(program(), home.path("bin/larder")).unwrap();
    home
}

fn is_there(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Leaves out commands that need what this machine does not have, and says so.
fn possible(command: &Shown) -> bool {
    for tool in ["aws", "curl", "jq"] {
        if command.typed.split([' ', '|', '(']).any(|word| word == tool) && !is_there(tool) {
            skipped(&format!("{}: there is no {tool} for `{}`", command.place, command.typed));
            return false;
        }
    }
    true
}

/// Types the commands into one shell, and returns what each was answered, with its exit code.
fn type_in(home: &Home, host: &Host, commands: &[Shown]) -> Vec<(i32, String)> {
    let (s3, admin) = (host.s3.to_string(), host.admin.to_string());
    let mut script = "set -o pipefail\n".to_owned();
    for (number, command) in commands.iter().enumerate() {
        let typed = command.typed.replace("127.0.0.1:9000", &s3).replace("127.0.0.1:9001", &admin);
        script.push_str(&format!("{{ {typed}\n}} > answer-{number} 2>&1\necho $? > code-{number}\n"));
    }
    fs::write(home.path("script"), script).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell.arg("script").current_dir(home.path("")).stdin(Stdio::null());
    shell.env("PATH", format!("{}:{path}", home.path("bin").display()));
    shell.env("LARDER_CONFIG", home.path("larder.yaml")).env_remove("LARDER_LOG");
    shell.env("XDG_CACHE_HOME", home.path("cache"));
    shell.env("AWS_EC2_METADATA_DISABLED", "true");
    assert!(shell.status().is_ok(), "bash can be run");
    let answers = (0..commands.len()).map(|number| {
        let code = fs::read_to_string(home.path(&format!("code-{number}"))).unwrap_or_default();
        let answer = fs::read(home.path(&format!("answer-{number}"))).unwrap_or_default();
        (code.trim().parse().unwrap_or(-1), String::from_utf8_lossy(&answer).into_owned())
    });
    answers.collect()
}

#[test]
fn what_the_documents_show_on_a_console_works() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for document in documents() {
        let mut commands = shown(&document);
        commands.retain(possible);
        if commands.is_empty() {
            continue;
        }
        count += commands.len();
        let home = reader();
        let host = home.serve();
        for (command, (code, answer)) in commands.iter().zip(type_in(&home, &host, &commands)) {
            // A reader that has enough, such as `head`, ends the command before it: 141 is 128 and SIGPIPE.
            let piped = command.typed.contains("| head") && code == 141;
            if (code == 0 || piped) == command.fails {
                wrong.push(format!("{}: `{}` ended with {code}: {answer}", command.place, command.typed));
            }
        }
    }
    assert!(count > 10, "the documents show {count} commands");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readme_shows_the_two_commands() {
    let shown = blocks(&read(&project().join("README.md")));
    let typed: Vec<&str> = shown.iter().flat_map(|block| &block.lines).map(|line| line.trim()).collect();
    for command in ["cargo run --release", "cargo test --workspace"] {
        let is_shown = |line: &&&str| line.strip_prefix("$ ").unwrap_or(line).starts_with(command);
        assert!(typed.iter().any(|line| is_shown(&line)), "README.md does not show `{command}`");
    }
}

/// The arguments of a command: what stands in single quotes is one, and a redirection is none.
fn words(arguments: &str) -> Vec<&str> {
    let parts = arguments.split('\'').enumerate();
    let words = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.take_while(|word| !matches!(*word, "<" | ">" | "|")).collect()
}

#[test]
fn every_command_in_a_script_exists() {
    let mut wrong = Vec::new();
    for document in documents() {
        for block in blocks(&read(&document)).into_iter().filter(|block| block.tag == "sh") {
            for (offset, line) in block.lines.iter().enumerate() {
                let Some(arguments) = line.trim_start_matches("$ ").strip_prefix("larder ") else { continue };
                // The help of a command that does not exist, or whose options do not, is a usage error: exit code 2.
                let words = words(arguments.split('#').next().unwrap_or_default());
                let output = Command::new(program()).args(words).arg("--help").output().unwrap();
                if !output.status.success() {
                    let said = String::from_utf8_lossy(&output.stderr);
                    wrong.push(format!("{}:{}: {line}: {said}", document.display(), block.line + offset));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        let folder = document.parent().unwrap();
        for part in read(&document).split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                wrong.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
