/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encoders for the instructions that the tests put together at run time. */
#ifndef ISATEST_INSN_H
#define ISATEST_INSN_H

#include <stdint.h>

#define X0 0
#define RA 1
#define SP 2
#define T0 5
#define T1 6
#define T2 7
#define S0 8
#define S1 9
#define A0 10
#define A1 11
#define A2 12
#define A3 13
#define A4 14
#define A5 15
#define A6 16
#define A7 17
#define S2 18

#define INSN_R(op, f3, f7, rd, rs1, rs2)                                                           \
	((uint32_t)(op) | (uint32_t)(rd) << 7 | (uint32_t)(f3) << 12 | (uint32_t)(rs1) << 15 |     \
	 (uint32_t)(rs2) << 20 | (uint32_t)(f7) << 25)
#define INSN_I(op, f3, rd, rs1, imm)                                                               \
	((uint32_t)(op) | (uint32_t)(rd) << 7 | (uint32_t)(f3) << 12 | (uint32_t)(rs1) << 15 |     \
	 ((uint32_t)(imm)&0xfff) << 20)
#define INSN_S(op, f3, rs1, rs2, imm)                                                              \
	((uint32_t)(op) | ((uint32_t)(imm)&0x1f) << 7 | (uint32_t)(f3) << 12 |                     \
	 (uint32_t)(rs1) << 15 | (uint32_t)(rs2) << 20 | (((uint32_t)(imm) >> 5) & 0x7f) << 25)

#define INSN_B(f3, rs1, rs2, imm)                                                                  \
	(0x63u | (((uint32_t)(imm) >> 11) & 1) << 7 | (((uint32_t)(imm) >> 1) & 15) << 8 |         \
	 (uint32_t)(f3) << 12 | (uint32_t)(rs1) << 15 | (uint32_t)(rs2) << 20 |                    \
	 (((uint32_t)(imm) >> 5) & 63) << 25 | (((uint32_t)(imm) >> 12) & 1) << 31)
#define BEQ(rs1, rs2, imm) INSN_B(0, rs1, rs2, imm)
#define BNE(rs1, rs2, imm) INSN_B(1, rs1, rs2, imm)
#define BLTU(rs1, rs2, imm) INSN_B(6, rs1, rs2, imm)
#define ADDI(rd, rs1, imm) INSN_I(0x13, 0, rd, rs1, imm)
#define NOP ADDI(X0, X0, 0)
#define LB(rd, rs1, imm) INSN_I(0x03, 0, rd, rs1, imm)
#define LH(rd, rs1, imm) INSN_I(0x03, 1, rd, rs1, imm)
#define LW(rd, rs1, imm) INSN_I(0x03, 2, rd, rs1, imm)
#define LD(rd, rs1, imm) INSN_I(0x03, 3, rd, rs1, imm)
#define LBU(rd, rs1, imm) INSN_I(0x03, 4, rd, rs1, imm)
#define LHU(rd, rs1, imm) INSN_I(0x03, 5, rd, rs1, imm)
#define LWU(rd, rs1, imm) INSN_I(0x03, 6, rd, rs1, imm)
#define FLH(rd, rs1, imm) INSN_I(0x07, 1, rd, rs1, imm)
#define FLW(rd, rs1, imm) INSN_I(0x07, 2, rd, rs1, imm)
#define FLD(rd, rs1, imm) INSN_I(0x07, 3, rd, rs1, imm)
#define SB(rs2, rs1, imm) INSN_S(0x23, 0, rs1, rs2, imm)
#define SH(rs2, rs1, imm) INSN_S(0x23, 1, rs1, rs2, imm)
#define SW(rs2, rs1, imm) INSN_S(0x23, 2, rs1, rs2, imm)
#define SD(rs2, rs1, imm) INSN_S(0x23, 3, rs1, rs2, imm)
#define FSH(rs2, rs1, imm) INSN_S(0x27, 1, rs1, rs2, imm)
#define FSW(rs2, rs1, imm) INSN_S(0x27, 2, rs1, rs2, imm)
#define FSD(rs2, rs1, imm) INSN_S(0x27, 3, rs1, rs2, imm)
#define JALR(rd, rs1, imm) INSN_I(0x67, 0, rd, rs1, imm)
#define AMO(f5, width, rd, rs1, rs2) INSN_R(0x2f, width, (f5) << 2, rd, rs1, rs2)
#define LR_W(rd, rs1) AMO(2, 2, rd, rs1, X0)
#define LR_D(rd, rs1) AMO(2, 3, rd, rs1, X0)
#define SC_W(rd, rs1, rs2) AMO(3, 2, rd, rs1, rs2)
#define SC_D(rd, rs1, rs2) AMO(3, 3, rd, rs1, rs2)
#define AMOADD_D(rd, rs1, rs2) AMO(0, 3, rd, rs1, rs2)
#define AMOSWAP_D(rd, rs1, rs2) AMO(1, 3, rd, rs1, rs2)

