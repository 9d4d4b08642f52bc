//! Splits the JSON of a list into its objects while it arrives.

/// Splits a list: the objects are the elements of an array in the outermost object.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Number of open objects and arrays.
    depth: usize,
    /// Whether the open value of the outermost object is an array.
    in_array: bool,
    in_string: bool,
    escaped: bool,
    /// The part of the current object that has arrived.
    object: Vec<u8>,
    /// The list without its objects.
    rest: Vec<u8>,
}

impl Splitter {
    /// Takes the next part of the list. Passes every object that is complete to `each`.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn feed<E>(
        &mut self,
        part: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        for (index, byte) in part.iter().enumerate() {
            let was_inside = self.is_inside();
            self.step(*byte);
            match (was_inside, self.is_inside()) {
                (false, true) => start = index,
                (true, false) => {
                    let end = part.get(start..=index).unwrap_or_default();
                    self.object.extend_from_slice(end);
                    each(&self.object)?;
                    self.object.clear();
                }
                (false, false) if !self.is_between(*byte) => self.rest.push(*byte),
                _ => {}
            }
        }
        if self.is_inside() {
            let begun = part.get(start..).unwrap_or_default();
            self.object.extend_from_slice(begun);
        }
        Ok(())
    }

    /// Returns the list with an empty array instead of its objects.
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Whether the last byte was inside an object of the list.
    fn is_inside(&self) -> bool {
        self.in_array && self.depth > 2
    }

    /// Whether a byte separates objects of the list.
    fn is_between(&self, byte: u8) -> bool {
        self.in_array && self.depth == 2 && (byte == b',' || byte.is_ascii_whitespace())
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                if self.depth == 1 {
                    self.in_array = byte == b'[';
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 1 {
                    self.in_array = false;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn objects_are_whole_however_the_list_arrives() {
        let objects = [
            json!({"a": "}] , {\"\\", "b": [{"c": []}, [1, 2]]}),
            json!({}),
            json!({"metadata": {"continue": "not that of the list"}}),
        ];
        let metadata = json!({"continue": "more, [of] {it}", "remainingItemCount": 3});
        for items in [&objects[..], &objects[1..2], &[]] {
            let list =
                json!({"kind": "List", "items": items, "metadata": metadata, "x": [[1], {"y": 1}]});
            let empty = json!({"kind": "List", "items": [], "metadata": metadata});
            let list =
                json!({"kind": list["kind"], "items": list["items"], "metadata": list["metadata"]});
            for text in [
                list.to_string(),
                serde_json::to_string_pretty(&list).unwrap(),
            ] {
                for size in 1..=text.len() {
                    let mut splitter = Splitter::default();
                    let mut found: Vec<Value> = Vec::new();
                    for part in text.as_bytes().chunks(size) {
                        let take = |object: &[u8]| {
                            found.push(serde_json::from_slice(object).unwrap());
                            Ok::<(), Infallible>(())
                        };
                        splitter.feed(part, take).unwrap();
                    }
                    assert_eq!(found, items, "{size}");
                    let rest: Value = serde_json::from_slice(splitter.rest()).unwrap();
                    assert_eq!(rest, empty, "{size}");
                }
            }
        }
    }

    #[test]
    fn a_list_that_breaks_off_is_no_list() {
        let mut splitter = Splitter::default();
        let part = br#"{"items": [{"a": 1}, {"b": "#;
        splitter.feed(part, |_| Ok::<(), Infallible>(())).unwrap();
        assert!(serde_json::from_slice::<Value>(splitter.rest()).is_err());
    }
}
