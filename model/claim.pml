/*
 * The claim protocol: who may move the Elastic IP, and what a call that comes late can still do.
 *
 * It follows fsm/apply.go (what is granted), internal/controller/claim.go (the order of steps, what is done after which
 * outcome), watch.go (guard and repair) and departure.go (releases). docs/MODEL.md says what is left out, how it is run
 * and how a counterexample is read; `go run ./model` runs it.
 *
 * Consensus is taken as given: one log, one leader per term that can commit to it, terms only grow. Everything else may go
 * wrong at any moment: a leader is deposed without knowing it, its process goes on beside its re-elected self, calls wait for
 * ever, are lost or are executed after their sender is gone, answers and reads lie about the present.
 */

#ifndef NODES
#define NODES 2		/* claimants: A, B, C */
#endif
#ifndef TERMS
#define TERMS 3		/* elections, the first one included */
#endif
#ifndef IDS
#define IDS 4		/* associations that EC2 can make */
#endif
#ifndef LOST
#define LOST 1		/* answers that a leader never gets, and calls that certainly fail */
#endif
#ifndef STALE
#define STALE 2		/* reads that show the past */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef DEPARTS
#define DEPARTS 1	/* planned moves */
#endif
#ifndef FOREIGN
#define FOREIGN 0	/* moves by a person */
#endif

#if !defined(STRICT) && !defined(BALANCED) && !defined(FAST)
#error choose a fencing: STRICT, BALANCED or FAST
#endif

#if NODES > 3 || TERMS > 5 || IDS > 14
#error the sets below are too small for that
#endif

#define PROCS	(2 * NODES)	/* two of each node: 2n is the old goroutine, 2n+1 the present one */
#define NOBODY	NODES		/* no node; as an owner: a person's machine */
#define ORPHAN	(1 << NODES)	/* attempts that no process can settle any more */

#define node(i)		((i) / 2)
#define old(n)		(2 * (n))
#define present(n)	(2 * (n) + 1)
#define only(n)		(1 << (n))
#define letter(n)	('A' + (n))

/* ---- The claimants: internal/controller/claim.go ---- */

mtype = {
	idle, starting, reading,
	claimIfReleased, asking, releasing, claimHandover,	/* someone else claimed last */
	claimRead, claimDisplace,				/* after a read */
	readLate,						/* NO_QUORUM_ROUND only */
	disassociating, associating, confirming, holding, leaving
}

typedef Claimant {
	mtype at;
	byte term;	/* of its leadership */
	byte id;	/* read, to be displaced, or answered */
	bool reassociate;	/* the call: AllowReassociation */
	bool again;	/* a read was refused as superseded before */
	bool settled	/* the release that was got settles the attempt */
}

Claimant p[PROCS];

#define calling(i)	(p[i].at == disassociating || p[i].at == associating)
#define inFlight(n)	(calling(old(n)) || calling(present(n)))
#define deposed(i)	(p[i].term < term)
#define leads(i)	(p[i].term == term && leader == node(i))

/* ---- The committed state: fsm/state.go, type Address ---- */

byte term;			/* the newest */
byte leader = NOBODY;		/* of the newest term, NOBODY after its crash */

byte claimant = NOBODY;		/* the newest claim's node */
bool confirmed, released;	/* the newest claim's */
bool standing;			/* the claimant's present process made it, and may confirm it */
byte agreed;			/* the confirmed association */
short contested, superseded;	/* fates: one bit per association id; superseded is the last word on one */
byte attempts;			/* atomic calls of unknown outcome: one bit per node for its newest claim, and ORPHAN */
byte guardDone;

#define fated(x)	((contested | superseded) & only(x))
#define guarded		(attempts != 0 || (agreed != 0 && fated(agreed) && agreed != guardDone))

/* What the claimant's process remembers of its claim. A crash or a new leadership forgets both. */
bool known;			/* it got the grant's answer */
bool unknown;			/* a call under it ended without a known outcome */

