# The mailer's work: from enqueue_mail to a mail that the recipient can read.
use strict;
use warnings;
use utf8;
use FindBin;
use lib $FindBin::RealBin;
use Encode qw(encode_utf8 decode_utf8);
use Time::HiRes qw(sleep time);
use MailRoom;
use PostgreSQL::Test::Utils;
use Test::More;

my $room = MailRoom->new('mailer');
my $smtp = $room->smtp;
my ($code, $out, $log);

# Arguments and keys.
($code, $out) = $room->command('--help');
is($code, 0, '--help');
like($out, qr/Exit codes/, '--help tells the exit codes');
($code, $out) = $room->command('--version');
is($out, 'orgusers-mailer ' . $room->sql('SELECT orgusers.version()') . "\n", '--version is the extension\'s');
is(($room->command())[0], 64, 'no command: usage');
is(($room->command('sing'))[0], 64, 'unknown command: usage');
is(($room->command('run', '--smtp', 'smtp://127.0.0.1'))[0], 64, 'no database: usage');
is(($room->send_due('http://127.0.0.1/'))[0], 64, 'a URL of another scheme: usage');
is(($room->send_due('smtp://user:secret@127.0.0.1/'))[0], 64, 'a password in the URL: usage');
is(($room->send_due($smtp, '--batch', $_))[0], 64, "--batch $_: usage") foreach '0', '1001', '10x', '';
is(($room->send_due($smtp, '--lease', '60', '--timeout', '55'))[0], 64, 'a lease too short for the timeout: usage');
is(($room->send_due($smtp, '--user', 'u'))[0], 64, 'a user without a password file: usage');
is(($room->send_due($smtp, '--helo', "a\r\nb"))[0], 64, 'a greeting that breaks the line: usage');
is(($room->send_due($smtp, '--ca-file', '/nonexistent'))[0], 78, 'no such CA file: configuration');
is(($room->send_due($smtp, '--key', '/nonexistent'))[0], 78, 'no such key file: configuration');

is((stat $room->{key})[2] & 07777, 0600, 'F4: the key file is its owner\'s alone');
my $before = slurp_file($room->{key});
is(($room->command('keygen', '--out', $room->{key}))[0], 73, 'keygen overwrites no file');
is(slurp_file($room->{key}), $before, 'and leaves it as it is');
chmod 0640, $room->{key};
($code, $log) = $room->send_due($smtp);
is($code, 78, 'F4: a key that others can read is not used');
unlike($log, qr/\Q$before\E/, 'F4: and not logged');
chmod 0600, $room->{key};
append_to_file("$room->{dir}/junk", "junk\n");
chmod 0600, "$room->{dir}/junk";
is(($room->send_due($smtp, '--key', "$room->{dir}/junk"))[0], 78, 'a file without a key: configuration');

