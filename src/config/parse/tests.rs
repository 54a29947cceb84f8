//! Reading texts: precedence, quotes, includes, what is kept, and everything that can be wrong.

use super::*;
use crate::config::arguments::command_line;
use crate::config::finding::{fatal_text, is_fatal};
use crate::config::values::SavePoint;

fn no_files(_: Include<'_>) -> Result<Vec<(String, Vec<u8>)>, String> {
    Err("No such file or directory".to_owned())
}

fn load_with(text: &[u8], args: &[&str], read: &mut ReadInclude<'_>) -> Loaded {
    let mut loader = Loader::new(Mode::Server);
    parse_lines(text, "redis.conf", &mut loader, read);
    parse_lines(&command_line(args).options, ARGUMENTS, &mut loader, read);
    loader.finish()
}

fn load(text: &str) -> Loaded {
    load_with(text.as_bytes(), &[], &mut no_files)
}

/// The configuration that `text` gives; nothing may be wrong with it.
fn config(text: &str) -> Config {
    let loaded = load(text);
    assert_eq!(loaded.findings, [], "{text}");
    loaded.config
}

/// The one finding about `text`, as line number, reason and suggestion.
fn finding(text: &str) -> (u32, String, String) {
    let findings = load(text).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    let only = findings.into_iter().next().unwrap();
    (only.line, only.reason, only.suggestion.unwrap_or_default())
}

fn points(config: &Config) -> Vec<(u64, u64)> {
    config.save.iter().map(|point| (point.seconds, point.changes)).collect()
}

#[test]
fn nothing_is_the_default() {
    assert_eq!(config(""), Config::default());
    assert_eq!(config("# port 1\n\n  \t# x\n"), Config::default());
}

#[test]
fn a10_tabs_crlf_bom_and_trailing_blanks_do_not_matter() {
    let parsed = load_with(b"\xef\xbb\xbfport\t6380\r\n  timeout 300 \t\r\nloglevel\t \tdebug", &[], &mut no_files);
    assert_eq!(parsed.findings, []);
    let expected = Config { port: 6380, timeout: 300, loglevel: crate::config::LogLevel::Debug, ..Config::default() };
    assert_eq!(parsed.config, expected);
}

#[test]
fn names_and_their_aliases_are_taken_in_any_case_and_the_last_line_wins() {
    assert_eq!(config("Port 1\nPORT 2\n").port, 2);
    assert_eq!(config("hash-max-listpack-entries 20\nhash-max-ziplist-entries 21\n").hash_max_listpack_entries, 21);
}

