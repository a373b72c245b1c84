# What goes wrong around the mailer, and that no mail is lost, doubled without need, or sent to the wrong person.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Time::HiRes qw(sleep time);
use MailRoom;
use PostgreSQL::Test::Utils;
use Test::More;

my $room = MailRoom->new('faults');
my ($code, $out, $log, $id);
my $count = sub { $room->sql("SELECT count(*) FROM orgusers.mail_outbox WHERE status = '$_[0]'") };
my $ids = sub { map { my $m = $_; map { $_->[1] } grep { lc $_->[0] eq 'message-id' } @{ $m->{headers} } } $room->mails($_[0]) };

# Temporary refusals.
my $smtp = $room->smtp('--temporary', '2');
$id = $room->invite;
is(($room->send_due($smtp))[0], 75, '451: --once says that mail is left');
is($room->row($id, 'status'), 'queued', 'it waits');
is($room->row($id, 'attempts'), '1', 'after one attempt');
like($room->row($id, 'last_error'), qr/451 4\.3\.0 try again later/, 'with the server\'s reason');
is($room->row($id, "due_at - changed_at BETWEEN '22 s' AND '30 s'"), 't', 'for half a minute');
is(($room->send_due($smtp))[0], 0, 'until then nothing is due');
$room->make_due;
is(($room->send_due($smtp))[0], 75, '451 again');
is($room->row($id, "due_at - changed_at BETWEEN '45 s' AND '60 s'"), 't', 'a minute now');
$room->make_due;
is(($room->send_due($smtp))[0], 0, 'then it is sent');
is($room->row($id, 'status || attempts'), 'sent3', 'at the third attempt');
is_deeply([ $ids->($smtp) ], ["<$id\@example.org>"], 'once');

# Permanent refusals hit the mail that they are about.
$smtp = $room->smtp('--refuse', 'gone@example.com', '--full', 'full@example.com');
my $gone = $room->notify(to => 'gone@example.com');
my $full = $room->notify(to => 'full@example.com');
my $good = $room->notify(to => 'good@example.com');
is(($room->send_due($smtp))[0], 75, '550 and 552');
is($room->row($gone, 'status'), 'dead', '550: given up');
like($room->row($gone, 'last_error'), qr/550 5\.1\.1 no such user/, 'with the server\'s reason');
is($room->row($full, 'status'), 'queued', '552: a full mailbox may empty');
is($room->row($good, 'status'), 'sent', 'the others are sent');
$smtp = $room->smtp('--reject');
$room->make_due;
$room->send_due($smtp);
is($room->row($full, 'status'), 'dead', '554 for the message: given up');
$smtp = $room->smtp;
$room->sql("SELECT orgusers.requeue_mail(org_id, id) FROM orgusers.mail_outbox WHERE status = 'dead'");
is(($room->send_due($smtp))[0], 0, 'requeue_mail tries again');
is(scalar($room->mails($smtp)), 2, 'and it is sent');
$room->forget;

# Twelve attempts.
$id = $room->notify;
$room->sql("UPDATE orgusers.mail_outbox SET attempts = 11");
$smtp = $room->smtp('--temporary', '9');
$room->send_due($smtp);
is($room->row($id, 'status || attempts'), 'dead12', 'the twelfth failure is the last');
$room->forget;

# Servers that are down, silent, or hang up.
$id = $room->notify;
my $start = time;
is(($room->send_due('smtp://127.0.0.1:1'))[0], 75, 'nobody listens');
is($room->row($id, 'status'), 'queued', 'the mail waits');
$room->make_due;
$start = time;
is(($room->send_due($room->smtp('--silent'), '--timeout', '2'))[0], 75, 'a silent server');
cmp_ok(time - $start, '<', 15, 'holds the mailer no longer than --timeout');
$room->make_due;
is(($room->send_due($room->smtp('--delay', '30'), '--timeout', '2'))[0], 75, 'a server that does not take the message');
is($room->row($id, 'status'), 'queued', 'the mail waits');
$room->make_due;
is(($room->send_due($room->smtp('--cut', '1')))[0], 75, 'a server that hangs up in the message');
$smtp = $room->smtp('--cut-after', '1');
$room->make_due;
is(($room->send_due($smtp))[0], 75, 'a server that hangs up after taking it');
$room->make_due;
is(($room->send_due($smtp))[0], 0, 'the mail is sent again');
is_deeply([ $ids->($smtp) ], [ ("<$id\@example.org>") x 2 ], 'with the same Message-ID');
$room->forget;

