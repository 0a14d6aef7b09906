#!/usr/bin/env bash
# A sweep as a job array of a real Slurm with two nodes on this host, one of whose tasks is killed: are the merged bytes those of one
# machine?   SVCSIM=target/release/svcsim benches/slurm/try.sh [EXPERIMENT]
# Needs root, Debian's packages slurm-wlm and munge (installed if absent), and some minutes. No test calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
SVCSIM=$(realpath "${SVCSIM:-target/release/svcsim}")
experiment=$(realpath "${1:-experiments/policies.yaml}")
shards=8
command -v slurmctld munged > /dev/null ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge; }

DIR=$(mktemp -d)
export SVCSIM SLURM_CONF=$DIR/slurm.conf
end() {
    # Jobs outlive their daemons, and would report to the next ones.
    scancel --me 2> /dev/null && sleep 3
    for pid in "$DIR"/slurmd.*.pid "$DIR/slurmctld.pid"; do [ -f "$pid" ] && kill "$(cat "$pid")" 2> /dev/null; done
    echo "logs are in $DIR"
}
trap end EXIT
mkdir -p "$DIR/state" "$DIR/spool.n1" "$DIR/spool.n2"
sed -e "s|@HOST@|$(hostname -s)|; s|@DIR@|$DIR|" benches/slurm/slurm.conf.in > "$SLURM_CONF"
if ! munge -n > /dev/null 2>&1; then
    install -d -o munge -g munge -m 0755 /run/munge
    runuser -u munge -- /usr/sbin/munged
fi
slurmctld -c
slurmd -N n1
slurmd -N n2
for _ in $(seq 60); do [ "$(sinfo -h -N -t idle 2> /dev/null | wc -l)" = 2 ] && break; sleep 0.5; done
sinfo -N -l

"$SVCSIM" submit "$experiment" --on slurm --shards "$shards" --out "$DIR/sweep"
cd "$DIR/sweep"
start=$(date +%s)
job=$(sbatch --parsable --array="0-$((shards - 1))" sweep.sbatch)
sbatch --dependency="afterok:$job" merge.sbatch
until [ -n "$(compgen -G 'results/shard-*.part-units/*.unit')" ]; do sleep 0.2; done
victim=$(pgrep -f "run experiment.yaml --shard" | head -1)
echo "killing $(tr '\0' ' ' < "/proc/$victim/cmdline")"
# As the kernel does when memory runs out. The task puts itself back into the line.
index=$(tr '\0' ' ' < "/proc/$victim/cmdline" | sed 's|.*--shard \([0-9]*\)/.*|\1|')
kill -9 "$victim"
sleep 3
# Slurm waits two minutes before it starts a task again; a test need not.
scontrol update JobId="${job}_$index" StartTime=now
while [ -n "$(squeue -h)" ]; do sleep 1; done
echo "8 shards and a merge, one task killed and requeued: $(($(date +%s) - start)) s"

"$SVCSIM" run experiment.yaml --quiet --out "$DIR/whole"
diff -r --exclude=provenance.json "$DIR/whole" results/merged
# Of the provenance all but the cost.
strip() { sed '/"cost"/,$d' "$1/provenance.json"; }
diff <(strip "$DIR/whole") <(strip results/merged)
echo "the same bytes"
