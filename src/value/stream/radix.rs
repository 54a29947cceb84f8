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

/// Where a branch stands (how many bytes in), and how many keys or branches lie under it.
struct Branch {
    depth: usize,
}

/// The nodes of a tree over these keys, which ascend.
pub(super) fn nodes(keys: impl Iterator<Item = StreamId>) -> usize {
    let mut previous: Option<[u8; KEY]> = None;
    let mut open: Vec<Branch> = Vec::new();
    // The root is there, whatever is in the tree.
    let mut nodes = 0;
    for key in keys.map(StreamId::to_bytes) {
        if let Some(previous) = previous {
            let shared = previous.iter().zip(&key).take_while(|(a, b)| a == b).count();
            nodes += close(&mut open, shared, KEY);
            if open.last().is_none_or(|branch| branch.depth < shared) {
                open.push(Branch { depth: shared });
            }
        }
        previous = Some(key);
    }
    if previous.is_none() {
        return 1;
    }
    let mut child = KEY;
    while let Some(branch) = open.pop() {
        nodes += below(branch.depth, child);
        child = branch.depth;
    }
    // What leads from the root to the first branch or the only leaf.
    nodes + 1 + usize::from(child > 0)
}

/// The nodes of what hangs at depth `child` under a branch: the run of bytes between, and the thing itself.
fn below(branch: usize, child: usize) -> usize {
    1 + usize::from(child > branch + 1)
}

/// A key has parted from the one before at `shared`: the path of the one before is complete below that.
fn close(open: &mut Vec<Branch>, shared: usize, leaf: usize) -> usize {
    let mut nodes = 0;
    let mut child = leaf;
    while let Some(branch) = open.pop_if(|branch| branch.depth > shared) {
        nodes += below(branch.depth, child);
        child = branch.depth;
    }
    nodes + below(shared, child)
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
    }
}
