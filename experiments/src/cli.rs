//! Arguments in, one verb called, an exit code out.

use crate::units::Shard;
use crate::verbs;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

/// Simulates the data plane of Kubernetes Services: latency, errors and balance of every Service type while Pods come and go.
#[derive(Parser)]
#[command(name = "svcsim", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run an experiment: every design point and replication, in parallel; write a results directory and its report
    Run(RunArgs),
    /// Say what is wrong with experiments, or odd, and what they would run
    Check {
        /// Experiment files
        #[arg(required = true)]
        experiments: Vec<PathBuf>,
        /// Change a field of each, as `run` would, e.g. --set design.subset=quick; may be given again
        #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
        sets: Vec<(String, Value)>,
    },
    /// Write a starter for a common question, or list the starters
    New {
        /// Which; absent: they are listed
        starter: Option<String>,
        /// The file to write; by default STARTER.yaml
        path: Option<PathBuf>,
    },
    /// Turn Kubernetes manifests into an experiment that runs unedited
    Import {
        /// Manifests, or the output of `kubectl get nodes,deployments,services,pods -o yaml`; `-` reads standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Write the experiment here instead of to standard output
        #[arg(short, long)]
        out: Option<PathBuf>,
    },
    /// Check the model against conformance vectors: what Kubernetes' own components do, case by case
    Conform {
        /// Files of vectors, e.g. experiments/conformance/endpoint_selection.json
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How to say what was found
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Check the model against known answers of queueing and load-balancing theory, each as ordinary runs
    Validate(ValidateArgs),
    /// Follow one request through the cluster: each hop, rule, rewriting, choice and wait, in words
    Explain(ExplainArgs),
    /// Compare two results, or two design points: differences, how sure they are, when and in which Pods they arise
    Compare(CompareArgs),
    /// Find the least (or greatest) value of one field that meets an objective, by runs
    Plan(PlanArgs),
    /// Run two experiments side by side and say where they part: the first event that differs, and what came before
    Diverge(DivergeArgs),
    /// Build report and figures of a results directory again from its tables
    Report {
        /// The results directory
        dir: PathBuf,
        /// Write the tables as Parquet too, into `parquet/` (needs a build with `--features parquet`)
        #[arg(long)]
        parquet: bool,
        /// Write the results as OpenMetrics text too, into `openmetrics.txt`
        #[arg(long)]
        openmetrics: bool,
    },
    /// Print the JSON Schema of the experiment file, by which editors complete and check it
    Schema {
        /// Print a page that explains every key instead, in Markdown
        #[arg(long)]
        reference: bool,
    },
    /// Print completions for a shell, e.g. `svcsim completions bash > /etc/bash_completion.d/svcsim`
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, e.g. `svcsim man > svcsim.1`
    Man,
    /// Join the shards of a sweep to the results that one machine would have made
    Merge {
        /// What `svcsim run --shard` made, all of them
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
        /// The results directory
        #[arg(long)]
        out: PathBuf,
    },
    /// Write what a batch system needs to run an experiment in shards, and say what to do with it
    Submit(SubmitArgs),
    /// Run again from the provenance in a results directory, and compare every byte
    Verify {
        /// The results directory
        dir: PathBuf,
        /// Threads; by default one a core
        #[arg(long, value_parser = threads)]
        threads: Option<usize>,
    },
}

