//! How much of the stream is in the append only file, and on disk: what a master asks for with WAITAOF.
//!
//! *Duty:* hold the stream's offsets beside the append only file's, and acknowledge. *Does not know:* how the file is
//! written and synced. *Invariants:* a mark is noted when what it tells of has been fed to the file, so that once the file
//! is on disk up to there, the stream is. While the first rewrite is under way nothing is: what was loaded is in no file.
//! *Counterpart in C Redis:* `fsynced_reploff`, `fsynced_reploff_pending` (7.2).

use std::collections::VecDeque;

use crate::server::Server;
use crate::server::persistence::aof::State;

/// Marks that are kept; of more, those in between are left out.
const MARKS: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct OnDisk {
    marks: VecDeque<Mark>,
    /// The offset up to which the master wanted to know, when it was not on disk yet.
    asked: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    /// In the history of the append only file.
    fed: u64,
    /// In the stream.
    offset: u64,
}

impl OnDisk {
    fn note(&mut self, mark: Mark) {
        let full = self.marks.len() >= MARKS;
        match self.marks.back_mut() {
            Some(last) if last.fed == mark.fed || full => *last = mark,
            _ => self.marks.push_back(mark),
        }
    }

    /// The stream's offset up to which all is on disk, if that has become more.
    fn reached(&mut self, synced: u64) -> Option<u64> {
        let mut reached = None;
        while let Some(mark) = self.marks.front().filter(|mark| mark.fed <= synced) {
            reached = Some(mark.offset);
            self.marks.pop_front();
        }
        reached
    }
}

impl Server {
    /// The stream has been applied, and fed to the append only file, up to here.
    pub(super) fn note_applied(&mut self) {
        let fed = self.persistence.aof.fed;
        if let Some(follow) = &mut self.replication.follow
            && self.persistence.aof.is_on()
            && let Some(offset) = follow.link.offset()
        {
            follow.on_disk.note(Mark { fed, offset });
        }
    }

    /// REPLCONF GETACK.
    pub(super) fn acknowledge(&mut self) {
        let now = self.clock.now();
        if let Some(follow) = &mut self.replication.follow {
            follow.link.send_ack(now);
            follow.on_disk.asked = follow.link.offset().filter(|asked| follow.link.on_disk < Some(*asked));
        }
        self.carry_out_link();
    }

    /// Part of `before_sleep`: what has come to the disk meanwhile.
    pub(in crate::server::replication) fn look_at_disk(&mut self) {
        let now = self.clock.now();
        let Some(follow) = &mut self.replication.follow else { return };
        match self.persistence.aof.state {
            State::On => {}
            State::WaitRewrite => return,
            State::Off => {
                follow.on_disk = OnDisk::default();
                follow.link.on_disk = None;
                return;
            }
        }
        if let Some(reached) = follow.on_disk.reached(self.persistence.aof.synced) {
            follow.link.on_disk = Some(reached);
            if follow.on_disk.asked.is_some_and(|asked| asked <= reached) {
                follow.on_disk.asked = None;
                follow.link.send_ack(now);
                self.carry_out_link();
            }
        }
    }

    /// Another data set takes the place of the one that is on disk.
    pub(super) fn forget_on_disk(&mut self) {
        if let Some(follow) = &mut self.replication.follow {
            follow.on_disk = OnDisk::default();
            follow.link.on_disk = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_on_disk_as_far_as_the_file_is() {
        let mut on_disk = OnDisk::default();
        for (fed, offset) in [(10, 100), (20, 200), (20, 214), (30, 300)] {
            on_disk.note(Mark { fed, offset });
        }
        assert_eq!(on_disk.reached(9), None);
        assert_eq!(on_disk.reached(20), Some(214), "a PING is on disk as soon as what stood before it");
        assert_eq!(on_disk.reached(29), None);
        assert_eq!(on_disk.reached(35), Some(300));
        for at in 0..2 * MARKS as u64 {
            on_disk.note(Mark { fed: at, offset: at });
        }
        assert_eq!(on_disk.marks.len(), MARKS);
        assert_eq!(on_disk.reached(2 * MARKS as u64), Some(2 * MARKS as u64 - 1));
    }
}
