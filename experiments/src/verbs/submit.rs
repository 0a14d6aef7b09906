//! `svcsim submit`: what a batch system needs to run an experiment in shards. Nothing is submitted: the user does, and reads it before.

use super::{Failure, plan};
use crate::cli::{BatchSystem, SubmitArgs};
use crate::output::provenance::Place;
use std::path::{Path, PathBuf};

/// A file's name and its text, in which `@SHARDS@` and `@NAME@` stand for what the user says.
type Template = (&'static str, &'static str);

const SLURM: &[Template] = &[("sweep.sbatch", include_str!("submit/sweep.sbatch")), ("merge.sbatch", include_str!("submit/merge.sbatch"))];
const KUBERNETES: &[Template] = &[
    ("Containerfile", include_str!("submit/Containerfile")),
    ("indexed-job.yaml", include_str!("submit/indexed-job.yaml")),
    ("merge-job.yaml", include_str!("submit/merge-job.yaml")),
];
/// What a ConfigMap holds (`k8s.io/api` core/v1 `MaxSecretSize`, which holds for ConfigMaps too).
const CONFIG_MAP: usize = 1 << 20;
/// Characters of a Job's name, of which its Pods' names are made.
const JOB_NAME: usize = 40;

/// Writes scripts or manifests and the experiment as it is resolved, and says what to run.
pub(crate) fn submit(args: &SubmitArgs) -> Result<(), Failure> {
    let planned = plan(&args.experiment, &[])?;
    let name = &planned.loaded.experiment.metadata.name;
    let units = planned.design.units();
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("submit").join(name));
    let place = Place::new(&out)?;
    let experiment = planned.loaded.resolved_yaml();
    let (templates, steps) = match args.on {
        BatchSystem::Slurm => (SLURM, slurm(&out, args.shards)),
        BatchSystem::Kubernetes => (KUBERNETES, kubernetes(&out, &job_name(name), &experiment)),
    };
    let filled = |text: &str| text.replace("@SHARDS@", &args.shards.to_string()).replace("@NAME@", &job_name(name)).into_bytes();
    let mut files: Vec<(&'static str, Vec<u8>)> = templates.iter().map(|(name, text)| (*name, filled(text))).collect();
    files.push(("experiment.yaml", experiment.clone().into_bytes()));
    place.keep(&files)?;
    println!("{units} runs in {} shards: {}\n\n{steps}", args.shards, out.display());
    if args.shards as usize > units {
        println!("\nThere are more shards than runs: some will have nothing to do.");
    }
    Ok(())
}

fn slurm(out: &Path, shards: u32) -> String {
    let last = shards - 1;
    let limit = if shards > 1_000 {
        "\n\nSlurm's MaxArraySize is 1001 unless it was raised: `scontrol show config | grep MaxArraySize`."
    } else {
        ""
    };
    format!(
        "On a file system that all nodes see, with svcsim in the PATH (or SVCSIM=/path/to/svcsim):\n\n  \
         cd {}\n  job=$(sbatch --parsable --array=0-{last} sweep.sbatch)\n  sbatch --dependency=afterok:$job merge.sbatch\n\n\
         The results will be in results/merged. Add %16 to the array to run sixteen at most at once; a shard that was lost is\n\
         requeued, and goes on where it was.{limit}",
        out.display()
    )
}

fn kubernetes(out: &Path, job: &str, experiment: &str) -> String {
    let large = if experiment.len() > CONFIG_MAP {
        "\n\nThe experiment is larger than a ConfigMap may be (1 MiB): mount it from a volume instead."
    } else {
        ""
    };
    format!(
        "Once, an image that every shard uses (name it in both manifests), and a ReadWriteMany claim `svcsim-results`:\n\n  \
         cd {}\n  cp \"$(command -v svcsim)\" .\n  docker build --tag registry.example/svcsim:{} --file Containerfile .\n\nThen:\n\n  \
         kubectl create configmap {job} --from-file=experiment.yaml\n  kubectl apply --filename indexed-job.yaml\n  \
         kubectl wait --for=condition=complete job/{job} --timeout=24h && kubectl apply --filename merge-job.yaml{large}",
        out.display(),
        env!("CARGO_PKG_VERSION")
    )
}

/// The name as a Job may have it: RFC 1123 labels.
fn job_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).take(JOB_NAME).collect();
    format!("svcsim-{name}").trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_as_kubernetes_asks() {
        let long = "x".repeat(100);
        for (name, expected) in [("online-boutique", "svcsim-online-boutique"), ("Möbel & Co.", "svcsim-m-bel---co"), ("---", "svcsim")] {
            assert_eq!(job_name(name), expected);
        }
        assert_eq!(job_name(&long).len(), 47);
    }
}
