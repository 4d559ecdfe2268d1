#!/bin/sh
# One shim per supervised process, leader of a session of its own. It outlives the agent that started it.
#
#   waiting ──"go" on fd 0──▶ running ──engine ends──▶ exit status on disk
#      └─────end of file──▶ gone; the engine never existed
#
# usage: shim.sh RUN_DIR BOOT_ID PID_NAMESPACE RUN_ID engine-argv...
#   fd 0  go pipe, held by the agent        fd 1, 2  the process's log, opened for appending
#   further descriptors are locks (GPUs): held here, so that they are free exactly when the last holder is gone
# Identity and exit status are written by rename: they survive a crash of everything but the machine, whose boot id changes then.

write_identity() { # file
  read -r stat < /proc/$$/stat
  fields=${stat##*) }
  start_time_of $fields
  printf '{"bootId":"%s","pidNamespace":"%s","pid":%s,"startTime":"%s","runId":"%s"}\n' \
    "$boot_id" "$pid_namespace" $$ "$start_time" "$run_id" > "$1.tmp" && mv "$1.tmp" "$1"
}
# Field 22 of /proc/PID/stat; the first two were cut off with the command name, which may hold blanks.
start_time_of() { shift 19; start_time=$1; }

run_dir=$1 boot_id=$2 pid_namespace=$3 run_id=$4
shift 4

if [ "${DYNAMO_SHIM_STAGE:-}" = engine ]; then
  unset DYNAMO_SHIM_STAGE
  write_identity "$run_dir/engine.json" || exit 74
  exec "$@"
  exit 127
fi

write_identity "$run_dir/identity.json" || exit 74
read -r word || exit 0
[ "$word" = go ] || exit 0
: > "$run_dir/launched"

# A signal to the group is for the engine; the shim stays to record how the engine ended.
trap : TERM INT HUP QUIT
DYNAMO_SHIM_STAGE=engine sh "$0" "$run_dir" "$boot_id" "$pid_namespace" "$run_id" "$@" < /dev/null
status=$?
printf '%s\n' "$status" > "$run_dir/exit.tmp" && mv "$run_dir/exit.tmp" "$run_dir/exit"
exit "$status"
