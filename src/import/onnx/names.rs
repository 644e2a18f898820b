//! The names of a file, and the numbers that stand for them.

use std::collections::HashMap;

/// Gives each name a number.
#[derive(Default)]
pub struct Names {
    numbers: HashMap<String, usize>,
    /// By number.
    pub names: Vec<String>,
}

impl Names {
    /// Returns the number of a name.
    pub fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len();
        self.numbers.insert(name.into(), number);
        self.names.push(name.into());
        number
    }
}
