# A few histories of many sessions; see Histories.pm.  ORGUSERS_SEED=n repeats the mix, if not its timing;
# ORGUSERS_HISTORIES=n runs so many, or ORGUSERS_MINUTES=n as many as there is time for; ORGUSERS_RESULTS=file gets a table.

use strict;
use warnings;

use Histories;
use Test::More;

my $seed = $ENV{ORGUSERS_SEED} || int(time);
my $wanted = $ENV{ORGUSERS_HISTORIES} || 4;
my $until = time + 60 * ($ENV{ORGUSERS_MINUTES} || 600);
diag("seed $seed");

my $histories = Histories->new(seed => $seed);
while ($histories->{number} < $wanted && time < $until)
{
	$histories->run;
}
my $deadlocks = $histories->deadlocks;
diag(sprintf('%d histories, %d transactions, %d looks between, %d answers about rights: %s', $histories->{number}, $histories->{transactions}, $histories->{looked}, $histories->{compared},
	join(', ', map { "$histories->{states}{$_} $_" } sort keys %{ $histories->{states} })));
diag(join " ", map { sprintf "%s %.2f", $_, $histories->{T}{$_} / $histories->{number} } sort keys %{ $histories->{T} });
diag("deadlock: $deadlocks->{$_} $_") for sort keys %$deadlocks;
diag(join ' ', map { "$_:$histories->{done}{$_}" } sort keys %{ $histories->{done} }) if $ENV{ORGUSERS_RESULTS};

is(join("\n", map { "$_: in histories " . join(' ', sort { $a <=> $b } keys %{ $histories->{failed}{$_} }) } sort keys %{ $histories->{failed} }), '', 'what must hold holds');
# Direct DML locks rows before the organization, and several calls in a transaction take locks in the order of the caller.
is(join("\n", grep { !/\b(several|direct) / } sort keys %$deadlocks), '', 'transactions of one call do not deadlock');
cmp_ok($histories->{done}{$_} || 0, '>', $histories->{number}, "some succeeded: $_") for qw(invite bulk resend accept token join remove roles demote plan edit assign d_roles d_delete);
$histories->finish;
done_testing();
