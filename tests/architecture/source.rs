//! One source file, as far as the rules look at it: its imports, words, functions and lines, without
//! its tests.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItemFn, Item, ItemFn, ItemMod, ItemUse, Signature, TraitItemFn, UseTree};

/// What is known of a source file.
pub struct Source {
    /// Its path from the repository's root.
    pub path: String,
    /// Its place in the module tree; empty for the roots.
    pub module: Vec<String>,
    /// Its first comment.
    pub doc: String,
    /// Everything it names by path that is not its own.
    pub imports: Vec<Import>,
    /// Its words and signs in order, with an empty one before and after, so that each has neighbours.
    pub tokens: Vec<Token>,
    /// Its functions.
    pub functions: Vec<Function>,
    /// How many lines it has.
    pub lines: usize,
}

/// A path to something elsewhere.
pub struct Import {
    /// From the root of this crate, or beginning with another crate's name.
    pub path: Vec<String>,
    /// Whether it is this crate's.
    pub ours: bool,
    /// Where it is written.
    pub line: usize,
}

/// A word or a sign; the content of literals is left out.
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    pub line: usize,
    /// Lines of its body, without comments and empty ones.
    pub lines: usize,
}

/// The names of crates in these sections of a `Cargo.toml`, as code writes them, with the standard library.
pub fn crates(manifest: &str, sections: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["std".to_owned()]);
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(header) = line.strip_prefix('[') {
            inside = sections.iter().any(|section| header.trim_end() == format!("{section}]"));
        } else if let Some(name) = line.split(['.', '=', ' ']).next().filter(|name| inside && !name.is_empty()) {
            names.insert(name.replace('-', "_"));
        }
    }
    names
}

impl Source {
    /// Reads the file at `path`; `crates` are the other crates that it can name.
    pub fn parse(path: &str, text: &str, crates: &BTreeSet<String>) -> syn::Result<Self> {
        let file = syn::parse_file(text)?;
        let module = module(path);
        let mut reader = Reader { module: module.clone(), crates, text, found: Found::default() };
        reader.visit_file(&file);
        let mut found = reader.found;
        let whole = module.iter().any(|name| name == "tests") && path.starts_with("src/");
        if whole {
            found.tests.push(1..=usize::MAX);
        }
        let is_test = |line: usize| found.tests.iter().any(|range| range.contains(&line));
        let mut tokens = Vec::new();
        flatten(text.parse()?, &mut tokens);
        tokens.retain(|token| !is_test(token.line));
        tokens.insert(0, Token { text: String::new(), line: 0 });
        tokens.push(Token { text: String::new(), line: 0 });
        let mut imports = found.imports;
        imports.extend(paths(&tokens, &module, crates));
        imports.retain(|import| !is_test(import.line));
        imports.sort_by(|a, b| (a.line, &a.path).cmp(&(b.line, &b.path)));
        imports.dedup_by(|a, b| a.line == b.line && a.path == b.path && a.ours == b.ours);
        found.functions.retain(|function| !is_test(function.line));
        Ok(Self {
            path: path.to_owned(),
            module,
            doc: text.lines().take_while(|line| line.starts_with("//!")).collect(),
            imports,
            tokens,
            functions: found.functions,
            lines: (1..=text.lines().count()).filter(|line| !is_test(*line)).count(),
        })
    }
}

/// The place of a file in the module tree of its crate.
fn module(path: &str) -> Vec<String> {
    let inside = path.rsplit_once("src/").map_or(path, |(_, inside)| inside).trim_end_matches(".rs");
    let names = inside.split('/').filter(|name| !matches!(*name, "lib" | "main" | "mod"));
    names.map(str::to_owned).collect()
}

#[derive(Default)]
struct Found {
    imports: Vec<Import>,
    functions: Vec<Function>,
    tests: Vec<RangeInclusive<usize>>,
}

