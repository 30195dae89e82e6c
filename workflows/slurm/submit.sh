#!/bin/bash
# De-identify a BIDS dataset on a SLURM cluster: one array of participants, then one group job.
#
#   workflows/slurm/submit.sh INPUT OUTPUT [options of anonymi-bids, the same for all]
#
# Start it again after a failure: participants that are finished are left out. Nothing is needed
# on the cluster but sbatch and a file system that all nodes see.
#
# Settings, as environment variables:
#   ANONYMI_BIDS   the command (default: anonymi-bids), for a container for instance
#                  "apptainer run --cleanenv -B /data:/data /data/anonymi_bids.sif"
#   LABELS         file with one participant label a line (default: the sub-* folders of INPUT)
#   AT_ONCE        tasks that run at the same time (default 50)
#   MAX_TASKS      longest array your cluster takes (default 1000); participants share tasks beyond
#   SBATCH_ARGS    options for both jobs, e.g. "--account=lab --partition=short"
#   ALLOW_MISSING  1: audit what there is, even if a participant did not finish
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: submit.sh INPUT OUTPUT [options of anonymi-bids]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
input=$(cd "$1" && pwd)
mkdir -p "$2"
output=$(cd "$2" && pwd)
shift 2

# What was finished with other options is not finished: the state carries the options' digest.
key=$(printf '%s\0' "$input" "$@" | sha256sum | cut -c1-12)
state="$output/work/slurm/$key"
mkdir -p "$state/done" "$state/failed" "$state/logs"

all="$state/labels.txt"
if [ -n "${LABELS:-}" ]; then
  sed -e 's/^sub-//' -e '/^[[:space:]]*$/d' "$LABELS" | sort -u > "$all"
else
  find -L "$input" -mindepth 1 -maxdepth 1 -type d -name 'sub-*' -printf '%f\n' \
    | sed 's/^sub-//' | sort -u > "$all"
fi
if grep -qvE '^[A-Za-z0-9]+$' "$all"; then
  echo "A participant label has characters other than letters and digits; correct the list." >&2
  exit 2
fi
if [ ! -s "$all" ]; then
  echo "No participants: INPUT has no sub-* folders; for DICOM give their labels in LABELS." >&2
  exit 2
fi

todo="$state/todo.txt"
: > "$todo"
while read -r label; do
  [ -e "$state/done/$label" ] || echo "$label" >> "$todo"
done < "$all"

export ANONYMI_INPUT="$input" ANONYMI_OUTPUT="$output" ANONYMI_STATE="$state"
export ANONYMI_BIDS="${ANONYMI_BIDS:-anonymi-bids}" ALLOW_MISSING="${ALLOW_MISSING:-0}"
read -ra sbatch_args <<< "${SBATCH_ARGS:-}"

n_todo=$(wc -l < "$todo")
dependency=()
if [ "$n_todo" -gt 0 ]; then
  max_tasks=${MAX_TASKS:-1000}
  export ANONYMI_PER_TASK=$(( (n_todo + max_tasks - 1) / max_tasks ))
  n_tasks=$(( (n_todo + ANONYMI_PER_TASK - 1) / ANONYMI_PER_TASK ))
  # A list of its own for each submission, because the tasks of an earlier one may still read theirs.
  export ANONYMI_LABELS
  ANONYMI_LABELS=$(mktemp "$state/labels-XXXXXX")
  cp "$todo" "$ANONYMI_LABELS"
  job=$(sbatch --parsable --export=ALL "${sbatch_args[@]}" --array="1-$n_tasks%${AT_ONCE:-50}" \
    --output="$state/logs/participant-%A_%a.txt" "$here/participant.sbatch" "$@")
  job=${job%%;*}
  echo "participants: job $job, $n_todo to do of $(wc -l < "$all"), $n_tasks tasks"
  # afterany, not afterok: with afterok one dead participant leaves the group job waiting for ever.
  dependency=(--dependency="afterany:$job")
else
  echo "participants: all $(wc -l < "$all") are done"
fi
group=$(sbatch --parsable --export=ALL "${sbatch_args[@]}" "${dependency[@]}" \
  --output="$state/logs/group-%j.txt" "$here/group.sbatch" "$@")
echo "group: job ${group%%;*}; logs in $state/logs"