#[test]
fn quotes_and_escapes_are_those_of_the_inline_protocol() {
    assert_eq!(config(r#"requirepass "a \"b\" \x00\xff""#).requirepass, b"a \"b\" \x00\xff");
    assert_eq!(config("logfile ''").logfile, "");
    assert_eq!(config(r#"proc-title-template 'it\'s {port}'"#).proc_title_template, "it's {port}");
    assert_eq!(finding("port 1\nuser \"x").1, "Unbalanced quotes in configuration line");
}

#[test]
fn save_lines_replace_the_built_in_points_and_add_up() {
    assert_eq!(points(&config("port 1\n")), [(3600, 1), (300, 100), (60, 10_000)]);
    assert_eq!(points(&config("save 100 100\n")), [(100, 100)]);
    assert_eq!(points(&config("save \"900 1\"\nsave 60 2 30 5\n")), [(900, 1), (60, 2), (30, 5)]);
    assert_eq!(points(&config("save 900 1\nsave \"\"\n")), []);
    assert_eq!(points(&config("save \"\"\nsave 900 0\n")), [(900, 0)]);
    assert_eq!(points(&config("save\n")), []);
    assert_eq!(points(&config("save 900 1\nsave\n")), [(900, 1)]);
    assert_eq!(load("save 9001\n").config.save, Config::default().save, "a bad line changes nothing");
}

#[test]
fn a17_run_together_save_points_are_refused_with_the_exact_suggestion() {
    let text = "daemonize no\nsave 9001\nsave 30010\nsave 6010000\nsave 1234\n";
    let loaded = load(text);
    assert!(is_fatal(&loaded.findings));
    let told: Vec<(u32, &str, Option<&str>)> =
        loaded.findings.iter().map(|f| (f.line, f.reason.as_str(), f.suggestion.as_deref())).collect();
    let reason = "Invalid save parameters";
    assert_eq!(
        told,
        [
            (2, reason, Some("seconds and changes ran together, did you mean: save 900 1")),
            (3, reason, Some("seconds and changes ran together, did you mean: save 300 10")),
            (4, reason, Some("seconds and changes ran together, did you mean: save 60 10000")),
            (5, reason, None),
        ]
    );
}

#[test]
fn the_fatal_block_is_that_of_7_0_15_once_for_each_error() {
    let loaded = load_with(b"# c\nsave 9001\nfoo bar\n", &["--port", "--bla"], &mut no_files);
    let text = fatal_text(&loaded.findings, "redis.conf", "7.0.15");
    let expected = "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n\
         Reading the configuration file, at line 2\n>>> 'save 9001'\nInvalid save parameters\n\
         seconds and changes ran together, did you mean: save 900 1\n\
         \n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n\
         Reading the configuration file, at line 3\n>>> 'foo bar'\nBad directive or wrong number of arguments\n\
         \n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\n\
         Reading the configuration file, at line 1 of the arguments\n>>> 'port \"--bla\"'\n\
         argument couldn't be parsed into an integer\n";
    assert_eq!(text, expected);
}

#[test]
fn a20_obsolete_directives_are_accepted_with_one_warning_each() {
    let loaded = load("glueoutputbuf yes\nshareobjects no\nshareobjectspoolsize 1024\nGlueOutputBuf no\n");
    assert_eq!(loaded.config, Config::default());
    let lines: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 3);
    let expected = "redis.conf:1: warning: 'glueoutputbuf' has no effect: Redis 2.4 was the last release that \
                    accepted it (replies are always gathered before they are sent)";
    assert_eq!(lines[0], expected);
    assert!(lines[1].contains("Redis 1.3 was"), "{}", lines[1]);
}

#[test]
fn config_obsolete_decides_wherever_it_stands() {
    let text = "vm-enabled no\nport x\nlist-max-ziplist-entries 5\n";
    let severities = |more: &str| {
        let findings = load(&format!("{text}{more}")).findings;
        findings.into_iter().map(|finding| (finding.line, finding.severity)).collect::<Vec<_>>()
    };
    let (error, warning) = (Severity::Error, Severity::Warning);
    assert_eq!(severities(""), [(1, warning), (2, error), (3, warning)]);
    assert_eq!(severities("config-obsolete refuse\n"), [(1, error), (2, error), (3, error)]);
    assert_eq!(severities("config-obsolete silent\n"), [(2, error)]);
}

#[test]
fn a_parameter_that_ended_later_still_sets_its_field() {
    let loaded = load("io-threads-do-reads yes\n");
    assert!(loaded.config.io_threads_do_reads);
    assert_eq!(loaded.findings.len(), 1);
}

#[test]
fn every_error_of_a_text_is_told() {
    let loaded = load("port x\ntimeout 1 2\nmaxmemory 100xb\nloglevel loud\nmaxmemory 12.5gb\n");
    let reasons: Vec<&str> = loaded.findings.iter().map(|finding| finding.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "argument couldn't be parsed into an integer",
            "wrong number of arguments",
            "argument must be a memory value",
            "argument(s) must be one of the following: debug, verbose, notice, warning",
        ]
    );
    assert_eq!(loaded.config.maxmemory, 13_421_772_800);
}

#[test]
fn suggestions_name_the_nearest_directive_the_units_and_stray_comments() {
    let (_, reason, suggestion) = finding("maxmemroy 1gb");
    assert_eq!(reason, "Bad directive or wrong number of arguments");
    assert_eq!(suggestion, "there is no directive 'maxmemroy', did you mean: maxmemory");
    assert!(finding("maxmemory 100xb").2.starts_with("units are b, k, kb"));
    assert_eq!(finding("save 900 1 # text").2, "a comment needs a line of its own, did you mean: save 900 1");
    assert_eq!(finding("rabbitmq-url x").2, "");
    assert_eq!(finding("rename-command a").2, "", "the name is known");
}

#[test]
fn included_texts_take_the_place_of_their_line() {
    let mut asked = Vec::new();
    let mut read = |include: Include<'_>| {
        asked.push((include.pattern.to_owned(), include.dir.to_owned()));
        match include.pattern {
            "conf.d/*" => Ok(vec![
                ("conf.d/a".to_owned(), b"port 2\ntimeout 2\n".to_vec()),
                ("conf.d/b".to_owned(), b"port 3\nfoo\n".to_vec()),
            ]),
            _ => Err("No such file or directory".to_owned()),
        }
    };
    let text = b"port 1\ndir /var\ninclude conf.d/*\ntimeout 4\ninclude /nope\ninclude a b\n";
    let loaded = load_with(text, &[], &mut read);
    assert_eq!((loaded.config.port, loaded.config.timeout), (3, 4));
    assert_eq!(asked, [("conf.d/*".to_owned(), "/var".to_owned()), ("/nope".to_owned(), "/var".to_owned())]);
    let told: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "conf.d/b:2: error: Bad directive or wrong number of arguments",
            "redis.conf:5: error: Fatal error, can't open config file '/nope': No such file or directory",
            "redis.conf:6: error: Bad directive or wrong number of arguments",
        ]
    );
    assert!(fatal_text(&loaded.findings, "redis.conf", "7.0.15").contains("at line 2 of conf.d/b\n"));
}