/* ---- EC2 ---- */

byte current;			/* association id, 0: the address is free */
byte made;			/* ids ever made: 1..made. A new association has a new one */
byte owner[IDS + 1];

/* Calls on their way whose senders do not wait any more. A DisassociateAddress matters only while its id is the current one; of
 * several the one of the lowest term is the worst. */
byte strayDisassociate;			/* its term, 0: none */
byte strayAssociate[NODES];		/* AllowReassociation=false: one bit per term */
byte strayAtomic[NODES];		/* AllowReassociation=true: one bit per term */

/* Ghosts: the term of the call that made the current association, and the newest term in which it was made, adopted or
 * confirmed. */
byte madeIn, ownedIn;
short replaced;				/* ids that were agreed when another one was confirmed */

/* ---- The faults that are left ---- */

byte lost = LOST, stale = STALE, crashes = CRASHES, departs = DEPARTS, foreign = FOREIGN;
bool calm;			/* no fault happens any more */
byte i, n, x;			/* scratch of atomic steps, 0 between them */

/* ==== EC2's effects, and the invariants ==== */

#define promise(holds, text)	if :: (holds) :: else -> printf(text); assert(false) fi

/* I2. Strict: no call displaces what was made, adopted or confirmed in a later term. Otherwise no DisassociateAddress displaces
 * what was made in a later term, and what is displaced all the same is under guard: the leader looks every second and repairs.
 * An association that is not the agreed one needs no guard: the leader's reads disagree with the state. */
inline mayDisplace(sentIn, force) {
#ifdef STRICT
	promise(sentIn >= ownedIn, "@!! I2: a call displaced what belongs to a later term\n")
#else
	promise(force || sentIn >= madeIn, "@!! I2: DisassociateAddress ended what was made in a later term\n");
	promise(sentIn >= ownedIn || guarded || (!force && agreed != current),
		"@!! I2: a call displaced what belongs to a later term, and nothing guards it\n")
#endif
}

inline become(assoc, sentIn) {
	current = assoc; madeIn = sentIn; ownedIn = sentIn; strayDisassociate = 0
}

inline doDisassociate(assoc, sentIn) {
	if
	:: assoc != 0 && assoc == current ->
		printf("@E  x%d ended by a call of t%d (it belonged to t%d)\n", assoc, sentIn, ownedIn);
		mayDisplace(sentIn, false);
		become(0, 0)
	:: else ->
		printf("@E  x%d is no more: nothing ended\n", assoc)
	fi
}

/* A fresh association, or nothing once the bound is reached: the call is then lost. */
inline make(who, sentIn) {
	if
	:: made < IDS ->
		made++;
		owner[made] = who;
		become(made, sentIn);
		printf("@E  x%d made, at %c\n", made, letter(who))
	:: else ->
#ifdef ENOUGH_IDS
		promise(false, "@!! the bound IDS is too small for this run\n");
#endif
		printf("@E  the model's last association id is used up\n")
	fi
}

/* Idempotent at the same target; otherwise it needs a free address or AllowReassociation. */
inline doAssociate(who, sentIn, force) {
	if
	:: current != 0 && owner[current] == who ->
		printf("@E  x%d is there already\n", current)
	:: current == 0 ->
		make(who, sentIn)
	:: else ->
		if
		:: force ->
			printf("@E  x%d displaced by a call of t%d (it belonged to t%d)\n", current, sentIn, ownedIn);
			mayDisplace(sentIn, true);
			make(who, sentIn)
		:: else ->
			printf("@E  held as x%d: conflict\n", current)
		fi
	fi
}

