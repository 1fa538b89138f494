# Runs in a mount namespace of its own, and keeps it for the programs of a real node.
# $1 is the node's directory.
#
# containerd, its shims, the CNI library and the kubelet write to fixed places. Here these are layers
# above the machine's own: what is written ends up in the node's directory, and only there.
# And a kubelet sets some of the kernel's settings for the whole machine, unless they are what it
# wants (setupKernelTunables in its source); here they seem to be.
set -e
for place in run var/lib var/log; do
    mkdir -p "$1/written/$place" "$1/work/$place"
    mount -t overlay gantry-plane -o "lowerdir=/$place,upperdir=$1/written/$place,workdir=$1/work/$place" "/$place"
done
mkdir "$1/settings"
while read -r setting wanted; do
    echo "$wanted" >"$1/settings/${setting##*/}"
    mount --bind "$1/settings/${setting##*/}" "/proc/sys/$setting"
done <<END
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END
: >"$1/isolated"
exec sleep infinity
