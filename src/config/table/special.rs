//! Directives with a grammar of their own: lists, flags, addresses.
//!
//! *Duty:* read all words at once, refuse in 7.0.15's words, and print the canonical form.
//! *Does not know:* that lines of a file may add up (`save`); the parser asks [`parse_save`] for the points.
//! *Invariants:* a refused list leaves the old one in place, whichever word was wrong.
//! *Counterpart in C Redis:* the `setConfig…Option`/`getConfig…Option` pairs of `config.c`.

use crate::config::directive::{ConfigError, Directive, Flags, Kind, Outcome, one_of};
use crate::config::fields::Config;
use crate::config::number::{Form, parse_lenient, parse_memory};
use crate::config::values::{ClientClass, MasterAddr, NotifyFlags, OutputLimit, SavePoint, ShutdownFlags};

const BIND_MAX: usize = 16;
const WRONG_COUNT: &str = "wrong number of arguments";
const INVALID_SAVE: &str = "Invalid save parameters";

/// A row for one of the grammars below.
const fn row(name: &'static str, get: fn(&Config) -> String, put: fn(&mut Config, &[Vec<u8>]) -> Outcome) -> Directive {
    Directive::new(name, Kind::Special { get, put })
}

pub(super) const BIND: Directive = row("bind", |config| config.bind.join(" "), set_bind).flags(Flags::MULTI_ARG);

fn set_bind(config: &mut Config, words: &[Vec<u8>]) -> Outcome {
    if words.len() > BIND_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    config.bind = match words {
        [only] if only.is_empty() => Vec::new(),
        words => words.iter().map(|word| utf8(word)).collect::<Result<_, _>>()?,
    };
    Ok(())
}

fn utf8(word: &[u8]) -> Result<String, ConfigError> {
    String::from_utf8(word.to_vec()).map_err(|_| "argument must be UTF-8 text".into())
}

pub(super) const SAVE: Directive = row("save", save_text, |config, words| {
    config.save = parse_save(words)?;
    Ok(())
})
.flags(Flags::MULTI_ARG);

/// Pairs of seconds and changes; one empty word is no pair.
pub(in crate::config) fn parse_save(words: &[Vec<u8>]) -> Result<Vec<SavePoint>, ConfigError> {
    if matches!(words, [only] if only.is_empty()) {
        return Ok(Vec::new());
    }
    if !words.len().is_multiple_of(2) {
        return Err(INVALID_SAVE.into());
    }
    let number = |word: &[u8], least: i64| {
        let value = parse_lenient(word).filter(|&value| value >= least);
        value.and_then(|value| u64::try_from(value).ok()).ok_or_else(|| ConfigError::from(INVALID_SAVE))
    };
    let point = |pair: &[Vec<u8>]| Ok(SavePoint { seconds: number(&pair[0], 1)?, changes: number(&pair[1], 0)? });
    words.chunks_exact(2).map(point).collect()
}

fn save_text(config: &Config) -> String {
    let points = config.save.iter().map(|point| format!("{} {}", point.seconds, point.changes));
    points.collect::<Vec<_>>().join(" ")
}

pub(super) const CLIENT_OUTPUT_BUFFER_LIMIT: Directive =
    row("client-output-buffer-limit", output_limit_text, set_output_limits).flags(Flags::MULTI_ARG);

fn set_output_limits(config: &mut Config, words: &[Vec<u8>]) -> Outcome {
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = config.client_output_buffer_limit;
    for row in words.chunks_exact(4) {
        let class = ClientClass::parse(&row[0])
            .ok_or(ConfigError::from("Invalid client class specified in buffer limit configuration."))?;
        limits[class.index()] = parse_output_limit(&row[1..])
            .ok_or(ConfigError::from("Error in hard, soft or soft_seconds setting in buffer limit configuration."))?;
    }
    config.client_output_buffer_limit = limits;
    Ok(())
}

/// Hard limit, soft limit, seconds above the soft one.
fn parse_output_limit(words: &[Vec<u8>]) -> Option<OutputLimit> {
    let bytes = |word: &[u8]| u64::try_from(parse_memory(word)?).ok();
    let seconds = u64::try_from(parse_lenient(&words[2])?).ok()?;
    Some(OutputLimit { hard: bytes(&words[0])?, soft: bytes(&words[1])?, soft_seconds: seconds })
}

fn output_limit_text(config: &Config) -> String {
    let rows = ClientClass::ALL.map(|class| {
        let limit = config.output_limit(class);
        format!("{} {} {} {}", class.name(), limit.hard, limit.soft, limit.soft_seconds)
    });
    rows.join(" ")
}

