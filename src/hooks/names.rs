//! The events of PocketBase by the names of the functions that register for them.

use crate::engine::events::EventKind as E;

/// Function names without `on`, and the events that they stand for.
pub(super) const EVENTS: &[(&str, &[E])] = &[
    ("Bootstrap", &[E::Bootstrap]),
    ("BootstrapClear", &[E::BootstrapClear]),
    ("Serve", &[E::Serve]),
    ("Terminate", &[E::Terminate]),
    ("BackupCreate", &[E::BackupCreate]),
    ("BackupRestore", &[E::BackupRestore]),
    ("MailerSend", &[E::MailerSend]),
    ("MailerRecordAuthAlertSend", &[E::MailerRecordAuthAlertSend]),
    (
        "MailerRecordPasswordResetSend",
        &[E::MailerRecordPasswordResetSend],
    ),
    (
        "MailerRecordVerificationSend",
        &[E::MailerRecordVerificationSend],
    ),
    (
        "MailerRecordEmailChangeSend",
        &[E::MailerRecordEmailChangeSend],
    ),
    ("MailerRecordOTPSend", &[E::MailerRecordOtpSend]),
    ("RealtimeConnectRequest", &[E::RealtimeConnectRequest]),
    ("RealtimeMessageSend", &[E::RealtimeMessageSend]),
    ("RealtimeSubscribeRequest", &[E::RealtimeSubscribeRequest]),
    ("SettingsListRequest", &[E::SettingsListRequest]),
    ("SettingsUpdateRequest", &[E::SettingsUpdateRequest]),
    ("SettingsReload", &[E::SettingsReload]),
    ("FileDownloadRequest", &[E::FileDownloadRequest]),
    ("FileTokenRequest", &[E::FileTokenRequest]),
    ("CollectionsListRequest", &[E::CollectionsListRequest]),
    ("CollectionViewRequest", &[E::CollectionViewRequest]),
    ("CollectionCreateRequest", &[E::CollectionCreateRequest]),
    ("CollectionUpdateRequest", &[E::CollectionUpdateRequest]),
    ("CollectionDeleteRequest", &[E::CollectionDeleteRequest]),
    ("CollectionsImportRequest", &[E::CollectionsImportRequest]),
    ("RecordsListRequest", &[E::RecordsListRequest]),
    ("RecordViewRequest", &[E::RecordViewRequest]),
    ("RecordCreateRequest", &[E::RecordCreateRequest]),
    ("RecordUpdateRequest", &[E::RecordUpdateRequest]),
    ("RecordDeleteRequest", &[E::RecordDeleteRequest]),
    ("RecordEnrich", &[E::RecordEnrich]),
    ("RecordAuthRequest", &[E::RecordAuthRequest]),
    (
        "RecordAuthWithPasswordRequest",
        &[E::RecordAuthWithPasswordRequest],
    ),
    (
        "RecordAuthWithOAuth2Request",
        &[E::RecordAuthWithOAuth2Request],
    ),
    ("RecordAuthWithOTPRequest", &[E::RecordAuthWithOtpRequest]),
    ("RecordAuthRefreshRequest", &[E::RecordAuthRefreshRequest]),
    ("RecordRequestOTPRequest", &[E::RecordRequestOtpRequest]),
    (
        "RecordRequestPasswordResetRequest",
        &[E::RecordRequestPasswordResetRequest],
    ),
    (
        "RecordConfirmPasswordResetRequest",
        &[E::RecordConfirmPasswordResetRequest],
    ),
    (
        "RecordRequestVerificationRequest",
        &[E::RecordRequestVerificationRequest],
    ),
    (
        "RecordConfirmVerificationRequest",
        &[E::RecordConfirmVerificationRequest],
    ),
    (
        "RecordRequestEmailChangeRequest",
        &[E::RecordRequestEmailChangeRequest],
    ),
    (
        "RecordConfirmEmailChangeRequest",
        &[E::RecordConfirmEmailChangeRequest],
    ),
    ("BatchRequest", &[E::BatchRequest]),
    ("RecordValidate", &[E::RecordValidate]),
    ("RecordCreate", &[E::RecordCreate]),
    ("RecordCreateExecute", &[E::RecordCreateExecute]),
    ("RecordUpdate", &[E::RecordUpdate]),
    ("RecordUpdateExecute", &[E::RecordUpdateExecute]),
    ("RecordDelete", &[E::RecordDelete]),
    ("RecordDeleteExecute", &[E::RecordDeleteExecute]),
    ("RecordAfterCreateSuccess", &[E::RecordAfterCreateSuccess]),
    ("RecordAfterCreateError", &[E::RecordAfterCreateError]),
    ("RecordAfterUpdateSuccess", &[E::RecordAfterUpdateSuccess]),
    ("RecordAfterUpdateError", &[E::RecordAfterUpdateError]),
    ("RecordAfterDeleteSuccess", &[E::RecordAfterDeleteSuccess]),
    ("RecordAfterDeleteError", &[E::RecordAfterDeleteError]),
    ("CollectionValidate", &[E::CollectionValidate]),
    ("CollectionCreate", &[E::CollectionCreate]),
    ("CollectionCreateExecute", &[E::CollectionCreateExecute]),
    ("CollectionUpdate", &[E::CollectionUpdate]),
    ("CollectionUpdateExecute", &[E::CollectionUpdateExecute]),
    ("CollectionDelete", &[E::CollectionDelete]),
    ("CollectionDeleteExecute", &[E::CollectionDeleteExecute]),
    (
        "CollectionAfterCreateSuccess",
        &[E::CollectionAfterCreateSuccess],
    ),
    (
        "CollectionAfterCreateError",
        &[E::CollectionAfterCreateError],
    ),
    (
        "CollectionAfterUpdateSuccess",
        &[E::CollectionAfterUpdateSuccess],
    ),
    (
        "CollectionAfterUpdateError",
        &[E::CollectionAfterUpdateError],
    ),
    (
        "CollectionAfterDeleteSuccess",
        &[E::CollectionAfterDeleteSuccess],
    ),
    (
        "CollectionAfterDeleteError",
        &[E::CollectionAfterDeleteError],
    ),
    // Records and collections are the models there are.
    ("ModelValidate", &[E::RecordValidate, E::CollectionValidate]),
    ("ModelCreate", &[E::RecordCreate, E::CollectionCreate]),
    (
        "ModelCreateExecute",
        &[E::RecordCreateExecute, E::CollectionCreateExecute],
    ),
    ("ModelUpdate", &[E::RecordUpdate, E::CollectionUpdate]),
    (
        "ModelUpdateExecute",
        &[E::RecordUpdateExecute, E::CollectionUpdateExecute],
    ),
    ("ModelDelete", &[E::RecordDelete, E::CollectionDelete]),
    (
        "ModelDeleteExecute",
        &[E::RecordDeleteExecute, E::CollectionDeleteExecute],
    ),
    (
        "ModelAfterCreateSuccess",
        &[E::RecordAfterCreateSuccess, E::CollectionAfterCreateSuccess],
    ),
    (
        "ModelAfterCreateError",
        &[E::RecordAfterCreateError, E::CollectionAfterCreateError],
    ),
    (
        "ModelAfterUpdateSuccess",
        &[E::RecordAfterUpdateSuccess, E::CollectionAfterUpdateSuccess],
    ),
    (
        "ModelAfterUpdateError",
        &[E::RecordAfterUpdateError, E::CollectionAfterUpdateError],
    ),
    (
        "ModelAfterDeleteSuccess",
        &[E::RecordAfterDeleteSuccess, E::CollectionAfterDeleteSuccess],
    ),
    (
        "ModelAfterDeleteError",
        &[E::RecordAfterDeleteError, E::CollectionAfterDeleteError],
    ),
];

/// Whether an event belongs to a change of a collection.
pub(super) fn is_of_collections(kind: E) -> bool {
    matches!(
        kind,
        E::CollectionValidate
            | E::CollectionCreate
            | E::CollectionCreateExecute
            | E::CollectionUpdate
            | E::CollectionUpdateExecute
            | E::CollectionDelete
            | E::CollectionDeleteExecute
            | E::CollectionAfterCreateSuccess
            | E::CollectionAfterCreateError
            | E::CollectionAfterUpdateSuccess
            | E::CollectionAfterUpdateError
            | E::CollectionAfterDeleteSuccess
            | E::CollectionAfterDeleteError
    )
}
