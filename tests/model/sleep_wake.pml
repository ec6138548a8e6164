/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a vCPU goes to sleep and is woken (duvisor-core/src/vcpu.c: vcpu_wait_for_interrupt, vcpu_kick,
 * vcpu_send_ipi; the module's switching and interrupt files: docs/isa.md, sections 3, 8 and 9.2), as a model that Spin
 * searches completely. It must have no invalid end state: the vCPU ends when it has served the kick and
 * its guest has taken the IPI and the message, so one that is lost leaves it asleep, or computing, for ever.
 *
 * Five processes: the vCPU's thread; who kicks it (I/O thread or another vCPU); who sends it an IPI; a guest that
 * stores a message to its interrupt file; and the host's scheduler, which takes the hart away and gives it back at any point.
 *
 * Each -D below swaps or leaves out one step. Then there must be an error: tests/model/check.
 */

#define KICK 1
#define SOFT 2
#define EXT 4

#define SWITCHES 3

byte request;  /* vcpu->request */
bool sleeping; /* vcpu->sleeping */
bool vssip;    /* huvip.VSSIP of the vCPU, on a hart or saved */
bool doorbell; /* hudoorbell of its hart */
bool resident; /* on a hart: hupost reaches it */
bool blocked;  /* in futex_wait */
bool served;   /* the vCPU has seen the kick */
bool taken;    /* the guest has taken the IPI */
bool eip;      /* the file: a message pends */
bool vseip;    /* huvip.VSEIP of the vCPU */
bool stale;    /* hufiles has been written: huret looks at the file */
bool got;      /* the guest has taken the message */

/* hupost decides and delivers in one step (POST-4). */
inline post(what, delivered)
{
	atomic {
		delivered = resident;
		what = what || resident
	}
}

inline wake_or_ring(delivered)
{
	if
	:: sleeping -> blocked = false /* FUTEX_WAKE */
	:: else ->
#ifndef NO_DOORBELL
		post(doorbell, delivered)
#else
		skip
#endif
	fi
}

inline kick(bits, delivered)
{
#ifdef LOOK_BEFORE_REQUEST
	if
	:: sleeping -> request = request | bits; blocked = false
	:: else -> request = request | bits; post(doorbell, delivered)
	fi
#else
	request = request | bits;
	wake_or_ring(delivered)
#endif
}

active proctype kicker()
{
	bool delivered;

	kick(KICK, delivered)
}

active proctype sender()
{
	bool delivered;

	post(vssip, delivered);
	if
#ifdef TRUST_THE_POST
	:: delivered -> skip
#else
	:: delivered && !sleeping -> skip
#endif
	:: else -> kick(SOFT, delivered)
	fi
}

/* What a hart does with a store to a message page; the file's `notify` is `sleeping`. */
active proctype messenger()
{
	bool delivered;

#ifdef POST_BEFORE_MESSAGE
	post(vseip, delivered);
	eip = true;
#else
	eip = true;
	post(vseip, delivered);
#endif
#ifndef NO_NOTIFY
	if
	:: sleeping -> kick(EXT, delivered)
	:: else -> skip
	fi
#endif
}

/*
 * It takes the hart away a few times at most: what only the next switch would bring about is late without
 * bound, and so lost.
 */
active proctype scheduler()
{
	byte away;

end:
	do
	:: atomic { resident && away < SWITCHES -> resident = false; away++ }
	:: atomic {
		!resident && !blocked -> resident = true;
#ifndef NO_DOORBELL_AT_SWITCH
		doorbell = true;
#endif
		stale = true
	}
	od
}

/* The thread runs only while it has a hart and does not wait in the kernel. */
#define RUNS (resident && !blocked)

/* Nothing more will come. */
#define DONE (served && taken && got)

/* vcpu_sync_ext_irq(), and what a hart does at a huret and after a claim. */
inline look_at_file()
{
#ifdef LOOK_BEFORE_CLEAR
	atomic { RUNS -> found = eip };
	atomic { RUNS -> vseip = found }
#else
	atomic { RUNS -> vseip = false };
	atomic { RUNS -> vseip = vseip || eip }
#endif
}

inline wait_for_interrupt()
{
#ifndef ANNOUNCE_LATE
	atomic { RUNS -> sleeping = true };
#endif
#ifndef SLEEP_WITHOUT_FILE
	look_at_file();
#endif
	if
	:: atomic { RUNS && (vssip || vseip) -> skip }
	:: atomic { RUNS && !vssip && !vseip -> skip };
#ifdef ANNOUNCE_LATE
		atomic { RUNS -> sleeping = true };
#endif
		/* The kernel compares and puts to sleep under one lock. */
		atomic { RUNS -> blocked = (request == 0) }
	fi;
	if
	:: atomic { RUNS -> sleeping = false }
	:: DONE -> goto done /* it may sleep on */
	fi
}

active proctype vcpu()
{
	byte requests;
	bool found;

	do
	:: DONE -> break
	:: atomic { RUNS && !DONE -> requests = request; request = 0 };
		atomic {
			RUNS -> served = served || (requests & KICK);
			vssip = vssip || (requests & SOFT)
		};
		if
		:: requests & EXT -> look_at_file()
		:: else -> skip
		fi;
#ifndef ENTER_WITHOUT_FILE
		if
		:: atomic { RUNS && stale -> stale = false }; look_at_file()
		:: atomic { RUNS && !stale -> skip }
		fi;
#endif
		/* In the guest: an interrupt or the doorbell ends it; or else it executes WFI, or never does. */
		if
		:: atomic { RUNS && vssip -> vssip = false; taken = true }
		:: atomic { RUNS && vseip -> got = got || eip; eip = false };
			look_at_file()
		:: atomic { RUNS && doorbell -> doorbell = false }
		:: atomic { RUNS && !vssip && !vseip && !doorbell -> skip };
			wait_for_interrupt()
		:: atomic { RUNS && !vssip && !vseip && !doorbell -> skip };
			if
			:: atomic { RUNS && (vssip || vseip || doorbell) -> skip }
			:: DONE -> break
			fi
		fi
	od;
done:	skip
}
