-- Mail templates: what the organizations of a policy are written, by kind of mail and locale.

CREATE FUNCTION orgusers.template_is_valid(template text, placeholders text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_template_is_valid';
COMMENT ON FUNCTION orgusers.template_is_valid(text, text[]) IS 'True when the template is well formed and names none but these placeholders; otherwise an error with the position (OU406). {{name}} is a placeholder, {{{{ stands for two literal opening braces. For check constraints. Internal';

-- The mailer renders it like a template.
ALTER TABLE orgusers.policies ADD CONSTRAINT policies_accept_url_is_template CHECK (orgusers.template_is_valid(accept_url, '{token}'));

CREATE FUNCTION orgusers.mail_placeholders(kind text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE kind
        WHEN 'invitation'            THEN '{product,organization,recipient,inviter,inviter_email,expires_at,link}'::text[]
        WHEN 'invitation_canceled'   THEN '{product,organization,recipient}'::text[]
        WHEN 'invitation_declined'   THEN '{product,organization,recipient,user}'::text[]
        WHEN 'user_removed'          THEN '{product,organization,recipient}'::text[]
        WHEN 'billing_admin_changed' THEN '{product,organization,recipient,user}'::text[]
    END;
COMMENT ON FUNCTION orgusers.mail_placeholders(text) IS 'Placeholders that templates of a kind of mail can use, NULL for an unknown kind. Every mail of the kind has a value for each, so a stored template can always be rendered. product, organization, recipient (name, else address), expires_at (in the organization''s time zone) and link are made by the extension; inviter, inviter_email and user (whom the mail is about) are the enqueuing function''s variables. For the database''s owner';

CREATE TABLE orgusers.mail_templates (
    policy    text NOT NULL REFERENCES orgusers.policies ON UPDATE CASCADE ON DELETE CASCADE,
    kind      text NOT NULL CHECK (orgusers.mail_placeholders(kind) IS NOT NULL),
    locale    text NOT NULL CHECK (orgusers.is_locale(locale)),
    subject   text NOT NULL CHECK (subject <> '' AND octet_length(subject) <= 1000 AND subject !~ '[[:cntrl:]]'),
    body_text text NOT NULL CHECK (octet_length(body_text) <= 262144),
    body_html text NOT NULL CHECK (octet_length(body_html) <= 262144),
    PRIMARY KEY (policy, kind, locale),
    CHECK (orgusers.template_is_valid(subject, array_remove(orgusers.mail_placeholders(kind), 'link'))),
    CHECK (orgusers.template_is_valid(body_text, orgusers.mail_placeholders(kind))),
    CHECK (orgusers.template_is_valid(body_html, orgusers.mail_placeholders(kind)))
);
COMMENT ON TABLE orgusers.mail_templates IS 'Templates of mails, edited by the database''s owner with plain SQL. A malformed template, or one with a placeholder that its kind does not have, is refused (OU406). A mail takes the template of the recipient''s locale, else of its language, else en, else any';
COMMENT ON COLUMN orgusers.mail_templates.kind IS 'Kind of mail; mail_placeholders lists what it can say';
COMMENT ON COLUMN orgusers.mail_templates.locale IS 'Language tag such as en or pt-BR';
COMMENT ON COLUMN orgusers.mail_templates.subject IS 'Subject; the link stays out of it, since subjects are logged along the way';
COMMENT ON COLUMN orgusers.mail_templates.body_text IS 'Plain text part';
COMMENT ON COLUMN orgusers.mail_templates.body_html IS 'HTML part; values are escaped when it is rendered';
SELECT pg_extension_config_dump('orgusers.mail_templates', '');

CREATE FUNCTION orgusers.install_mail_templates(policy text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    -- Around every HTML body: one column, system fonts, nothing loaded from elsewhere.
    head constant text := '<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="margin:0;padding:24px;background:#f4f4f5">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;background:#ffffff;border-radius:8px"><tr>
<td style="padding:32px;font-family:-apple-system,''Segoe UI'',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5;color:#18181b">
<p>Hello {{recipient}},</p>
';
    foot constant text := '
<p style="margin-bottom:0;color:#71717a">{{product}}</p>
</td></tr></table>
</td></tr></table>
</body>
</html>
';
BEGIN
    IF NOT EXISTS (SELECT FROM orgusers.policies p WHERE p.id = install_mail_templates.policy) THEN
        RAISE EXCEPTION 'no such policy' USING ERRCODE = 'OU105';
    END IF;
    INSERT INTO orgusers.mail_templates (policy, kind, locale, subject, body_text, body_html) VALUES
    (install_mail_templates.policy, 'invitation', 'en',
     '{{inviter}} invites you to join {{organization}} in {{product}}',
     'Hello {{recipient}},

{{inviter}} ({{inviter_email}}) invites you to join {{organization}} in {{product}}.

To accept or decline, open this link:

{{link}}

The link is meant for you alone, and works until {{expires_at}}.
If you did not expect this invitation, you can ignore it.

{{product}}
',
     head || '<p>{{inviter}} ({{inviter_email}}) invites you to join <strong>{{organization}}</strong> in {{product}}.</p>
<p style="margin:24px 0"><a href="{{link}}" style="display:inline-block;padding:12px 24px;background:#1d4ed8;color:#ffffff;text-decoration:none;border-radius:6px">Answer the invitation</a></p>
<p>If the button does not work, open this link:<br><a href="{{link}}" style="color:#1d4ed8;word-break:break-all">{{link}}</a></p>
<p>The link is meant for you alone, and works until {{expires_at}}. If you did not expect this invitation, you can ignore it.</p>' || foot),

    (install_mail_templates.policy, 'invitation_canceled', 'en',
     'Your invitation to join {{organization}} in {{product}} has been canceled',
     'Hello {{recipient}},

your invitation to join {{organization}} in {{product}} has been canceled.
The link in it no longer works. There is nothing that you need to do.

{{product}}
',
     head || '<p>your invitation to join <strong>{{organization}}</strong> in {{product}} has been canceled. The link in it no longer works. There is nothing that you need to do.</p>' || foot),

    (install_mail_templates.policy, 'invitation_declined', 'en',
     '{{user}} has declined your invitation to {{organization}}',
     'Hello {{recipient}},

{{user}} has declined your invitation to join {{organization}} in {{product}}.

{{product}}
',
     head || '<p>{{user}} has declined your invitation to join <strong>{{organization}}</strong> in {{product}}.</p>' || foot),

    (install_mail_templates.policy, 'user_removed', 'en',
     'You no longer have access to {{organization}} in {{product}}',
     'Hello {{recipient}},

you have been removed from {{organization}} in {{product}}, and your access to it has ended.

{{product}}
',
     head || '<p>you have been removed from <strong>{{organization}}</strong> in {{product}}, and your access to it has ended.</p>' || foot),

    (install_mail_templates.policy, 'billing_admin_changed', 'en',
     'The billing admin of {{organization}} has changed',
     'Hello {{recipient}},

{{user}} is now the billing admin of {{organization}} in {{product}}.
Invoices and mail about billing go there from now on.

{{product}}
',
     head || '<p>{{user}} is now the billing admin of <strong>{{organization}}</strong> in {{product}}. Invoices and mail about billing go there from now on.</p>' || foot)
    ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION orgusers.install_mail_templates(text) IS 'Gives a policy the English templates that it lacks; those it has stay as they are. Called by the rule-books'' installers. For the database''s owner. OU105 no such policy';
