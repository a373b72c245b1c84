# Processes of the server and the mailer are killed at random points under load: nothing is half done or lost.
# ORGUSERS_CRASH_ROUNDS: how often.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Time::HiRes qw(sleep);
use CrashRoom;
use Test::More;

my $rounds = $ENV{ORGUSERS_CRASH_ROUNDS} || 4;
srand($ENV{ORGUSERS_SEED} || time);
# Durable, as a server is by default.
my $room = CrashRoom->new('crash', conf => "max_prepared_transactions = 10\nrestart_after_crash = on");
my (%rounds, %faulty, $mailer);
my $lost = 0;

my %ways = (
	'one process of the server' => sub { $room->kill_backend },
	'the postmaster, then its children' => sub { $room->kill_server(1) },
	'the whole server at once' => sub { $room->kill_server },
	'the mailer' => sub { $room->stop($mailer, 'KILL'); undef $mailer; sleep rand 0.3; },
	'the whole server and the mailer' => sub { $room->stop($mailer, 'KILL'); undef $mailer; $room->kill_server });
if (!CrashRoom::orphans_are_reaped())
{
	my $why = 'orphans are not reaped here: the whole server cannot be killed and started again';
	die "$why\n" if $ENV{ORGUSERS_LONG};
	diag($why);
	delete @ways{ grep { /postmaster|whole/ } keys %ways };
}
my @ways = grep { $ways{$_} }
  'the whole server and the mailer', 'one process of the server', 'the postmaster, then its children', 'the mailer', 'the whole server at once';

foreach my $round (1 .. $rounds)
{
	my $way = $ways[ ($round - 1) % @ways ];
	$mailer ||= $room->start_mailer($room->{smtp}, '--poll', '1', '--timeout', '2', '--lease', '12', '--batch', '5');
	$room->start_load;
	sleep rand 0.2;
	$ways{$way}();
	my $failed = $way eq 'the mailer' ? $room->terminate_load : $room->end_load;
	$room->recover;
	my @faults = $room->faults;
	is_deeply(\@faults, [], "round $round: $way");
	is_deeply([ grep { !/^(OU\d\d\d|P0002|57P0\d|40001)$/ } keys %$failed ], [], 'who could not go on got an SQLSTATE for it');
	$rounds{$way}++;
	$faulty{$way}++ if @faults;
	$lost += grep { /lost/ } @faults;
}
$room->stop($mailer, 'TERM') if $mailer;
my @faults = $room->drain;
is_deeply(\@faults, [], 'what was left is delivered');

my ($done, $mails) = split /\|/, $room->sql('SELECT (SELECT count(*) FROM load.done), (SELECT count(*) FROM orgusers.mail_outbox)');
cmp_ok($done, '>', $rounds * 6, 'there was load');
diag("$rounds rounds, $done transactions, $room->{checked} told to be committed; $mails mails, $room->{mail} deliveries, " . $room->duplicates . ' of them again');
MailRoom::result("kill -9 of $_, under load", $rounds{$_}, $faulty{$_} || 0) foreach sort keys %rounds;
MailRoom::result('transactions that their client was told of, after recovery', $room->{checked}, $lost);
MailRoom::result('mails of these rounds', $mails, scalar @faults);

$room->end;
done_testing();
