//! Evaluates one expression. Every node, and every byte that is made or copied, is paid for.

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, MapExpr, SelectExpr, operators};
use cel::parser::Expression as Node;
use serde_json::{Map, Value};

use super::bindings::Bindings;
use super::datum::{self, Datum};
use super::expression::{Expression, is_variables, variable};
use super::fault::Fault;
use super::operator::{self, kind};
use super::{function, time_function};

/// Compiling a regular expression costs as much as this many bytes.
const REGEX: usize = 8 * 1024;

/// What an expression evaluates to.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The value.
    pub value: Value,
    /// The salts of the secrets that were read on the way. If there is one, the value is a secret: what a secret decided says
    /// something about it.
    pub salts: BTreeSet<String>,
}

/// Evaluates an expression.
///
/// # Errors
/// When it has no value.
pub fn evaluate(expression: &Expression, bindings: &mut Bindings<'_>) -> Result<Evaluated, Fault> {
    let mut evaluator = Evaluator { bindings, locals: Vec::new(), salts: BTreeSet::new() };
    let value = evaluator.node(&expression.root)?.landed()?;
    Ok(Evaluated { value, salts: evaluator.salts })
}

struct Evaluator<'a, 'b> {
    bindings: &'a mut Bindings<'b>,
    /// The elements that macros name, innermost last.
    locals: Vec<(String, Value)>,
    salts: BTreeSet<String>,
}

impl Evaluator<'_, '_> {
    fn node(&mut self, node: &Node) -> Result<Datum, Fault> {
        self.bindings.budget.enter()?;
        let value = self.inner(node);
        self.bindings.budget.leave();
        value
    }

    /// The value of a node where only one of YAML can be used.
    fn value(&mut self, node: &Node) -> Result<Value, Fault> {
        self.node(node)?.plain()
    }

