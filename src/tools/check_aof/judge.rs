//! [`Judge`]: would the server take this command when it loads the file?
//!
//! *Duty:* names and numbers of arguments, by the table that the server itself has, and the stricter form that its
//! reader wants. *Does not know:* the server's
//! configuration (a renamed command is unknown here), what a command does with its arguments.
//! *Counterpart in C Redis:* the lookup in `loadSingleAppendOnlyFile`; the checker there
//! does not look.

use super::scan::Command;
use crate::base::num;
use crate::server::registry::{Registry, Unknown};
use crate::tools::shown;

pub struct Judge {
    registry: Registry,
}

impl Judge {
    pub fn new() -> Judge {
        Judge { registry: Registry::new() }
    }

    /// Why the server would end its start at this command.
    pub fn refusal(&self, command: &Command) -> Option<String> {
        let Some(argc) = usize::try_from(command.argc).ok().filter(|argc| *argc > 0) else {
            return Some("a command without a name".to_owned());
        };
        let name = shown(&command.name);
        match self.registry.lookup_words(&command.name, command.first.as_deref()) {
            Err(Unknown::Command) => Some(format!("unknown command '{name}'")),
            Err(Unknown::Subcommand(_)) => {
                let first = command.first.as_deref().unwrap_or_default();
                Some(format!("unknown subcommand '{}' of '{name}'", shown(first)))
            }
            Ok(row) if !self.registry.row(row).spec.arity_fits(argc) => {
                Some(format!("wrong number of arguments for '{name}': {}", argc - 1))
            }
            Ok(row) if !self.registry.row(row).belongs_in_aof() => {
                Some(format!("'{name}' is no command that changes data"))
            }
            Ok(row) if self.registry.row(row).spec.name == "select" && !is_number(command.first.as_deref()) => {
                Some("there is no such database".to_owned())
            }
            Ok(_) if command.odd => Some(format!("the numbers before the arguments of '{name}' are not plain digits")),
            Ok(_) => None,
        }
    }
}

/// How many databases there are is a matter of configuration.
fn is_number(text: Option<&[u8]>) -> bool {
    text.is_some_and(|text| num::parse_u64(text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_judged_as_the_server_would() {
        let judge = Judge::new();
        let refusal = |argc, name: &str, first: Option<&str>| {
            let first = first.map(|first| first.as_bytes().to_vec());
            judge.refusal(&Command { at: 0, argc, name: name.as_bytes().to_vec(), first, odd: argc == 9 })
        };
        assert_eq!(refusal(3, "SET", Some("k")), None);
        assert_eq!(refusal(5, "xgroup", Some("create")), None);
        assert_eq!(refusal(2, "SET", Some("k")).unwrap(), "wrong number of arguments for 'SET': 1");
        assert_eq!(refusal(3, "SEU", Some("k")).unwrap(), "unknown command 'SEU'");
        assert_eq!(refusal(5, "XGROUP", Some("creatf")).unwrap(), "unknown subcommand 'creatf' of 'XGROUP'");
        assert_eq!(refusal(1, "PING", None).unwrap(), "'PING' is no command that changes data");
        let odd = "the numbers before the arguments of 'DEL' are not plain digits";
        assert_eq!((refusal(8, "DEL", Some("k")), refusal(9, "DEL", Some("k")).as_deref()), (None, Some(odd)));
        assert_eq!(refusal(0, "", None).unwrap(), "a command without a name");
    }
}
