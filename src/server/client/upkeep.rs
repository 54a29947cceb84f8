//! What is done for each client about once a second.
//!
//! *Duty:* give back input buffers that became too large, count memory, note the largest buffers for INFO, and find
//! output that has been over its soft limit for too long with nothing new to add to it.
//! *Does not know:* idle clients (`cron.rs` closes them). *Invariant:* one call looks after a share of the clients that
//! depends on `hz`, and after five at least. *Counterpart in C Redis:* `clientsCron`.

use super::{Client, Flags, KEPT_INPUT_MIN};
use crate::server::Server;

/// Seconds that "recent" means in INFO's `client_recent_max_*`.
const RECENT_SECONDS: usize = 8;
/// Clients that one call looks after at least.
const SHARE_MIN: usize = 5;
/// Silence after which a client keeps no room for input, in ms.
const IDLE_MS: u64 = 2000;
/// Room that is not worth giving back.
const ROOM_MIN: usize = 4096;
/// What a client that is not idle keeps.
const ROOM_OF_ACTIVE: usize = 16 * 1024;

#[derive(Default)]
pub struct Upkeep {
    cursor: usize,
    /// The largest input and output of each of the last seconds.
    peaks: [(usize, usize); RECENT_SECONDS],
    pub next_complaint_ms: u64,
}

impl Upkeep {
    /// The largest input buffer and the largest output of late.
    pub fn recent_peaks(&self) -> (usize, usize) {
        self.peaks.iter().fold((0, 0), |(i, o), peak| (i.max(peak.0), o.max(peak.1)))
    }
}

impl Server {
    pub(in crate::server) fn look_after_clients(&mut self) {
        let now_ms = self.clock.mono_us() / 1000;
        let second = (now_ms / 1000) as usize % RECENT_SECONDS;
        self.clients.upkeep.peaks[(second + 1) % RECENT_SECONDS] = (0, 0);
        let all = self.clients.len();
        let share = (all / self.effective_hz() as usize).max(SHARE_MIN).min(all);
        for _ in 0..share {
            let Some(slot) = self.next_to_look_after() else { return };
            self.age(slot, now_ms);
            let client = &mut self.clients[slot];
            client.give_back_room(now_ms);
            let (input, output) = (client.input.capacity(), client.listed_output());
            let peak = &mut self.clients.upkeep.peaks[second];
            *peak = (peak.0.max(input), peak.1.max(output));
            self.count_client(slot);
            self.check_output_limit(slot);
        }
    }

    fn next_to_look_after(&mut self) -> Option<usize> {
        let slots = self.clients.slot_count();
        for _ in 0..=slots {
            let slot = self.clients.upkeep.cursor;
            self.clients.upkeep.cursor = if slot + 1 < slots { slot + 1 } else { 0 };
            if self.clients.get(slot).is_some_and(|c| !c.flags.has(Flags::CLOSE_ASAP)) {
                return Some(slot);
            }
        }
        None
    }
}

impl Client {
    /// Gives back room for input that was not needed of late.
    fn give_back_room(&mut self, now_ms: u64) {
        let (len, capacity) = (self.input.len(), self.input.capacity());
        let peak = (self.input_peak as usize).max(len);
        self.input_peak = len as u32;
        if capacity - len <= ROOM_MIN {
            return;
        }
        if now_ms.saturating_sub(self.last_seen_ms) > IDLE_MS {
            self.input.shrink_to(len);
        } else if capacity > KEPT_INPUT_MIN && capacity / 2 > peak {
            self.input.shrink_to(peak.max(ROOM_OF_ACTIVE));
        }
    }
}
