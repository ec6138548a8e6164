# SPDX-License-Identifier: GPL-2.0-or-later
"""Directories shared with a guest (--share): files both ways, compared, and no way out of the directory."""

from conftest import host

# The guest's script is in the share, as is all that it brings back.
GUEST = """
cd /tmp; mkdir there
mount -t 9p -o trans=virtio,version=9p2000.L,ro looked /tmp/there && cat there/host; umount there
mount -t 9p -o trans=virtio,version=9p2000.L looked there
touch there/new 2>/dev/null || echo cannot write; echo x 2>/dev/null >>there/host || echo cannot change
rm there/host 2>/dev/null || echo cannot remove

cd /mnt
sha256sum big >guest.sums
head -c 7000077 /dev/urandom >back; sha256sum back >>guest.sums
dd if=back of=back bs=1 count=5 seek=1000 conv=notrunc 2>/dev/null; truncate -s 7000000 back
sha256sum back >>guest.sums; cp back grown; cat big >>grown; sha256sum grown >>guest.sums

mkdir tree; cd tree
for i in $(seq 200); do echo $i >"file number $i ü"; done
echo files $(ls | wc -l) $(cat ./* | wc -l)
mkdir -p a/b/c; mv a/b b; rmdir a; echo kept >b/c/kept; mv "file number 7 ü" b/c/seven; ln b/c/seven eight
echo nine >>eight; cat b/c/seven; rm b/c/kept; rmdir b/c 2>/dev/null || echo not empty
rm -r file*; ls -1R; cd ..

ln -s /secret out; ln -s ../secret up; ln -s /etc etc; readlink up
cat out up etc/passwd 2>/dev/null || echo nothing there
mkfifo pipe; cat pipe & sleep 1; echo through the pipe >pipe; wait $!
mknod device c 1 3 2>/dev/null || echo no devices
chmod 4755 back 2>/dev/null || echo no set-user-id
chmod 640 back; touch -d '2001-02-03 04:05:06' back; chown 12345 back 2>/dev/null || echo not the owner
stat -c '%a %s %y' back | cut -d. -f1
df . | tail -n 1 | tr -s ' ' | cut -d' ' -f1
"""

HOST = f"""
cd /tmp; mkdir 'a share, ü' looked; echo secret >secret; echo secret >/secret; echo of the host >looked/host
cat >'a share, ü/run' <<'END'
{GUEST}
END
mount -t tmpfs none /tmp/looked; echo of the host >looked/host
cd 'a share, ü'; head -c 5000033 /dev/urandom >big; sha256sum big
duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz \\
    --share '/tmp/a share,, ü' --share /tmp/looked,ro,tag=looked \\
    -p 'console=ttyS0 quiet -- sh -c "mkdir /mnt; mount -t 9p -o trans=virtio,version=9p2000.L share /mnt && sh /mnt/run"' \\
    </dev/null 2>&1 | tr -d '\\r'
pidof duvisor-share && echo a process is left
echo the host:
cat guest.sums; sha256sum back grown; stat -c '%a %s %u' back; ls /tmp/looked
find tree | sort; cat tree/eight; readlink out; readlink up; ls -l pipe | cut -c1; ls device 2>/dev/null; cat /secret /tmp/secret
"""


def test_files_go_both_ways_and_nothing_is_reached_but_the_directory():
    done = host(HOST, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    guest, _, seen = done.stdout.partition("the host:\n")
    assert "a process is left" not in guest
    told = [line for line in guest.splitlines() if "Power down" not in line]
    big = told.pop(0)
    assert told == [
        "of the host", "cannot write", "cannot change", "cannot remove",
        "files 200 200", "7", "nine", "not empty", ".:", "b", "eight", "", "./b:", "c", "", "./b/c:", "seven",
        "../secret", "nothing there", "through the pipe", "no devices", "no set-user-id", "not the owner",
        "640 7000000 2001-02-03 04:05:06", "share"], done.stdout
    lines = seen.splitlines()
    sums, lines = lines[:4], lines[4:]
    assert sums[0] == big and sums[2:] == lines[:2], seen
    assert lines[2:] == ["640 7000000 0", "host", "tree", "tree/b", "tree/b/c", "tree/b/c/seven", "tree/eight", "7",
                         "nine", "/secret", "../secret", "p", "secret", "secret"], seen


def test_a_share_that_cannot_be():
    done = host("""
touch /tmp/file
for dir in '/tmp/none ü' /tmp/file; do
    duvisor run -k /guest/Image --share "$dir" </dev/null; echo $?
done
""")
    assert done.stdout.splitlines() == [
        "duvisor: cannot share the directory '/tmp/none ü': No such file or directory", "2",
        "duvisor: cannot share the directory '/tmp/file': Not a directory", "2"]


def test_a_server_that_dies_takes_the_share_with_it_and_not_the_guest():
    done = host("""
mkdir /tmp/dir
duvisor run -k /guest/Image -i /guest/initramfs.cpio.gz --share /tmp/dir -p 'console=ttyS0 quiet -- sh -c "
    mkdir /mnt; mount -t 9p -o trans=virtio,version=9p2000.L share /mnt; touch /mnt/there
    until [ -e /mnt/gone ]; do sleep 0.1; done; (ls /mnt >/dev/null 2>&1 &) ; sleep 2; echo the guest lives"' \
    </dev/null & vm=$!
until [ -e /tmp/dir/there ]; do sleep 0.1; done
touch /tmp/dir/gone; sleep 0.1; kill -9 $(pidof duvisor-share)
wait $vm; echo $?
""", timeout=120)
    assert "the guest lives" in done.stdout and done.stdout.split()[-1] == "0", done.stdout + done.stderr
    assert "the process that shares a directory with the guest is gone" in done.stdout