    fn inner(&mut self, node: &Node) -> Result<Datum, Fault> {
        if let Some(name) = variable(&node.expr) {
            return self.variable(name).map(Datum::Plain);
        }
        let value = match &node.expr {
            Expr::Literal(literal) => return self.made(constant(literal)?),
            Expr::Call(call) => return self.call(call),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::List(list) => {
                list.elements.iter().map(|item| self.value(item)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) | Expr::Unspecified => Err(Fault::invalid("the expression is incomplete: correct it")),
        };
        value.map(Datum::Plain)
    }

    /// Pays for a value.
    fn made(&mut self, datum: Datum) -> Result<Datum, Fault> {
        match &datum {
            Datum::Plain(value) => self.bindings.budget.value(value)?,
            Datum::Bytes(_) | Datum::Timestamp(_) | Datum::Duration(_) => {
                self.bindings.budget.bytes(datum.weight())?;
            }
        }
        Ok(datum)
    }

    fn variable(&mut self, name: &str) -> Result<Value, Fault> {
        let Evaluated { value, salts } = self.bindings.variable(name)?;
        self.salts.extend(salts);
        self.bindings.budget.value(&value)?;
        Ok(value)
    }

    fn name(&mut self, name: &str) -> Result<Value, Fault> {
        let local = self.locals.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value);
        let value = local.or_else(|| self.bindings.names.get(name)).cloned();
        let value = value.ok_or_else(|| {
            let known: Vec<&str> = self.bindings.names.keys().map(String::as_str).collect();
            Fault::invalid(format!("there is no name {name}: write variables.{name}, or one of {}", known.join(", ")))
        })?;
        self.bindings.budget.value(&value)?;
        Ok(value)
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Value, Fault> {
        if select.test && is_variables(&select.operand) {
            return self.bindings.has(&select.field).map(Value::from);
        }
        let mut operand = self.value(&select.operand)?;
        let (field, kind) = (&select.field, kind(&operand));
        let Some(fields) = operand.as_object_mut() else {
            return Err(Fault::invalid(format!("{kind} has no field {field}: correct the expression")));
        };
        if select.test {
            return Ok(fields.contains_key(field).into());
        }
        let missing = || Fault::missing(format!("there is no field {field}: correct it, or use default()"));
        fields.remove(field).ok_or_else(missing)
    }

    fn map(&mut self, map: &MapExpr) -> Result<Value, Fault> {
        let mut fields = Map::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(Fault::invalid("there are no messages here: write a map"));
            };
            let Value::String(key) = self.value(&entry.key)? else {
                return Err(Fault::invalid("the keys of a map are texts: convert with string()"));
            };
            let value = self.value(&entry.value)?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Datum, Fault> {
        let arguments: Vec<&Node> = call.target.iter().map(AsRef::as_ref).chain(&call.args).collect();
        match (call.func_name.as_str(), arguments.as_slice()) {
            (operators::CONDITIONAL, [test, yes, no]) => {
                let chosen = if self.truth(test)? { yes } else { no };
                self.node(chosen)
            }
            (operators::LOGICAL_AND, [left, right]) => self.logical((left, right), false).map(Datum::Plain),
            (operators::LOGICAL_OR, [left, right]) => self.logical((left, right), true).map(Datum::Plain),
            (operators::LOGICAL_NOT, [value]) => self.truth(value).map(|value| Datum::Plain((!value).into())),
            (operators::NOT_STRICTLY_FALSE, [value]) => {
                Ok(Datum::Plain((self.value(value)? != Value::Bool(false)).into()))
            }
            (operators::NEGATE, [value]) => operator::negate(&self.value(value)?).map(Datum::Plain),
            ("default", [value, otherwise]) => match self.node(value) {
                Ok(Datum::Plain(Value::Null)) => self.node(otherwise),
                Err(fault) if fault.optional => self.node(otherwise),
                known => known,
            },
            (name, [left, right]) if name.contains('_') || name == operators::IN => self.operate(name, left, right),
            (name, arguments) => self.function(name, arguments),
        }
    }

    /// A binary operator.
    fn operate(&mut self, name: &str, left: &Node, right: &Node) -> Result<Datum, Fault> {
        let left = self.accumulated(name, left).map_or_else(|| self.node(left), |value| Ok(Datum::Plain(value)))?;
        let (left, right) = match (left, self.node(right)?) {
            (Datum::Plain(left), Datum::Plain(right)) => (left, right),
            (left, right) => {
                self.bindings.budget.bytes(left.weight().saturating_add(right.weight()))?;
                return datum::binary(name, &left, &right);
            }
        };
        if name == operators::ADD {
            // What is added to is moved, so only what is added is made.
            self.bindings.budget.value(&right)?;
        } else {
            self.bindings.budget.bytes(16)?;
        }
        operator::binary(name, left, right).map(Datum::Plain)
    }

    /// The result so far of a macro, which is about to be replaced: moved, or macros would cost the square of their lists.
    fn accumulated(&mut self, name: &str, node: &Node) -> Option<Value> {
        let Expr::Ident(ident) = &node.expr else { return None };
        // No expression can write a name that begins so.
        if name != operators::ADD || !ident.starts_with('@') {
            return None;
        }
        let local = self.locals.iter_mut().rev().find(|(known, _)| known == ident)?;
        Some(std::mem::take(&mut local.1))
    }

    fn function(&mut self, name: &str, arguments: &[&Node]) -> Result<Datum, Fault> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = self.node(argument)?;
            values.push(self.made(value)?);
        }
        if let Some(result) = time_function::call(name, &values) {
            return self.made(result?);
        }
        if name == "matches" {
            self.bindings.budget.bytes(REGEX)?;
        }
        let kinds: Vec<&str> = values.iter().map(Datum::kind).collect();
        let plain: Result<Vec<Value>, Fault> = values.into_iter().map(Datum::plain).collect();
        let result = function::call(name, &plain.map_err(|_| function::no_such(name, &kinds))?)?;
        self.made(Datum::Plain(result))
    }

    fn truth(&mut self, node: &Node) -> Result<bool, Fault> {
        let value = self.value(node)?;
        value.as_bool().ok_or_else(|| Fault::invalid(format!("a condition is true or false, not {}", kind(&value))))
    }

    /// `&&` and `||`: one side may decide alone, whatever is wrong with the other, as CEL defines it.
    fn logical(&mut self, (left, right): (&Node, &Node), decides: bool) -> Result<Value, Fault> {
        match self.truth(left) {
            Ok(left) if left == decides => Ok(decides.into()),
            Ok(_) => self.truth(right).map(Value::from),
            Err(fault) => match self.truth(right) {
                Ok(right) if right == decides => Ok(decides.into()),
                Ok(_) | Err(_) => Err(fault),
            },
        }
    }

    /// A macro: `all`, `exists`, `exists_one`, `map`, `filter`.
    fn comprehension(&mut self, all: &ComprehensionExpr) -> Result<Value, Fault> {
        let items = match self.value(&all.iter_range)? {
            Value::Array(items) => items,
            Value::Object(fields) => fields.into_iter().map(|(key, _)| Value::from(key)).collect(),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                return Err(Fault::invalid(format!("macros are for lists and maps, not for {}", kind(&other))));
            }
        };
        let start = self.value(&all.accu_init)?;
        let depth = self.locals.len();
        self.locals.push((all.accu_var.clone(), start));
        let result = self.iterate(all, items, depth);
        self.locals.truncate(depth);
        result
    }

    fn iterate(&mut self, all: &ComprehensionExpr, items: Vec<Value>, at: usize) -> Result<Value, Fault> {
        for item in items {
            if !self.truth(&all.loop_cond)? {
                break;
            }
            self.locals.push((all.iter_var.clone(), item));
            let next = self.step(&all.loop_step)?;
            self.locals.truncate(at + 1);
            if let (Some(next), Some(result)) = (next, self.locals.get_mut(at)) {
                result.1 = next;
            }
        }
        self.value(&all.result)
    }

    /// The next result of a macro; nothing when it stays the same.
    fn step(&mut self, step: &Node) -> Result<Option<Value>, Fault> {
        if let Expr::Call(call) = &step.expr
            && let (operators::CONDITIONAL, [test, yes, no]) = (call.func_name.as_str(), call.args.as_slice())
            && matches!(&no.expr, Expr::Ident(name) if name.starts_with('@'))
        {
            return if self.truth(test)? { self.value(yes).map(Some) } else { Ok(None) };
        }
        self.value(step).map(Some)
    }
}

fn constant(literal: &LiteralValue) -> Result<Datum, Fault> {
    let value = match literal {
        LiteralValue::Boolean(value) => (*value.inner()).into(),
        LiteralValue::Int(value) => (*value.inner()).into(),
        LiteralValue::UInt(value) => (*value.inner()).into(),
        LiteralValue::Double(value) => operator::double(*value.inner())?,
        LiteralValue::String(value) => value.inner().into(),
        LiteralValue::Null => Value::Null,
        LiteralValue::Bytes(value) => return Ok(Datum::Bytes(value.inner().to_vec())),
    };
    Ok(Datum::Plain(value))
}
