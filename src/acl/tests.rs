//! Tests of the language of rules, on a table of a few commands.

use super::log::{AccessLog, Context, Reason, Refusal};
use super::user::{may_stay, merge_selectors};
use super::users::read_file;
use super::*;
use crate::base::millis::Millis;
use crate::command::spec::{ADMIN, Categories, FAST, Flags, Group, KeyFlags, LOADING, NO_AUTH, READONLY, Spec, WRITE};

const fn spec(name: &'static str, flags: Flags, acl: Categories) -> Spec {
    Spec { name, flags, acl, group: Group::Generic, ..Spec::BASE }
}

static SPECS: [Spec; 9] = [
    spec("config", Flags::NONE, Categories::NONE),
    spec("set", WRITE, Categories::STRING),
    spec("get", READONLY.or(FAST), Categories::STRING),
    spec("config|set", ADMIN, Categories::NONE),
    spec("config|get", ADMIN, Categories::NONE),
    spec("hset", WRITE.or(FAST), Categories::HASH),
    spec("hello", LOADING.or(NO_AUTH).or(FAST), Categories::CONNECTION),
    spec("select", FAST, Categories::CONNECTION),
    spec("hget", READONLY.or(FAST), Categories::HASH),
];

fn commands() -> Commands {
    Commands::new(SPECS.iter())
}

/// A new user after these rules, and the text of the first that is refused.
fn made(commands: &Commands, rules: &[&str]) -> (User, Option<&'static str>) {
    let grammar = Grammar { commands, all_channels: false };
    let mut user = User::new(b"bob", grammar);
    let refused = rules.iter().find_map(|rule| user.apply(grammar, rule.as_bytes()).err());
    (user, refused.map(RuleError::text))
}

fn described(rules: &[&str]) -> String {
    let commands = commands();
    let (user, refused) = made(&commands, rules);
    assert_eq!(refused, None, "{rules:?}");
    let text = String::from_utf8(user.describe(&commands)).unwrap();
    // What is described makes the same user again.
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    let rules = merge_selectors(&words).unwrap();
    let grammar = Grammar { commands: &commands, all_channels: false };
    let mut again = User::new(b"bob", grammar);
    rules.iter().for_each(|rule| again.apply(grammar, rule).unwrap());
    assert_eq!(String::from_utf8(again.describe(&commands)).unwrap(), text);
    text
}

fn refused(rules: &[&str]) -> &'static str {
    made(&commands(), rules).1.unwrap_or_else(|| panic!("{rules:?} is no error"))
}

#[test]
fn users_are_described_as_7_0_15_describes_them() {
    let cases: [(&[&str], &str); 12] = [
        (&[], "off resetchannels -@all"),
        (&["on", ">x"], "on #2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 resetchannels -@all"),
        (&["on", ">x", ">x", "<x", "nopass"], "on nopass resetchannels -@all"),
        (&["nopass", "resetpass", "skip-sanitize-payload"], "off skip-sanitize-payload resetchannels -@all"),
        (&["+@all", "reset"], "off sanitize-payload resetchannels -@all"),
        (&["allkeys", "allchannels", "allcommands"], "off ~* &* +@all"),
        (&["%R~a", "%w~a", "%W~b", "%RW~c", "%R"], "off ~a %W~b ~c %R~ resetchannels -@all"),
        (&["resetchannels", "&a", "&b", "&a"], "off resetchannels &a &b -@all"),
        (&["+get", "(~a +set)", "(&*)"], "off resetchannels -@all +get (~a resetchannels -@all +set) (&* -@all)"),
        (&["(~a)", "clearselectors"], "off resetchannels -@all"),
        (&["+select|0", "+select|1", "+select|0"], "off resetchannels -@all +select|0 +select|1"),
        (&["+select|0", "+select"], "off resetchannels -@all +select"),
    ];
    for (rules, expected) in cases {
        assert_eq!(described(rules), expected, "{rules:?}");
    }
}

#[test]
fn commands_become_the_categories_that_fit_best() {
    let cases: [(&[&str], &str); 8] = [
        (&["+@all", "-@hash"], "+@all -@hash"),
        (&["+@hash"], "-@all +@hash"),
        (&["+hget", "+hset"], "-@all +@hash"),
        (&["+@all", "-get"], "+@all -get"),
        (&["+@all", "-config|set"], "+@all -config|set"),
        (&["+@all", "-config", "+config|get"], "+@all -config +config|get"),
        (&["+config|set", "+config"], "-@all +@admin +config"),
        (&["+@all", "-get", "+get"], "+@all"),
    ];
    for (rules, expected) in cases {
        assert_eq!(described(rules), format!("off resetchannels {expected}"), "{rules:?}");
    }
}