/* What the sender does not wait for any more may still be executed. */
inline stray(me) {
	if
	:: p[me].at == disassociating && p[me].id == current && (strayDisassociate == 0 || p[me].term < strayDisassociate) ->
		strayDisassociate = p[me].term
	:: p[me].at == associating && p[me].reassociate ->
		strayAtomic[node(me)] = strayAtomic[node(me)] | only(p[me].term)
	:: p[me].at == associating && !p[me].reassociate ->
		strayAssociate[node(me)] = strayAssociate[node(me)] | only(p[me].term)
	:: else
	fi
}

#ifdef ANY_READ
#define spendStale	skip
#else
#define spendStale	stale--
#endif

/* A read shows the present, or any value of the past. */
inline read(v) {
	if
	:: v = current
	:: stale > 0 && made > 0 -> select(x : 0 .. made); v = x; x = 0; spendStale
	fi
}

/* ==== The state machine: fsm/apply.go ==== */

inline finish(me) {
	p[me].at = idle; p[me].term = 0; p[me].id = 0;
	p[me].reassociate = false; p[me].again = false; p[me].settled = false
}

/* A call is about to be made under the grant. I1: granted in the term that the call is made in. The final check refuses what
 * Raft on this node knows to be over; the proofs do not rest on it. */
inline call(me, what) {
#ifdef FINAL_CHECK
	if
	:: deposed(me) -> finish(me)
	:: else -> p[me].at = what
	fi
#else
	promise(p[me].term == term, "@!! I1: a call is made under a claim that was granted in another term\n");
	p[me].at = what
#endif
}

inline grant(me) {
	claimant = node(me); standing = (me == present(node(me)));
	confirmed = false; released = false;
	known = true; unknown = false;
#ifdef FORGET_ATTEMPTS
	attempts = 0;
#endif
	if
	:: attempts & only(node(me)) -> attempts = (attempts & ~only(node(me))) | ORPHAN
	:: else
	fi;
	p[me].again = false
}

inline markContested(assoc) {
	if
#ifdef CONTESTED_OUTLIVES
	:: assoc != 0 ->
		contested = contested | only(assoc);
		superseded = superseded & ~only(assoc)
#else
	:: assoc != 0 && !(superseded & only(assoc)) -> contested = contested | only(assoc)
#endif
	:: else
	fi
}

inline markConfirmed(me, assoc) {
	if
#ifdef CONTESTED_OUTLIVES
	:: agreed != 0 && agreed != assoc ->
		replaced = replaced | only(agreed);
		superseded = superseded | (only(agreed) & ~contested)
#else
	:: agreed != 0 && agreed != assoc ->
		replaced = replaced | only(agreed);
		superseded = superseded | only(agreed);
		contested = contested & ~only(agreed)
#endif
	:: else
	fi;
	agreed = assoc; confirmed = true;
#ifdef BOOLEAN_SET
	contested = 0;
#endif
	if
	:: assoc == current && ownedIn < term -> ownedIn = term
	:: else
	fi
}

inline grantTakeover(me) {
	grant(me);
	markContested(p[me].id);
	if
	:: guardDone == p[me].id -> guardDone = 0
	:: else
	fi;
	printf("@%cL t%d Claim(takeover, displaces x%d): granted in t%d\n", letter(node(me)), p[me].term, p[me].id, term);
#ifdef ATOMIC_TAKEOVER
	p[me].id = 0; p[me].reassociate = true;
	call(me, associating)
#else
#ifdef NO_QUORUM_ROUND
	p[me].id = 0; p[me].at = readLate
#else
	if
	:: p[me].id == 0 -> call(me, associating)
	:: else -> call(me, disassociating)
	fi
#endif
#endif
}

#ifdef FAST
#define allowsHandover	(attempts == 0)
#endif
#ifdef BALANCED
#define allowsHandover	(released && attempts == 0)
#endif
#ifdef STRICT
#define allowsHandover	false
#endif

