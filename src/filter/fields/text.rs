//! The text of an excerpt while it grows.

/// Text with its white space collapsed, and what is known of its length.
pub(super) struct Text {
    text: String,
    chars_max: usize,
    /// Characters from the first one that is no white space.
    chars: usize,
    /// The same, up to the last one that is no white space.
    chars_solid: usize,
    after_space: bool,
}

impl Text {
    /// It starts with the space that the element `html` begins with.
    pub(super) fn new(chars_max: usize) -> Self {
        Text {
            text: " ".to_owned(),
            chars_max,
            chars: 0,
            chars_solid: 0,
            after_space: true,
        }
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }

    pub(super) fn is_enough(&self) -> bool {
        self.chars_solid > self.chars_max
    }

    /// PocketBase looks no further into elements from here on. It counts bytes: a text of other letters than ASCII may come out shorter.
    pub(super) fn is_long(&self) -> bool {
        self.text.len() > self.chars_max.saturating_add(2)
    }

    pub(super) fn end_word(&mut self) {
        if !self.after_space {
            self.text.push(' ');
            self.chars += usize::from(self.chars > 0);
            self.after_space = true;
        }
    }

    /// Adds a character and says whether more are wanted.
    pub(super) fn push(&mut self, c: char) -> bool {
        match c {
            ' ' | '\t' | '\n' | '\r' | '\x0c' => self.end_word(),
            '\0' => {}
            _ => {
                self.text.push(c);
                self.after_space = false;
                if self.chars > 0 || !c.is_whitespace() {
                    self.chars += 1;
                }
                if !c.is_whitespace() {
                    self.chars_solid = self.chars;
                }
            }
        }
        !self.is_enough()
    }
}