#[test]
fn a_circle_of_includes_ends() {
    let mut read = |_: Include<'_>| Ok(vec![("self.conf".to_owned(), b"include self.conf\n".to_vec())]);
    let loaded = load_with(b"include self.conf\n", &[], &mut read);
    assert_eq!(loaded.findings.len(), 1);
    assert_eq!(loaded.findings[0].reason, "include is nested more than 16 deep");
}

#[test]
fn lines_for_other_parts_are_kept_with_their_place() {
    let parsed = config(
        "user alice on >secret ~*\nrename-command FLUSHALL \"\"\nloadmodule /m.so a b\nuser bob off\nmod.par 1 2\n",
    );
    assert_eq!(parsed.user.len(), 2);
    assert_eq!(parsed.user[0].words, [&b"alice"[..], b"on", b">secret", b"~*"]);
    assert_eq!(parsed.user[1].origin.line, 4);
    assert_eq!(parsed.rename_command[0].words, [&b"FLUSHALL"[..], b""]);
    assert_eq!(parsed.loadmodule[0].words, [&b"/m.so"[..], b"a", b"b"]);
    assert_eq!(parsed.module_parameters[0].words, [&b"mod.par"[..], b"1", b"2"]);
    assert_eq!(finding("mod.par").1, "Module config specified without value");
}

#[test]
fn sentinel_lines_belong_to_sentinel_mode() {
    assert_eq!(finding("sentinel monitor m 1.2.3.4 1 2").1, "sentinel directive while not in sentinel mode");
    assert_eq!(config("sentinel\n"), Config::default());
    let mut loader = Loader::new(Mode::Sentinel);
    parse_lines(b"sentinel monitor m 1.2.3.4 1 2\n", "s.conf", &mut loader, &mut no_files);
    assert_eq!(loader.finish().config.sentinel[0].words[0], b"monitor");
}

