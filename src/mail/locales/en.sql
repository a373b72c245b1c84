-- The mails in English.

CREATE FUNCTION orgusers.mails_en() RETURNS TABLE (kind text, subject text, body_text text, button text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    VALUES
    ('invitation', '{{inviter}} invites you to join {{organization}} in {{product}}',
'Hello {{recipient}},

{{inviter}} ({{inviter_email}}) invites you to join {{organization_line}} in {{product}}.

Organization: {{organization_line}}
Access to: {{product}}
Roles: {{roles}}

To accept or decline, open this link:

{{link}}

The link is meant for you alone, and works until {{expires_at}}.
If you did not expect this invitation, you can ignore it.

{{product}}', 'Answer the invitation'),

    ('invitation_canceled', 'Your invitation to join {{organization}} in {{product}} has been canceled',
'Hello {{recipient}},

Your invitation to join {{organization_line}} in {{product}} has been canceled.
The link in it no longer works. There is nothing that you need to do.

{{product}}', NULL),

    ('invitation_declined', '{{user}} has declined your invitation to {{organization}}',
'Hello {{recipient}},

{{user}} has declined your invitation to join {{organization_line}} in {{product}}.

{{product}}', NULL),

    ('welcome', 'Welcome to {{product}}',
'Hello {{recipient}},

Welcome to {{product}}. You are now a user of {{organization_line}}.
What you can do there depends on the rights that its administrators give you.

{{product}}', NULL),

    ('user_left', '{{user}} has left {{organization}}',
'Hello {{recipient}},

{{user}} has given up the access to {{organization_line}} in {{product}}, and is no user of it any more.

{{product}}', NULL),

    ('user_removed', 'You no longer have access to {{organization}} in {{product}}',
'Hello {{recipient}},

You have been removed from {{organization_line}} in {{product}}, and your access to it has ended.

{{product}}', NULL),

    ('user_deactivated', 'Your access to {{organization}} in {{product}} is suspended',
'Hello {{recipient}},

You have been deactivated in {{organization_line}} in {{product}}. You have no access to it until you are reactivated.
What is assigned to you there is kept.

{{product}}', NULL),

    ('user_reactivated', 'You have access to {{organization}} in {{product}} again',
'Hello {{recipient}},

You have been reactivated in {{organization_line}} in {{product}}, and have access to it again.

{{product}}', NULL),

    ('billing_admin_changed', 'The billing admin of {{organization}} has changed',
'Hello {{recipient}},

{{user}} is now the billing admin of {{organization_line}} in {{product}}.
Invoices and mail about billing go there from now on.

{{product}}', NULL);
END;
COMMENT ON FUNCTION orgusers.mails_en() IS 'Subject, text and label of the button that is the link, in English, of each kind of mail. Internal';
