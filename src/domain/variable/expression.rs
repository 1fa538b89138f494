//! One parsed expression. The grammar and the macros are CEL's, by the parser of the `cel` crate; there are no messages.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};
use cel::parser::{Expression as Node, PrattParser};

use super::fault::Fault;

/// The longest expression, in bytes.
pub const LENGTH_MAX: usize = 2048;
/// How deep expressions nest; below it the parser's and the evaluator's stacks are small.
const DEPTH_MAX: usize = 64;
/// The most nodes, macros expanded.
const NODES_MAX: usize = 4096;
/// The name that all variables are under.
pub(super) const VARIABLES: &str = "variables";

/// An expression that can be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    pub(super) root: Node,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// When it is none, or larger than its bounds.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::invalid("the expression is empty: write one like variables.NAME"));
        }
        if text.len() > LENGTH_MAX {
            return Err(Fault::invalid(format!(
                "the expression is longer than {LENGTH_MAX} characters: move parts of it into variables"
            )));
        }
        let depth = u16::try_from(DEPTH_MAX).unwrap_or(u16::MAX);
        let parser = PrattParser::new().max_recursion_depth(depth).max_expression_node_count(NODES_MAX);
        let root = parser.parse(text).map_err(|errors| {
            let said = errors.errors.first().map(|error| (error.pos.1, error.msg.replace("Syntax error: ", "")));
            let (column, said) = said.unwrap_or((0, "it cannot be read".to_owned()));
            Fault::invalid(format!("the expression is not CEL (column {column}: {said}): correct it"))
        })?;
        let mut walk = Walk { nodes: 0, variables: BTreeSet::new() };
        walk.node(&root, DEPTH_MAX)?;
        Ok(Self { root })
    }

    /// The variables that it names itself.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        let mut walk = Walk { nodes: 0, variables: BTreeSet::new() };
        // It was walked to its end when it was parsed.
        let _ = walk.node(&self.root, DEPTH_MAX);
        walk.variables
    }

    /// The variable, if the expression is nothing but its name.
    #[must_use]
    pub fn sole_variable(&self) -> Option<&str> {
        variable(&self.root.expr)
    }
}

/// The variable that a node names: `variables.NAME` or `variables["NAME"]`.
pub(super) fn variable(node: &Expr) -> Option<&str> {
    if let Expr::Select(select) = node
        && !select.test
        && is_variables(&select.operand)
    {
        return Some(&select.field);
    }
    if let Expr::Call(call) = node
        && call.func_name == operators::INDEX
        && let [all, name] = call.args.as_slice()
        && is_variables(all)
        && let Expr::Literal(LiteralValue::String(name)) = &name.expr
    {
        return Some(name.inner());
    }
    None
}

/// Whether a node is the name that all variables are under.
pub(super) fn is_variables(node: &Node) -> bool {
    matches!(&node.expr, Expr::Ident(name) if name == VARIABLES)
}

/// Visits every node once; refuses what has no meaning here.
struct Walk {
    nodes: usize,
    variables: BTreeSet<String>,
}

impl Walk {
    fn node(&mut self, node: &Node, depth: usize) -> Result<(), Fault> {
        self.nodes += 1;
        let Some(depth) = depth.checked_sub(1).filter(|_| self.nodes <= NODES_MAX) else {
            return Err(Fault::invalid("the expression nests too deeply: move parts of it into variables"));
        };
        if let Some(name) = variable(&node.expr) {
            self.variables.insert(name.to_owned());
            return Ok(());
        }
        match &node.expr {
            Expr::Ident(name) if name == VARIABLES => {
                Err(Fault::invalid("variables are used by name: write variables.NAME or variables[\"NAME\"]"))
            }
            Expr::Ident(_) | Expr::Literal(_) => Ok(()),
            Expr::Select(select) if is_variables(&select.operand) => {
                self.variables.insert(select.field.clone());
                Ok(())
            }
            Expr::Select(select) => self.node(&select.operand, depth),
            Expr::List(list) => list.elements.iter().try_for_each(|item| self.node(item, depth)),
            Expr::Call(call) => {
                let nodes = call.target.iter().map(AsRef::as_ref).chain(&call.args);
                nodes.into_iter().try_for_each(|node| self.node(node, depth))
            }
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.node(&entry.key, depth)?;
                    self.node(&entry.value, depth)
                }
                EntryExpr::StructField(field) => self.node(&field.value, depth),
            }),
            Expr::Comprehension(all) => {
                if all.iter_var == VARIABLES || all.iter_var2.is_some() {
                    return Err(Fault::invalid("variables is no name for an element: choose another one"));
                }
                let parts = [&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result];
                parts.into_iter().try_for_each(|part| self.node(part, depth))
            }
            Expr::Struct(_) => Err(Fault::invalid("there are no messages here: write a map like {\"key\": value}")),
            Expr::Unspecified => Err(Fault::invalid("the expression is incomplete: correct it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_an_expression_are_known_without_evaluating_it() {
        let text =
            "variables.A + string(variables['B'] + 1) + [1].map(x, variables.C)[0] + (has(variables.D) ? '' : 'x')";
        let expression = Expression::parse(text).unwrap();
        assert_eq!(expression.variables().into_iter().collect::<Vec<_>>(), ["A", "B", "C", "D"]);
        assert_eq!(expression.sole_variable(), None);
        assert_eq!(Expression::parse(" variables.A ").unwrap().sole_variable(), Some("A"));
        assert_eq!(Expression::parse("variables[\"A\"]").unwrap().sole_variable(), Some("A"));
        assert_eq!(Expression::parse("has(variables.A)").unwrap().sole_variable(), None);
    }

    #[test]
    fn a_variable_cannot_be_chosen_by_a_value() {
        for text in ["variables[release.version]", "variables", "size(variables)", "[1].map(variables, variables.A)"] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_says_where() {
        let fault = Expression::parse("1 +").unwrap_err();
        assert!(fault.message.starts_with("the expression is not CEL (column "), "{fault}");
        for text in ["", "  ", "Pod{name: 'x'}", "a ? b"] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_text_exhausts_the_parser() {
        for (open, close) in [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("f(", ")"), ("{1:", "}"), ("a?a:", "")] {
            let text = format!("{}1{}", open.repeat(600), close.repeat(600));
            let _ = Expression::parse(&text.chars().take(LENGTH_MAX).collect::<String>());
        }
        for joint in ["+", "&&", "||", ".a", "[0]", "-", "==", ".map(x,x)", " in "] {
            let _ = Expression::parse(&format!("a{}", format!("{joint}a").repeat(LENGTH_MAX / (joint.len() + 1) - 1)));
            let _ = Expression::parse(&format!("a{}", joint.repeat(LENGTH_MAX / joint.len() - 1)));
        }
    }
}
