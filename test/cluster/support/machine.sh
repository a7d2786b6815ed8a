#!/bin/bash
# A machine in namespaces: its own network, mounts, processes and control groups, the rest shared with the host.
#
#   machine.sh start NETNS FOLDER GROUP   boots it and becomes the process whose end is the machine's
#   machine.sh run PID COMMAND...         runs a command in the machine whose first process is PID
#
# GROUP is the control group below the caller's own that holds all of the machine, in each hierarchy of version 1 or
# in the one of version 2.
set -euo pipefail

groups=/sys/fs/cgroup

# Hierarchies of version 1 that are mounted: their names.
hierarchies() {
  local line name
  while IFS=: read -r _ name _; do
    [ -n "$name" ] && [ -d "$groups/${name#name=}" ] && echo "$name"
  done </proc/self/cgroup
}

# The caller's group in a hierarchy, as a folder.
own_group() {
  local path
  path=$(awk -F: -v name="$1" '$2 == name { print $3 }' /proc/self/cgroup)
  echo "$groups/${1#name=}${path%/}"
}

enter_group() {
  local name folder
  if [ -e $groups/cgroup.controllers ]; then
    sed 's/\w\+/+&/g' $groups/cgroup.controllers >$groups/cgroup.subtree_control
    # Processes sit in leaves only: the machine's own ones in this, containers beside it.
    mkdir -p "$groups/$1/machine"
    echo 0 >"$groups/$1/machine/cgroup.procs"
    return
  fi
  for name in $(hierarchies); do
    folder=$(own_group "$name")
    if [ "$name" = cpuset ]; then echo 1 >"$folder/cgroup.clone_children"; fi
    mkdir -p "$folder/$1"
    echo 0 >"$folder/$1/cgroup.procs"
  done
}

# The machine's control groups from its own point of view: its group is the root.
mount_groups() {
  local name
  if [ -e $groups/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 $groups
    return
  fi
  mount -t tmpfs tmpfs $groups
  for name in $(cut -d: -f2 /proc/self/cgroup | grep .); do
    mkdir "$groups/${name#name=}"
    mount -t cgroup -o "$([ "${name#name=}" = "$name" ] && echo "$name" || echo "none,$name")" cgroup "$groups/${name#name=}"
  done
}

boot() {
  local folder=$1 flag value
  mount_groups
  mount -t tmpfs tmpfs /run
  mkdir -p /run/netns /run/lock
  # These places have no option: libcni's results and the kubelet's links to logs.
  for place in /var/lib/cni /var/log/containers; do
    mkdir -p $place
    mount -t tmpfs tmpfs $place
  done
  # A kubelet wants these of the whole host. It finds them as it wants them, and the host stays as it is.
  while read -r flag value; do
    echo "$value" >"$folder/${flag//\//.}"
    mount --bind "$folder/${flag//\//.}" "/proc/sys/$flag"
  done <<-END
	vm/overcommit_memory 1
	vm/panic_on_oom 0
	kernel/panic 10
	kernel/panic_on_oops 1
	kernel/keys/root_maxkeys 1000000
	kernel/keys/root_maxbytes 25000000
	END
  touch "$folder/booted"
  # The first process inherits orphans; bash collects their ends while it waits.
  while :; do
    sleep infinity &
    wait $!
  done
}

verb=$1
shift
case $verb in
start)
  netns=$1 folder=$2
  # The group is left as a first step, so that nothing of the machine is ever outside.
  enter_group "$3"
  exec nsenter --net="/run/netns/$netns" unshare --cgroup --mount --propagation private --pid --fork --kill-child --mount-proc \
    "$0" boot "$folder"
  ;;
boot) boot "$1" ;;
run)
  pid=$1
  shift
  exec nsenter --target "$pid" --net --mount --pid --cgroup --wd=/ "$0" inside "$@"
  ;;
inside)
  for procs in "$groups"/cgroup.procs "$groups"/machine/cgroup.procs "$groups"/*/cgroup.procs; do
    [ -e $groups/cgroup.controllers ] && [ "$procs" != $groups/machine/cgroup.procs ] && continue
    [ -e "$procs" ] && echo 0 >"$procs"
  done
  exec "$@"
  ;;
esac