/// `hz` is a wish: what is beyond its range is brought into it, not refused.
pub(super) const HZ: Directive = row(
    "hz",
    |config| config.hz.to_string(),
    |config, words| {
        let [word] = words else {
            return Err(WRONG_COUNT.into());
        };
        let wish = Form::Integer.parse(word)?;
        Form::Integer.within(wish, 0, i128::from(i32::MAX))?;
        config.hz = u32::try_from(wish.clamp(1, 500)).expect("clamped to a small range");
        Ok(())
    },
);

pub(super) const SHUTDOWN_ON_SIGINT: Directive = row(
    "shutdown-on-sigint",
    |config| config.shutdown_on_sigint.text(),
    |config, words| {
        config.shutdown_on_sigint = parse_shutdown(words)?;
        Ok(())
    },
)
.flags(Flags::MULTI_ARG);

pub(super) const SHUTDOWN_ON_SIGTERM: Directive = row(
    "shutdown-on-sigterm",
    |config| config.shutdown_on_sigterm.text(),
    |config, words| {
        config.shutdown_on_sigterm = parse_shutdown(words)?;
        Ok(())
    },
)
.flags(Flags::MULTI_ARG);

fn parse_shutdown(words: &[Vec<u8>]) -> Result<ShutdownFlags, ConfigError> {
    let flags = ShutdownFlags::parse(words).ok_or_else(|| one_of(&ShutdownFlags::NAMES))?;
    if flags.save && flags.nosave {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    Ok(flags)
}

pub(super) const OOM_SCORE_ADJ_VALUES: Directive =
    row("oom-score-adj-values", oom_values_text, set_oom_values).flags(Flags::MULTI_ARG);

fn set_oom_values(config: &mut Config, words: &[Vec<u8>]) -> Outcome {
    let words: &[Vec<u8>; 3] = words.try_into().map_err(|_| ConfigError::from(WRONG_COUNT))?;
    let mut values = [0; 3];
    for (value, word) in values.iter_mut().zip(words) {
        *value = parse_lenient(word)
            .and_then(|value| i32::try_from(value).ok())
            .filter(|value| (-2000..=2000).contains(value))
            .ok_or(ConfigError::from("Invalid oom-score-adj-values, elements must be between -2000 and 2000."))?;
    }
    config.oom_score_adj_values = values;
    Ok(())
}

fn oom_values_text(config: &Config) -> String {
    config.oom_score_adj_values.map(|value| value.to_string()).join(" ")
}

pub(super) const NOTIFY_KEYSPACE_EVENTS: Directive = row(
    "notify-keyspace-events",
    |config| config.notify_keyspace_events.letters(),
    |config, words| {
        let [letters] = words else {
            return Err(WRONG_COUNT.into());
        };
        config.notify_keyspace_events = NotifyFlags::parse(letters)
            .ok_or(ConfigError::from("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."))?;
        Ok(())
    },
);

pub(super) const REPLICAOF: Directive =
    row("replicaof", replicaof_text, set_replicaof).alias("slaveof").immutable().flags(Flags::MULTI_ARG);

fn set_replicaof(config: &mut Config, words: &[Vec<u8>]) -> Outcome {
    let [host, port] = words else {
        return Err(WRONG_COUNT.into());
    };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        config.replicaof = None;
        return Ok(());
    }
    let port = parse_lenient(port).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(ConfigError::from("Invalid master port"))?;
    config.replicaof = Some(MasterAddr { host: utf8(host)?, port });
    Ok(())
}

fn replicaof_text(config: &Config) -> String {
    config.replicaof.as_ref().map_or_else(String::new, |master| format!("{} {}", master.host, master.port))
}

pub(super) const LATENCY_TRACKING_INFO_PERCENTILES: Directive =
    row("latency-tracking-info-percentiles", percentiles_text, set_percentiles).flags(Flags::MULTI_ARG);

fn set_percentiles(config: &mut Config, words: &[Vec<u8>]) -> Outcome {
    let mut percentiles = Vec::with_capacity(words.len());
    if !matches!(words, [only] if only.is_empty()) {
        for word in words {
            let text = std::str::from_utf8(word).ok();
            let value: f64 = text
                .and_then(|text| text.parse().ok())
                .filter(|value: &f64| !value.is_nan())
                .ok_or(ConfigError::from("Invalid latency-tracking-info-percentiles parameters"))?;
            if !(0.0..=100.0).contains(&value) {
                return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into());
            }
            percentiles.push(value);
        }
    }
    config.latency_tracking_info_percentiles = percentiles;
    Ok(())
}

