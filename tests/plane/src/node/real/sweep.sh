# Ends what the programs of a real node leave behind when they are killed.
# $1 is the node's directory, $2 its bridge. May be run again.

# Prints the processes of the node: those in a mount namespace, other than this one, that has
# mounts of the node. These are its programs, and the containers with their file systems.
members() {
    own=$(readlink /proc/self/ns/mnt)
    for mounts in $(grep -lsF "$1/" /proc/[0-9]*/mountinfo); do
        process=${mounts%/mountinfo}
        theirs=$(readlink "$process/ns/mnt") || continue
        [ "$theirs" = "$own" ] || echo "${process#/proc/}"
    done
}

tries=0
while pids=$(members "$1") && [ -n "$pids" ] && [ "$tries" -lt 200 ]; do
    kill -KILL $pids 2>/dev/null
    tries=$((tries + 1))
    sleep 0.02
done

# The control groups of containers that no shim could remove; their names are random.
for bundle in "$1"/state/io.containerd.runtime.v2.task/k8s.io/*; do
    [ -e "$bundle" ] || continue
    tries=0
    while [ "$tries" -lt 50 ]; do
        left=$(find /sys/fs/cgroup -depth -type d -path "*/${bundle##*/}*" 2>/dev/null)
        [ -n "$left" ] || break
        rmdir $left 2>/dev/null
        tries=$((tries + 1))
        sleep 0.02
    done
done

# What led the bridge's pods to the API server.
iptables --wait --table nat --list-rules PREROUTING 2>/dev/null | sed -n "s/^-A \(PREROUTING .*-i $2 .*\)/\1/p" |
    while read -r rule; do iptables --wait --table nat --delete $rule; done

if [ -d "/sys/class/net/$2/bridge" ]; then
    for port in "/sys/class/net/$2/brif"/*; do
        [ ! -e "$port" ] || ip link delete "${port##*/}"
    done
    ip link delete "$2" type bridge
fi
