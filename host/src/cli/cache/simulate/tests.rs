use std::fs;
use std::path::Path;

use clap::{CommandFactory, Parser};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::cli::output::Audience;
use crate::config::EvictionPolicy;

/// The command by itself.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Typed {
    #[command(flatten)]
    simulate: Simulate,
}

/// A folder with Belady's trace, and one with sizes.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("belady.txt"), "1\n2\n3\n4\n1\n2\n5\n1\n2\n3\n4\n5\n").unwrap();
    fs::write(folder.path().join("sized.csv"), "key,size\na,4000\nb,6000\na,4000\nc,9000\nc,9000\na,4000\n").unwrap();
    fs::write(folder.path().join("torn.u32be"), [0; 10]).unwrap();
    fs::write(folder.path().join("empty.txt"), "").unwrap();
    folder
}

/// What the command says, or why it says nothing; names of files are those in the folder.
async fn simulate(folder: &Path, arguments: &str, audience: Audience) -> Result<String, String> {
    let arguments = arguments.replace("-t ", &format!("-t {}/", folder.display()));
    let typed = Typed::try_parse_from(["simulate"].into_iter().chain(arguments.split(' ')));
    let told = |text: String| text.replace(&format!("{}/", folder.display()), "");
    let typed = typed.map_err(|error| told(error.to_string()))?;
    let (output, results, remarks) = Output::kept(audience);
    match typed.simulate.run(&output).await {
        Ok(()) => Ok(told(results.take())),
        Err(failure) => {
            remarks.take();
            output.failure(&failure);
            Err(format!("{}[exit {}]", told(remarks.take()), failure.exit() as u8))
        }
    }
}

/// The tables but for the last, which has other times in every run.
async fn tables(folder: &Path, arguments: &str) -> String {
    let said = simulate(folder, arguments, Audience::People).await.unwrap();
    let kept = said.split_inclusive("\n\n").filter(|table| !table.starts_with("NS PER REQUEST"));
    assert_eq!(said.matches("NS PER REQUEST").count(), said.matches(" requests").count());
    kept.collect()
}

#[test]
fn the_help_teaches() {
    insta::assert_snapshot!(Typed::command().term_width(100).render_long_help());
}

#[tokio::test]
async fn a_table_marks_the_best_at_each_capacity() {
    let folder = folder();
    insta::assert_snapshot!(tables(folder.path(), "-t belady.txt -s lru,fifo -s sieve -c 3,4,100%").await);
}

#[tokio::test]
async fn sizes_add_a_table_and_make_shares_bytes() {
    let folder = folder();
    insta::assert_snapshot!(tables(folder.path(), "-t sized.csv -s lru,fifo -c 2,10kB,50%").await);
}

#[tokio::test]
async fn traces_and_patterns_come_one_after_the_other() {
    let folder = folder();
    let arguments = "-t belady.txt --synthetic loop --requests 1000 --keys 10 --sizes 1KiB..4KiB -s lru -c 50%";
    insta::assert_snapshot!(tables(folder.path(), arguments).await);
}

#[tokio::test]
async fn json_has_every_figure() {
    let folder = folder();
    let said = simulate(folder.path(), "-t sized.csv -s lru -c 2,50%", Audience::Programs).await.unwrap();
    let mut json: Value = serde_json::from_str(&said).unwrap();
    for result in json["traces"][0]["results"].as_array_mut().unwrap() {
        assert!(result["ns_per_request"].take().as_f64().unwrap() > 0.0);
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap());
}

#[tokio::test]
async fn a_plot_has_a_chart_for_each_unit() {
    let folder = folder();
    let file = folder.path().join("hits.svg");
    let arguments = format!("-t sized.csv -s lru,fifo -c 1,2,50%,100% --plot {}", file.display());
    simulate(folder.path(), &arguments, Audience::People).await.unwrap();
    let svg = fs::read_to_string(file).unwrap();
    for text in ["capacity in entries", "capacity in bytes", "9.3 KiB", "unbounded: 50.00", "fifo"] {
        assert!(svg.contains(text), "{text}");
    }
}

#[tokio::test]
async fn what_can_not_be_simulated_is_refused_with_what_would_mend_it() {
    let folder = folder();
    let mut said = String::new();
    for arguments in [
        "-s lru",
        "-t belady.txt -s lur",
        "-t belady.txt -f u32",
        "-t belady.txt -c 0",
        "-t belady.txt -c 10k",
        "-t belady.txt -c 1MiB",
        "-t belady.txt -s lru,lru",
        "-t belady.txt -f lirs -s ./none.wasm",
        "-t belady.txt --plot hits.pdf",
        "-t belady.txt --plot none/hits.svg",
        "-t belady.txt --keys 5",
        "--synthetic zipf --sizes 1MiB..1KiB",
        "--synthetic zipf --exponent much",
        "-t none.txt",
        "-t empty.txt",
        "-t torn.u32be",
        "-t torn.u32be -f lirs",
        "-t sized.csv --columns key=url",
        "-t web12.trace",
    ] {
        let error = simulate(folder.path(), arguments, Audience::People).await.unwrap_err();
        // Where clap goes on to speak of usage it says nothing of its own.
        let error = error.split("\n\nUsage:").next().unwrap().split("\n\nFor more").next().unwrap();
        said.push_str(&format!("$ simulate {arguments}\n{}\n\n", error.trim()));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn the_native_strategies_are_those_of_a_configuration() {
    let names: Vec<String> = Strategy::natives().into_iter().map(|strategy| strategy.name).collect();
    assert_eq!(names, EvictionPolicy::BUILT_IN);
}
