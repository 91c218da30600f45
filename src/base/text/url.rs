//! What PocketBase accepts as a URL.

/// Whether a text is a URL.
pub fn is_url(text: &str) -> bool {
    text.contains('.')
}