/// What `svcsim run` takes.
#[derive(Parser)]
pub(crate) struct RunArgs {
    /// The experiment file
    pub(crate) experiment: PathBuf,
    /// The results directory; by default results/<name of the experiment>
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Threads; by default one a core. Results do not depend on it
    #[arg(long, value_parser = threads)]
    pub(crate) threads: Option<usize>,
    /// The seed, instead of the experiment's
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Change a field, e.g. --set traffic.shop.arrivals.poisson.rate=500/s; may be given again
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    pub(crate) sets: Vec<(String, Value)>,
    /// Run only the units that are I modulo N, I from 0, and keep them for `svcsim merge`
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Go on with what a run that was stopped or killed has done
    #[arg(long)]
    pub(crate) resume: bool,
    /// How to say what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What `svcsim submit` takes.
#[derive(Parser)]
pub(crate) struct SubmitArgs {
    /// The experiment file
    pub(crate) experiment: PathBuf,
    /// Whose batch system
    #[arg(long, value_enum)]
    pub(crate) on: BatchSystem,
    /// In how many parts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) shards: u32,
    /// Where the files go; by default submit/<name of the experiment>
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// Systems that run jobs in many parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BatchSystem {
    /// A job array.
    Slurm,
    /// An Indexed Job.
    Kubernetes,
}

/// What `svcsim diverge` takes.
#[derive(Parser)]
pub(crate) struct DivergeArgs {
    /// An experiment file or a results directory; with `:POINT` for another design point than the first
    pub(crate) a: String,
    /// Another
    pub(crate) b: String,
    /// Which run of the point, counted from 0
    #[arg(long, value_name = "R", default_value_t = 0)]
    pub(crate) replication: u32,
}

/// What `svcsim plan` takes.
#[derive(Parser)]
pub(crate) struct PlanArgs {
    /// The experiment file, of one design point
    pub(crate) experiment: PathBuf,
    /// What must hold, e.g. 'p99<50ms,errors<0.1%'; other metrics by their names in runs.csv
    #[arg(long, value_name = "CONDITIONS")]
    pub(crate) slo: String,
    /// The field that is searched, e.g. deployments.web.spec.replicas
    #[arg(long, value_name = "PATH")]
    pub(crate) vary: String,
    /// Where the search begins
    #[arg(long, value_parser = yaml)]
    pub(crate) from: Value,
    /// Where it ends
    #[arg(long, value_parser = yaml)]
    pub(crate) to: Value,
    /// How many values lie between, ends included, where they are not whole numbers; by default 33
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
    /// Search the greatest value instead of the least
    #[arg(long)]
    pub(crate) largest: bool,
    /// Runs of each value at most; the design's replications are the fewest
    #[arg(long, value_name = "RUNS", default_value_t = 160)]
    pub(crate) most: u32,
    /// Where the evidence goes; by default results/<name of the experiment>-plan
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Change a field, e.g. --set traffic.shop.arrivals.poisson.rate=500/s; may be given again
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    pub(crate) sets: Vec<(String, Value)>,
}

/// What `svcsim compare` takes.
#[derive(Parser)]
pub(crate) struct CompareArgs {
    /// A results directory, or a design point of one: DIR:POINT, by number or name
    pub(crate) a: String,
    /// Another
    pub(crate) b: String,
    /// What is compared, as runs.csv names it; may be given again. By default latency, losses, throughput, balance
    #[arg(long = "metric", value_name = "NAME")]
    pub(crate) metrics: Vec<String>,
    /// How sure all intervals together are
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = confidence)]
    pub(crate) confidence: f64,
    /// How to say what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// What `svcsim validate` takes.
