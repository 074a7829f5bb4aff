//! `access.roles`: a table whose names are the operator's own.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::form::{Form, List, Read, Wrong};
use super::text::PERMISSION;
use crate::access::{Permission, Permissions, Roles};

/// How the roles are written: `{ dj = ["listen", "stream_control"] }`, or as a table of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoleTable;

impl Form<BTreeMap<String, Permissions>> for RoleTable {
    fn expects(&self) -> String {
        "a table of roles, such as { dj = [\"listen\", \"stream_control\"] }".to_owned()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, base: &Path) -> Read<BTreeMap<String, Permissions>> {
        let Some(table) = value.get_ref().as_table() else {
            return Err(Wrong::kind(value, self.expects()));
        };
        let each = List { each: PERMISSION, of: "permissions", needs_one: false };
        let mut roles = BTreeMap::new();
        let mut wrongs = Vec::new();
        for (name, permissions) in table.iter() {
            let at = |label: &str| Wrong {
                span: name.span(),
                is_type: false,
                label: label.to_owned(),
                help: None,
            };
            if Roles::is_built_in(name.get_ref()) {
                wrongs.push(at("this role is built in: take another name"));
            }
            if !is_name(name.get_ref()) {
                wrongs.push(at("a role's name is of letters, digits, - and _"));
            }
            match each.read(permissions, base) {
                Ok(list) => {
                    let list: Vec<Permission> = list;
                    roles.insert(name.get_ref().to_string(), list.into_iter().collect());
                }
                Err(wrong) => wrongs.extend(wrong),
            }
        }
        if wrongs.is_empty() { Ok(roles) } else { Err(wrongs) }
    }

    fn write(&self, roles: &BTreeMap<String, Permissions>) -> String {
        let role = |(name, permissions): (&String, &Permissions)| {
            let list: Vec<String> = permissions.names().iter().map(|name| format!("\"{name}\"")).collect();
            format!("{name} = [{}]", list.join(", "))
        };
        let all: Vec<String> = roles.iter().map(role).collect();
        if all.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", all.join(", ")) }
    }
}

fn is_name(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_inside)
}