inline grantHandover(me) {
	if
	:: allowsHandover ->
		grant(me);
		attempts = attempts | only(node(me));
		p[me].reassociate = true;
		printf("@%cL t%d Claim(handover): granted in t%d\n", letter(node(me)), p[me].term, term);
		call(me, associating)
	:: else ->
		if
		:: agreed == 0 -> p[me].at = reading	/* denied: unobserved */
		:: else -> p[me].id = agreed; grantTakeover(me)
		fi
	fi
}

#if defined(STRICT) && !defined(ADOPT_CONTESTED)
#ifdef BOOLEAN_SET
#define refreshes(id)	(contested != 0)
#else
#define refreshes(id)	(contested & only(id))
#endif
#else
#define refreshes(id)	false
#endif

inline grantAdopt(me) {
	if
	:: superseded & only(p[me].id) ->
		printf("@%cL t%d Claim(adopt x%d): denied, superseded\n", letter(node(me)), p[me].term, p[me].id);
		if
		:: p[me].again -> p[me].at = claimDisplace
		:: else -> p[me].again = true; p[me].id = 0; p[me].at = reading
		fi
	:: else ->
		if
		:: refreshes(p[me].id) -> grantTakeover(me)
		:: else ->
			promise(!(replaced & only(p[me].id)), "@!! adopted an id that a later Confirm had replaced\n");
			grant(me);
			markConfirmed(me, p[me].id);
			printf("@%cL t%d Claim(adopt x%d): granted in t%d\n", letter(node(me)), p[me].term, p[me].id, term);
			p[me].id = 0; p[me].at = holding
		fi
	fi
}

inline applyClaim(me) {
	if
	:: p[me].at == claimIfReleased && !released ->
		printf("@%cL t%d Claim(handover, if released): denied\n", letter(node(me)), p[me].term);
		p[me].at = asking
	:: (p[me].at == claimIfReleased && released) || p[me].at == claimHandover ->
		grantHandover(me)
	:: p[me].at == claimDisplace || (p[me].at == claimRead && (p[me].id == 0 || owner[p[me].id] != node(me))) ->
		grantTakeover(me)
	:: p[me].at == claimRead && p[me].id != 0 && owner[p[me].id] == node(me) ->
		grantAdopt(me)
	fi
}

#define claiming(i) (p[i].at == claimIfReleased || p[i].at == claimHandover || p[i].at == claimRead || p[i].at == claimDisplace)

#ifdef STRICT
#ifdef BOOLEAN_SET
#define refusesConfirm(a)	(superseded & only(a))
#else
#define refusesConfirm(a)	fated(a)
#endif
#else
#define refusesConfirm(a)	false
#endif

inline applyConfirm(me) {
	if
	:: standing && claimant == node(me) && !released ->
		attempts = attempts & ~only(node(me));	/* settled: EC2 answered the claim's call */
		if
		:: refusesConfirm(p[me].id) ->
			printf("@%cL t%d Confirm(x%d): denied, contested\n", letter(node(me)), p[me].term, p[me].id);
			p[me].at = reading
		:: else ->
			printf("@%cL t%d Confirm(x%d): accepted in t%d\n", letter(node(me)), p[me].term, p[me].id, term);
			markConfirmed(me, p[me].id);
			p[me].at = holding
		fi
	:: else ->
		printf("@%cL t%d Confirm(x%d): denied, not the current claim\n", letter(node(me)), p[me].term, p[me].id);
		p[me].at = reading
	fi;
	p[me].id = 0
}

inline applyRelease(settles) {
	released = true;
	if
	:: settles -> attempts = attempts & ~only(claimant)
	:: else
	fi
}

/* ==== One claimant's process ==== */

/* The guard is longer than the life of a request's signature: nothing sent before it began can be executed any more, and
 * the final check lets no process of the past send anything. */