#[test]
fn a_replica_cannot_be_in_a_cluster() {
    let (line, reason, _) = finding("cluster-enabled yes\nreplicaof a 1\n");
    assert_eq!((line, reason.as_str()), (0, "replicaof directive not allowed in cluster mode"));
    let block = load("cluster-enabled yes\nreplicaof a 1\n").findings[0].fatal_block("redis.conf", "7.0.15");
    assert_eq!(
        block,
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nreplicaof directive not allowed in cluster mode\n"
    );
}

#[test]
fn arguments_come_after_the_file() {
    let args = ["redis.conf", "--maxmemory 700mb", "--save", "--shutdown-on-sigint", "nosave", "force", "now"];
    let loaded = load_with(b"maxmemory 1gb\nsave 900 1\n", &args, &mut no_files);
    assert_eq!(loaded.findings, []);
    assert_eq!(loaded.config.maxmemory, 700 << 20);
    assert_eq!(loaded.config.save, [] as [SavePoint; 0]);
    assert_eq!(loaded.config.shutdown_on_sigint.text(), "nosave now force");
    assert_eq!(loaded.origin_of("maxmemory").unwrap().source, ARGUMENTS);
    assert!(loaded.origin_of("port").is_none());
}

/// What the first finding about `args` says: the line and the reason.
fn refused(args: &[&str]) -> String {
    let findings = load_with(b"", args, &mut no_files).findings;
    format!("'{}' {}", findings[0].text, findings[0].reason)
}

#[test]
fn refused_arguments_show_as_the_line_they_make() {
    assert_eq!(refused(&["--port"]), "'port' wrong number of arguments");
    assert_eq!(refused(&["--port", "6379", "6380"]), "'port \"6379\" \"6380\"' wrong number of arguments");
    assert_eq!(
        refused(&["--port", "--loglevel", "verbose"]),
        "'port \"--loglevel\" \"verbose\"' wrong number of arguments"
    );
    assert!(refused(&["--shutdown-on-sigint"]).starts_with("'shutdown-on-sigint' argument(s) must be one of"));
    assert_eq!(
        refused(&["--replicaof", "--127.0.0.1", "abc"]),
        "'replicaof \"--127.0.0.1\" \"abc\"' Invalid master port"
    );
    assert_eq!(
        refused(&["--replicaof", "--127.0.0.1", "--abc"]),
        "'replicaof \"--127.0.0.1\"' wrong number of arguments"
    );
}

#[test]
fn arguments_without_dashes_and_single_strings_work_as_in_7_0_15() {
    let args = ["redis.conf", "loglevel", "verbose", "--maxmemory '7mb'", "--slaveof", "10.5.6.195 6379"];
    let loaded = load_with(b"", &args, &mut no_files);
    assert_eq!(loaded.findings, []);
    assert_eq!(loaded.config.loglevel, crate::config::LogLevel::Verbose);
    assert_eq!(loaded.config.maxmemory, 7 << 20);
    assert_eq!(loaded.config.replicaof.unwrap().host, "10.5.6.195");
}

#[test]
fn a21_the_seeds_file_starts_after_fixing() {
    let text = "daemonize\tyes\nport\t6379\nrequirepass\tjohnny\ntimeout\t300\nloglevel\tdebug\nlogfile\tredis.log\n\
                databases\t16\nsave\t9001\nsave\t30010\nsave\t6010000\nrdbcompression\tyes\ndbfilename\tdump.rdb\n\
                appendonly\tno\nappendfsync\talways\nglueoutputbuf\tyes\nshareobjects\tno\n\
                shareobjectspoolsize\t1024\n";
    let loaded = load(text);
    let errors: Vec<u32> =
        loaded.findings.iter().filter(|f| f.severity == Severity::Error).map(|finding| finding.line).collect();
    assert_eq!(errors, [8, 9, 10]);
    let (fixed, told) = crate::config::fix::fix(text.as_bytes(), "redis.conf");
    assert_eq!(told.len(), 6);
    let loaded = load(std::str::from_utf8(&fixed).unwrap());
    assert_eq!(loaded.findings, []);
    assert_eq!(points(&loaded.config), [(900, 1), (300, 10), (60, 10_000)]);
}
