//! What a cluster should have.

use crate::programs::Program;

/// What a cluster should have. The default is one simulated node, which needs no root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many simulated nodes to create.
    pub simulated_nodes: usize,
    /// Whether to run a real node: containerd, runc and kubelet. Needs root on Linux.
    pub real_node: bool,
    /// Whether the audit log has what was sent and answered, of writes of our kinds.
    pub audit_bodies: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { simulated_nodes: 1, real_node: false, audit_bodies: true }
    }
}

impl Options {
    /// One real node and no simulated one.
    #[must_use]
    pub const fn real() -> Self {
        Self { simulated_nodes: 0, real_node: true, audit_bodies: true }
    }

    /// The same with `count` simulated nodes. Where both kinds are present, a pod chooses by the
    /// node label `plane.gantry.dev/node: simulated` or `real`.
    #[must_use]
    pub const fn with_simulated_nodes(mut self, count: usize) -> Self {
        self.simulated_nodes = count;
        self
    }

    /// The same with a real node besides.
    #[must_use]
    pub const fn with_real_node(mut self) -> Self {
        self.real_node = true;
        self
    }

    /// The same with an audit log that says who did what, but not the objects: as most clusters have it.
    #[must_use]
    pub const fn without_audit_bodies(mut self) -> Self {
        self.audit_bodies = false;
        self
    }

    /// The programs that this needs.
    #[must_use]
    pub fn programs(&self) -> Vec<Program> {
        let mut programs = Program::CLUSTER.to_vec();
        if self.simulated_nodes > 0 {
            programs.push(Program::Kwok);
        }
        if self.real_node {
            programs.extend(Program::REAL_NODE);
        }
        programs
    }
}
