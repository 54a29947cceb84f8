//! Rights back to rules: the canonical text of a selector.
//!
//! *Duty:* find the shortest list of categories and commands that gives the bits of a selector, as 7.0.15 does: from
//! `+@all` or `-@all`, at each step the category that fits best, and at last single commands. *Does not know:* how the
//! rights came about. *Invariant:* the rules, applied to an empty selector, give the same rights.
//! *Counterpart in C Redis:* `ACLDescribeSelector`, `ACLDescribeSelectorCommandRules`. There, single commands come in
//! the order of a hash table; here, in order of names.

use super::commands::Commands;
use super::selector::{Access, KeyPattern, Selector};
use crate::command::spec::Categories;

impl Selector {
    /// Keys, channels and commands: what ACL LIST shows.
    pub fn describe(&self, commands: &Commands) -> Vec<u8> {
        let mut text = self.describe_keys();
        if !text.is_empty() {
            text.push(b' ');
        }
        if !self.all_channels {
            text.extend_from_slice(b"resetchannels ");
        }
        let channels = self.describe_channels();
        text.extend_from_slice(&channels);
        if !channels.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(&self.describe_commands(commands));
        text
    }

    pub fn describe_keys(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        let shown = |known: &KeyPattern| {
            let head: &[u8] = match known.access {
                Access { read: true, write: true } => b"~",
                Access { write: false, .. } => b"%R~",
                Access { read: false, .. } => b"%W~",
            };
            [head, &known.pattern].concat()
        };
        self.keys.iter().map(shown).collect::<Vec<_>>().join(&b' ')
    }

    pub fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        self.channels.iter().map(|channel| [b"&", &**channel].concat()).collect::<Vec<_>>().join(&b' ')
    }

    pub fn describe_commands(&self, commands: &Commands) -> Vec<u8> {
        let adds = !self.allowed.allow_future();
        let (start, sign, inverse): (&[u8], _, _) = if adds { (b"-@all", "+", "-") } else { (b"+@all", "-", "+") };
        let mut text = start.to_vec();
        // `so_far` is what the text means; `rest` has what it does not account for yet.
        let (mut so_far, mut rest) = (Selector::new(false), self.clone());
        let known = |selector: &mut Selector, rule: &[u8]| {
            selector.apply(commands, rule).expect("rules that are made here are known");
        };
        known(&mut so_far, start);
        let mut used = Categories::NONE;
        while let Some(name) = best_category(commands, &rest, adds, &mut used) {
            known(&mut so_far, format!("{sign}@{name}").as_bytes());
            known(&mut rest, format!("{inverse}@{name}").as_bytes());
            text.extend_from_slice(format!(" {sign}@{name}").as_bytes());
        }
        self.describe_singles(commands, &mut so_far, &mut text);
        debug_assert!(commands.in_order().all(|id| so_far.allowed.has(id) == self.allowed.has(id)));
        text
    }

    /// Commands that the categories got wrong, and those that are allowed with some first arguments only.
    fn describe_singles(&self, commands: &Commands, so_far: &mut Selector, text: &mut Vec<u8>) {
        for id in commands.in_order() {
            let (name, on) = (commands.spec(id).name, self.allowed.has(id));
            if on != so_far.allowed.has(id) {
                text.extend_from_slice(format!(" {}{name}", if on { '+' } else { '-' }).as_bytes());
                so_far.set_command(commands, id, on);
            }
            for arg in self.first_args.get(&id).filter(|_| !on).into_iter().flatten() {
                text.extend_from_slice(format!(" +{name}|").as_bytes());
                text.extend_from_slice(arg);
            }
        }
    }
}

/// The category that says most of what is left to say and least that is wrong; it is used up by that.
fn best_category(commands: &Commands, rest: &Selector, adds: bool, used: &mut Categories) -> Option<&'static str> {
    let mut best: Option<(usize, usize, usize)> = None;
    for place in 0..Categories::NAMES.len() {
        let category = Categories(1 << place);
        if used.has(category) {
            continue;
        }
        let members = commands.in_order().filter(|id| commands.is_in(*id, category));
        let (on, off): (Vec<_>, Vec<_>) = members.partition(|id| rest.allowed.has(*id));
        let (right, wrong) = if adds { (on.len(), off.len()) } else { (off.len(), on.len()) };
        let better = best.is_none_or(|(_, least, most)| wrong < least || wrong == least && right > most);
        if right > wrong && better {
            best = Some((place, wrong, right));
        }
    }
    let (place, ..) = best?;
    *used = used.or(Categories(1 << place));
    Some(Categories::NAMES[place])
}
