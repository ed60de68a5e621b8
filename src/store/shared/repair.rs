//! What is done with a shard whose owner died in the midst of it.
//!
//! The words of the entries are what was committed, and each of them is whole. All else follows from them: which cells are
//! free, and how many keys there are. So it is reckoned anew, and who dies over that leaves the same to do.

use super::geometry::{Form, WAYS};
use super::lock::Held;

/// Makes a shard whole again.
pub(super) fn shard(held: &mut Held<'_>) {
    let mut is_used = vec![false; held.geometry.cells];
    let mut keys = 0;
    for bucket in 0..held.geometry.buckets {
        for way in 0..WAYS {
            let word = held.entry_word(bucket, way);
            let is_whole = match word.form() {
                Some(Form::Free) => continue,
                Some(Form::Place(_)) => true,
                Some(Form::Cells(first)) => {
                    let chain = held.chain(first, word.length()).unwrap_or_default();
                    let is_own = !chain.is_empty() && chain.iter().all(|number| !is_used[*number as usize]);
                    if is_own {
                        chain.iter().for_each(|number| is_used[*number as usize] = true);
                    }
                    is_own
                }
                None => false,
            };
            if is_whole {
                keys += 1;
            } else {
                // Nobody who keeps to the rules leaves such an entry, wherever they are killed.
                held.clear_word(bucket, way);
            }
        }
    }
    held.free_all_but(&is_used);
    held.set_keys(keys);
    #[cfg(test)]
    super::probe::REPAIRS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}
