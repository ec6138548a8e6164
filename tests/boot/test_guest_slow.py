# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests that take longer: every pair of the two kernels, each to a shell."""

import pytest

HOSTS = {"on built": [], "on debian": ["--host-kernel", "debian"]}
GUESTS = {"built": [], "debian": ["--kernel", "debian", "--memory", "512M"]}


@pytest.mark.parametrize("host_args", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("guest_args", GUESTS.values(), ids=GUESTS)
def test_pair_boots_to_a_shell(console, guest_args, host_args):
    guest = console(*host_args, *guest_args, timeout=120)
    guest.expect_exact("guest# ")
    release = guest.ask("uname -r")
    assert release.endswith("-riscv64" if guest_args else "-duvisor")
    log = guest.ask("dmesg")
    for extension in ["TIME", "IPI", "RFENCE", "SRST", "HSM"]:
        assert f"SBI {extension} extension detected" in log
    guest.sendline("exit")
    assert guest.finish() == 0