fn percentiles_text(config: &Config) -> String {
    let texts = config.latency_tracking_info_percentiles.iter().map(|value| {
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    /// What setting `line` leads to: the printed value, or the refusal.
    fn set(row: &Directive, line: &str) -> String {
        let mut config = Config::default();
        match row.set(&mut config, &words(line)) {
            Ok(_) => String::from_utf8(row.get(&config)).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn save_takes_pairs_of_seconds_and_changes() {
        assert_eq!(set(&SAVE, "900 1 +60 0"), "900 1 60 0");
        assert_eq!(set(&SAVE, ""), "");
        for bad in ["9001", "900 1 300", "0 1", "900 -1", "900 x", "900 1 # text"] {
            assert_eq!(set(&SAVE, bad), INVALID_SAVE, "{bad}");
        }
    }

    #[test]
    fn output_limits_change_only_the_classes_named() {
        let row = &CLIENT_OUTPUT_BUFFER_LIMIT;
        let normal = "normal 0 0 0 slave 1073741824 2000 3 pubsub 33554432 8388608 60";
        assert_eq!(set(row, "Replica 1gb 2k 3"), normal);
        assert_eq!(set(row, "normal 1 2"), "Wrong number of arguments in buffer limit configuration.");
        assert_eq!(set(row, "master 1 2 3"), "Invalid client class specified in buffer limit configuration.");
        let refusal = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        for bad in ["normal x 2 3", "normal 1 -2 3", "normal 1 2 -3", "normal 1 2 3s"] {
            assert_eq!(set(row, bad), refusal, "{bad}");
        }
    }

    #[test]
    fn a_refused_list_leaves_the_old_values() {
        let mut config = Config::default();
        assert!(OOM_SCORE_ADJ_VALUES.set(&mut config, &words("1 2 x")).is_err());
        assert!(LATENCY_TRACKING_INFO_PERCENTILES.set(&mut config, &words("1 101")).is_err());
        assert!(CLIENT_OUTPUT_BUFFER_LIMIT.set(&mut config, &words("normal 1 1 1 pubsub 1 1 x")).is_err());
        assert_eq!(config, Config::default());
    }

    #[test]
    fn new_events_vanish_beside_all() {
        assert_eq!(set(&NOTIFY_KEYSPACE_EVENTS, "KEA"), "AKE");
        assert_eq!(set(&NOTIFY_KEYSPACE_EVENTS, "g$lshzxetdK"), "AK");
        assert_eq!(set(&NOTIFY_KEYSPACE_EVENTS, "AnmK"), "AKm");
        assert_eq!(set(&NOTIFY_KEYSPACE_EVENTS, "nxE"), "xnE");
        assert_eq!(set(&NOTIFY_KEYSPACE_EVENTS, "Q"), "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    }

    #[test]
    fn hz_is_brought_into_range() {
        assert_eq!(set(&HZ, "1000"), "500");
        assert_eq!(set(&HZ, "0"), "1");
        assert_eq!(set(&HZ, "-1"), "argument must be between 0 and 2147483647 inclusive");
        assert_eq!(set(&HZ, "abc"), "argument couldn't be parsed into an integer");
    }

    #[test]
    fn shutdown_flags_combine_except_save_with_nosave() {
        assert_eq!(set(&SHUTDOWN_ON_SIGINT, "force NOSAVE"), "nosave force");
        assert_eq!(set(&SHUTDOWN_ON_SIGINT, "default"), "default");
        let refusal = "shutdown options SAVE and NOSAVE can't be used simultaneously";
        assert_eq!(set(&SHUTDOWN_ON_SIGTERM, "save nosave"), refusal);
        let refusal = "argument(s) must be one of the following: default, save, nosave, now, force";
        assert_eq!(set(&SHUTDOWN_ON_SIGTERM, "later"), refusal);
    }

    #[test]
    fn replicaof_names_a_host_and_a_port_or_no_one() {
        assert_eq!(set(&REPLICAOF, "10.5.6.195 6379"), "10.5.6.195 6379");
        assert_eq!(set(&REPLICAOF, "NO one"), "");
        assert_eq!(set(&REPLICAOF, "host 65536"), "Invalid master port");
        assert_eq!(set(&REPLICAOF, "host"), WRONG_COUNT);
    }

    #[test]
    fn percentiles_print_without_trailing_zeros() {
        let row = &LATENCY_TRACKING_INFO_PERCENTILES;
        assert_eq!(set(row, "50.5 0.001 100 1e1"), "50.5 0.001 100 10");
        assert_eq!(set(row, ""), "");
        assert_eq!(set(row, "x"), "Invalid latency-tracking-info-percentiles parameters");
    }

    #[test]
    fn bind_has_a_limit_and_may_be_empty() {
        assert_eq!(set(&BIND, "127.0.0.1 -::1"), "127.0.0.1 -::1");
        assert_eq!(set(&BIND, ""), "");
        let many = vec!["::1"; 17].join(" ");
        assert_eq!(set(&BIND, &many), "Too many bind addresses specified.");
    }
}
