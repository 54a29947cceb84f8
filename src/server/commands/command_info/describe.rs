//! A row as COMMAND INFO and COMMAND DOCS show it.
//!
//! *Duty:* the two shapes, in each protocol's types. *Does not know:* which rows were asked for.
//! *Counterpart in C Redis:* `addReplyCommandInfo`, `addReplyCommandDocs`.

use crate::command::spec::*;
use crate::command::syntax::{self, Argument, ArgumentType};
use crate::resp::ReplyBuf;
use crate::server::registry::{Registry, Row};

/// Ten fields, in this order.
pub fn info(registry: &Registry, row: &Row, out: &mut ReplyBuf) {
    let spec = row.spec;
    out.array(10);
    out.bulk(spec.name.as_bytes());
    out.int(spec.arity as i64);
    let shown = Flags::NAMES.iter().filter(|(flag, _)| spec.flags.has(*flag) && *flag != MAY_REPLICATE);
    statuses(shown.map(|(_, name)| *name), out);
    let (first, last, step) = spec.key_range(true);
    [first, last, step].into_iter().for_each(|n| out.int(n));
    let categories: Vec<String> = spec.categories().names().map(|name| format!("@{name}")).collect();
    statuses(categories.iter().map(String::as_str), out);
    out.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| out.bulk(tip.as_bytes()));
    out.set(spec.keys.len());
    spec.keys.iter().for_each(|keys| key_spec(keys, out));
    if row.subcommands.is_empty() {
        out.set(0);
    } else {
        out.array(row.subcommands.len());
        row.subcommands.iter().for_each(|id| info(registry, registry.row(*id), out));
    }
}

fn statuses<'a>(names: impl Iterator<Item = &'a str>, out: &mut ReplyBuf) {
    let mark = out.defer();
    let mut count = 0;
    for name in names {
        out.status(name);
        count += 1;
    }
    out.close_set(mark, count);
}

pub fn key_flags(flags: KeyFlags, out: &mut ReplyBuf) {
    let shown = KeyFlags::NAMES.iter().filter(|(flag, _)| flags.has(*flag));
    statuses(shown.map(|(_, name)| *name), out);
}

fn key_spec(keys: &KeySpec, out: &mut ReplyBuf) {
    out.map(3);
    word("flags", out);
    key_flags(keys.flags, out);
    word("begin_search", out);
    match keys.begin {
        Begin::Index(index) => typed("index", &[("index", Value::Number(index))], out),
        Begin::Keyword { word, from } => {
            typed("keyword", &[("keyword", Value::Word(word)), ("startfrom", Value::Number(from))], out);
        }
        Begin::Unknown => typed("unknown", &[], out),
    }
    word("find_keys", out);
    match keys.find {
        Find::Range { last, step, limit } => {
            let (last, step, limit) = (Value::Number(last), Value::Number(step), Value::Number(limit));
            typed("range", &[("lastkey", last), ("keystep", step), ("limit", limit)], out);
        }
        Find::KeyNum { count_at, first, step } => {
            let (at, first, step) = (Value::Number(count_at), Value::Number(first), Value::Number(step));
            typed("keynum", &[("keynumidx", at), ("firstkey", first), ("keystep", step)], out);
        }
        Find::Unknown => typed("unknown", &[], out),
    }
}

enum Value {
    Number(i16),
    Word(&'static str),
}

/// `{type: kind, spec: {fields}}`
fn typed(kind: &str, fields: &[(&str, Value)], out: &mut ReplyBuf) {
    out.map(2);
    pair("type", kind, out);
    word("spec", out);
    out.map(fields.len());
    for (name, value) in fields {
        word(name, out);
        match value {
            Value::Number(number) => out.int(*number as i64),
            Value::Word(text) => word(text, out),
        }
    }
}

fn word(text: &str, out: &mut ReplyBuf) {
    out.bulk(text.as_bytes());
}

fn pair(name: &str, value: &str, out: &mut ReplyBuf) {
    word(name, out);
    word(value, out);
}

/// Commands that are not for users: other servers and tests call them.
const SYSTEM: [&str; 5] = ["debug", "pfdebug", "pfselftest", "replconf", "restore-asking"];

/// A map of what is known; fields without a value are left out.
pub fn docs(registry: &Registry, row: &Row, out: &mut ReplyBuf) {
    let spec = row.spec;
    let mark = out.defer();
    let mut count = 0;
    let mut text = |name: &str, value: &str, out: &mut ReplyBuf| {
        if !value.is_empty() {
            pair(name, value, out);
            count += 1;
        }
    };
    text("summary", spec.summary, out);
    text("since", spec.since, out);
    text("group", spec.group.name(), out);
    text("complexity", spec.complexity, out);
    if SYSTEM.contains(&spec.name) {
        word("doc_flags", out);
        statuses(std::iter::once("syscmd"), out);
        count += 1;
    }
    if let Some((since, instead)) = spec.deprecated {
        word("doc_flags", out);
        statuses(std::iter::once("deprecated"), out);
        pair("deprecated_since", since, out);
        pair("replaced_by", instead, out);
        count += 3;
    }
    if !spec.history.is_empty() {
        word("history", out);
        out.set(spec.history.len());
        for (release, change) in spec.history {
            out.array(2);
            pair(release, change, out);
        }
        count += 1;
    }
    let arguments = syntax::parse(spec);
    if !arguments.is_empty() {
        word("arguments", out);
        argument_list(&arguments, out);
        count += 1;
    }
    if !row.subcommands.is_empty() {
        word("subcommands", out);
        out.map(row.subcommands.len());
        for row in row.subcommands.iter().map(|id| registry.row(*id)) {
            word(row.spec.name, out);
            docs(registry, row, out);
        }
        count += 1;
    }
    out.close_map(mark, count);
}

fn argument_list(arguments: &[Argument], out: &mut ReplyBuf) {
    out.array(arguments.len());
    arguments.iter().for_each(|one| argument(one, out));
}

fn argument(argument: &Argument, out: &mut ReplyBuf) {
    let mark = out.defer();
    pair("name", &argument.name, out);
    pair("type", argument.kind.name(), out);
    let mut count = 2;
    if let Some(index) = argument.key_spec {
        word("key_spec_index", out);
        out.len_of(index);
        count += 1;
    }
    let texts = [("token", argument.token), ("since", argument.since), ("deprecated_since", argument.deprecated_since)];
    for (name, value) in texts {
        if let Some(value) = value {
            pair(name, value, out);
            count += 1;
        }
    }
    if argument.flags().next().is_some() {
        word("flags", out);
        statuses(argument.flags(), out);
        count += 1;
    }
    if matches!(argument.kind, ArgumentType::OneOf | ArgumentType::Block) {
        word("arguments", out);
        argument_list(&argument.arguments, out);
        count += 1;
    }
    out.close_map(mark, count);
}