#define SYSTEM 0x73
#define CSRRW(rd, csr, rs1) INSN_I(SYSTEM, 1, rd, rs1, csr)
#define CSRRS(rd, csr, rs1) INSN_I(SYSTEM, 2, rd, rs1, csr)
#define CSRRC(rd, csr, rs1) INSN_I(SYSTEM, 3, rd, rs1, csr)
#define CSRRWI(rd, csr, imm) INSN_I(SYSTEM, 5, rd, imm, csr)
#define CSRRSI(rd, csr, imm) INSN_I(SYSTEM, 6, rd, imm, csr)
#define CSRRCI(rd, csr, imm) INSN_I(SYSTEM, 7, rd, imm, csr)
#define ECALL 0x00000073u
#define EBREAK 0x00100073u
#define SRET 0x10200073u
#define MRET 0x30200073u
#define WFI 0x10500073u
#define FENCE_I 0x0000100fu
#define CBO(operation, rs1) INSN_I(0x0f, 2, X0, rs1, operation)
#define SFENCE_VMA(rs1, rs2) INSN_R(SYSTEM, 0, 0x09, X0, rs1, rs2)
#define HFENCE_VVMA(rs1, rs2) INSN_R(SYSTEM, 0, 0x11, X0, rs1, rs2)
#define HFENCE_GVMA(rs1, rs2) INSN_R(SYSTEM, 0, 0x31, X0, rs1, rs2)
#define SINVAL_VMA(rs1, rs2) INSN_R(SYSTEM, 0, 0x0b, X0, rs1, rs2)
#define HINVAL_VVMA(rs1, rs2) INSN_R(SYSTEM, 0, 0x13, X0, rs1, rs2)
#define HINVAL_GVMA(rs1, rs2) INSN_R(SYSTEM, 0, 0x33, X0, rs1, rs2)

#define HLV(f7, sel, rd, rs1) INSN_R(SYSTEM, 4, f7, rd, rs1, sel)
#define HLV_B(rd, rs1) HLV(0x30, 0, rd, rs1)
#define HLV_BU(rd, rs1) HLV(0x30, 1, rd, rs1)
#define HLV_H(rd, rs1) HLV(0x32, 0, rd, rs1)
#define HLV_HU(rd, rs1) HLV(0x32, 1, rd, rs1)
#define HLVX_HU(rd, rs1) HLV(0x32, 3, rd, rs1)
#define HLV_W(rd, rs1) HLV(0x34, 0, rd, rs1)
#define HLV_WU(rd, rs1) HLV(0x34, 1, rd, rs1)
#define HLVX_WU(rd, rs1) HLV(0x34, 3, rd, rs1)
#define HLV_D(rd, rs1) HLV(0x36, 0, rd, rs1)
#define HSV_B(rs2, rs1) INSN_R(SYSTEM, 4, 0x31, X0, rs1, rs2)
#define HSV_H(rs2, rs1) INSN_R(SYSTEM, 4, 0x33, X0, rs1, rs2)
#define HSV_W(rs2, rs1) INSN_R(SYSTEM, 4, 0x35, X0, rs1, rs2)
#define HSV_D(rs2, rs1) INSN_R(SYSTEM, 4, 0x37, X0, rs1, rs2)

#define HURET DV_INSN_HURET
#define HUPOST(rd, rs1, rs2) INSN_R(SYSTEM, 0, DV_FUNCT7_HUPOST, rd, rs1, rs2)
#define HUFENCE_V(rs1, rs2) INSN_R(SYSTEM, 0, DV_FUNCT7_HUFENCE_V, X0, rs1, rs2)
#define HUFENCE_G(rs1) INSN_R(SYSTEM, 0, DV_FUNCT7_HUFENCE_G, X0, rs1, X0)

#endif