#ifdef GUARD_TOO_SHORT
#define guardLasted	true
#else
#define guardLasted	(strayDisassociate == 0 && noStrays && noCalls)
#endif
#if NODES == 2
#define noStrays	(strayAssociate[0] + strayAtomic[0] + strayAssociate[1] + strayAtomic[1] == 0)
#define noCalls		(!inFlight(0) && !inFlight(1))
#else
#define noStrays	(strayAssociate[0] + strayAtomic[0] + strayAssociate[1] + strayAtomic[1] + strayAssociate[2] + strayAtomic[2] == 0)
#define noCalls		(!inFlight(0) && !inFlight(1) && !inFlight(2))
#endif

/* EC2's answer, or none. A deposed process that gets one goes on with its next call, as its present self would. */
inline answered(me) {
	if
	:: p[me].at == disassociating ->
		printf("@%cE t%d DisassociateAddress(x%d)\n", letter(node(me)), p[me].term, p[me].id);
		doDisassociate(p[me].id, p[me].term);
		p[me].id = 0;
#ifdef FINAL_CHECK
		if
		:: deposed(me) && leader == node(me) -> finish(me)
		:: else -> p[me].at = associating
		fi
#else
		p[me].at = associating
#endif
	:: else ->
		printf("@%cE t%d AssociateAddress(AllowReassociation=%d)\n", letter(node(me)), p[me].term, p[me].reassociate);
		doAssociate(node(me), p[me].term, p[me].reassociate);
		if
		:: deposed(me) -> finish(me)		/* what it would commit now is not committed */
		:: !deposed(me) && current != 0 && owner[current] == node(me) -> p[me].id = current; p[me].at = confirming
		:: else -> p[me].at = reading
		fi;
		p[me].reassociate = false
	fi
}

inline noAnswer(me) {
	if
	:: true ->
		printf("@%cE t%d call sent, the sender waits no longer\n", letter(node(me)), p[me].term);
		stray(me);
		if
		:: claimant == node(me) -> unknown = true
		:: else
		fi
	:: true ->
		printf("@%c  t%d call certainly not done\n", letter(node(me)), p[me].term)
	fi;
	if
	:: deposed(me) -> finish(me)
	:: else -> p[me].id = 0; p[me].reassociate = false; p[me].at = reading
	fi
}

/* The deposed holder answers a new leader: takeReleaseAsked. From then on its leaderships are over. */
#define wouldRelease	(!inFlight(claimant) && !unknown && (known || confirmed))

inline ask(me) {
	if
	:: true ->
		printf("@%c%c t%d asks for a release: no answer, or refused\n", letter(node(me)), letter(claimant), p[me].term);
		p[me].at = claimHandover
#ifdef RELEASE_IN_FLIGHT
	:: known ->
#else
	:: wouldRelease ->
#endif
		printf("@%c%c t%d asks for a release: given\n", letter(node(me)), letter(claimant), p[me].term);
		finish(old(claimant)); finish(present(claimant));
		p[me].settled = known;
		p[me].at = releasing
	fi
}

/* A planned move, or one that the health of HAProxy demands: release, then transfer. */
inline depart(me) {
	departs--;
	applyRelease(known);
	printf("@%cL t%d Release, to hand over\n", letter(node(me)), p[me].term);
	finish(me);
	p[me].term = term; p[me].at = leaving
}

proctype process(byte me)
{
end:	do
	/* The committed state that a new leader sees may lag behind: both ways are open. */
	:: atomic { p[me].at == starting && leads(me) && claimant != NOBODY && claimant != node(me) ->
#ifdef FAST
		p[me].at = claimHandover }
#else
		p[me].at = claimIfReleased }
#endif
	:: atomic { p[me].at == starting && leads(me) -> p[me].at = reading }
	:: atomic { p[me].at == reading ->
		read(p[me].id);
		printf("@%cE t%d DescribeAddresses: x%d (it is x%d)\n", letter(node(me)), p[me].term, p[me].id, current);
		p[me].at = claimRead }

	/* Entries are committed by the present leader only. One of its own past is refused for its term. */
	:: atomic { claiming(me) && leads(me) -> applyClaim(me) }
	:: atomic { claiming(me) && leads(me) && lost > 0 ->
		lost--;
		applyClaim(me);
		printf("@L%c   ... the answer is lost\n", letter(node(me)));
		known = false;
		x = p[me].term; finish(me); p[me].term = x; x = 0;
		p[me].at = starting }
