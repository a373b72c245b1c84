# An SMTP server that refuses, hangs or hangs up at each stage; leases that end while a mail is on its way; rows that no
# mailer can send.  What is behind the mail in trouble is sent at once, and the mail itself later, always as the same one.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Time::HiRes qw(sleep time);
use MailRoom;
use PostgreSQL::Test::Utils;
use Test::More;

my $room = MailRoom->new('stages');
my $smtp = $room->smtp('--brief');
my (%tried, %failed);
my $failed = 0;

# Counts one case for the campaign's table, failed if a test has since the last one.
sub tried
{
	my ($what) = @_;
	my $now = grep { !$_ } Test::More->builder->summary;
	$tried{$what}++;
	$failed{$what}++ if $now > $failed;
	$failed = $now;
	return;
}

my $mails = sub { my ($id) = @_; scalar grep { $_->{message_id} eq "<$id\@example.org>" } $room->mails($smtp) };

# So many mails; their ids.
my $enqueue = sub { my ($n) = @_; split /\n/, $room->sql("SELECT orgusers.enqueue_mail('$MailRoom::ORG', 'user_removed', ('p' || n || '\@example.com')::orgusers.email, NULL, 'en', '{}') FROM generate_series(1, $n) n") };
my $statuses = sub { $room->sql("SELECT string_agg(status, ' ' ORDER BY recipient) FROM orgusers.mail_outbox") };

# What the server does, and what becomes of the first mail.
# ORGUSERS_LONG: at every stage; 051_mailer_faults.pl has the others once.
my @stages = $ENV{ORGUSERS_LONG} ? qw(connect ehlo mail rcpt data message taken) : qw(connect ehlo mail data);
foreach (
	# Refused after EHLO, curl tries HELO.
	(map { [ $_, '421 4.3.2 later', $_ eq 'ehlo' ? 'sent' : 'queued' ] } @stages),
	(map { [ $_, '554 5.3.2 never', $_ =~ /connect|mail/ ? 'queued' : $_ eq 'ehlo' ? 'sent' : 'dead' ] } @stages),
	(map { [ $_, 'cut', 'queued' ] } @stages),
	(map { [ $_, 'hang', 'queued' ] } $ENV{ORGUSERS_LONG} ? @stages : qw(ehlo message)),
	# When the server has taken the mail, or has refused it, how it says good-bye does not matter.
	(map { [ 'quit', $_, 'sent' ] } '421 4.3.2 later', '554 5.3.2 never', 'cut', 'hang'),
	[ 'rcpt', "554 5.3.2 never\nquit hang", 'dead' ])
{
	my ($stage, $how, $status) = @$_;
	my ($first, @behind) = $enqueue->(3);
	my $name = "$stage: $how" =~ s/\n/, /r;
	append_to_file("$smtp->{directory}/fault", "$stage $how\n");
	my $start = time;
	my ($code) = $room->send_due($smtp, '--timeout', $how eq 'hang' ? ($ENV{ORGUSERS_LONG} ? 10 : 2) : 40);
	my $took = time - $start;
	# The mailer does not wait for the answer to its good-bye.
	ok(MailRoom::wait_until(sub { !-s "$smtp->{directory}/fault" }), "$name: it comes to that");
	is($code, $status eq 'sent' ? 0 : 75, "$name: exit code");
	is($statuses->(), "$status sent sent", "$name: the mail is $status, those behind it are sent");
	cmp_ok($took, '<', 60, "$name: the mailer is not held");
	my $arrived = $status eq 'sent' || $stage eq 'taken' ? 1 : 0;
	is($mails->($first), $arrived, "$name: how often it has arrived");
	if ($status eq 'queued')
	{
		$room->make_due;
		is(($room->send_due($smtp))[0], 0, "$name: later it is sent");
		is($mails->($first), $arrived + 1, "$name: as the same mail");
	}
	is($mails->($_), 1, "$name: another once") foreach @behind;
	$room->forget;
	tried('an SMTP server that fails at a stage');
}

# A mailer that is too slow for its lease: another has the mail when it answers, and it is not heard.
foreach my $reply ('250 OK', '451 4.3.0 later', '554 5.6.0 never')
{
	my $slow = $room->smtp('--brief');
	append_to_file("$slow->{directory}/fault", "message hold $reply\n");
	$enqueue->(2);
	my $mailer = $room->start_mailer($slow, '--poll', '1', '--batch', '1');
	MailRoom::wait_until(sub { !-s "$slow->{directory}/fault" });
	my @claim = split /\|/, $room->sql("UPDATE orgusers.mail_outbox SET due_at = now() - interval '1 h' WHERE status = 'leased'; SELECT org_id, id, fence FROM orgusers.claim_mail(1)");
	append_to_file("$slow->{directory}/go", '');
	ok(MailRoom::wait_until(sub { slurp_file($mailer->{log}) =~ /refuses.*OU403.*could not tell the outbox/s }), "$reply: the old holder's answer is refused");
	like($room->row($claim[1], "status || ' ' || (fence = '$claim[2]') || ' ' || coalesce(last_error, '-')"), qr/^leased true -$/, "$reply: the lease stays the other's");
	ok(MailRoom::wait_until(sub { $room->mails($slow) == 1 }), "$reply: the old holder goes on with what is behind it");
	$room->sql("SELECT orgusers.mail_sent('$claim[0]', '$claim[1]', '$claim[2]')");
	ok(MailRoom::wait_until(sub { $statuses->() eq 'sent sent' }), "$reply: the new holder's answer is taken");
	is($room->stop($mailer, 'TERM'), 0, "$reply: the mailer is well");
	$room->forget;
	tried('a lease that ends while the mail is on its way');
}

