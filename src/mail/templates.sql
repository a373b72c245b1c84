-- Mail templates: what the organizations of a policy are written, by kind of mail and locale.

CREATE FUNCTION orgusers.template_is_valid(template text, placeholders text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_template_is_valid';
COMMENT ON FUNCTION orgusers.template_is_valid(text, text[]) IS 'True when the template is well formed and names none but these placeholders; otherwise an error with the position (OU406). {{name}} is a placeholder, {{{{ stands for two literal opening braces. For check constraints. Internal';

-- The mailer renders it like a template.
ALTER TABLE orgusers.policies ADD CONSTRAINT policies_accept_url_is_template CHECK (orgusers.template_is_valid(accept_url, '{token}'));

CREATE FUNCTION orgusers.mail_placeholders(kind text) RETURNS text[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'orgusers_mail_placeholders';
COMMENT ON FUNCTION orgusers.mail_placeholders(text) IS 'Placeholders that templates of a kind of mail can use, NULL for an unknown kind. Every mail of the kind has a value for each, so a stored template can always be rendered. product, organization (its name), customer_id (its external_id, empty without one), organization_line (its name, and the customer_id in parentheses if there is one), recipient (name, else address), roles (of the invitation), expires_at (in the organization''s time zone) and link are made by the extension; inviter, inviter_email and user (whom the mail is about) are the enqueuing function''s variables. For the database''s owner';

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

