//! Tests of the house rules: imports go one way, every file begins by saying what it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Modules from the bottom to the top: a module may use those before it, never those after it.
const LAYERS: [&str; 34] = [
    "money",
    "quantity",
    "sha256",
    "byte_order_mark",
    "api",
    "stage",
    "threads",
    "bisection",
    "clock",
    "secret",
    "contract",
    "fingerprints",
    "sorter",
    "record",
    "pseudonyms",
    "durable",
    "causes",
    "job",
    "store",
    "spark",
    "http",
    "wechat",
    "exports",
    "journal",
    "dataset",
    "reconcile",
    "extract",
    "report",
    "remedy",
    "watch",
    "dictionary",
    "pipeline",
    "error",
    "cli",
];
/// `error` is what the top of the program fails with; `pipeline` already speaks in exit codes.
const EXCEPTIONS: [(&str, &str); 1] = [("pipeline", "error")];
/// The simulator is independent evidence: it may use nothing but these.
const SIMULATOR_MAY_USE: [&str; 2] = ["money", "clock"];
const LONGEST_FILE_LINES: usize = 500;
/// Modules whose files are not files of a lake: scratch tables that are deleted with the night, and the simulator's data.
const WRITE_BY_THEMSELVES: [&str; 3] =
    ["reconcile/rows/scratch_table/mod.rs", "reconcile/reduction/mod.rs", "simulator/"];
