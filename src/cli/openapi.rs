//! `openapi`: prints the static API description.

/// # Errors
/// Never in practice.
pub(super) fn run() -> anyhow::Result<()> {
    super::say(&crate::api::openapi::static_description()?);
    Ok(())
}
