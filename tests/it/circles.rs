//! No file imports itself through others, and the folders of `reconcile` use each other one way. A re-export (`pub use`) by
//! a parent is not an import; what is imported through it counts as imported from the file that declares it.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

use crate::tidy::{name_of, read, sources};

/// A name with its full path, without `crate`: `["journal", "segment", "soundness"]`.
type Name = Vec<String>;

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let files: Vec<_> = sources().iter().map(|file| (name_of(file), read(file))).collect();
    let found = circle(&files);
    assert!(found.is_none(), "put what both want into a file of its own: {}", found.unwrap().join(" → "));
}

#[test]
fn a_circle_is_found_however_its_imports_are_written() {
    let closed_by = |code: &str| {
        let files = [
            ("a/mod.rs", "mod one; mod two; pub use one::One; pub(crate) use two::Two;"),
            ("a/one.rs", "use super::two::{self, deep::{Far as Farther, *}}; pub struct One;"),
            ("a/two.rs", code),
        ];
        circle(&files.map(|(name, code)| (name.to_owned(), code.to_owned())))
    };
    let there = Some(["a/one.rs", "a/two.rs", "a/one.rs"].map(str::to_owned).to_vec());
    assert_eq!(closed_by("use super::one::One;"), there);
    assert_eq!(closed_by("use crate::a::One;"), there, "by what its parent hands on");
    assert_eq!(closed_by("use super::*; type It = One;"), there, "by all its parent hands on");
    assert_eq!(closed_by("fn f() { super::one::f() }"), there, "without `use`");
    assert_eq!(closed_by("fn f() { println!(\"{}\", super::one::ONE) }"), there, "in a macro");
    assert_eq!(closed_by("mod inner { use super::super::one::One; }"), there, "from a module in the file");
    assert_eq!(closed_by("pub struct Two;"), None);
    assert_eq!(closed_by("pub(in crate::a) struct Two; // use super::one::One;"), None);
    assert_eq!(closed_by("#[cfg(test)] mod tests { use crate::a::One; }"), None, "tests may");
}

#[test]
fn a_circle_of_three_is_told_in_the_order_of_its_imports() {
    let files = [
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::A;"),
        ("d.rs", "use crate::a::A;"),
    ];
    let found = circle(&files.map(|(name, code)| (name.to_owned(), code.to_owned())));
    assert_eq!(found.unwrap(), ["a.rs", "b.rs", "c.rs", "a.rs"]);
    let open = [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "pub struct C;")];
    assert_eq!(circle(&open.map(|(name, code)| (name.to_owned(), code.to_owned()))), None);
}

#[test]
fn a_parent_that_uses_its_child_may_not_be_used_by_it() {
    let closed_by = |parent: &str| {
        let files = [("a.rs", parent), ("a/b.rs", "use super::Kept; pub fn b() {}")];
        circle(&files.map(|(name, code)| (name.to_owned(), code.to_owned())))
    };
    assert_eq!(closed_by("mod b; pub use b::b; pub struct Kept;"), None, "only handed on");
    assert!(closed_by("mod b; pub use b::b; pub struct Kept; fn f() { b() }").is_some());
    assert!(closed_by("mod b; pub struct Kept; fn f() { b::b() }").is_some());
}

#[test]
fn the_folders_of_reconcile_use_only_those_before_them() {
    let files: Vec<_> = sources().iter().map(|file| (name_of(file), read(file))).collect();
    let found = backward("reconcile", &files);
    assert!(found.is_empty(), "`reconcile/mod.rs` declares the one that is used later:\n{}", found.join("\n"));
}

#[test]
fn an_import_of_a_later_folder_is_found_though_no_file_is_in_a_circle() {
    let of = |two: &str| {
        let files = [
            ("a.rs", "mod one; mod two; mod three; fn f() { three::deep::f() }"),
            ("a/one.rs", "use crate::b::B; pub struct One;"),
            ("a/two/mod.rs", two),
            ("a/two/deep.rs", "use crate::a::one::One;"),
            ("a/three/mod.rs", "pub mod deep; pub use deep::Deep;"),
            ("a/three/deep.rs", "use crate::a::one::One; pub struct Deep; pub fn f() {}"),
        ];
        backward("a", &files.map(|(name, code)| (name.to_owned(), code.to_owned())))
    };
    assert_eq!(of("mod deep; pub struct Two;"), [""; 0]);
    assert_eq!(of("mod deep; pub struct Two; use super::three::Deep;"), ["a/two/mod.rs uses a/three/deep.rs"]);
}

