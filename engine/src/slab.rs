//! [`Slab`]: reused slots whose keys outlive their content harmlessly.

/// Names one stay in a [`Slab`] slot. When the slot is freed and reused, old keys stop matching, so an
/// event that comes late finds nothing instead of a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    slot: u32,
    generation: u32,
}

/// A vector of reused slots with generations. Memory is that of the most entries ever held at once.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    /// Even while free, odd while occupied; one more at each change.
    generation: u32,
    value: T,
}

impl<T: Copy> Slab<T> {
    /// An empty slab.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Puts `value` into a free slot.
    #[inline]
    pub fn insert(&mut self, value: T) -> Key {
        match self.free.pop() {
            Some(slot) => {
                let s = &mut self.slots[slot as usize];
                s.generation = s.generation.wrapping_add(1);
                s.value = value;
                Key { slot, generation: s.generation }
            }
            None => {
                let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 entries at once");
                self.slots.push(Slot { generation: 1, value });
                Key { slot, generation: 1 }
            }
        }
    }

    /// The entry of `key`, if it is still there.
    #[inline]
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key.slot as usize).filter(|s| s.generation == key.generation).map(|s| &s.value)
    }

    /// The entry of `key`, mutable, if it is still there.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key.slot as usize).filter(|s| s.generation == key.generation).map(|s| &mut s.value)
    }

    /// Takes the entry of `key` out, if it is still there.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let s = self.slots.get_mut(key.slot as usize).filter(|s| s.generation == key.generation)?;
        s.generation = s.generation.wrapping_add(1);
        self.free.push(key.slot);
        Some(s.value)
    }

    /// Whether `key` still names an entry.
    #[inline]
    #[must_use]
    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries with their keys, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let occupied = self.slots.iter().enumerate().filter(|(_, s)| s.generation % 2 == 1);
        occupied.map(|(i, s)| (Key { slot: i as u32, generation: s.generation }, &s.value))
    }
}

impl<T: Copy> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_does_not_answer_to_its_old_key() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(first.slot, second.slot);
        assert_eq!((slab.get(first), slab.clone().remove(first)), (None, None));
        assert_eq!((slab.get(second), slab.len()), (Some(&'b'), 1));
        assert_eq!(slab.iter().map(|(k, v)| (k, *v)).collect::<Vec<_>>(), [(second, 'b')]);
    }
}