# Several mails against a dead server wait for themselves only; a killed and restarted server.
$smtp = $room->smtp;
my $mailer = $room->start_mailer($smtp, '--poll', '1', '--timeout', '5');
$room->notify;
MailRoom::wait_until(sub { $count->('sent') == 1 });
$smtp->{run}->kill_kill;
$room->notify foreach 1 .. 3;
ok(MailRoom::wait_until(sub { $room->sql("SELECT count(*) FROM orgusers.mail_outbox WHERE status = 'queued' AND attempts = 1") == 3 }),
	'the SMTP server is killed: mails wait');
$smtp = $room->smtp_again($smtp);
$room->make_due;
ok(MailRoom::wait_until(sub { $count->('sent') == 4 }), 'it is back: they are sent');
is(scalar($room->mails($smtp)), 4, 'each once');
is($room->stop($mailer, 'TERM'), 0, 'by the same mailer');
$room->forget;

# The database is killed while a mail is delivered.
$smtp = $room->smtp('--delay', '3');
$mailer = $room->start_mailer($smtp, '--poll', '1');
$id = $room->invite;
MailRoom::wait_until(sub { $count->('leased') == 1 });
$room->{node}->stop('immediate');
$room->{node}->start;
ok(MailRoom::wait_until(sub { $count->('sent') == 1 }), 'the database is killed in a delivery: the mailer connects again and acknowledges');
is(scalar($room->mails($smtp)), 1, 'the mail is sent once');
$room->notify;
ok(MailRoom::wait_until(sub { $count->('sent') == 2 }), 'and it goes on');
$room->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mailer'");
$room->notify;
ok(MailRoom::wait_until(sub { $count->('sent') == 3 }), 'so it does when its session is terminated');

# Any role can forge wake-ups: they make the mailer look no more than ten times a second.
$room->sql('CREATE ROLE noisy LOGIN');
$room->sql("ALTER SYSTEM SET track_functions = 'pl'");
$room->sql('SELECT pg_reload_conf()');
append_to_file("$room->{dir}/noise", "NOTIFY orgusers_mail, 'forged'\n");
my ($forged) = (run_command([ 'pgbench', '-n', '-c', '2', '-T', '3', '-f', "$room->{dir}/noise", $room->{node}->connstr('postgres') . ' user=noisy' ]))[0] =~ /actually processed: (\d+)/;
$room->notify;
my $took = MailRoom::wait_until(sub { $count->('sent') == 4 });
ok($took && $took < 5, "after $forged forged wake-ups mail is delivered at once");
sleep 2;    # statistics are a second late
my $looks = $room->sql("SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'claim_mail'");
cmp_ok($looks, '>', 5, 'who was woken');
cmp_ok($looks, '<', 100, "and looked $looks times");
$room->{node}->stop('fast');
sleep 1;
is($room->stop($mailer, 'TERM'), 0, 'SIGTERM without a database: 0');
is(($room->send_due($smtp))[0], 69, '--once without a database: 69');
$room->{node}->start;
is(($room->command('run', '--database', $room->{node}->connstr('postgres') . ' user=nobody', '--smtp', 'smtp://127.0.0.1', '--once'))[0],
	69, '--once without a role: 69');
$room->sql('CREATE ROLE stranger LOGIN');
is(($room->command('run', '--database', $room->{node}->connstr('postgres') . ' user=stranger', '--smtp', 'smtp://127.0.0.1', '--once'))[0],
	69, '--once without the right to claim: 69');
$room->forget;

# The mailer is killed between delivery and acknowledgement.
$smtp = $room->smtp;
$id = $room->notify;
my @claim = split /\|/, $room->sql('SELECT org_id, id, fence FROM orgusers.claim_mail()');
is(($room->send_due($smtp))[0], 0, 'a mail under lease is nobody else\'s');
is(scalar($room->mails($smtp)), 0, 'and not sent');
$room->make_due;
is(($room->send_due($smtp))[0], 0, 'its lease has run out');
is_deeply([ $ids->($smtp) ], ["<$id\@example.org>"], 'it is sent, with the Message-ID it always has');
my $late = join(', ', map { "'$_'" } @claim);
is($room->sqlstate("SELECT orgusers.mail_sent($late)"), 'OU403', 'a late acknowledgement is refused');
is($room->sqlstate("SELECT orgusers.mail_failed($late, 'late')"), 'OU403', 'a late failure is refused');
is($room->sqlstate("SELECT orgusers.release_mail($late)"), 'OU403', 'a late release is refused');
is($room->row($id, 'status'), 'sent', 'it stays sent');
$smtp = $room->smtp('--delay', '3');
$id = $room->notify;
$mailer = $room->start_mailer($smtp);
MailRoom::wait_until(sub { $count->('leased') == 1 });
$room->stop($mailer, 'KILL');
is($room->row($id, 'status'), 'leased', 'a killed mailer leaves its lease behind');
$smtp = $room->smtp;
$room->make_due;
$room->send_due($smtp);
is_deeply([ $ids->($smtp) ], ["<$id\@example.org>"], 'another sends the mail when the lease is over');
$id = $room->notify;
$room->sql("UPDATE orgusers.mail_outbox SET attempts = 12, status = 'leased', fence = gen_random_uuid() WHERE id = '$id'");
$room->make_due;
$room->send_due($smtp);
is($room->row($id, 'status'), 'dead', 'a mail whose mailers never answer is given up');
$room->forget;