/// Files below a module that use one that the module declares after theirs.
fn backward(parent: &str, files: &[(String, String)]) -> Vec<String> {
    let modules: BTreeMap<Name, Module> = files.iter().map(|(name, code)| module(name, code)).collect();
    let order = &modules[[parent.to_owned()].as_slice()].children;
    let place =
        |path: &Name| order.iter().position(|child| path.starts_with([parent.to_owned(), child.clone()].as_slice()));
    let mut found = Vec::new();
    for (path, module) in modules.iter().filter(|(path, _)| place(path).is_some()) {
        let later = module.imports(path, &modules).into_iter().filter(|it| place(it) > place(path));
        found.extend(later.map(|it| format!("{} uses {}", module.file, modules[&it].file)));
    }
    found
}

/// Files in a circle; the first is repeated at the end. A file is its name below `src` and its text.
fn circle(files: &[(String, String)]) -> Option<Vec<String>> {
    let modules: BTreeMap<Name, Module> = files.iter().map(|(name, code)| module(name, code)).collect();
    let mut imports: BTreeMap<&Name, BTreeSet<Name>> =
        modules.iter().map(|(path, module)| (path, module.imports(path, &modules))).collect();
    // A file that imports none of the remaining ones is in no circle.
    while let Some(end) = imports.iter().find(|(_, of)| !of.iter().any(|it| imports.contains_key(it))) {
        let end = *end.0;
        imports.remove(end);
    }
    let mut way = vec![imports.keys().next().copied()?];
    loop {
        let next =
            imports[way[way.len() - 1]].iter().find_map(|it| imports.get_key_value(it)).expect("it is in a circle").0;
        if let Some(start) = way.iter().position(|it| it == next) {
            return Some(way[start..].iter().chain([next]).map(|path| modules[*path].file.clone()).collect());
        }
        way.push(next);
    }
}

/// A file and the names it uses.
#[derive(Default)]
struct Module {
    file: String,
    /// The paths it names, in full.
    named: BTreeSet<Name>,
    /// The files below it, in the order of their declaration.
    children: Vec<String>,
    /// Names it brought in or hands on, by the name they have here.
    aliases: BTreeMap<String, Name>,
    /// Modules of which it imports everything.
    globs: Vec<Name>,
    /// Paths that it uses without importing them.
    unknown: BTreeSet<String>,
    /// Names that it declares.
    items: BTreeSet<String>,
    /// The modules around what is being read.
    here: Name,
}

fn module(name: &str, code: &str) -> (Name, Module) {
    let path = name.trim_end_matches(".rs").trim_end_matches("/mod").split('/').map(str::to_owned);
    let path: Name = path.collect();
    let mut module = Module { file: name.to_owned(), here: path.clone(), ..Module::default() };
    let file: File = syn::parse_file(code).unwrap_or_else(|error| panic!("{name}: {error}"));
    // First the meaning of names in this file, then their uses.
    file.items.iter().for_each(|item| module.declare(item));
    module.visit_file(&file);
    (path, module)
}

impl Module {
    fn declare(&mut self, item: &Item) {
        let name = match item {
            Item::Const(it) => &it.ident,
            Item::Enum(it) => &it.ident,
            Item::Fn(it) => &it.sig.ident,
            Item::Static(it) => &it.ident,
            Item::Struct(it) => &it.ident,
            Item::Trait(it) => &it.ident,
            Item::Type(it) => &it.ident,
            Item::Mod(it) if it.content.is_none() => {
                self.children.push(it.ident.to_string());
                return;
            }
            Item::Use(it) if !is_for_tests(&it.attrs) => return self.bring_in(&it.tree, &mut Vec::new(), &it.vis),
            _ => return,
        };
        self.items.insert(name.to_string());
    }

    fn bring_in(&mut self, tree: &UseTree, before: &mut Name, visibility: &Visibility) {
        let (name, alias) = match tree {
            UseTree::Path(it) => {
                before.push(it.ident.to_string());
                self.bring_in(&it.tree, before, visibility);
                before.pop();
                return;
            }
            UseTree::Group(it) => return it.items.iter().for_each(|it| self.bring_in(it, before, visibility)),
            UseTree::Glob(_) => return self.globs.extend(self.absolute(before)),
            UseTree::Name(it) => (it.ident.to_string(), it.ident.to_string()),
            UseTree::Rename(it) => (it.ident.to_string(), it.rename.to_string()),
        };
        let is_self = name == "self";
        let full: Name = before.iter().cloned().chain((!is_self).then_some(name)).collect();
        let alias = if is_self && alias == "self" { before.last().cloned().unwrap_or_default() } else { alias };
        if let Some(full) = self.absolute(&full) {
            if matches!(visibility, Visibility::Inherited) {
                self.named.insert(full.clone());
            }
            self.aliases.insert(alias, full);
        }
    }