# A database that does not take the answer, by a trigger of its owner: what may pass is said again within the lease.
$room->sql(q{
CREATE SEQUENCE refusals;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('public.refusals') <= TG_ARGV[1]::int THEN
		RAISE 'not now' USING ERRCODE = TG_ARGV[0];
	END IF;
	RETURN NEW;
END $$;});
foreach ([ '40P01', 1, 'sent' ], [ '53100', 2, 'sent' ], [ '42501', 1, 'leased' ], $ENV{ORGUSERS_LONG} ? [ '57014', 1000, 'leased' ] : ())
{
	my ($state, $times, $status) = @$_;
	my $name = "$times times $state";
	$room->sql("CREATE TRIGGER refuse BEFORE UPDATE ON orgusers.mail_outbox FOR EACH ROW WHEN (NEW.status = 'sent') EXECUTE FUNCTION refuse('$state', '$times'); SELECT setval('refusals', 1, false)");
	$room->notify;
	my $start = time;
	my ($code, $log) = $room->send_due($smtp, '--timeout', '1', '--lease', '11');
	cmp_ok(time - $start, '<', 11, "$name: the lease is the end");
	is($statuses->(), $status, "$name: $status");
	my $refused = () = $log =~ /refuses/g;
	ok($times < 1000 ? $refused == $times : $refused > 2, "$name: $refused times it was said in vain");
	is($log =~ /could not tell/, $status ne 'sent', "$name: and whether that is known");
	$room->sql('DROP TRIGGER refuse ON orgusers.mail_outbox');
	$room->make_due;
	is(($room->send_due($smtp))[0], 0, "$name: once more");
	is($mails->($room->sql('SELECT id FROM orgusers.mail_outbox')), $status eq 'sent' ? 1 : 2, "$name: a mail goes out again only if it was not taken");
	$room->forget;
	tried('a database that refuses the answer');
}

# Rows that only the database's owner can write, such as what a later version may know.  Each is given up by itself.
$room->sql('ALTER TABLE orgusers.mail_outbox DROP CONSTRAINT mail_outbox_kind_check, DROP CONSTRAINT mail_outbox_variables_check, DROP CONSTRAINT mail_outbox_sealed_token_check');
my %poisoned = (
	'a kind that nobody knows'  => [ 'invite', "kind = 'love_letter'", qr/template is gone/ ],
	'a kind with other words'   => [ 'notify', "kind = 'invitation'", qr/no value/ ],
	'garbage for a token'       => [ 'invite', "sealed_token = decode(repeat('00ff', 200), 'hex')", qr/does not open/ ],
	'a huge token'              => [ 'invite', "sealed_token = convert_to(repeat('x', 20000000), 'UTF8')", qr/does not open/ ],
	'variables that are a list' => [ 'notify', "variables = '[1, 2]'", qr/not a JSON object/ ],
	'variables of all kinds'    => [ 'notify', q(variables = '{"organization": 1, "product": true, "recipient": [{}]}'), qr/no value/ ],
	'deep variables'            => [ 'notify', "variables = (repeat('[', 3000) || repeat(']', 3000))::jsonb", qr/not a JSON object/ ],
	'huge variables'            => [ 'notify', "variables = variables || jsonb_build_object('organization', repeat('x', 50000000))", qr/too long/ ],
	'control characters'        => [ 'notify', q(variables = variables || '{"organization": "\u0001\u001b[2J"}'), undef ],
	'a huge name'               => [ 'notify', "recipient_name = repeat('x ', 500000)", undef ],
	'a locale of its own'       => [ 'notify', "locale = repeat('x', 100000)", undef ]);
foreach my $name (sort keys %poisoned)
{
	my ($way, $change, $reason) = @{ $poisoned{$name} };
	my $poison = $room->$way(to => 'poison@example.com');
	$room->sql("UPDATE orgusers.mail_outbox SET $change WHERE id = '$poison'");
	my $behind = $room->notify(to => 'behind@example.com');
	my ($code, $log) = $room->send_due($smtp, '--timeout', '10');
	is($code, $reason ? 75 : 0, "$name: exit code");
	is($room->row($poison, 'status'), $reason ? 'dead' : 'sent', "$name: " . ($reason ? 'given up' : 'sent'));
	like($room->row($poison, 'last_error'), $reason, "$name: why") if $reason;
	cmp_ok(length($log), '<', 5000, "$name: the log stays short");
	is($room->row($behind, 'status'), 'sent', "$name: what is behind it is sent");
	is($mails->($behind), 1, "$name: once");
	$room->forget;
	tried('a row that no mailer can send');
}
MailRoom::result($_, $tried{$_}, $failed{$_} || 0) foreach sort keys %tried;

$room->end;
done_testing();
