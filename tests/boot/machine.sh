#!/usr/bin/env bash
# Boots systemd as process 1 of a machine made of namespaces: no image, no download, about a second.
#
#   machine.sh check            says whether this machine is able to
#   machine.sh TREE SHARED      boots this machine's own programs
#   machine.sh TREE SHARED SYSTEM   boots the system in the folder SYSTEM, such as one from debootstrap
#
# TREE/usr is laid over this machine's own /usr, TREE/etc is the whole of /etc, SHARED appears as
# /srv/shared. Everything else begins empty, so nothing that this machine is configured to do happens
# in there. What systemd reaches is for the caller to see: `default.target` comes from TREE. With SYSTEM
# both are added to what it has; what is written in there goes to memory, and SYSTEM stays as it is.
#
# Prints one line, "init PID" with the number of process 1 as seen from outside, or "cannot REASON" when
# this machine is not able to. The booted machine lives until stdin ends; nothing of it is left then.
set -euo pipefail

hierarchies=/sys/fs/cgroup
name=talas-test-$$

cannot() {
    echo "cannot $*"
    exit 0
}

# Folders of the cgroup hierarchies: one with cgroup 2, several where version 1 is in use.
cgroup_roots() {
    if [ "$(stat -f -c %T "$hierarchies")" = cgroup2fs ]; then
        echo "$hierarchies"
        return
    fi
    local root
    for root in "$hierarchies"/*; do
        [ -L "$root" ] || [ ! -e "$root/cgroup.procs" ] || echo "$root"
    done
}

make_cgroups() {
    local root file
    for root in $(cgroup_roots); do
        mkdir "$root/$name"
        # A cpuset of version 1 takes nobody in before it has these.
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$root/$name/$file" ] || [ -e "$root/cgroup.controllers" ] ||
                cat "$root/$file" >"$root/$name/$file"
        done
    done
}

remove_cgroups() {
    local root attempt
    for root in $(cgroup_roots); do
        # The last processes take a moment to die.
        for attempt in {1..50}; do
            [ -d "$root/$name" ] || break
            find "$root/$name" -depth -type d -exec rmdir {} + 2>/dev/null && break
            [ "$attempt" -lt 50 ] || echo "machine.sh: $root/$name stays behind" >&2
            sleep 0.1
        done
    done
}

# The same hierarchies for the systemd inside, which sees its own groups as the roots.
mount_cgroups() {
    local controllers folder
    if ! grep -qv '^0:' /proc/self/cgroup; then
        mount -t cgroup2 cgroup2 "$1"
        return
    fi
    mount -t tmpfs -o mode=755 tmpfs "$1"
    while IFS=: read -r _ controllers _; do
        folder=$1/${controllers#name=}
        case $controllers in
        "") mkdir "$1/unified" && mount -t cgroup2 cgroup2 "$1/unified" ;;
        name=*) mkdir "$folder" && mount -t cgroup -o "none,$controllers" cgroup "$folder" ;;
        *) mkdir "$folder" && mount -t cgroup -o "$controllers" cgroup "$folder" ;;
        esac
    done </proc/self/cgroup
}

make_devices() {
    local node
    mount -t tmpfs -o mode=755 tmpfs dev
    for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
        # shellcheck disable=SC2086 # name, major and minor are three words
        set -- $node
        mknod -m 666 "dev/$1" c "$2" "$3"
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
}

# An empty system around this machine's programs.
make_system_of_ours() {
    local link
    mkdir usr etc proc sys dev run tmp var root srv srv/shared old
    mount -t overlay -o "ro,lowerdir=$1/usr:/usr" overlay usr
    for link in /bin /sbin /lib /lib32 /lib64 /libx32; do
        [ ! -L "$link" ] || cp -P "$link" .
    done
}

# Runs in the new namespaces, and becomes systemd.
inside() {
    local tree=$1 shared=$2 system=$3 init
    # Of the old /proc: the number that the outside knows this process by.
    read -r init _ </proc/self/stat
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 tmpfs "$tree/root"
    cd "$tree/root"
    if [ -n "$system" ]; then
        mkdir upper work machine
        mount -t overlay -o "lowerdir=$system,upperdir=$PWD/upper,workdir=$PWD/work" overlay machine
        cd machine
        mkdir -p srv/shared old
        cp -r "$tree/usr/." usr
    else
        make_system_of_ours "$tree"
    fi
    cp -r "$tree/etc/." etc
    tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
    mount --bind "$shared" srv/shared
    mount -t proc proc proc
    # The kernel is shared with the outside: its settings are not for this machine to change.
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t sysfs -o ro sysfs sys
    make_devices
    mount -t tmpfs -o mode=755 tmpfs run
    mount_cgroups "$PWD/sys/fs/cgroup"
    pivot_root . old
    umount -l /old
    # Credentials and private mounts of services reach them by propagation.
    mount --make-rshared /
    echo "init $init"
    # Modules and the clock are the kernel's, too.
    exec env -i container=talas-test PATH=/usr/sbin:/usr/bin \
        setpriv --bounding-set -sys_module,-sys_time /usr/lib/systemd/systemd --show-status=no \
        </dev/null >/dev/null 2>&1
}

if [ "${1:-}" = inside ]; then
    inside "$2" "$3" "${4:-}"
fi

[ "$(id -u)" -eq 0 ] || cannot "boot systemd without being root"
[ -x /usr/lib/systemd/systemd ] || cannot "find systemd in /usr/lib/systemd"
[ -L /bin ] || cannot "boot from /usr alone: /bin is not a part of it"
for tool in unshare nsenter pivot_root setpriv; do
    command -v "$tool" >/dev/null || cannot "find $tool"
done
[ -n "$(cgroup_roots)" ] || cannot "find any cgroup hierarchy in $hierarchies"
unshare --mount --pid --uts --ipc --net --cgroup --fork true 2>/dev/null ||
    cannot "make namespaces: not allowed here"
trap remove_cgroups EXIT
make_cgroups 2>/dev/null || cannot "make cgroups: not allowed here"
[ "${1:-}" != check ] || exit 0

(
    for root in $(cgroup_roots); do
        echo "$BASHPID" >"$root/$name/cgroup.procs"
    done
    exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child \
        "$BASH" "${BASH_SOURCE[0]}" inside "$1" "$2" "${3:-}"
) &
machine=$!
trap 'kill -KILL "$machine" 2>/dev/null || true; wait "$machine" 2>/dev/null || true; remove_cgroups' EXIT
cat >/dev/null
