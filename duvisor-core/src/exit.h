/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each kind of exit means: one table from cause to handler. */
#ifndef DUVISOR_EXIT_H
#define DUVISOR_EXIT_H

struct vcpu;
struct vcpu_trap;

/* Handle the exit. Returns enum vcpu_result, or a negative errno if it cannot be. */
int exit_dispatch(struct vcpu *vcpu, struct vcpu_trap *trap);

#endif
