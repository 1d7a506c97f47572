# Replaces string constants of an x86-64 library by longer ones.
#
# Usage: relocate-strings.pl LIBRARY RPATH OLD=NEW…
# patchelf puts the new strings at the end of the library's run path, in a segment that it adds and that is
# loaded. The colons between them become NULs, so that the run path ends where it did, and each
# `lea register, [rip + old]` is pointed at the new string.
use strict;
use warnings;

my ($library, $rpath, @pairs) = @ARGV;
my %new_of = map { split /=/, $_, 2 } @pairs;
my @old = sort keys %new_of;
system('patchelf', '--set-rpath', join(':', $rpath, map { $new_of{$_} } @old), $library) == 0
    or die "patchelf failed on $library\n";

open my $input, '<:raw', $library or die "$library: $!\n";
my $bytes = do { local $/; <$input> };
close $input;

# ELF-64: e_phoff at 0x20, e_phentsize at 0x36, e_phnum at 0x38; a PT_LOAD is 1 and executable when bit 0 is set.
my $program_headers = unpack 'Q<', substr($bytes, 0x20, 8);
my ($entry_size, $count) = unpack 'S<S<', substr($bytes, 0x36, 4);
my @segments = grep { $_->{type} == 1 } map {
    my ($type, $flags, $offset, $address, undef, $size) =
        unpack 'L<L<Q<Q<Q<Q<', substr($bytes, $program_headers + $_ * $entry_size, $entry_size);
    { type => $type, flags => $flags, offset => $offset, address => $address, size => $size };
} 0 .. $count - 1;

sub address_of {
    my ($offset) = @_;
    for my $segment (@segments) {
        next if $offset < $segment->{offset} || $offset >= $segment->{offset} + $segment->{size};
        return $offset - $segment->{offset} + $segment->{address};
    }
    die "offset $offset of $library is not loaded\n";
}

my %new_address_of;
for my $old (@old) {
    my $old_offset = index $bytes, "\0$old\0";
    my $new_offset = rindex $bytes, ":$new_of{$old}";
    die "$library does not hold $old\n" if $old_offset < 0 || $new_offset < 0;
    substr($bytes, $new_offset, 1) = "\0";
    $new_address_of{ address_of($old_offset + 1) } = address_of($new_offset + 1);
}

my %moved;
for my $segment (grep { $_->{flags} & 1 } @segments) {
    my $code = substr $bytes, $segment->{offset}, $segment->{size};
    while ($code =~ /[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]/g) {
        my $next = pos($code) + 4;
        my $old_address = $segment->{address} + $next + unpack 'l<', substr($code, pos $code, 4);
        my $new_address = $new_address_of{$old_address} // next;
        substr($bytes, $segment->{offset} + pos($code), 4) =
            pack 'l<', $new_address - $segment->{address} - $next;
        $moved{$old_address} = 1;
    }
}
die "not every string of $library is used by a lea instruction\n" if keys %moved != @old;

open my $output, '>:raw', $library or die "$library: $!\n";
print {$output} $bytes or die "$library: $!\n";
close $output or die "$library: $!\n";
