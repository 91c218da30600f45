//! `openapi`: prints the static API description.

/// # Errors
/// Never in practice.
pub(super) fn run() -> anyhow::Result<()> {
    super::say(&crate::server::all_documents().static_description()?);
    Ok(())
}
