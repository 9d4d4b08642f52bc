//! What one source file declares, imports and names.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

/// A path as the source writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    pub segments: Vec<String>,
    pub line: usize,
}

/// The content of a module: of a file, or of `mod x { … }` in one.
#[derive(Debug, Default)]
pub struct Content {
    /// Names of the items that it defines.
    pub items: Vec<String>,
    /// Modules in files of their own.
    pub files: Vec<String>,
    pub inline: Vec<(String, Content)>,
    /// Name in this module, and what it stands for.
    pub imports: Vec<(String, Name)>,
    /// Paths of which every name is imported.
    pub globs: Vec<Vec<String>>,
    /// Paths in code and in private imports. A re-export alone does not count.
    pub uses: Vec<Name>,
}

impl Content {
    /// Reads a file, without its tests.
    pub fn parse(source: &str) -> syn::Result<Self> {
        let mut content = Self::default();
        for item in &syn::parse_file(source)?.items {
            content.visit_item(item);
        }
        Ok(content)
    }

    fn import(&mut self, prefix: &[String], tree: &UseTree, reexport: bool) {
        let name = |last: Option<&Ident>, at: &Ident| Name {
            segments: prefix
                .iter()
                .cloned()
                .chain(last.map(Ident::to_string))
                .collect(),
            line: at.span().start().line,
        };
        let (alias, name) = match tree {
            UseTree::Path(path) => {
                let prefix: Vec<_> = prefix
                    .iter()
                    .cloned()
                    .chain([path.ident.to_string()])
                    .collect();
                return self.import(&prefix, &path.tree, reexport);
            }
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(prefix, tree, reexport));
            }
            UseTree::Glob(_) => return self.globs.push(prefix.to_vec()),
            UseTree::Name(leaf) if leaf.ident == "self" => (
                prefix.last().cloned().unwrap_or_default(),
                name(None, &leaf.ident),
            ),
            UseTree::Name(leaf) => (leaf.ident.to_string(), name(Some(&leaf.ident), &leaf.ident)),
            UseTree::Rename(leaf) if leaf.ident == "self" => {
                (leaf.rename.to_string(), name(None, &leaf.ident))
            }
            UseTree::Rename(leaf) => (
                leaf.rename.to_string(),
                name(Some(&leaf.ident), &leaf.ident),
            ),
        };
        if !reexport {
            self.uses.push(name.clone());
        }
        self.imports.push((alias, name));
    }

    /// Macros get tokens, in which paths have to be found.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.named(&path);
                        path.clear();
                    }
                    path.push(ident);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    colons = 0;
                }
                _ => colons = 0,
            }
        }
        self.named(&path);
    }

    fn named(&mut self, path: &[Ident]) {
        if let Some(first) = path.first() {
            self.uses.push(Name {
                segments: path.iter().map(Ident::to_string).collect(),
                line: first.span().start().line,
            });
        }
    }
}

impl<'ast> Visit<'ast> for Content {
    fn visit_item(&mut self, item: &'ast Item) {
        if attributes(item).iter().any(is_for_tests) {
            return;
        }
        self.items.extend(defined(item).map(Ident::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        let Some((_, items)) = &item.content else {
            return self.files.push(name);
        };
        let mut content = Self::default();
        items.iter().for_each(|item| content.visit_item(item));
        self.inline.push((name, content));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&[], &item.tree, !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.clone())
            .collect();
        self.named(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<Ident>()
            .is_ok_and(|condition| condition == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn defined(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_code_macros_and_private_imports_are_uses() {
        let source = r#"
            use crate::a::{self, B as C};
            pub use crate::d::E;
            mod f;
            fn g(h: super::H) { println!("{}", crate::i::j(h.k)); }
            #[cfg(test)]
            mod tests { use crate::l::M; }
        "#;
        let content = Content::parse(source).unwrap();
        let uses: Vec<String> = content
            .uses
            .iter()
            .map(|name| name.segments.join("::"))
            .collect();
        for used in ["crate::a", "crate::a::B", "super::H", "crate::i::j"] {
            assert!(uses.contains(&used.to_owned()), "{used} in {uses:?}");
        }
        for other in ["crate::d::E", "crate::l::M"] {
            assert!(!uses.contains(&other.to_owned()), "{other} in {uses:?}");
        }
        let aliases: Vec<&str> = content
            .imports
            .iter()
            .map(|(alias, _)| alias.as_str())
            .collect();
        assert_eq!(aliases, ["a", "C", "E"]);
        assert_eq!(
            (content.items, content.files),
            (vec!["g".to_owned()], vec!["f".to_owned()])
        );
    }
}
