//! Collections: listing, creating, changing and deleting them, together with their tables and views.
//!
//! Every change is one exclusive transaction: the row of `_collections`, the table or view, the indexes and the views
//! that depend on it. The new schema is seen by everybody once it is committed.
//!
//! | file | holds |
//! | --- | --- |
//! | `list` | list |
//! | `save` | create and update |
//! | `validate` | what the model cannot know: rules, view queries, names and indexes that are taken |
//! | `views` | views that follow the collections they read |
//! | `delete` | delete and truncate |
//! | `import` | many collections at once |
//! | `hooks` | how modules and scripts take part |

mod delete;
pub mod hooks;
mod import;
mod list;
mod save;
#[cfg(test)]
mod tests;
mod validate;
mod views;

pub use hooks::{
    CollectionChanged, CollectionEvent, CollectionFailed, CollectionHook, CollectionHooks,
    CollectionNext,
};
pub use import::Import;
pub use list::CollectionPage;