#[test]
fn rules_are_refused_in_the_words_of_7_0_15() {
    let syntax = "Syntax error";
    let unknown = "Unknown command or category name in ACL";
    let hash = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
    let cases = [
        ("nonsense", syntax),
        ("%~", syntax),
        ("%", syntax),
        ("%RR~a", syntax),
        ("%X~a", syntax),
        ("~a b", syntax),
        ("&a\tb", syntax),
        (")", syntax),
        (" () ", syntax),
        ("(on)", syntax),
        ("+select|", syntax),
        ("+", unknown),
        ("+|x", unknown),
        ("+nosuch", unknown),
        ("-config|nosuch", unknown),
        ("+config|nosuch", unknown),
        ("+get|a|b", unknown),
        ("+@nosuch", unknown),
        ("-select|0", unknown),
        ("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
        ("<x", "The password you are trying to remove from the user does not exist"),
        ("#abc", hash),
        ("!abc", hash),
    ];
    for (rule, expected) in cases {
        assert_eq!(refused(&[rule]), expected, "{rule}");
    }
    assert_eq!(refused(&[&format!("#{}", "A".repeat(64))]), hash);
    assert!(refused(&["~*", "~a"]).starts_with("Adding a pattern after the * pattern (or the 'allkeys' flag)"));
    assert!(refused(&["&*", "&a"]).starts_with("Adding a pattern after the * pattern (or the 'allchannels' flag)"));
}

#[test]
fn selectors_are_put_together_from_words() {
    let merge = |words: &[&str]| {
        merge_selectors(words).map(|all| all.into_iter().map(|w| String::from_utf8(w).unwrap()).collect())
    };
    assert_eq!(
        merge(&["on", "(~a", "+get)", "(x)"]),
        Ok(vec!["on".to_owned(), "(~a +get)".to_owned(), "(x)".to_owned()])
    );
    assert_eq!(merge(&["(", "~a", ")"]), Ok(vec!["( ~a )".to_owned()]));
    assert_eq!(merge(&["on", "(~a", "+get"]), Err::<Vec<String>, _>(1));
}

const READ: KeyFlags = KeyFlags::RO.or(KeyFlags::ACCESS);
const CHANGE: KeyFlags = KeyFlags::RW.or(KeyFlags::UPDATE);

fn asks<'a>(commands: &Commands, line: &'a str, flags: KeyFlags) -> Request<'a> {
    let mut words = line.split(' ');
    let command = commands.find(words.next().unwrap().as_bytes()).unwrap();
    let args: Vec<&[u8]> = words.map(str::as_bytes).collect();
    let keys = (1..).zip(&args).map(|(at, name)| Touched { at, name, flags }).collect();
    Request { command, first_arg: args.first().copied(), keys, channels: Vec::new() }
}

#[test]
fn one_selector_must_cover_the_whole_request() {
    let commands = commands();
    let (user, _) = made(&commands, &["%R~r*", "+get", "(%W~w* +set +get)", "(~rw* +@string)"]);
    let may = |line: &str, flags| user.check(&commands, &asks(&commands, line, flags));
    assert_eq!(may("get r1", READ), Ok(()));
    assert_eq!(may("set r1", CHANGE), Err(Denied::Key(1)));
    assert_eq!(may("set w1", CHANGE), Ok(()));
    assert_eq!(may("get w1", READ), Err(Denied::Key(1)));
    assert_eq!(may("set rw1", CHANGE.or(READ)), Ok(()));
    assert_eq!(may("hget r1", READ), Err(Denied::Command));
    // Whether a key is there may be asked by whoever may do anything with it.
    assert_eq!(may("get w1", KeyFlags::RO), Ok(()));
    // The one that came furthest says what is refused.
    assert_eq!(may("get r1 rw2 w3", READ), Err(Denied::Key(3)));
    assert_eq!(may("hello 3", KeyFlags::NOT_KEY), Err(Denied::Key(1)), "commands of strangers are checked for keys");
}

#[test]
fn a_first_argument_may_be_what_is_allowed() {
    let commands = commands();
    let (user, _) = made(&commands, &["~*", "+select|zero"]);
    let may = |line: &str| user.check(&commands, &asks(&commands, line, READ));
    assert_eq!(may("select ZERO"), Ok(()));
    assert_eq!(may("select one"), Err(Denied::Command));
    assert_eq!(commands.first_arg_rules(b"(+select|a +config|get +get -get|b)"), [b"select|a"]);
}

#[test]
fn patterns_of_channels_are_taken_literally() {
    let commands = commands();
    let (user, _) = made(&commands, &["+@all", "&a*", "&b"]);
    let may = |name: &str, is_pattern| {
        let heard = Heard { at: 1, name: name.as_bytes(), is_pattern };
        let command = commands.find(b"get").unwrap();
        let request = Request { command, first_arg: None, keys: Vec::new(), channels: vec![heard] };
        user.check(&commands, &request).is_ok()
    };
    assert!(may("abc", false) && may("b", false) && may("a*", true));
    assert!(!may("c", false) && !may("ab*", true) && !may("*", true));
}

