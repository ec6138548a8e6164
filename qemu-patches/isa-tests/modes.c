// SPDX-License-Identifier: GPL-2.0-or-later
/* hugatp.MODE on harts that lack some translation modes. */
#include <isatest.h>

static bool satp_holds(u64 mode)
{
	bool held;

	csr_write(CSR_SATP, mode << ATP_MODE_SHIFT);
	held = csr_read(CSR_SATP) >> ATP_MODE_SHIFT == mode;
	csr_write(CSR_SATP, 0);
	return held;
}

void test_main(void)
{
	unsigned int have = 0;

	for (u64 mode = ATP_39; mode <= ATP_57; mode++)
		have += satp_holds(mode);
	test("[CSR-4] this hart lacks a mode");
	CHECK(have > 0 && have < 3);
	for (u64 mode = 0; mode < 16; mode++) {
		bool legal =
			mode == ATP_BARE || (mode >= ATP_39 && mode <= ATP_57 && satp_holds(mode));
		u64 good = 8ul << 60 | 0x100, value = mode << 60 | 0x200;

		test("[CSR-4] hugatp.MODE = %lu, which this hart %s", mode,
		     legal ? "has" : "does not have");
		fresh();
		csr_write(CSR_HUGATP, good);
		csr_write(CSR_HUGATP, value);
		CHECK_EQ(csr_read(CSR_HUGATP), legal ? value : good);
		/* As hgatp does. */
		csr_write(CSR_HGATP, good);
		csr_write(CSR_HGATP, value);
		CHECK_EQ(csr_read(CSR_HGATP) >> 60, legal ? mode : 8);
	}
}