    /// Where a path leads, unless it leads out of the crate.
    fn absolute(&self, path: &[String]) -> Option<Name> {
        let supers = path.iter().take_while(|it| *it == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some(self.below(&path[1..])),
            "super" => Some([&self.here[..self.here.len() - supers], &path[supers..]].concat()),
            // A child's name without a path is a variable or a function of that name.
            first if path.len() > 1 && self.children.iter().any(|child| child == first) => Some(self.below(path)),
            first => Some([self.aliases.get(first)?.as_slice(), &path[1..]].concat()),
        }
    }

    fn below(&self, path: &[String]) -> Name {
        [self.here.as_slice(), path].concat()
    }

    /// The files that declare the names it uses.
    fn imports(&self, path: &Name, modules: &BTreeMap<Name, Module>) -> BTreeSet<Name> {
        let named = self.named.iter().chain(&self.globs).filter_map(|name| declared_in(name, modules, 0));
        let by_glob = self.unknown.iter().filter_map(|name| declared_among(&self.globs, name, modules, 0));
        named.chain(by_glob).filter(|file| file != path).collect()
    }
}

/// The file that declares a name, through any re-exports.
fn declared_in(name: &[String], modules: &BTreeMap<Name, Module>, hops: usize) -> Option<Name> {
    let end = (0..=name.len()).rev().find(|end| modules.contains_key(&name[..*end]))?;
    let (file, rest) = (&name[..end], &name[end..]);
    let module = &modules[file];
    let Some(first) = rest.first().filter(|first| hops < 9 && !module.items.contains(*first)) else {
        return Some(file.to_vec());
    };
    let handed_on = module.aliases.get(first).map(|full| [full.as_slice(), &rest[1..]].concat());
    let handed_on = handed_on.and_then(|full| declared_in(&full, modules, hops + 1));
    let among_all = || declared_among(&module.globs, first, modules, hops);
    handed_on.or_else(among_all).or_else(|| Some(file.to_vec()))
}

/// The file that declares a name imported by one of `globs`.
fn declared_among(globs: &[Name], name: &str, modules: &BTreeMap<Name, Module>, hops: usize) -> Option<Name> {
    let files = globs.iter().filter(|glob| modules.contains_key(*glob));
    let candidates = files.map(|glob| [glob.as_slice(), &[name.to_owned()]].concat());
    let mut declared = candidates.filter_map(|full| declared_in(&full, modules, hops + 1));
    declared.find(|file| modules[file].items.contains(name))
}

impl<'a> Visit<'a> for Module {
    fn visit_item(&mut self, item: &'a Item) {
        let attributes = match item {
            Item::Mod(it) => &it.attrs,
            Item::Fn(it) => &it.attrs,
            Item::Impl(it) => &it.attrs,
            Item::Struct(it) => &it.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        self.here.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.here.pop();
    }

    /// Imports at the top of a file are read before.
    fn visit_item_use(&mut self, it: &'a ItemUse) {
        if !is_for_tests(&it.attrs) {
            let mut inner = Module { here: self.here.clone(), ..Module::default() };
            inner.bring_in(&it.tree, &mut Vec::new(), &it.vis);
            self.named.extend(inner.named);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let mut names: Name = path.segments.iter().map(|it| it.ident.to_string()).collect();
        match self.absolute(&names) {
            Some(full) => drop(self.named.insert(full)),
            None => drop(self.unknown.insert(names.swap_remove(0))),
        }
        visit::visit_path(self, path);
    }

    /// The contents of a macro are only tokens, separated by spaces here.
    fn visit_macro(&mut self, it: &'a Macro) {
        let text = it.tokens.to_string().replace(" :: ", "::");
        // Behind `pub(in …)` it goes on.
        let mut parts = text.split("pub (in ");
        let first = parts.next().into_iter();
        let parts = first.chain(parts.filter_map(|part| Some(part.split_once(')')?.1)));
        for word in parts.flat_map(|part| part.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')) {
            let names: Name = word.split("::").map(str::to_owned).collect();
            if names.len() > 1 {
                self.named.extend(self.absolute(&names));
            }
        }
        visit::visit_macro(self, it);
    }

    /// A visibility is not an import.
    fn visit_visibility(&mut self, _: &'a Visibility) {}
}

/// `#[cfg(test)]`, `#[cfg(all(test, …))]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|it| it.path().is_ident("cfg")).any(|it| {
        let condition = it.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        condition.starts_with("test") || condition.replace(' ', "").starts_with("all(test")
    })
}
