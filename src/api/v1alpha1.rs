//! Version `v1alpha1` of the kinds. Changes are additive.

pub mod approval;
pub mod audit_block;
pub mod audit_checkpoint;
pub mod audit_command;
pub mod audit_object;
pub mod audit_record;
pub mod bounds;
pub mod channel;
pub mod command_run;
pub mod environment;
pub mod freeze;
pub mod history;
pub mod lifecycle;
pub mod pin;
pub mod project;
pub mod promotion;
pub mod promotion_status;
pub mod release;
pub mod step;
pub mod trigger;
pub mod variable;
pub mod variable_set;

pub use approval::{Approval, ApprovalSpec, ApprovalStatus};
pub use audit_checkpoint::{AuditCheckpoint, AuditCheckpointSpec};
pub use audit_record::{AuditRecord, AuditRecordSpec};
pub use command_run::{CommandRun, CommandRunSpec, CommandRunStatus};
pub use environment::{Environment, EnvironmentSpec, EnvironmentStatus};
pub use freeze::{Freeze, FreezeSpec, FreezeStatus};
pub use lifecycle::{Lifecycle, LifecycleSpec, LifecycleStatus};
pub use pin::{Pin, PinSpec, PinStatus};
pub use project::{Project, ProjectSpec, ProjectStatus};
pub use promotion::{Promotion, PromotionSpec};
pub use promotion_status::PromotionStatus;
pub use release::{Release, ReleaseSpec, ReleaseStatus};
pub use variable_set::{VariableSet, VariableSetSpec, VariableSetStatus};