#[test]
fn who_loses_a_channel_is_known() {
    let commands = commands();
    let user = |rules: &[&str]| made(&commands, rules).0;
    let left = |before: &[&str], now: &[&str]| User::channels_left(&user(before), &user(now));
    assert_eq!(left(&["&a"], &["&a", "&b"]), None);
    assert_eq!(left(&["&a"], &["&*"]), None);
    let kept = left(&["&*"], &["&a*"]).unwrap();
    assert!(may_stay(&kept, [(b"abc".as_slice(), false), (b"a*", true)].into_iter()));
    assert!(!may_stay(&kept, [(b"abc".as_slice(), false), (b"ab*", true)].into_iter()));
    assert_eq!(left(&["&a", "&b"], &["&b"]), Some(vec![b"b".as_slice().into()]));
}

#[test]
fn only_the_very_password_lets_in_and_only_who_is_on() {
    let commands = commands();
    let (mut user, _) = made(&commands, &["on", ">one", ">two"]);
    assert!(user.accepts(b"one") && user.accepts(b"two"));
    assert!(!["", "o", "one ", "One", "onetwo", "one\0"].iter().any(|other| user.accepts(other.as_bytes())));
    user.set_only_password(b"three");
    assert!(user.accepts(b"three") && !user.accepts(b"one"));
    user.set_only_password(b"");
    assert!(user.accepts(b"anything"));
    user.enabled = false;
    assert!(!user.accepts(b"anything"));
}

#[test]
fn a_file_is_read_as_a_whole() {
    let commands = commands();
    let grammar = Grammar { commands: &commands, all_channels: false };
    let users = read_file(b"\r\nuser a on >x \n\tuser b on (+get ~x)\n", "f", grammar).unwrap();
    assert_eq!(users.iter().map(|user| &*user.name).collect::<Vec<_>>(), [b"a", b"b"]);
    let text = b"user a on\nfoo\nuser b ~* ~b zz\nuser c +no +no2 (\nuser d +no x\nuser a off\nuser\n";
    let errors = String::from_utf8(read_file(text, "f", grammar).unwrap_err()).unwrap();
    let all_keys = RuleError::AllKeys.text();
    assert_eq!(
        errors,
        format!(
            "f:2 should start with user keyword followed by the username. f:3: {all_keys}. f:4: Unmatched parenthesis \
             in selector definition.f:5: Error in applying operation '+no': Unknown command or category name in ACL. \
             f:5: Syntax error. WARNING: Duplicate user 'a' found on line 6. f:7 should start with user keyword \
             followed by the username. WARNING: ACL errors detected, no change to the previously active ACL rules was \
             performed"
        )
    );
}

#[test]
fn default_stays_whatever_replaces_the_users() {
    let commands = commands();
    let grammar = Grammar { commands: &commands, all_channels: false };
    let mut users = Users::new(grammar);
    users.default_user_mut().enabled = false;
    let first = users.put(User::new(b"a", grammar));
    assert_eq!(users.remove(b"default"), None);
    users.replace(vec![User::new(b"a", grammar)], User::default_user(grammar));
    assert!(users.default_user().enabled && users.default_user().is_unrestricted());
    assert!(users.get(first).is_none() && users.find(b"a").is_some_and(|id| id != first));
    assert_eq!(users.remove(b"a").is_some(), users.find(b"a").is_none());
    users.replace(vec![User::new(b"default", grammar)], User::default_user(grammar));
    assert!(!users.default_user().enabled);
}

#[test]
fn like_refusals_within_a_minute_are_one_entry() {
    let mut log = AccessLog::default();
    let refusal = |object: &str| Refusal {
        reason: Reason::Key,
        context: Context::TopLevel,
        object: object.as_bytes().to_vec(),
        username: b"bob".to_vec(),
        client: b"id=1".to_vec(),
    };
    log.add(refusal("a"), Millis(0), 3);
    log.add(refusal("b"), Millis(1), 3);
    log.add(refusal("a"), Millis(60_000), 3);
    log.add(refusal("a"), Millis(120_001), 3);
    let seen = |log: &AccessLog| -> Vec<(u64, u64, i64, i64)> {
        log.entries().map(|entry| (entry.id, entry.count, entry.created.0, entry.updated.0)).collect()
    };
    assert_eq!(seen(&log), [(2, 1, 120_001, 120_001), (0, 2, 0, 60_000), (1, 1, 1, 1)]);
    log.add(refusal("c"), Millis(120_002), 3);
    assert_eq!(seen(&log).iter().map(|entry| entry.0).collect::<Vec<_>>(), [3, 2, 0]);
    log.clear();
    assert_eq!(log.entries().len(), 0);
}
