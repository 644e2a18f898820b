#!/usr/bin/env bash
# Submits a sweep as a job array of shards, and a merge that waits for all of them.
#
#   workflows/slurm/submit.sh SHARDS RESULTS [SWEEP ARGUMENTS] [-- SBATCH OPTIONS]
#   workflows/slurm/submit.sh 8 results/deep --splits splits/digits-deep.json -- --time=60
#
# Run it where the jobs shall run, with `splitbench` in PATH or its path in SPLITBENCH. The shards
# go to RESULTS/shard-<i>-of-<n>, the whole to RESULTS/all. Prints the ids of the two jobs.
set -euo pipefail

usage() {
    sed -n '2,8s/^#\( \|$\)//p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
shards=$1
results=$2
shift 2
case $shards in '' | *[!0-9]* | 0) usage ;; esac
arguments=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    arguments+=("$1")
    shift
done
[ $# -eq 0 ] || shift

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$results"
array=$(sbatch --parsable --array="1-$shards" --output="$results/slurm-%A-%a.log" "$@" \
    "$here/sweep.sbatch" "$shards" "$results" "${arguments[@]}")
array=${array%%;*}
# After any end, because a split that failed is a row, too; a missing one makes the merge say so.
program=$(printf %q "${SPLITBENCH:-splitbench}")
folder=$(printf %q "$results")
merge=$(sbatch --parsable --job-name=splitbench-merge --dependency="afterany:$array" \
    --output="$results/slurm-%j-merge.log" --time=30 \
    --wrap="$program merge $folder --out $folder/all")
echo "$array ${merge%%;*}"
