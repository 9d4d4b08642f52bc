//! The modules of a crate, and which file a path leads to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::source::{Content, Name};

/// A module in [`Modules`].
type Id = usize;
/// Longer chains of re-exports are not followed: they would be circles.
const LONGEST_CHAIN: usize = 16;

struct Module {
    /// Path below the source folder.
    file: PathBuf,
    /// The top-level module that it is or is in. The root of the crate is in none.
    top: Option<String>,
    parent: Option<Id>,
    children: BTreeMap<String, Id>,
    items: Vec<String>,
    imports: BTreeMap<String, Name>,
    globs: Vec<Vec<String>>,
    uses: Vec<Name>,
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Target {
    Module(Id),
    /// An item of this module.
    Item(Id),
}

/// A use of an item of another file.
pub struct Use {
    pub from: PathBuf,
    pub to: PathBuf,
    /// Top-level modules, where both are in one.
    pub tops: Option<(String, String)>,
    pub line: usize,
    /// The path as the source writes it.
    pub path: String,
}

/// Every module of a crate. The first is its root.
#[derive(Default)]
pub struct Modules(Vec<Module>);

impl Modules {
    /// Reads a crate from its root, such as `main.rs` in `folder`.
    pub fn read(folder: &Path, root: &str) -> anyhow::Result<Self> {
        let mut modules = Self::default();
        modules.read_file(folder, Path::new(root), Path::new(""), None, None)?;
        Ok(modules)
    }

    /// Reads a file of which the modules are in `inside`.
    fn read_file(
        &mut self,
        folder: &Path,
        file: &Path,
        inside: &Path,
        parent: Option<Id>,
        top: Option<&str>,
    ) -> anyhow::Result<Id> {
        let path = folder.join(file);
        let shown = path.display();
        let source = fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        let content = Content::parse(&source).with_context(|| format!("cannot parse {shown}"))?;
        self.add(folder, file, inside, parent, top, content)
    }

    fn add(
        &mut self,
        folder: &Path,
        file: &Path,
        inside: &Path,
        parent: Option<Id>,
        top: Option<&str>,
        content: Content,
    ) -> anyhow::Result<Id> {
        let id = self.0.len();
        self.0.push(Module {
            file: file.to_owned(),
            top: top.map(str::to_owned),
            parent,
            children: BTreeMap::new(),
            items: content.items,
            imports: content.imports.into_iter().collect(),
            globs: content.globs,
            uses: content.uses,
        });
        let mut children = BTreeMap::new();
        for (name, content) in content.inline {
            let child = self.add(
                folder,
                file,
                &inside.join(&name),
                Some(id),
                Some(top.unwrap_or(&name)),
                content,
            )?;
            children.insert(name, child);
        }
        for name in content.files {
            let file = [format!("{name}.rs"), format!("{name}/mod.rs")]
                .map(|file| inside.join(file))
                .into_iter()
                .find(|file| folder.join(file).is_file());
            let Some(file) = file else {
                bail!(
                    "there is no file of the module {name} in {}",
                    folder.join(inside).display()
                );
            };
            let child = self.read_file(
                folder,
                &file,
                &inside.join(&name),
                Some(id),
                Some(top.unwrap_or(&name)),
            )?;
            children.insert(name, child);
        }
        if let Some(module) = self.0.get_mut(id) {
            module.children = children;
        }
        Ok(id)
    }

    /// Every use of an item of another file.
    pub fn uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for (id, module) in self.0.iter().enumerate() {
            for name in &module.uses {
                let Some(Target::Item(target)) = self.resolve(id, &name.segments, 0) else {
                    continue;
                };
                let Some(target) = self
                    .0
                    .get(target)
                    .filter(|target| target.file != module.file)
                else {
                    continue;
                };
                uses.push(Use {
                    from: module.file.clone(),
                    to: target.file.clone(),
                    tops: module
                        .top
                        .clone()
                        .zip(target.top.clone())
                        .filter(|(from, to)| from != to),
                    line: name.line,
                    path: name.segments.join("::"),
                });
            }
        }
        uses
    }

    /// What a path leads to from a module, if it stays in this crate.
    fn resolve(&self, from: Id, path: &[String], chain: usize) -> Option<Target> {
        let module = self.0.get(from)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.descend(0, rest, chain),
            "self" => self.descend(from, rest, chain),
            "super" => {
                let parent = module.parent?;
                match rest.first().is_some_and(|next| next == "super") {
                    true => self.resolve(parent, rest, chain),
                    false => self.descend(parent, rest, chain),
                }
            }
            _ => self.member(from, path, chain),
        }
    }

    /// What a path leads to in a module. Items that macros define are not known: they are taken to be in it.
    fn descend(&self, module: Id, path: &[String], chain: usize) -> Option<Target> {
        match path.is_empty() {
            true => Some(Target::Module(module)),
            false => Some(
                self.member(module, path, chain)
                    .unwrap_or(Target::Item(module)),
            ),
        }
    }

    fn member(&self, id: Id, path: &[String], chain: usize) -> Option<Target> {
        let module = self.0.get(id)?;
        let (first, rest) = path.split_first()?;
        if chain > LONGEST_CHAIN {
            return None;
        }
        if let Some(child) = module.children.get(first) {
            return self.descend(*child, rest, chain + 1);
        }
        if module.items.contains(first) {
            return Some(Target::Item(id));
        }
        if let Some(import) = module.imports.get(first) {
            // A module that imports `x` from the crate `x` names itself.
            let outside = import.segments.first() == Some(first);
            let path: Vec<_> = import.segments.iter().chain(rest).cloned().collect();
            return if outside {
                None
            } else {
                self.resolve(id, &path, chain + 1)
            };
        }
        module
            .globs
            .iter()
            .find_map(|glob| match self.resolve(id, glob, chain + 1)? {
                Target::Module(target) if target != id => self.member(target, path, chain + 1),
                _ => None,
            })
    }
}
