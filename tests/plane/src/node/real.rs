//! A real node: containerd, runc and kubelet.