/// Modules that open sockets.
const ON_THE_NETWORK: [&str; 4] = ["http", "store", "spark", "simulator"];

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for file in sources() {
        let from = module_of(&file);
        let code = code_of(&file);
        assert!(!code.contains("crate::{"), "{}: name each module in a line of its own", file.display());
        for to in imports(&code) {
            if !may_use(&from, &to) {
                wrong.push(format!("{} uses `{to}`: pass the value in as an argument", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_layers_are_the_modules_of_the_library_in_their_order() {
    let declared = |root_file: &str| -> Vec<String> {
        let text = read(&root().join("src").join(root_file));
        let module = |line: &str| Some(line.strip_suffix(';')?.split_once("mod ")?.1.to_owned());
        text.lines().filter(|line| !line.starts_with("//")).filter_map(module).collect()
    };
    assert_eq!(declared("lib.rs"), [LAYERS.as_slice(), &["simulator"]].concat());
    assert_eq!(declared("main.rs"), [""; 0]);
}

#[test]
fn only_durable_makes_files_that_last() {
    let may_write = |file: &Path| {
        let name = name_of(file);
        module_of(file) == "durable" || WRITE_BY_THEMSELVES.iter().any(|it| name.starts_with(it))
    };
    for file in sources().into_iter().filter(|file| !may_write(file)) {
        for call in ["File::create", "fs::rename", "fs::write("] {
            assert!(!code_of(&file).contains(call), "{} calls {call}: go through `durable`", file.display());
        }
    }
}

#[test]
fn only_modules_of_the_network_open_sockets() {
    for file in sources().into_iter().filter(|file| !ON_THE_NETWORK.contains(&module_of(file).as_str())) {
        for word in ["TcpListener", "TcpStream", "UdpSocket", "UnixStream", "UnixListener"] {
            assert!(!code_of(&file).contains(word), "{} has {word}", file.display());
        }
    }
}

#[test]
fn every_file_begins_with_what_it_is() {
    let bare: Vec<_> = sources().into_iter().filter(|file| !read(file).starts_with("//! ")).collect();
    assert!(bare.is_empty(), "add a `//!` line: {bare:?}");
}

#[test]
fn the_documents_name_files_that_are_there() {
    let folders = folders_of_modules();
    let is_there = |path: &str| {
        let places = || folders.iter().map(|folder| folder.join(path));
        places().any(|place| place.exists() || place.with_extension("rs").exists())
    };
    // A path is one of ours when its first name is: others are of a lake or of WeChat.
    let is_ours = |path: &str| is_there(path.split('/').next().unwrap());
    let mut wrong = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "docs/sdk-comparison.md", "docs/engines.md", "jobs/rules/README.md"] {
        let text = read(&root().join(name));
        let lost = paths_in(&text).filter(|path| is_ours(path) && !is_there(path.trim_end_matches('/')));
        wrong.extend(lost.map(|path| format!("{name}: `{path}`")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_is_longer_than_a_room() {
    let long: BTreeMap<_, _> = sources()
        .into_iter()
        .map(|file| (file.clone(), code_of(&file).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE_LINES)
        .collect();
    assert!(long.is_empty(), "split: {long:?}");
}

/// Two places for the same thing would have to be looked up: `x.rs` beside `x/`, and `x/mod.rs`.
#[test]
fn a_module_with_a_folder_lies_in_it() {
    let mut files = Vec::new();
    ["src", "tests", "benches", "examples"].iter().for_each(|folder| collect(&root().join(folder), &mut files));
    let beside: Vec<_> = files.into_iter().filter(|file| file.with_extension("").is_dir()).collect();
    assert!(beside.is_empty(), "move `x.rs` to `x/mod.rs`: {beside:?}");
}

#[test]
fn nothing_unfinished_is_left_in_the_code() {
    for file in sources() {
        for word in ["todo!(", "unimplemented!(", "dbg!(", concat!("FIX", "ME"), "#[ignore"] {
            assert!(!code_of(&file).contains(word), "{} has {word}", file.display());
        }
    }
}

#[test]
fn only_the_clock_module_looks_at_the_clock() {
    for file in sources().into_iter().filter(|file| !file.ends_with("src/clock.rs")) {
        for call in ["Utc::now()", "SystemTime::now()", "Instant::now()", "Local::now()"] {
            assert!(!code_of(&file).contains(call), "{} calls {call}", file.display());
        }
    }
}

fn may_use(from: &str, to: &str) -> bool {
    if from == to || EXCEPTIONS.contains(&(from, to)) {
        return true;
    }
    let place = |module: &str| LAYERS.iter().position(|layer| *layer == module);
    match (from, to) {
        ("simulator", to) => SIMULATOR_MAY_USE.contains(&to),
        (from, "simulator") => from == "cli",
        (from, to) => place(to).zip(place(from)).is_some_and(|(to, from)| to < from),
    }
}

/// The top-level modules a file names by `crate::…`.
fn imports(code: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let parts = lines.flat_map(|line| line.split("crate::").skip(1));
    parts
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .filter(|it: &String| !it.is_empty())
        .collect()
}

/// A file without its tests.
fn code_of(file: &Path) -> String {
    let text = read(file);
    let end = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(super) mod tests {"]
        .iter()
        .filter_map(|it| text.find(it))
        .min();
    text[..end.unwrap_or(text.len())].to_owned()
}

fn module_of(file: &Path) -> String {
    name_of(file).split('/').next().unwrap().trim_end_matches(".rs").to_owned()
}

/// Folders in which the documents name a file without saying where they are.
fn folders_of_modules() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        sources().iter().flat_map(|file| file.ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>()).collect();
    folders.retain(|folder| folder.starts_with(root()));
    folders.sort();
    folders.dedup();
    folders
}

/// Words between back-ticks that are a path of lower-case names.
fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    let is_of_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_/.".contains(c);
    text.split('`').skip(1).step_by(2).filter(move |word| word.contains('/') && word.chars().all(is_of_path))
}

/// The path of a file below `src`.
pub(crate) fn name_of(file: &Path) -> String {
    file.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned()
}

pub(crate) fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    files.retain(|file| !file.ends_with("src/lib.rs") && !file.ends_with("src/main.rs") && !is_test(file));
    files
}

/// Test code in files of its own.
fn is_test(file: &Path) -> bool {
    let name = file.file_stem().unwrap().to_string_lossy();
    name == "tests"
        || name.ends_with("_tests")
        || file.components().any(|part| part.as_os_str() == "tests")
        || read(file).contains("#![cfg(test)]")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

pub(crate) fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
