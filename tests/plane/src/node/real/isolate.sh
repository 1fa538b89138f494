# Runs in a mount namespace of its own, and keeps it for the programs of a real node.
# $1 is the node's directory.
#
# containerd, its shims, the CNI library and the kubelet write to fixed places. Here these are layers
# above the machine's own: what is written ends up in the node's directory, and only there.
set -e
for place in run var/lib var/log; do
    mkdir -p "$1/written/$place" "$1/work/$place"
    mount -t overlay gantry-plane -o "lowerdir=/$place,upperdir=$1/written/$place,workdir=$1/work/$place" "/$place"
done
: >"$1/isolated"
exec sleep infinity
