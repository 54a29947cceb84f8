//! Lines and the trees they stand for, written as `TOKEN name:type#key@since{flags}(parts)`, and the check that every
//! row's line can be read and agrees with the row.

use super::*;
use crate::command::FAMILIES;
use crate::command::spec::KeySpec;

fn shown(arguments: &[Argument]) -> String {
    let one = |a: &Argument| {
        let token = a.token.map_or(String::new(), |token| format!("{token:?} "));
        let key = a.key_spec.map_or(String::new(), |index| format!("#{index}"));
        let since = a.since.map_or(String::new(), |since| format!("@{since}"));
        let flags: Vec<&str> = a.flags().collect();
        let flags = if flags.is_empty() { String::new() } else { format!("{{{}}}", flags.join(",")) };
        let parts = if a.arguments.is_empty() { String::new() } else { format!("({})", shown(&a.arguments)) };
        let since = a.deprecated_since.map_or(since.clone(), |release| format!("{since}!{release}"));
        format!("{token}{}:{}{key}{since}{flags}{parts}", a.name, a.kind.name())
    };
    arguments.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn tree(syntax: &'static str, keys: &[KeySpec]) -> String {
    let spec = Spec { name: "name", syntax, keys: keys.to_vec().leak(), ..Spec::BASE };
    try_parse(&spec).map_or_else(|error| format!("error: {error}"), |arguments| shown(&arguments))
}

const FIRST: &[KeySpec] = &[KeySpec::one(1, KeyFlags::RO)];

#[test]
fn names_give_types_and_places_give_keys() {
    assert_eq!(tree("key offset value", FIRST), "key:key#0 offset:integer value:string");
    assert_eq!(tree("key", &[]), "key:string");
    assert_eq!(
        tree("source destination index1", &[FIRST[0], KeySpec::one(2, KeyFlags::OW)]),
        "source:key#0 destination:key#1 index1:integer"
    );
    assert_eq!(tree("key1 key2", &[KeySpec::range(1, 1, 1, KeyFlags::RO)]), "key1:key#0 key2:key#0");
    assert_eq!(
        tree("at unix-time-seconds increment:double ip:port!2.8.12", &[]),
        "at:string unix-time-seconds:unix-time increment:double ip:port:string!2.8.12"
    );
    assert_eq!(
        tree("destination numkeys key [key ...]", &[FIRST[0], KeySpec::numkeys(2, KeyFlags::RO)]),
        "destination:key#0 numkeys:integer key:key#1{multiple}"
    );
}

#[test]
fn dots_repeat_what_stands_before_them() {
    assert_eq!(
        tree("key value [key value ...]", &[KeySpec::range(1, -1, 2, KeyFlags::OW)]),
        "key_value:block{multiple}(key:key#0 value:string)"
    );
    assert_eq!(tree("a [b [b ...]]", &[]), "a:string b:string{optional,multiple}");
    assert_eq!(
        tree("[GET pattern [GET pattern ...]]", &[]),
        "\"GET\" pattern:pattern{optional,multiple,multiple_token}"
    );
    assert_eq!(tree("[WEIGHTS weight ...]", &[]), "\"WEIGHTS\" weight:integer{optional,multiple}");
}

#[test]
fn tokens_own_what_follows_them() {
    assert_eq!(
        tree("[LIMIT offset count] REV x [FULL [COUNT count]]", &[]),
        "\"LIMIT\" offset_count:block{optional}(offset:integer count:integer) \"REV\" x:string \
         \"FULL\" full:block{optional}(\"COUNT\" count:integer{optional})"
    );
    assert_eq!(
        tree("[COUNT count@6.2.0] [ALPHA:sorting]", &[]),
        "\"COUNT\" count:integer@6.2.0{optional} \"ALPHA\" sorting:pure-token{optional}"
    );
    assert_eq!(
        tree("<host port|(NO ONE):no-one>:args", &[]),
        "args:oneof(host_port:block(host:string port:integer) no-one:block(\"NO\" no:pure-token \"ONE\" one:pure-token))"
    );
    assert_eq!(
        tree("[(COUNT count [ANY]):count]", &[]),
        "count:block{optional}(\"COUNT\" count:integer \"ANY\" any:pure-token{optional})"
    );
}

#[test]
fn groups_are_named_by_note_by_custom_or_by_their_parts() {
    assert_eq!(
        tree("[<NX|XX>@2.6.12] <LEFT|RIGHT>:wherefrom <HARD|SOFT>", &[]),
        "condition:oneof@2.6.12{optional}(\"NX\" nx:pure-token \"XX\" xx:pure-token) \
         wherefrom:oneof(\"LEFT\" left:pure-token \"RIGHT\" right:pure-token) \
         hard_soft:oneof(\"HARD\" hard:pure-token \"SOFT\" soft:pure-token)"
    );
    assert_eq!(
        tree("<*:auto_id|id> <=:equal|~:approximately>:operator <key|\"\":empty_string>", &[]),
        "auto_id_id:oneof(\"*\" auto_id:pure-token id:string) \
         operator:oneof(\"=\" equal:pure-token \"~\" approximately:pure-token) \
         key_empty_string:oneof(key:string \"\" empty_string:pure-token)"
    );
}

#[test]
fn keys_are_found_behind_words_and_by_note() {
    const STREAMS: &[KeySpec] = &[KeySpec {
        begin: Begin::Keyword { word: "STREAMS", from: 1 },
        find: Find::Range { last: -1, step: 1, limit: 2 },
        flags: KeyFlags::RO,
    }];
    assert_eq!(
        tree("[BLOCK milliseconds] STREAMS (key [key ...] id [id ...]):streams", STREAMS),
        "\"BLOCK\" milliseconds:integer{optional} \"STREAMS\" streams:block(key:key#0{multiple} id:string{multiple})"
    );
    assert_eq!(
        tree("key [BY pattern#1] [STORE destination:key#2]", FIRST),
        "key:key#0 \"BY\" pattern:pattern#1{optional} \"STORE\" destination:key#2{optional}"
    );
}

#[test]
fn lines_that_mean_nothing_are_refused() {
    for line in ["[a", "a]", "<a|b", "a|b", "[]", "<|a>", "...", "a#x", "(a]"] {
        assert!(tree(line, &[]).starts_with("error: "), "{line}: {}", tree(line, &[]));
    }
}

/// Words that the shortest request with these arguments has.
fn least(arguments: &[Argument]) -> usize {
    let one = |a: &Argument| {
        let token = (a.token.is_some() && a.kind != ArgumentType::PureToken) as usize;
        match a.kind {
            _ if a.optional => 0,
            ArgumentType::Block => token + least(&a.arguments),
            ArgumentType::OneOf => {
                token + a.arguments.iter().map(|c| least(std::slice::from_ref(c))).min().unwrap_or(0)
            }
            _ => token + 1,
        }
    };
    arguments.iter().map(one).sum()
}

fn varies(arguments: &[Argument]) -> bool {
    arguments.iter().any(|a| a.optional || a.multiple || varies(&a.arguments))
}

#[test]
fn every_row_has_a_line_that_agrees_with_its_arity_and_keys() {
    let rows: Vec<&Spec> = FAMILIES.iter().flat_map(|family| family.iter().map(|command| &command.spec)).collect();
    for spec in &rows {
        let arguments = try_parse(spec).unwrap_or_else(|error| panic!("{}: {:?}: {error}", spec.name, spec.syntax));
        let is_container = rows.iter().any(|row| row.name.split_once('|').is_some_and(|(name, _)| name == spec.name));
        if is_container {
            continue;
        }
        let arity = (1 + spec.name.matches('|').count() + least(&arguments)) as i16;
        // PFMERGE goes without sources, though the reference's documentation has at least one.
        if spec.name != "pfmerge" {
            assert_eq!(if varies(&arguments) { -arity } else { arity }, spec.arity, "{}", spec.name);
        }
        let line = shown(&arguments);
        for (index, key) in spec.keys.iter().enumerate() {
            let found = line.contains(&format!("#{index}")) || key.begin == Begin::Unknown;
            assert!(found, "{}: no argument for key specification {index} in {line}", spec.name);
        }
    }
}