# Sealed boxes of other rows, changed rows, expired ones, other keys: nothing is sent.
$smtp = $room->smtp;
my $sealed_wrong = sub {
	my ($name, $change, $reason, %o) = @_;
	my $mine = $room->invite(%o);
	my $other = $room->invite(to => 'mallory@example.com', org => $o{other_org});
	$room->sql("UPDATE orgusers.mail_outbox SET $change WHERE id = '$mine'" =~ s/OTHER\((\w+)\)/(SELECT o.$1 FROM orgusers.mail_outbox o WHERE o.id = '$other')/gr);
	my $before = $room->mails($smtp);
	is(($room->send_due($smtp))[0], 75, $name);
	is($room->row($mine, 'status'), 'dead', "$name: given up");
	like($room->row($mine, 'last_error'), $reason, "$name: why");
	is($room->row($other, 'status'), 'sent', "$name: the other mail is sent");
	is(scalar($room->mails($smtp)), $before + 1, "$name: nothing else is sent");
	$room->forget;
};
$sealed_wrong->('box of another invitation', 'sealed_token = OTHER(sealed_token)', qr/another invitation/);
$sealed_wrong->('box of another organization', 'sealed_token = OTHER(sealed_token)', qr/another organization/, other_org => $MailRoom::OTHER);
$sealed_wrong->('box and invitation of another', 'sealed_token = OTHER(sealed_token), invitation_id = OTHER(invitation_id), expires_at = OTHER(expires_at)',
	qr/another address/);
$sealed_wrong->('another recipient', "recipient = 'eve\@example.com'", qr/another address/);
$sealed_wrong->('another expiry', "expires_at = expires_at + '1 microsecond'", qr/another expiry/);
$sealed_wrong->('no expiry', 'expires_at = NULL', qr/another expiry/);
$sealed_wrong->('no invitation', 'invitation_id = NULL', qr/another invitation/);
$sealed_wrong->('no box', 'sealed_token = NULL', qr/no value for this placeholder/);
$sealed_wrong->('a broken box', "sealed_token = set_byte(sealed_token, 60, 1 + get_byte(sealed_token, 60) % 255)", qr/does not open/);
$sealed_wrong->('an empty box', "sealed_token = ''", qr/does not open/);
$sealed_wrong->('expired', "variables = variables", qr/expired/, lifetime => '-1 second');
$sealed_wrong->('variables lacking', "variables = variables - 'inviter'", qr/subject template: no value/);
$sealed_wrong->('variables of another kind', q{variables = variables || '{"inviter": {"a": 1}}'}, qr/subject template: no value/);
$sealed_wrong->('a bomb', q{variables = variables || jsonb_build_object('inviter', repeat('<', 1000000))}, qr/too long/);
$sealed_wrong->('a policy that is gone', "policy = 'gone'", qr/policy/);

