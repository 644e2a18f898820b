#!/usr/bin/env bash
# Tests the workflows on this machine: three shards on Slurm and their merge, a shard that runs out
# of time, one that is requeued, the same sweep by Snakemake on local cores and on Slurm, and by GNU
# parallel. Each must give the rows of one undisturbed sweep. A few minutes; needs a release build,
# python3 with venv, and root for start-local-slurm.sh where no Slurm runs.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
SPLITBENCH=$(realpath "$target/release/splitbench")
export SPLITBENCH
work=${WORK:-$(mktemp -d)}
mkdir -p "$work"
splits=${SPLITS:-splits/digits-mlp.json}
# The host of a row counts its threads.
export RAYON_NUM_THREADS=1

say() { printf '\n== %s\n' "$*"; }
same() { python3 workflows/test/same_rows.py "$work/one" "$1"; }

# Waits until a job has left the queue.
await() {
    for _ in $(seq 300); do
        case $(squeue --noheader --jobs "$1" --format %T 2>/dev/null | sort -u | tr '\n' ' ') in
            *PENDING* | *RUNNING* | *COMPLETING* | *CONFIGURING* | *REQUEUE*) sleep 1 ;;
            *) return 0 ;;
        esac
    done
    echo "job $1 is still in the queue" >&2
    squeue >&2
    return 1
}

# Waits until a task of an array has begun a split.
await_split() {
    for _ in $(seq 600); do
        grep -q '"start"' "$1/log.jsonl" 2>/dev/null && return 0
        sleep 0.05
    done
    echo "$1 has not begun" >&2
    return 1
}

say "one sweep"
"$SPLITBENCH" sweep --splits "$splits" --out "$work/one"

workflows/test/start-local-slurm.sh

say "an array of three shards and a merge"
read -r _ merge < <(workflows/slurm/submit.sh 3 "$work/array" --splits "$splits" -- --time=10)
await "$merge"
cat "$work"/array/slurm-*-merge.log
same "$work/array/all"

say "a shard that runs out of time goes on; so does one whose node is taken away"
read -r array merge < <(workflows/slurm/submit.sh 2 "$work/late" --splits "$splits" --repeats 3 -- --time=10)
for _ in $(seq 600); do
    # A signal before the first split has ended is a job that needs more time.
    grep -q '"end"' "$work/late/shard-1-of-2/log.jsonl" 2>/dev/null && break
    sleep 0.05
done
scancel --batch --signal=TERM "${array}_1"
await_split "$work/late/shard-2-of-2"
scontrol requeue "${array}_2" || true
await "$merge"
cat "$work"/late/slurm-*.log
grep -q 'out of time, goes on later' "$work"/late/slurm-*-1.log
"$SPLITBENCH" sweep --splits "$splits" --repeats 3 --out "$work/three"
python3 workflows/test/same_rows.py "$work/three" "$work/late/all"

say "snakemake on local cores"
venv=${VENV:-$work/venv}
if [ ! -x "$venv/bin/snakemake" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet snakemake snakemake-executor-plugin-slurm
fi
configuration=("splits=$splits" shards=3 "splitbench=$SPLITBENCH")
"$venv/bin/snakemake" --snakefile workflows/Snakefile --cores 2 --quiet all \
    --config "${configuration[@]}" "results=$work/snake"
same "$work/snake/all"

say "snakemake on Slurm"
"$venv/bin/snakemake" --snakefile workflows/Snakefile --profile workflows/profiles/slurm --quiet all \
    --config "${configuration[@]}" "results=$work/snake-slurm"
same "$work/snake-slurm/all"

say "GNU parallel"
if command -v parallel >/dev/null; then
    parallel --jobs 2 "$SPLITBENCH" sweep --splits "$splits" --resume \
        --shard {}/3 --out "$work/parallel/shard-{}-of-3" ::: 1 2 3
    "$SPLITBENCH" merge "$work/parallel" --out "$work/parallel/all"
    same "$work/parallel/all"
else
    echo "not installed; left out"
fi
say "all the same"
