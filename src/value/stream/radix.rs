//! How many nodes the reference's radix tree would have, which XINFO STREAM tells.
//!
//! *Duty:* that number, from the keys alone. *Does not know:* any tree; there is none here.
//! *Counterpart in C Redis:* `rax->numnodes`.
//!
//! A key is the 16 bytes of a node's first id. In a radix tree over keys of one length each key has a leaf; each
//! prefix behind which two keys part has a branching node, which holds the bytes they part by; and each run of bytes
//! that no branching node holds, from the root or a branch to the next branch or leaf, is a node of its own.

use super::id::StreamId;

const KEY: usize = 16;

/// The nodes of a tree over these keys, which ascend.
pub(super) fn nodes(keys: impl Iterator<Item = StreamId>) -> usize {
    let mut nodes = 0;
    // How many bytes in the branches on the way to the latest key are.
    let mut open: Vec<usize> = Vec::new();
    let mut previous: Option<[u8; KEY]> = None;
    for key in keys.map(StreamId::to_bytes) {
        if let Some(previous) = previous {
            let shared = previous.iter().zip(&key).take_while(|(a, b)| a == b).count();
            nodes += hang(open.last().copied().max(Some(shared)), KEY);
            nodes += close(&mut open, Some(shared));
            if open.last() != Some(&shared) {
                open.push(shared);
            }
        }
        previous = Some(key);
    }
    match previous {
        None => 1,
        Some(_) => nodes + hang(open.last().copied(), KEY) + close(&mut open, None),
    }
}

/// The nodes of all branches deeper than `down_to`: what comes next parts from the path there.
fn close(open: &mut Vec<usize>, down_to: Option<usize>) -> usize {
    let mut nodes = 0;
    while let Some(depth) = open.pop_if(|depth| Some(*depth) > down_to) {
        nodes += hang(open.last().copied().max(down_to), depth);
    }
    nodes
}

/// A branch or leaf `depth` bytes in, with the run of bytes between it and the branch above, or the root.
fn hang(above: Option<usize>, depth: usize) -> usize {
    1 + usize::from(depth > above.map_or(0, |above| above + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What XINFO STREAM of 7.0.15 says with `stream-node-max-entries 1` and these ids.
    #[test]
    fn the_figures_are_those_of_the_reference() {
        let count = |ids: &[(u64, u64)]| nodes(ids.iter().map(|(ms, seq)| StreamId::new(*ms, *seq)));
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[(1, 0)]), 2);
        assert_eq!(count(&[(1, 0), (1, 1)]), 4);
        assert_eq!(count(&[(1, 0), (1, 1), (1, 2)]), 5);
        assert_eq!(count(&[(1, 0), (1, 256)]), 6);
        assert_eq!(count(&[(1, 0), (1, 256), (1, 257)]), 7);
        assert_eq!(count(&[(1, 0), (257, 3), (65536, 1), (65536, 2)]), 11);
        assert_eq!(count(&[(0, 1), (1 << 60, 0), (1 << 60, 5), (1 << 60, 1 << 40)]), 11);
        assert_eq!(count(&[(1, 0), (1, 1), (1, 256), (2, 255), (256, 1), (70000, 255), (70000, 1 << 20)]), 21);
        assert_eq!(count(&[(1, 255), (1, 1 << 20), (2, 0), (2, 255), (255, 1), (255, 255)]), 16);
        assert_eq!(count(&[(1, 0), (1, 256), (2, 1), (255, 255), (256, 256), (70000, 1), (70000, 255)]), 20);
    }
}