# Every byte of a box counts: one mail for each, with a bit turned over.
$id = $room->invite;
my $boxes = $room->sql(<<"SQL");
WITH turned AS (
	INSERT INTO orgusers.mail_outbox
		SELECT r.* FROM orgusers.mail_outbox m, generate_series(0, octet_length(m.sealed_token) - 1) n,
			jsonb_populate_record(m, jsonb_build_object('id', orgusers.new_id(), 'sealed_token', set_byte(m.sealed_token, n, get_byte(m.sealed_token, n) # (1 << n % 8)))) r
		WHERE m.id = '$id' RETURNING 1)
SELECT count(*) FROM turned;
SQL
$room->sql("DELETE FROM orgusers.mail_outbox WHERE id = '$id'");
my $sent_before = $room->mails($smtp);
is(($room->send_due($smtp))[0], 75, "$boxes boxes with a bit turned over");
is($room->sql("SELECT count(*) FROM orgusers.mail_outbox WHERE status = 'dead' AND last_error = 'sealed token does not open'"), $boxes, 'none opens');
is(scalar($room->mails($smtp)), $sent_before, 'and nothing is sent');
$room->forget;

# The address is compared without case; a key that the mailer lacks may come.
$id = $room->invite(to => 'Bob@Example.com');
$room->sql("UPDATE orgusers.mail_outbox SET recipient = 'bob\@example.COM'");
is(($room->send_due($smtp))[0], 0, 'an address in other case is the same');
($code, $out) = $room->command('keygen', '--out', "$room->{dir}/new");
$room->sql($out =~ /^(SELECT .*)$/m);
$id = $room->invite;
is(($room->send_due($smtp))[0], 75, 'sealed under a key that this mailer lacks');
is($room->row($id, 'status'), 'queued', 'the mail waits');
like($room->row($id, 'last_error'), qr/does not have key [0-9a-f]{16}/, 'and says for which');
$room->make_due;
is(($room->send_due($smtp, '--key', "$room->{dir}/new"))[0], 0, 'a mailer with both keys sends it');
$id = $room->invite;
$room->sql("UPDATE orgusers.mail_outbox SET mailer_key_id = (SELECT k.id FROM orgusers.mailer_keys k WHERE k.id <> mailer_key_id) WHERE id = '$id'");
$room->send_due($smtp);
like($room->row($id, "status || ' ' || last_error"), qr/^dead sealed token does not open/, 'under the wrong key it does not open');
$room->sql('UPDATE orgusers.mailer_keys SET retired_at = now()');
is($room->sqlstate('SELECT orgusers.mailer_key()'),
	'OU401', 'without a key in use nothing is enqueued');
$room->sql('UPDATE orgusers.mailer_keys SET retired_at = NULL');
$room->forget;

# A restored dump holds its mail back until it is adopted.
$room->sql('CREATE DATABASE restored');
my $queued = $room->notify;
my $sent = $room->notify(to => 'sent@example.com');
$room->sql("UPDATE orgusers.mail_outbox SET status = 'sent' WHERE id = '$sent'");
$room->{node}->command_ok([ 'pg_dump', '-f', "$room->{dir}/dump", $room->{node}->connstr('postgres') ], 'dump');
$room->{node}->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', "$room->{dir}/dump", $room->{node}->connstr('restored') ], 'restore');
my $restored = sub { $room->{node}->safe_psql('restored', $_[0]) };
my @there = ('run', '--database', $room->{node}->connstr('restored'), '--smtp', "smtp://127.0.0.1:$smtp->{port}", '--key', $room->{key}, '--once');
my $before = $room->mails($smtp);
is(($room->command(@there))[0], 0, 'a mailer on the restored database');
is(scalar($room->mails($smtp)), $before, 'sends nothing');
is($restored->('SELECT held, queued, sent FROM orgusers.mail_status()'), '1|0|1', 'mail_status counts what is held');
is($restored->('SELECT orgusers.adopt_mail()'), '1', 'adopt_mail takes it over');
is(($room->command(@there))[0], 0, 'then');
is(scalar($room->mails($smtp)), $before + 1, 'it is sent from there');
is($restored->('SELECT count(*) FROM orgusers.mail_templates'), $room->sql('SELECT count(*) FROM orgusers.mail_templates'), 'templates are dumped');

# A deleted organization: its invitations are withdrawn, other news still arrives.
$room->forget;
$smtp = $room->smtp;
$room->sql("INSERT INTO orgusers.invitations (org_id, id, email, expires_at) VALUES ('$MailRoom::OTHER', '018f0000-0000-7000-8000-000000000009', 'bob\@example.com', now() + '1 day')");
$id = $room->invite(org => $MailRoom::OTHER);
$room->sql("UPDATE orgusers.mail_outbox SET invitation_id = '018f0000-0000-7000-8000-000000000009'");
my $news = $room->sql("SELECT orgusers.enqueue_mail('$MailRoom::OTHER', 'user_removed', 'news\@example.com', NULL, 'en', '{}')");
$room->sql("DELETE FROM orgusers.organizations WHERE id = '$MailRoom::OTHER'");
is($room->row($id, 'status'), 'withdrawn', 'an invitation to a deleted organization is withdrawn');
is($room->row($id, 'sealed_token IS NULL'), 't', 'and its token wiped');
is(($room->send_due($smtp))[0], 0, 'sent');
is(join(' ', map { $_->{to}[0] } $room->mails($smtp)), 'news@example.com', 'mail about it arrives');

$room->end;
done_testing();
