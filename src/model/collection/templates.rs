//! The mails that a new auth collection sends. `{APP_NAME}`, `{APP_URL}`, `{TOKEN}`, `{OTP}` and `{ALERT_INFO}` are
//! filled in when a mail is sent.

use super::EmailTemplate;

fn mail(subject: &str, paragraphs: &[&str]) -> EmailTemplate {
    let mut body = String::new();
    for paragraph in paragraphs {
        body.push_str("<p>");
        body.push_str(paragraph);
        body.push_str("</p>\n");
    }
    body.push_str("<p>Best regards,<br/>\nyour {APP_NAME} team</p>");
    EmailTemplate {
        subject: subject.to_owned(),
        body,
    }
}

/// A link to a page of the dashboard that takes the token behind its address.
fn button(page: &str, label: &str) -> String {
    format!(
        "<a class=\"btn\" href=\"{{APP_URL}}/_/#/auth/{page}/{{TOKEN}}\" target=\"_blank\" rel=\"noopener\">{label}</a>"
    )
}

pub(super) fn verification() -> EmailTemplate {
    mail(
        "Please confirm your {APP_NAME} e-mail address",
        &[
            "Welcome to {APP_NAME}!",
            "One step is left: tell us that this e-mail address is yours.",
            &button("confirm-verification", "Confirm address"),
            "<i>You did not sign up? Then nothing needs to be done.</i>",
        ],
    )
}

pub(super) fn reset_password() -> EmailTemplate {
    mail(
        "Choose a new {APP_NAME} password",
        &[
            "Hello,",
            "somebody asked to set a new password for your {APP_NAME} account. If that was you, go on here:",
            &button("confirm-password-reset", "Set a new password"),
            "<i>If it was not you, your password stays as it is.</i>",
        ],
    )
}

pub(super) fn confirm_email_change() -> EmailTemplate {
    mail(
        "Confirm the new e-mail address of your {APP_NAME} account",
        &[
            "Hello,",
            "this address shall become the one of your {APP_NAME} account. Confirm it here:",
            &button("confirm-email-change", "Use this address"),
            "<i>If you did not ask for it, the old address stays.</i>",
        ],
    )
}

pub(super) fn otp() -> EmailTemplate {
    mail(
        "Your {APP_NAME} sign-in code",
        &[
            "Hello,",
            "your code is <strong>{OTP}</strong>. It works once and for a short time.",
            "<i>If you did not ask for a code, ignore this mail.</i>",
        ],
    )
}

pub(super) fn auth_alert() -> EmailTemplate {
    mail(
        "New sign-in to your account",
        &[
            "Hello,",
            "your {APP_NAME} account was used from a place we have not seen before:",
            "<em>{ALERT_INFO}</em>",
            "<strong>If that was not you, change your {APP_NAME} password now: it signs out everybody else.</strong>",
            "If it was you, all is well.",
        ],
    )
}