# One invitation, from end to end.
is(($room->send_due($smtp))[0], 0, '--once with nothing due: 0');
my $id = $room->invite(name => 'Bob Brown');
isnt($room->row($id, 'sealed_token'), '', 'F4: the token waits in a sealed box');
($code, $log) = $room->send_due($smtp);
is($code, 0, '--once delivers: 0');
my @mails = $room->mails($smtp);
is(@mails, 1, 'one mail');
my $mail = $mails[0];
my %header = map { lc $_->[0] => $_->[1] } @{ $mail->{headers} };
is($mail->{from}, 'robot@example.org', 'envelope sender');
is_deeply($mail->{to}, ['bob@example.com'], 'envelope recipient');
is($header{to}, 'Bob Brown <bob@example.com>', 'To');
is($header{from}, 'Example <robot@example.org>', 'From names the product');
is($header{subject}, 'Anna invites you to join Acme in Example', 'Subject');
is($header{'message-id'}, "<$id\@example.org>", 'Message-ID is the mail\'s id');
is($header{'auto-submitted'}, 'auto-generated', 'Auto-Submitted');
is($header{'mime-version'}, '1.0', 'MIME-Version');
like($header{date}, qr/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/, 'Date');
is($mail->{type}, 'multipart/alternative', 'multipart/alternative');
is_deeply([ map { $_->[0] } @{ $mail->{parts} } ], [ 'text/plain', 'text/html' ], 'text, then HTML');
is_deeply($mail->{defects}, [], 'no defects');
ok(!$mail->{bare_line_ends}, 'line ends are CRLF');
cmp_ok($mail->{longest_line}, '<=', 998, 'no line is too long');
my ($text, $html) = map { $_->[2] } @{ $mail->{parts} };
my ($token) = $text =~ m{^https://example\.org/i\?a=1&t=(\S+)\s*$}m;
is($room->sql("SELECT orgusers.token_organization('$token'::orgusers.invitation_token)"),
	$MailRoom::ORG, 'the link has a token of the organization');
like($html, qr{href="https://example\.org/i\?a=1&amp;t=\Q$token\E"}, 'the same link in HTML, escaped');
like($text, qr/works until \d{4}-\d\d-\d\d \d\d:\d\d \(UTC\)/, 'the expiry, in the organization\'s time zone');
is($room->row($id, 'status'), 'sent', 'the mail is sent');
is($room->row($id, 'sealed_token IS NULL'), 't', 'F4: the sealed token is wiped');
unlike($log, qr/oui_|https:|bob\@/, 'F4: no token, link or address in the log');
is(($room->send_due($smtp))[0], 0, 'again');
is(scalar($room->mails($smtp)), 1, 'nothing is sent twice');
$room->sql("BEGIN; SELECT orgusers.enqueue_mail('$MailRoom::ORG', 'user_removed', 'x\@example.com', NULL, 'en', '{}'); ROLLBACK");
$room->send_due($smtp);
is(scalar($room->mails($smtp)), 1, 'no mail for what was rolled back');

# Names in any script reach the headers and both parts.
foreach my $name ('Ёлка Петрова', '山田 太郎', 'فاطمة الزهراء', '🦉 Owl', 'O\'Brien, "Joe" <joe@evil.example>', 'a=?utf-8?q?b?=', 'x' x 190,
	'漢' x 150)
{
	$smtp = $room->smtp;
	$room->sql('UPDATE orgusers.organizations SET name = ' . MailRoom::quote(encode_utf8($name)) . " WHERE id = '$MailRoom::ORG'");
	$room->invite(name => encode_utf8($name), inviter => encode_utf8($name));
	is(($room->send_due($smtp, '--helo', 'mail.example.org'))[0], 0, 'sent: ' . encode_utf8($name));
	($mail) = $room->mails($smtp);
	%header = map { lc $_->[0] => $_->[1] } @{ $mail->{headers} };
	is($mail->{to_names}[0], $name, 'display name');
	is_deeply($mail->{to_addresses}, ['bob@example.com'], 'one address');
	is($header{subject}, "$name invites you to join $name in Example", 'subject');
	like($mail->{parts}[0][2], qr/^Hello \Q$name\E,/, 'text');
	is_deeply($mail->{defects}, [], 'no defects');
	is($mail->{helo}, 'mail.example.org', '--helo');
}
$room->sql("UPDATE orgusers.organizations SET name = 'Acme' WHERE id = '$MailRoom::ORG'");

# Nothing in a name becomes a header, a recipient or a line of its own.
my @names = ('Date', 'From', 'Subject', 'To', 'Message-Id', 'Auto-Submitted', 'MIME-Version', 'Content-Type');
foreach my $evil ("x\r\nBcc: evil\@example.org\r\n\r\nbody", "x\nX-Evil: 1", "x\rX-Evil: 1", "x\x{85}y\x{2028}X-Evil: 1", "\x{202e}gro.elpmaxe",
	"x\r\n.\r\nMAIL FROM:<evil\@example.org>", "x\" <evil\@example.org>, \"y", "=?utf-8?q?=0d=0aBcc:_evil=40example.org?=")
{
	my $sql = MailRoom::quote(encode_utf8($evil));
	$smtp = $room->smtp;
	$id = $room->invite(name => encode_utf8($evil), inviter => encode_utf8($evil));
	$room->sql("UPDATE orgusers.mail_outbox SET variables = variables || jsonb_build_object('organization', $sql, 'product', $sql) WHERE id = '$id'");
	is(($room->send_due($smtp))[0], 0, 'sent');
	($mail) = $room->mails($smtp);
	is_deeply([ sort map { $_->[0] } @{ $mail->{headers} } ], [ sort @names ], 'no header is injected');
	is_deeply([ @{ $mail->{to} }, @{ $mail->{to_addresses} } ], [ 'bob@example.com', 'bob@example.com' ], 'and no recipient');
	unlike(join("\n", map { $_->[1] } @{ $mail->{headers} }), qr/[\x{85}\x{2028}\x{202e}]/, 'no disguise');
	is(scalar($room->mails($smtp)), 1, 'and no mail');
	is_deeply($mail->{defects}, [], 'no defects');
	ok(!$mail->{bare_line_ends}, 'line ends are CRLF');
}

# HTML is escaped, text is not; a name is never taken for a placeholder.
$smtp = $room->smtp;
$room->invite(inviter => q{<script>alert("1")</script> & 'co' {{link}}});
$room->send_due($smtp);
($mail) = $room->mails($smtp);
unlike($mail->{parts}[1][2], qr/<script/, 'HTML is escaped');
like($mail->{parts}[1][2], qr/&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt; &amp; &#39;co&#39; \{\{link}}/, 'to what it stands for');
like($mail->{parts}[0][2], qr/<script>alert\("1"\)<\/script> & 'co' \{\{link}}/, 'text is as it is');

# Locales; a template that needs base64, long lines, lines of dots.
$room->sql(encode_utf8(<<'SQL'));
DELETE FROM orgusers.mail_templates WHERE kind = 'user_removed' AND locale = 'de';
INSERT INTO orgusers.mail_templates VALUES
	('plans_and_groups', 'user_removed', 'de', 'Entfernt aus {{organization}}', E'.\r\n..\r\n{{{{nichts}}\r\n', '<p>ä</p>'),
	('plans_and_groups', 'user_removed', 'pt-BR', 'Removido', 'ã', '<p>ã</p>'),
	('plans_and_groups', 'user_removed', 'ja', '削除', repeat('漢', 5000), repeat('x', 5000));
SQL
foreach ([ 'de', 'Entfernt aus Acme' ], [ 'de-AT', 'Entfernt aus Acme' ], [ 'pt_BR', 'Removido' ], [ 'ja', '削除' ],
	[ 'fr', 'You no longer have access to Acme in Example' ], [ 'pt', 'You no longer have access to Acme in Example' ])
{
	my ($locale, $subject) = @$_;
	$smtp = $room->smtp;
	$room->sql("SELECT orgusers.enqueue_mail('$MailRoom::ORG', 'user_removed', 'x\@example.com', NULL, '$locale', '{}')");
	is(($room->send_due($smtp))[0], 0, "sent: $locale");
	($mail) = $room->mails($smtp);
	is((map { $_->[1] } grep { $_->[0] eq 'Subject' } @{ $mail->{headers} })[0], $subject, "template for $locale");
	is_deeply($mail->{defects}, [], 'no defects');
	cmp_ok($mail->{longest_line}, '<=', 998, 'no line is too long');
	like($mail->{parts}[0][2], qr/^\.\r?\n\.\.\r?\n\{\{nichts}}\r?\n$/, 'dots and escaped braces') if $locale eq 'de';
	is($mail->{parts}[0][2] =~ tr/漢//, 5000, 'long text') if $locale eq 'ja';
}

# Every kind of mail in every language that a rule-book comes with, with all there is to say.
$room->sql("UPDATE orgusers.organizations SET external_id = 'K-4711' WHERE id = '$MailRoom::ORG'");
$room->sql("DELETE FROM orgusers.mail_templates WHERE kind = 'user_removed'; SELECT orgusers.install_mail_templates('plans_and_groups')");
foreach my $kind (split /\n/, $room->sql('SELECT DISTINCT kind FROM orgusers.mail_templates ORDER BY kind'))
{
	foreach ([ 'en', 'Hello Zoë,' ], [ 'de', 'Guten Tag Zoë,' ])
	{
		my ($locale, $greeting) = @$_;
		$smtp = $room->smtp;
		$id = $kind eq 'invitation' ? $room->invite(locale => $locale, inviter => 'Anna', name => encode_utf8('Zoë'))
		  : $room->sql(encode_utf8("SELECT orgusers.enqueue_mail('$MailRoom::ORG', '$kind', 'zoe\@example.com', 'Zoë', '$locale', '{\"user\": \"Žofie\"}')"));
		is(($room->send_due($smtp))[0], 0, "$kind, $locale: sent");
		($mail) = $room->mails($smtp);
		my ($subject) = map { $_->[1] } grep { $_->[0] eq 'Subject' } @{ $mail->{headers} };
		my ($text, $html) = map { $_->[2] } @{ $mail->{parts} };
		unlike("$subject$text$html", qr/\{\{|}}/, 'no placeholder is left');
		like($text, qr/^\Q$greeting\E\r?\n/, 'the text is in its language');
		like($html, qr/<html lang="$locale">.*<p>\Q$greeting\E<\/p>/s, 'and so is the HTML');
		foreach my $value (split /\n/, decode_utf8($room->sql("SELECT value FROM orgusers.mail_outbox, jsonb_each_text(variables)"
			. " WHERE id = '$id' AND key = ANY (orgusers.mail_placeholders(kind))")))
		{
			like($text, qr/\Q$value\E/, 'with ' . encode_utf8($value)) if $value ne '';
			like($html, qr/\Q$value\E/, 'in HTML, too') if $value ne '';
		}
		like($text, qr/Acme \(K-4711\)/, 'E6: with the customer id') if $kind eq 'invitation';
		is_deeply($mail->{defects}, [], 'no defects');
	}
}

# TLS and AUTH.
my $dir = $room->{dir};
system_or_bail('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1',
	'-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', "$dir/tls.key", '-out', "$dir/tls.crt");
append_to_file("$dir/password", "s3cret pass\n");
append_to_file("$dir/wrong", "wrong\n");
chmod 0600, "$dir/password", "$dir/wrong";
my @tls = ('--tls', "$dir/tls.crt", "$dir/tls.key");

$room->notify;
$smtp = $room->smtp;
is(($room->send_due($smtp, '--require-tls'))[0], 75, '--require-tls with a server without TLS: nothing is sent');
$smtp = $room->smtp(@tls);
$room->make_due;
is(($room->send_due($smtp))[0], 75, 'an unknown certificate is refused');
$room->make_due;
is(($room->send_due($smtp, '--require-tls', '--ca-file', "$dir/tls.crt"))[0], 0, 'a known one is taken');
is(join(' ', map { $_->{tls} } $room->mails($smtp)), '1', 'one mail, by STARTTLS');

$room->notify;
$smtp = $room->smtp(@tls, '--auth', 'robot:s3cret pass');
my @auth = ('--ca-file', "$dir/tls.crt", '--user', 'robot', '--password-file');
is(($room->send_due($smtp, @auth, "$dir/wrong"))[0], 75, 'a wrong password: nothing is sent');
is($room->sql("SELECT count(*) FROM orgusers.mail_outbox WHERE status = 'queued'"), '1', 'and nothing is given up');
$room->make_due;
($code, $log) = $room->send_due($smtp, @auth, "$dir/password");
is($code, 0, 'the right one');
unlike($log, qr/s3cret/, 'is not logged');
is(join(' ', map { $_->{user} } $room->mails($smtp)), 'robot', 'one mail, by AUTH');
$room->notify;
my $plain = $room->smtp;
is(($room->send_due($plain, @auth, "$dir/password"))[0], 75, 'no password without TLS');
$smtp = $room->smtp(@tls, '--smtps');
$room->make_due;
is(($room->send_due("smtps://127.0.0.1:$smtp->{port}", '--ca-file', "$dir/tls.crt"))[0], 0, 'smtps');
is(join(' ', map { $_->{tls} } $room->mails($smtp)), '1', 'one mail, by TLS');

# Waking and polling.
$smtp = $room->smtp;
my $mailer = $room->start_mailer($smtp, '--poll', '600');
$room->notify;
my $took = MailRoom::wait_until(sub { $room->mails($smtp) == 1 });
ok($took && $took < 5, "a wake-up delivers at once, whatever the poll ($took s)");
sleep 4;    # past the follow-ups
$room->notify(before => 'SET orgusers.mail_wake_up = off; ');
sleep 3;
is(scalar($room->mails($smtp)), 1, 'no wake-up when it is switched off');
is($room->stop($mailer, 'TERM'), 0, 'SIGTERM: 0');
$mailer = $room->start_mailer($smtp, '--poll', '1');
ok(MailRoom::wait_until(sub { $room->mails($smtp) == 2 }), 'what waits is sent at the start');
sleep 4;
$room->notify(before => 'SET orgusers.mail_wake_up = off; ');
ok(MailRoom::wait_until(sub { $room->mails($smtp) == 3 }), 'and what comes without a wake-up by the poll');
is($room->stop($mailer, 'INT'), 0, 'SIGINT: 0');
my @notifications = $room->sql('LISTEN orgusers_mail; BEGIN; SELECT orgusers.wake_mailer(), orgusers.wake_mailer(); COMMIT') =~ /"orgusers_mail"/g;
is(scalar(@notifications), 1, 'one notification for a transaction');

# A transaction that has enqueued mail can be prepared.
$room->{node}->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$room->{node}->restart;
$room->sql("BEGIN; SELECT orgusers.enqueue_mail('$MailRoom::ORG', 'user_removed', 'x\@example.com', NULL, 'en', '{}'); PREPARE TRANSACTION 'p'");
$room->sql("COMMIT PREPARED 'p'");
$room->send_due($smtp);
is(scalar($room->mails($smtp)), 4, 'mail of a prepared transaction is sent');

# SIGTERM finishes the mail in hand and gives the others back.
$room->forget;
$smtp = $room->smtp('--delay', '1');
$room->notify foreach 1 .. 5;
$mailer = $room->start_mailer($smtp, '--batch', '5');
MailRoom::wait_until(sub { $room->mails($smtp) >= 1 });
is($room->stop($mailer, 'TERM'), 0, 'SIGTERM in the middle of a batch: 0');
my $sent = $room->mails($smtp);
cmp_ok($sent, '<', 5, 'it did not go on');
is($room->sql("SELECT string_agg(status || ' ' || attempts || ' ' || n, ', ' ORDER BY status) FROM"
		  . ' (SELECT status, attempts, count(*) n FROM orgusers.mail_outbox GROUP BY 1, 2) s'),
	'queued 0 ' . (5 - $sent) . ", sent 1 $sent", 'what it had begun is sent, the others wait untouched');

# Two mailers at once, and a batch that outlasts its lease.
$room->forget;
$smtp = $room->smtp('--brief', '--delay', '0.02');
my @mailers = map { $room->start_mailer($smtp, '--batch', '3') } 1 .. 2;
my $mails = 0;
while ($mails < 1000 && grep { slurp_file($_->{log}) =~ tr/\n// < 10 } @mailers)
{
	$mails += 100;
	$room->sql("SELECT orgusers.enqueue_mail('$MailRoom::ORG', 'user_removed', ('u' || i || '\@example.com')::orgusers.email, NULL, 'en', '{}')"
		  . ' FROM generate_series(1, 100) i');
	ok(MailRoom::wait_until(sub { $room->sql("SELECT count(*) FROM orgusers.mail_outbox WHERE status = 'sent'") == $mails }), 'all is sent');
}
cmp_ok(slurp_file($_->{log}) =~ tr/\n//, '>=', 10, 'both had their share') foreach @mailers;
is($room->stop($_, 'TERM'), 0, 'stopped') foreach @mailers;
my %seen;
$seen{ $_->{message_id} }++ foreach $room->mails($smtp);
is(join(' ', scalar(keys %seen), scalar($room->mails($smtp))), "$mails $mails", 'each mail once');

$room->forget;
$smtp = $room->smtp('--delay', '2');
$room->notify foreach 1 .. 4;
@mailers = map { $room->start_mailer($smtp, '--batch', '4', '--timeout', '3', '--lease', '13') } 1 .. 2;
ok(MailRoom::wait_until(sub { $room->sql("SELECT count(*) FROM orgusers.mail_outbox WHERE status = 'sent'") == 4 }), 'all is sent');
$room->stop($_, 'TERM') foreach @mailers;
is(scalar($room->mails($smtp)), 4, 'nothing is begun that might outlast its lease');

$room->end;
done_testing();
