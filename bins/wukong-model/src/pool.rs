//! Values that many states share, by number: a state is a few numbers, and equal values have equal numbers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::RwLock;

/// All different values of one type.
#[derive(Debug)]
pub struct Pool<T>(RwLock<Values<T>>);

#[derive(Debug)]
struct Values<T> {
    numbers: HashMap<u128, u32>,
    values: Vec<Arc<T>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(RwLock::new(Values {
            numbers: HashMap::new(),
            values: Vec::new(),
        }))
    }
}

impl<T> Pool<T> {
    /// The number of a value. Two values are equal if their keys are.
    pub fn put(&self, key: impl Hash, value: impl FnOnce() -> T) -> u32 {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &key).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        let key = half(0) << 64 | half(1);
        if let Some(number) = self.0.read().numbers.get(&key) {
            return *number;
        }
        let value = value();
        let mut all = self.0.write();
        if let Some(number) = all.numbers.get(&key) {
            return *number;
        }
        let number = u32::try_from(all.values.len()).unwrap();
        all.values.push(Arc::new(value));
        all.numbers.insert(key, number);
        number
    }

    pub fn get(&self, number: u32) -> Arc<T> {
        Arc::clone(&self.0.read().values[number as usize])
    }

    pub fn len(&self) -> usize {
        self.0.read().values.len()
    }
}

/// Results of a function that were computed before.
#[derive(Debug)]
pub struct Memo<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(RwLock::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    pub fn get(&self, key: K, compute: impl FnOnce() -> V) -> V {
        if let Some(known) = self.0.read().get(&key) {
            return known.clone();
        }
        let value = compute();
        self.0.write().entry(key).or_insert(value).clone()
    }

    pub fn len(&self) -> usize {
        self.0.read().len()
    }
}
