//! `${{ … }}` in a text, as parts. `$${{` is the text `${{` itself.

use super::expression::Expression;
use super::fault::Fault;

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A text with expressions in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// One part of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// As it is written.
    Literal(String),
    /// What an expression evaluates to.
    Expression(Expression),
}

impl Template {
    /// The parts of a text; nothing if there is nothing to replace in it.
    ///
    /// # Errors
    /// When an expression has no end, or is none.
    pub fn parse(text: &str) -> Result<Option<Self>, Fault> {
        if !text.contains(OPEN) {
            return Ok(None);
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str(OPEN);
                rest = after;
                continue;
            }
            literal.push_str(before);
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            let (expression, after) = split_end(after).ok_or_else(|| {
                Fault::invalid("an expression has no end: close it with }}, or write $${{ for the text")
            })?;
            parts.push(Part::Expression(Expression::parse(expression.trim())?));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Some(Self { parts }))
    }

    /// The expression, if the whole text is one: then its value keeps its type.
    #[must_use]
    pub fn sole(&self) -> Option<&Expression> {
        match self.parts.as_slice() {
            [Part::Expression(expression)] => Some(expression),
            _ => None,
        }
    }
}

/// The expression before the `}}` that ends it, which is in no text and closes no map.
fn split_end(text: &str) -> Option<(&str, &str)> {
    let (mut quote, mut escaped, mut braces) = (None, false, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), _) if open == byte => quote = None,
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'{') => braces += 1,
            (None, b'}') if braces > 0 => braces -= 1,
            (None, b'}') => {
                let rest = text.get(at..)?.strip_prefix(CLOSE)?;
                return Some((text.get(..at)?, rest));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        let part = |part: Part| match part {
            Part::Literal(text) => text,
            Part::Expression(expression) => {
                format!("<{}>", expression.variables().into_iter().collect::<Vec<_>>().join(","))
            }
        };
        Template::parse(text).unwrap().unwrap().parts.into_iter().map(part).collect()
    }

    #[test]
    fn a_text_is_taken_apart_at_its_expressions() {
        assert_eq!(parts("a${{ variables.A }}b${{variables.B}}"), ["a", "<A>", "b", "<B>"]);
        assert_eq!(Template::parse("plain $HOME $(X) {{ go }}").unwrap(), None);
        assert!(Template::parse("${{ variables.A }}").unwrap().unwrap().sole().is_some());
        assert!(Template::parse(" ${{ variables.A }}").unwrap().unwrap().sole().is_none());
    }

    #[test]
    fn an_expression_may_hold_maps_and_texts_with_braces() {
        assert_eq!(parts(r#"${{ {"a": {"b": variables.A}}["a"] }}."#), ["<A>", "."]);
        assert_eq!(parts(r#"${{ "}}" + '\'}}' + variables.A }}."#), ["<A>", "."]);
    }

    #[test]
    fn a_doubled_dollar_is_the_text_itself() {
        assert_eq!(parts("$${{ github.sha }}"), ["${{ github.sha }}"]);
        assert_eq!(parts("$${{ x }} ${{ variables.A }}"), ["${{ x }} ", "<A>"]);
    }

    #[test]
    fn an_expression_without_an_end_is_refused() {
        for text in ["${{ variables.A", "${{ variables.A }", "${{ 'a }}", "${{ }}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
