-- The mails in German.

CREATE FUNCTION orgusers.mails_de() RETURNS TABLE (kind text, subject text, body_text text, button text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    VALUES
    ('invitation', '{{inviter}} lädt Sie zu {{organization}} in {{product}} ein',
'Guten Tag {{recipient}},

{{inviter}} ({{inviter_email}}) lädt Sie ein, {{organization_line}} in {{product}} beizutreten.

Organisation: {{organization_line}}
Zugang zu: {{product}}
Rollen: {{roles}}

Um die Einladung anzunehmen oder abzulehnen, öffnen Sie bitte diesen Link:

{{link}}

Der Link ist nur für Sie bestimmt und gilt bis {{expires_at}}.
Falls Sie diese Einladung nicht erwartet haben, brauchen Sie nichts zu tun.

{{product}}', 'Einladung beantworten'),

    ('invitation_canceled', 'Ihre Einladung zu {{organization}} in {{product}} wurde zurückgezogen',
'Guten Tag {{recipient}},

Ihre Einladung zu {{organization_line}} in {{product}} wurde zurückgezogen.
Der Link darin ist nicht mehr gültig. Sie brauchen nichts zu tun.

{{product}}', NULL),

    ('invitation_declined', '{{user}} hat Ihre Einladung zu {{organization}} abgelehnt',
'Guten Tag {{recipient}},

{{user}} hat Ihre Einladung zu {{organization_line}} in {{product}} abgelehnt.

{{product}}', NULL),

    ('welcome', 'Willkommen bei {{product}}',
'Guten Tag {{recipient}},

willkommen bei {{product}}. Sie gehören jetzt zu {{organization_line}}.
Was Sie dort tun können, hängt von den Rechten ab, die Sie von der Administration erhalten.

{{product}}', NULL),

    ('user_left', '{{user}} hat {{organization}} verlassen',
'Guten Tag {{recipient}},

{{user}} hat den Zugang zu {{organization_line}} in {{product}} aufgegeben und gehört nicht mehr dazu.

{{product}}', NULL),

    ('user_removed', 'Sie haben keinen Zugang mehr zu {{organization}} in {{product}}',
'Guten Tag {{recipient}},

Sie wurden aus {{organization_line}} in {{product}} entfernt. Ihr Zugang ist damit beendet.

{{product}}', NULL),

    ('user_deactivated', 'Ihr Zugang zu {{organization}} in {{product}} ruht',
'Guten Tag {{recipient}},

Sie wurden in {{organization_line}} in {{product}} deaktiviert. Bis Sie wieder aktiviert werden, haben Sie dort keinen Zugang.
Was Ihnen dort zugewiesen ist, bleibt erhalten.

{{product}}', NULL),

    ('user_reactivated', 'Sie haben wieder Zugang zu {{organization}} in {{product}}',
'Guten Tag {{recipient}},

Sie wurden in {{organization_line}} in {{product}} wieder aktiviert und haben dort wieder Zugang.

{{product}}', NULL),

    ('billing_admin_changed', 'Neue Zuständigkeit für die Abrechnung von {{organization}}',
'Guten Tag {{recipient}},

für die Abrechnung von {{organization_line}} in {{product}} ist jetzt {{user}} zuständig.
Rechnungen und E-Mails zur Abrechnung gehen ab sofort dorthin.

{{product}}', NULL);
END;
COMMENT ON FUNCTION orgusers.mails_de() IS 'Subject, text and label of the button that is the link, in German, of each kind of mail. Internal';