#ifdef NO_TERM_CHECK
	:: atomic { claiming(me) && deposed(me) && leader == node(me) -> applyClaim(me) }
	:: atomic { deposed(me) && !calling(me) && p[me].at != idle -> finish(me) }
#endif
	:: atomic { p[me].at == asking && leads(me) -> ask(me) }
	:: atomic { p[me].at == releasing && leads(me) ->
		printf("@%cL t%d Release of %c's claim\n", letter(node(me)), p[me].term, letter(claimant));
		applyRelease(p[me].settled);
		p[me].settled = false;
		p[me].at = claimHandover }
	:: atomic { p[me].at == confirming && leads(me) -> applyConfirm(me) }
	:: atomic { p[me].at == confirming && leads(me) && lost > 0 ->
		lost--;
		applyConfirm(me);
		printf("@L%c   ... the answer is lost\n", letter(node(me)));
		p[me].at = starting }

	:: atomic { calling(me) -> answered(me) }
	:: atomic { calling(me) && deposed(me) -> noAnswer(me) }
	:: atomic { calling(me) && !deposed(me) && lost > 0 -> lost--; noAnswer(me) }
#ifdef NO_QUORUM_ROUND
	:: atomic { p[me].at == readLate ->
		read(p[me].id);
		printf("@%cE t%d DescribeAddresses: x%d (it is x%d)\n", letter(node(me)), p[me].term, p[me].id, current);
		if
		:: p[me].id == 0 -> p[me].at = associating
		:: else -> p[me].at = disassociating
		fi }
#endif

	/* The holder's watch: a read that disagrees is repaired; a guard that has lasted long enough ends. */
#ifndef NO_REPAIR
	:: atomic { p[me].at == holding && leads(me) && (current != agreed || stale > 0) ->
		if
		:: current != agreed -> p[me].id = current
		:: stale > 0 -> select(x : 0 .. made); p[me].id = x; x = 0; spendStale
		fi;
		if
		:: p[me].id == agreed -> p[me].id = 0
		:: else ->
			printf("@%cE t%d watch: DescribeAddresses: x%d (it is x%d)\n", letter(node(me)), p[me].term, p[me].id, current);
			p[me].at = claimRead
		fi }
#endif
	:: atomic { p[me].at == holding && leads(me) && guarded && current == agreed && guardLasted ->
		printf("@%cL t%d GuardDone(x%d)\n", letter(node(me)), p[me].term, agreed);
		attempts = 0;
		guardDone = agreed }

	:: atomic { (p[me].at == holding || p[me].at == starting) && leads(me) && departs > 0 &&
		    claimant == node(me) && !released && !inFlight(node(me)) && !unknown -> depart(me) }
	:: atomic { p[me].at == leaving && leads(me) ->
		printf("@%c  t%d the transfer fails: claims anew\n", letter(node(me)), p[me].term);
		p[me].at = starting }
	od
}

/* ==== The rest of the world ==== */

/* A process that is deposed can still make calls, and nothing else that counts: nothing of it is committed any more. */
inline retire(j) {
#ifdef NO_TERM_CHECK
	if
	:: calling(j) || claiming(j) || p[j].at == reading
#else
	if
	:: calling(j)
#endif
	:: else -> finish(j)
	fi
}

/* A process ends. The call that it waits for may have been sent. */
inline kill(j) {
	if
	:: calling(j) -> stray(j)
	:: true
	fi;
	finish(j)
}

inline forget(who) {
	if
	:: claimant == who -> known = false; unknown = false; standing = false
	:: else
	fi;
	if
	:: attempts & only(who) -> attempts = (attempts & ~only(who)) | ORPHAN
	:: else
	fi
}