/// Walks the syntax tree.
struct Reader<'a> {
    module: Vec<String>,
    crates: &'a BTreeSet<String>,
    text: &'a str,
    found: Found,
}

impl Reader<'_> {
    fn function(&mut self, signature: &Signature, body: &Block) {
        let (first, last) = (line(&body.brace_token.span.open()), line(&body.brace_token.span.close()));
        let inside = self.text.lines().skip(first).take((last - first).saturating_sub(1)).map(str::trim);
        let lines = inside.filter(|text| !text.is_empty() && !text.starts_with("//")).count();
        let name = signature.ident.to_string();
        self.found.functions.push(Function { name, line: line(&signature.ident), lines });
    }

    fn import(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        let path = match tree {
            UseTree::Path(path) => return self.import(&with(&path.ident), &path.tree),
            UseTree::Group(group) => return group.items.iter().for_each(|item| self.import(prefix, item)),
            UseTree::Glob(_) => prefix.to_vec(),
            UseTree::Name(name) if name.ident == "self" => prefix.to_vec(),
            UseTree::Name(name) => with(&name.ident),
            UseTree::Rename(rename) => with(&rename.ident),
        };
        self.found.imports.extend(resolve(&path, &self.module, self.crates, line(tree)));
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(attributes(item)) {
            self.found.tests.push(line(item)..=item.span().end().line);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&[], &item.tree);
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn line(what: &impl Spanned) -> usize {
    what.span().start().line
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is = |attribute: &Attribute| {
        let test = |path: syn::Path| path.is_ident("test");
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(test)
    };
    attributes.iter().any(is)
}

/// All words and signs in order; `::` is one sign.
fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    let mut colon = false;
    for tree in stream {
        let at = tree.span().start().line;
        let mut push = |text: String| into.push(Token { text, line: at });
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                push(open.to_owned());
                flatten(group.stream(), into);
                into.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            TokenTree::Ident(ident) => push(ident.to_string()),
            TokenTree::Literal(_) => push("literal".to_owned()),
            TokenTree::Punct(sign) if sign.as_char() == ':' && sign.spacing() == Spacing::Joint && !colon => {
                colon = true;
                continue;
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' && colon => push("::".to_owned()),
            TokenTree::Punct(sign) => push(sign.as_char().to_string()),
        }
        colon = false;
    }
}

/// The paths that are written among these tokens, also inside macros.
fn paths(tokens: &[Token], module: &[String], crates: &BTreeSet<String>) -> Vec<Import> {
    let mut found = Vec::new();
    for (start, first) in tokens.iter().enumerate() {
        let begins =
            start.checked_sub(1).is_none_or(|before| !matches!(tokens[before].text.as_str(), "::" | "." | "use"));
        if !begins || !is_word(first) || tokens.get(start + 1).is_none_or(|next| next.text != "::") {
            continue;
        }
        let rest = tokens[start + 1..]
            .chunks(2)
            .take_while(|pair| pair.len() == 2 && pair[0].text == "::" && is_word(&pair[1]));
        let path: Vec<String> =
            std::iter::once(first.text.clone()).chain(rest.map(|pair| pair[1].text.clone())).collect();
        found.extend(resolve(&path, module, crates, first.line));
    }
    found
}

fn is_word(token: &Token) -> bool {
    token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The path from a root, if it leads out of where it is written or into another crate.
fn resolve(path: &[String], module: &[String], crates: &BTreeSet<String>, line: usize) -> Option<Import> {
    let mut at = module.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => at.clear(),
        "self" | "super" => {}
        name if crates.contains(name) => return Some(Import { path: path.to_vec(), ours: false, line }),
        _ => return None,
    }
    while let Some((name, after)) =
        rest.split_first().filter(|(name, _)| matches!(name.as_str(), "crate" | "self" | "super"))
    {
        if name == "super" {
            at.pop();
        }
        rest = after;
    }
    Some(Import { path: [at.as_slice(), rest].concat(), ours: true, line })
}
