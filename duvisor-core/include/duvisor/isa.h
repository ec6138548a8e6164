/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * Xdv, the delegated-virtualization extension: every number of the ISA
 * contract (docs/isa.md) and nothing else. Only #defines, so that C and
 * assembly of the hypervisor, the kernel module, the tests and QEMU can share
 * it; QEMU's copy (target/riscv/xdv_isa.h) must stay byte-identical.
 */
#ifndef DUVISOR_ISA_H
#define DUVISOR_ISA_H

/* CSRs, user level (0x800-0x8BF): VS state; low byte as in the H extension. */
#define CSR_HUVSSTATUS 0x800
#define CSR_HUVSIE 0x804
#define CSR_HUVSTVEC 0x805
#define CSR_HUVSCOUNTEREN 0x806
#define CSR_HUVSENVCFG 0x80a
#define CSR_HUVSSCRATCH 0x840
#define CSR_HUVSEPC 0x841
#define CSR_HUVSCAUSE 0x842
#define CSR_HUVSTVAL 0x843
#define CSR_HUVSTIMECMP 0x84d
#define CSR_HUVSISELECT 0x850
#define CSR_HUVSATP 0x880

/* CSRs, user level (0x8C0-0x8FF): exit and control state of this vCPU. */
#define CSR_HUSTATUS 0x8c0
#define CSR_HUEDELEG 0x8c1
#define CSR_HUTVEC 0x8c2
#define CSR_HUSCRATCH 0x8c3
#define CSR_HUEPC 0x8c4
#define CSR_HUCAUSE 0x8c5
#define CSR_HUTVAL 0x8c6
#define CSR_HUGPA 0x8c7
#define CSR_HUTINST 0x8c8
#define CSR_HUGATP 0x8c9
#define CSR_HUTIMEDELTA 0x8ca
#define CSR_HUCOUNTEREN 0x8cb
#define CSR_HUVIP 0x8cc
#define CSR_HUDOORBELL 0x8cd
#define CSR_HUFILES 0x8ce
#define CSR_HUFILEGPA 0x8cf

/* CSR, HS level: who may virtualize on this hart. */
#define CSR_HDVCTL 0x6c0

/* hdvctl */
#define HDVCTL_EN 0x1
#define HDVCTL_INDEX_SHIFT 16
#define HDVCTL_INDEX_MASK 0xffff0000
/* An index that no hupost can name: for threads that only post. */
#define HDVCTL_INDEX_NONE 0xffff

/* hustatus; bit positions as in hstatus */
#define HUSTATUS_GVA 0x00000040
#define HUSTATUS_SPV 0x00000080
#define HUSTATUS_SPVP 0x00000100
#define HUSTATUS_VGEIN 0x0003f000
#define HUSTATUS_VTVM 0x00100000
#define HUSTATUS_VTW 0x00200000
#define HUSTATUS_VTSR 0x00400000

/* hugatp; MODE values as in hgatp, the low 44 bits are HVA >> 12 */
#define HUGATP_MODE_SHIFT 60
#define HUGATP_MODE_BARE 0
#define HUGATP_MODE_SV39X4 8
#define HUGATP_MODE_SV48X4 9
#define HUGATP_MODE_SV57X4 10
#define HUGATP_VPN_MASK 0x00000fffffffffff

/*
 * hufiles: how many files there are, from the HVA in the other bits on.
 * hufilegpa: the guest-physical address of the first message page.
 */
#define HUFILES_COUNT_MASK 0xfff
#define HUFILES_MAX 64
#define HUFILEGPA_MASK 0x00fffffffffff000

/* An interrupt file in memory: bytes, offsets, and the largest identity. */
#define XDV_FILE_SIZE 128
#define XDV_FILE_EIP 0
#define XDV_FILE_EIE 32
#define XDV_FILE_EIDELIVERY 64
#define XDV_FILE_EITHRESHOLD 68
#define XDV_FILE_NOTIFY 72
#define XDV_FILE_MAX_ID 255

/* hucause: exceptions as in scause, and four of Xdv's own */
#define DV_CAUSE_INST_MISALIGNED 0
#define DV_CAUSE_ILLEGAL_INST 2
#define DV_CAUSE_BREAKPOINT 3
#define DV_CAUSE_LOAD_MISALIGNED 4
#define DV_CAUSE_STORE_MISALIGNED 6
#define DV_CAUSE_VU_ECALL 8
#define DV_CAUSE_VS_ECALL 10
#define DV_CAUSE_INST_PAGE_FAULT 12
#define DV_CAUSE_LOAD_PAGE_FAULT 13
#define DV_CAUSE_STORE_PAGE_FAULT 15
#define DV_CAUSE_SOFTWARE_CHECK 18
#define DV_CAUSE_INST_GUEST_PAGE_FAULT 20
#define DV_CAUSE_LOAD_GUEST_PAGE_FAULT 21
#define DV_CAUSE_VIRTUAL_INST 22
#define DV_CAUSE_STORE_GUEST_PAGE_FAULT 23
#define DV_CAUSE_HOST_INTERRUPT 48
#define DV_CAUSE_HOST_FAULT 49
#define DV_CAUSE_DOORBELL 50
#define DV_CAUSE_MESSAGE 51

/* huedeleg: the causes that software may give to the guest (writable bits) */
#define HUEDELEG_MASK 0x4b15d

/* huvip and the operand rs2 of hupost; bit positions as in hvip */
#define HUVIP_VSSIP 0x004
#define HUVIP_VSTIP 0x040
#define HUVIP_VSEIP 0x400
#define HUVIP_MASK 0x444
#define HUPOST_DOORBELL 0x001
#define HUPOST_MASK 0x405

/*
 * Instructions: opcode SYSTEM, funct3 0, in the funct7 space that the
 * privileged specification leaves to custom unprivileged use.
 */
#define DV_INSN_HURET 0x8c000073
#define DV_FUNCT7_HURET 0x46
#define DV_FUNCT7_HUPOST 0x47
#define DV_FUNCT7_HUFENCE_V 0x66
#define DV_FUNCT7_HUFENCE_G 0x67

#endif