#[derive(Parser)]
pub(crate) struct ValidateArgs {
    /// Files of known answers, e.g. experiments/validation/quick.json
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How much of the suggested work to do; less makes intervals wider
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = scale)]
    pub(crate) scale: f64,
    /// Keys every random number
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How to say what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Keep the table, a page of it and the spread of distances in this new directory
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// What `svcsim explain` takes.
#[derive(Parser)]
pub(crate) struct ExplainArgs {
    /// The experiment file
    pub(crate) experiment: PathBuf,
    /// The source of the request; by default the first by name
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Which of the source's requests, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) request: u64,
    /// The design point, numbered as in runs.csv
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) point: usize,
    /// Which of the point's runs, counted from 0
    #[arg(long, value_name = "R", default_value_t = 0)]
    pub(crate) replication: u32,
    /// The seed, instead of the experiment's
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Change a field, e.g. --set services.web.spec.externalTrafficPolicy=Local; may be given again
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    pub(crate) sets: Vec<(String, Value)>,
    /// Instead of a request, the first N choices that policies made: a line of CSV for each Pod that could be chosen
    #[arg(long, value_name = "N")]
    pub(crate) decisions: Option<usize>,
    /// How to tell it
    #[arg(long, value_enum, default_value_t = StoryFormat::Text)]
    pub(crate) format: StoryFormat,
    /// Write to this file instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// How a request's story is told.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoryFormat {
    /// Paragraphs to read.
    Text,
    /// All that is known, as JSON.
    Json,
    /// A trace that ui.perfetto.dev and chrome://tracing open.
    Perfetto,
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table and sentences.
    Text,
    /// The summary as JSON.
    Json,
}

/// A number of threads that a machine can have.
fn threads(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1024).contains(n)).ok_or_else(|| "expected 1 to 1024; leave it out for one a core".to_owned())
}

/// A share of the work, or a multiple.
fn scale(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|s| (1e-4..=1e3).contains(s)).ok_or_else(|| "expected 0.0001 to 1000".to_owned())
}

/// How sure an interval is.
fn confidence(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|c| (0.5..1.0).contains(c)).ok_or_else(|| "expected 0.5 or more and less than 1, such as 0.95".to_owned())
}

/// `path=value`, the value as YAML would read it.
fn assignment(text: &str) -> Result<(String, Value), String> {
    let (path, value) = text.split_once('=').ok_or("write PATH=VALUE, e.g. run.duration=30s")?;
    Ok((path.to_owned(), yaml(value)?))
}

/// A value, as YAML would read it.
fn yaml(text: &str) -> Result<Value, String> {
    Ok(serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
}

/// Whoever reads standard output may have had enough (`| head`): the program ends then, as one that the signal ends.
fn end_with_the_reader() {
    const KILLED_BY_SIGPIPE: i32 = 128 + 13;
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // What `println!` says; it has no other way to.
        let gone = |text: &str| text.starts_with("failed printing to stdout") && text.contains("Broken pipe");
        if info.payload().downcast_ref::<String>().is_some_and(|text| gone(text)) {
            std::process::exit(KILLED_BY_SIGPIPE);
        }
        usual(info);
    }));
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    end_with_the_reader();
    // clap ends with 2 on bad usage, and 0 on --help and --version, by itself.
    let outcome = match Cli::parse().verb {
        Verb::Run(args) => verbs::run::run(&args),
        Verb::Check { experiments, sets } => verbs::check::check(&experiments, &sets),
        Verb::Import { files, out } => verbs::import::import(&files, out.as_deref()),
        Verb::Conform { files, format } => verbs::conform::conform(&files, format),
        Verb::Validate(args) => verbs::validate::validate(&args),
        Verb::New { starter, path } => verbs::new::new(starter.as_deref(), path.as_deref()),
        Verb::Explain(args) => verbs::explain::explain(&args),
        Verb::Schema { reference } => verbs::schema::schema(reference),
        Verb::Completions { shell } => verbs::shell::completions(Cli::command(), shell),
        Verb::Man => verbs::shell::man(Cli::command()),
        Verb::Diverge(args) => verbs::diverge::diverge(&args),
        Verb::Plan(args) => verbs::plan::search(&args),
        Verb::Compare(args) => verbs::compare::compare(&args),
        Verb::Report { dir, parquet, openmetrics } => verbs::report::report(&dir, parquet, openmetrics),
        Verb::Merge { dirs, out } => verbs::merge::merge(&dirs, &out),
        Verb::Submit(args) => verbs::submit::submit(&args),
        Verb::Verify { dir, threads } => verbs::verify::verify(&dir, threads),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code())
        }
    }
}
