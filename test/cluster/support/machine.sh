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

is_version_2() { [ -e $groups/cgroup.controllers ]; }

# Version 2: hands all controllers down to groups below the root. One that is not the host's own must have no process
# itself then (cgroups(7), "no internal processes"): all go into a group beside the machines'.
delegate() {
  local pid tries callers=$groups/overweft-test-callers
  for tries in 1 2 3 4 5; do
    sed 's/\w\+/+&/g' $groups/cgroup.controllers 2>/dev/null >$groups/cgroup.subtree_control && return
    mkdir -p $callers
    while read -r pid; do
      # It may have ended, or be the kernel's.
      echo "$pid" 2>/dev/null >$callers/cgroup.procs || true
    done <$groups/cgroup.procs
  done
  echo "$groups/cgroup.subtree_control: controllers cannot be handed down" >&2
  return 1
}

enter_group() {
  local name folder
  if is_version_2; then
    delegate
    mkdir -p "$groups/$1"
    echo 0 >"$groups/$1/cgroup.procs"
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
  if is_version_2; then
    # The kernel refuses a file system over itself.
    mount -t tmpfs tmpfs $groups
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
  # Mounts of `ip netns` would be hidden below, and containerd take one for what is to be seen.
  while umount --lazy /run/netns 2>/dev/null || umount --lazy /run 2>/dev/null; do :; done
  mount -t tmpfs tmpfs /run
  # Containers to which it is propagated see what is mounted there later.
  mount --make-shared /run
  mkdir -p /run/netns /run/lock
  # These places have no option: libcni's results, the kubelet's links to logs, and what deploy/ installs.
  for place in /var/lib/cni /var/log/containers /opt/cni/bin /etc/cni/net.d; do
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
  # The group is left as a first step, so that nothing of the machine is ever outside.
  enter_group "$3"
  # The group of whoever makes a namespace of groups is its root.
  exec unshare --cgroup "$0" settle "$@"
  ;;
settle)
  netns=$1 folder=$2
  if is_version_2; then
    # Processes sit in leaves only: the machine's own ones in this, containers beside it.
    mkdir -p "$groups/$3/machine"
    echo 0 >"$groups/$3/machine/cgroup.procs"
  fi
  exec nsenter --net="/run/netns/$netns" unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
    "$0" boot "$folder"
  ;;
boot) boot "$1" ;;
run)
  pid=$1
  shift
  # From outside: where namespaces delimit delegation nobody enters a group from beyond his own root.
  if is_version_2; then echo 0 >"$groups$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/cgroup.procs"; fi
  exec nsenter --target "$pid" --net --mount --pid --cgroup --wd=/ "$0" inside "$@"
  ;;
inside)
  is_version_2 || for procs in "$groups"/*/cgroup.procs; do echo 0 >"$procs"; done
  exec "$@"
  ;;
esac
