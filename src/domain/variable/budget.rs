//! What evaluation may cost. One unit is one node of an expression, or sixteen bytes that are made or read.

use serde_json::Value;

use super::fault::{Fault, FaultReason};

/// For one text with its expressions and the variables that they need: about three megabytes.
const TEXT: u32 = 200_000;
/// For everything that one step in one target needs: below a second on one core.
const STEP: u32 = 5_000_000;
/// How deep evaluation nests, through all variables together: far from the end of a thread's stack.
const DEPTH: u32 = 160;
/// Bytes a unit.
const BYTES: usize = 16;

/// What is left.
#[derive(Clone, Debug)]
pub struct Budget {
    text: u32,
    step: u32,
    depth: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { text: TEXT, step: STEP, depth: 0 }
    }
}

impl Budget {
    /// Begins the next text.
    pub fn renew(&mut self) {
        self.text = TEXT.min(self.step);
    }

    /// Pays for one node, and goes one level down.
    ///
    /// # Errors
    /// When nothing is left, or it is too deep.
    pub fn enter(&mut self) -> Result<(), Fault> {
        if self.depth >= DEPTH {
            return Err(too_costly());
        }
        self.units(1)?;
        self.depth += 1;
        Ok(())
    }

    /// Goes one level up again.
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Pays for bytes.
    ///
    /// # Errors
    /// When not enough is left.
    pub fn bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        self.units(u32::try_from(bytes / BYTES).unwrap_or(u32::MAX))
    }

    /// Pays for a value that was made or copied.
    ///
    /// # Errors
    /// When not enough is left.
    pub fn value(&mut self, value: &Value) -> Result<(), Fault> {
        self.bytes(weight(value))
    }

    fn units(&mut self, units: u32) -> Result<(), Fault> {
        match (self.text.checked_sub(units), self.step.checked_sub(units)) {
            (Some(text), Some(step)) => {
                (self.text, self.step) = (text, step);
                Ok(())
            }
            _ => Err(too_costly()),
        }
    }
}

fn too_costly() -> Fault {
    Fault::new(
        FaultReason::ExpressionTooCostly,
        "the expression costs more than is allowed: make its lists and texts shorter, or nest less",
    )
}

/// About how many bytes a value is.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => 8 + text.len(),
        Value::Array(items) => items.iter().fold(16, |sum, item| sum + weight(item)),
        Value::Object(fields) => fields.iter().fold(16, |sum, (key, value)| sum + 8 + key.len() + weight(value)),
    }
}