/* A new term. What the winner has in flight from before goes on as its old goroutine. */
inline elect(who) {
	term++; leader = who;
	printf("@%cL t%d elected\n", letter(who), term);
	for (i : 0 .. PROCS - 1) { retire(i) }
	i = 0;
	if
	:: p[present(who)].at != idle ->
		kill(old(who));
		p[old(who)].at = p[present(who)].at; p[old(who)].term = p[present(who)].term;
		p[old(who)].id = p[present(who)].id; p[old(who)].reassociate = p[present(who)].reassociate;
		finish(present(who))
	:: else
	fi;
	forget(who);
	p[present(who)].term = term; p[present(who)].at = starting
}

inline crash(who) {
	crashes--;
	printf("@%c  crashes\n", letter(who));
	kill(old(who)); kill(present(who));
	forget(who);
	if
	:: leader == who -> leader = NOBODY
	:: else
	fi
}

proctype world()
{
	atomic { elect(0) }	/* the nodes are alike: A is the first */
end:	do
	:: atomic { term < TERMS && (!calm || leader == NOBODY) ->
		select(n : 0 .. NODES - 1);
		elect(n);
		n = 0 }
	:: atomic { crashes > 0 && term < TERMS ->
		select(n : 0 .. NODES - 1);
		crash(n);
		n = 0 }
	:: atomic { !calm -> calm = true; lost = 0; stale = 0; crashes = 0; departs = 0; foreign = 0 }
	:: atomic { foreign > 0 ->
		foreign--;
		if
		:: current != 0 -> printf("@ E  a person ends x%d\n", current); become(0, 0)
		:: printf("@ E  a person moves the address\n"); make(NOBODY, 0)
		fi }
	od
}

/* Calls whose senders do not wait for them any more: executed, or lost on the way. */
proctype network()
{
end:	do
	:: atomic { strayDisassociate > 0 ->
		printf("@ E  late DisassociateAddress(x%d) of t%d\n", current, strayDisassociate);
		doDisassociate(current, strayDisassociate) }
	:: atomic { strayDisassociate > 0 -> strayDisassociate = 0 }
	od
}

inline someTerm(set) {
	if
	:: set & only(1) -> x = 1
	:: set & only(2) -> x = 2
	:: set & only(3) -> x = 3
	:: set & only(4) -> x = 4
	:: set & only(5) -> x = 5
	fi
}

proctype networkOf(byte who)
{
end:	do
	:: atomic { strayAssociate[who] != 0 ->
		someTerm(strayAssociate[who]);
		strayAssociate[who] = strayAssociate[who] & ~only(x);
		if
		:: printf("@%cE t%d late AssociateAddress(AllowReassociation=0)\n", letter(who), x); doAssociate(who, x, false)
		:: true
		fi;
		x = 0 }
	:: atomic { strayAtomic[who] != 0 ->
		someTerm(strayAtomic[who]);
		strayAtomic[who] = strayAtomic[who] & ~only(x);
		if
		:: printf("@%cE t%d late AssociateAddress(AllowReassociation=1)\n", letter(who), x); doAssociate(who, x, true)
		:: true
		fi;
		x = 0 }
	od
}

#define converged (leader != NOBODY && p[present(leader)].at == holding && claimant == leader && confirmed && !released && \
		   current != 0 && current == agreed && owner[current] == leader)

/* I6: when nothing is left to happen, the leader has the address and its claim is confirmed. */
proctype judge()
{
end:	timeout -> promise(converged, "@!! I6: all is quiet, and the address is not at the leader under a confirmed claim\n")
}

init {
	atomic {
		run world(); run network(); run judge();
		for (i : 0 .. NODES - 1) { run networkOf(i); run process(old(i)); run process(present(i)) }
		i = 0
	}
}
