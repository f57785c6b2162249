#!/usr/bin/env bash
# Tries slurm/train.sbatch on a real Slurm of two hosts: preemption by a more urgent job, a stop ahead of the time limit,
# requeue and restart, with mpirun and with srun; and the loss of a rank.
#
#   cluster/test-slurm.sh
#
# $MMDIST_CLUSTER_LAB is the folder with start-slurm.sh (default: ../shared/cluster-lab beside the repository); without it
# there is nothing to do. Needs root and the Debian packages iproute2 slurmd slurmctld slurm-client munge openmpi-bin.
# A stand-in takes the place of mmdist: it writes one line a step, saves its step and exits 75 on USR1, and goes on later.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lab=${MMDIST_CLUSTER_LAB:-$here/../../shared/cluster-lab}
if [ ! -x "$lab/start-slurm.sh" ]; then
  echo "test-slurm: skipped, there is no $lab"
  exit 0
fi
for tool in ip slurmd slurmctld sbatch munged mpirun; do
  command -v "$tool" >/dev/null || {
    echo "test-slurm: no $tool; apt-get install -y --no-install-recommends iproute2 slurmd slurmctld slurm-client munge openmpi-bin" >&2
    exit 69
  }
done
[ "$(id -u)" = 0 ] || {
  echo "test-slurm: network namespaces need root" >&2
  exit 77
}

# State of its own; not under /tmp, which each host has of its own.
export CLUSTER_DIR=${CLUSTER_DIR:-$HOME/.cache/mmdist-test-slurm}
mkdir -p "$CLUSTER_DIR"
work=$(mktemp -d "$CLUSTER_DIR/work.XXXXXX")
finish() {
  timeout 60 "$lab/stop-slurm.sh" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

cat >"$work/standin" <<'PROGRAM'
#!/usr/bin/env bash
# standin train FOLDER STEPS: rank 0 writes a line a step to FOLDER/steps and keeps the step in FOLDER/checkpoint.
folder=$2
steps=$3
rank=${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-${SLURM_PROCID:-0}}}
stop=no
trap 'stop=yes' USR1
echo $$ >"$folder/pid.$rank"
step=$(cat "$folder/checkpoint" 2>/dev/null || echo 0)
while [ "$step" -lt "$steps" ]; do
  step=$((step + 1))
  if [ "$rank" = 0 ]; then echo "$step start ${SLURM_RESTART_COUNT:-0}" >>"$folder/steps"; fi
  sleep 0.1
  if [ $stop = yes ]; then
    if [ "$rank" = 0 ]; then echo "$step" >"$folder/checkpoint"; else sleep 1; fi
    exit 75
  fi
done
PROGRAM
chmod +x "$work/standin"

echo "test-slurm: starting Slurm on two hosts"
timeout 60 "$lab/start-slurm.sh" netns 2 >"$work/start.log" 2>&1 || {
  cat "$work/start.log" >&2
  exit 1
}
on_hub() { timeout 20 "$lab/netns-hosts.sh" exec hub env SLURM_CONF="$CLUSTER_DIR/run/slurm/slurm.conf" "$@"; }

# The hosts' network, which a real cluster does not need to be told of.
export OMPI_MCA_btl=tcp,self OMPI_MCA_pml=ob1 OMPI_MCA_btl_tcp_if_include=10.77.0.0/24
export OMPI_MCA_oob_tcp_if_include=10.77.0.0/24
export MMDIST=$work/standin

fail() { # JOB FOLDER MESSAGE
  echo "test-slurm: FAILED: $3" >&2
  cat "$work/$2"/*.out >&2 || true
  on_hub scontrol show job "$1" >&2 || true
  exit 1
}

submit() { # FOLDER STEPS SBATCH_OPTION…: prints the job's number
  local folder=$1 steps=$2
  shift 2
  mkdir -p "$work/$folder"
  (cd "$work/$folder" && on_hub sbatch --parsable -N 2 --ntasks-per-node=1 "$@" "$here/slurm/train.sbatch" \
    "$work/$folder" "$steps")
}

until_true() { # SECONDS COMMAND…
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.3
  done
}

state_is() { on_hub scontrol show job "$1" 2>/dev/null | grep -q "JobState=$2"; }
has_started() { sed -n 5p "$work/$1/steps" 2>/dev/null | grep -q .; }

# Every step stands once and in order, and the job was stopped and started again.
check() { # JOB FOLDER STEPS
  until_true 90 state_is "$1" COMPLETED || fail "$1" "$2" "the job did not complete"
  cut -d' ' -f1 "$work/$2/steps" | cmp -s - <(seq "$3") || fail "$1" "$2" "steps are missing or stand twice"
  local starts
  starts=$(cut -d' ' -f3 "$work/$2/steps" | uniq | xargs)
  [[ "$starts" == "0 1"* ]] || fail "$1" "$2" "the job was not restarted"
  grep -q 'ended with 75' "$work/$2"/*.out || fail "$1" "$2" "no exit with 75"
  echo "test-slurm: $2: checkpoint, requeue and $3 steps in order, restarts $starts ($SECONDS s)"
}

for launcher in mpirun srun; do
  export LAUNCH=$launcher
  job=$(submit "$launcher-preempted" 150 -t 30)
  until_true 40 has_started "$launcher-preempted" || fail "$job" "$launcher-preempted" "the job did not start"
  urgent=$(cd "$work" && on_hub sbatch --parsable -p urgent -N 2 -t 1 -o urgent.out --wrap 'sleep 2')
  until_true 40 state_is "$urgent" COMPLETED || fail "$urgent" "$launcher-preempted" "the urgent job did not run"
  check "$job" "$launcher-preempted" 150
done

export LAUNCH=mpirun
job=$(submit time-limit 300 -t 1 --signal=B:USR1@50)
check "$job" time-limit 300

for launcher in mpirun srun; do
  export LAUNCH=$launcher SRUN_OPTIONS=--wait=3
  job=$(submit "$launcher-lost-rank" 600 -t 30 --no-requeue)
  until_true 40 has_started "$launcher-lost-rank" || fail "$job" "$launcher-lost-rank" "the job did not start"
  kill -9 "$(cat "$work/$launcher-lost-rank/pid.1")"
  until_true 30 state_is "$job" FAILED || fail "$job" "$launcher-lost-rank" "the job went on without one of its ranks"
  echo "test-slurm: $launcher-lost-rank: the job failed at once ($SECONDS s)"
done
echo "test-slurm: passed in $SECONDS s"
