#!/bin/bash
# Runs in place of talasd, in the sandbox of talasd.service, and tries what must not work. Prints a line for
# each attempt that got through, and "the end" when it has tried everything.
set -u

through() {
    echo "through: $*"
}

# A network: no socket at all, and nobody at the machine's own address.
(exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null && through "a connection over TCP"
perl -e 'use Socket; socket(my $s, PF_INET, SOCK_DGRAM, 0) or exit 1' 2>/dev/null && through "a socket of the Internet"
perl -e 'use Socket; socket(my $s, 16, SOCK_DGRAM, 0) or exit 1' 2>/dev/null && through "a netlink socket"

# Files outside its own directories.
for folder in / /etc /etc/talas /usr /usr/bin /var/lib /opt /boot /srv; do
    [ ! -d "$folder" ] || touch "$folder/talas-probe" 2>/dev/null && [ -e "$folder/talas-probe" ] && through "writing to $folder"
done
for folder in /root /home; do
    [ -z "$(ls -A "$folder" 2>/dev/null)" ] || through "looking into $folder"
done
for folder in /var/lib/talas /var/cache/talas; do
    { touch "$folder/probe" && rm "$folder/probe"; } || through "nothing: $folder is closed, too"
done
[ "$(stat -c %a /etc/credstore/talasd.jwt 2>/dev/null)" ] && [ -r /etc/credstore/talasd.jwt ] && through "reading the secret's file"
[ -r "$CREDENTIALS_DIRECTORY/talasd.jwt" ] || through "nothing: the credential is missing"

# Memory that is written and run: mmap with PROT_WRITE and PROT_EXEC.
case $(uname -m) in
x86_64) mmap=9 ;;
aarch64) mmap=222 ;;
esac
perl -e 'exit(syscall($ARGV[0] + 0, 0, 4096, 7, 0x22, -1, 0) == -1 ? 1 : 0)' "$mmap" && through "memory to write and run"

# Privileges and namespaces.
unshare --user true 2>/dev/null && through "a user namespace"
mount -t tmpfs tmpfs /tmp 2>/dev/null && through "a mount"
cp /bin/true /tmp/suid && chmod 4755 /tmp/suid 2>/dev/null && [ -u /tmp/suid ] && through "a set-user-id program"
grep -qx 'NoNewPrivs:	1' /proc/self/status || through "new privileges"
grep -qx 'Seccomp:	2' /proc/self/status || through "system calls without a filter"
grep -qx 'CapEff:	0000000000000000' /proc/self/status || through "capabilities"

# Other processes, and devices other than sound.
[ ! -e /proc/1/status ] || through "looking at process 1"
for device in mem kmsg sda vda loop0 fuse tun input dri video0; do
    [ ! -e "/dev/$device" ] || through "the device $device"
done
[ -d /dev/snd ] || through "nothing: /dev/snd is missing"

# The kernel's settings.
(echo 1 >/proc/sys/kernel/sysrq) 2>/dev/null && through "a setting of the kernel"
date -s @0 >/dev/null 2>&1 && through "the clock"
echo "the end"
