/*
 * The lock of the queue: enqueue, claim, renew, journal, finish, recover and deliver, each script one atomic step.
 * README.md beside this file says what stands for what, which properties are checked and what the flags mean.
 * Names: h_… are fields of p:thread:<thread>, in_… membership of a sorted set, s_… what a run's process remembers.
 */

/* --- size, and how many faults of each kind there may be ------------------------------------------------------- */
#ifndef THREADS
#define THREADS 1
#endif
#ifndef MESSAGES
#define MESSAGES 2              /* per thread */
#endif
#ifndef CRASHES
#define CRASHES 1               /* a process stops and starts anew, with a new worker id */
#endif
#ifndef LATE
#define LATE 1                  /* a live owner is frozen, or its renewals do not come through, until its own clock says stop */
#endif
#ifndef LOST
#define LOST 1                  /* an answer of Redis is lost: applied, and the caller does not know */
#endif
#ifndef ERRORS
#define ERRORS 1                /* a post refused, a post of unknown outcome, a run that fails at the API */
#endif
#ifndef STOPS
#define STOPS 0                 /* a worker is told to stop, and leaves; another process takes its place */
#endif
#ifndef DELAYED
#define DELAYED 0               /* an unanswered journal call that reaches Redis after later calls */
#endif
#ifndef HOLDS
#define HOLDS 0                 /* releases by a worker that is too old for the thread */
#endif
#ifndef REFUSALS
#define REFUSALS 0              /* handlers that throw */
#endif
#ifndef STEERS
#define STEERS 0                /* rounds of tools, at which newer messages join the run */
#endif
#ifndef APPROVALS
#define APPROVALS 0             /* runs that rest until somebody decides about a tool call */
#endif
#ifndef SLOTS
#define SLOTS 3                 /* 3: slots 0 and 1 belong to worker 0, slot 2 to worker 1; 2: one each */
#endif
#ifndef DELIVERERS
#define DELIVERERS 0            /* worker 0 and worker 1 */
#endif
#define WORKERS 2
#define BATCH 2                 /* MaxBatchMessages */
#define MAX_ATTEMPTS 2
#define MAX_DEATHS 2
#if SLOTS == 3
#define WORKER_OF(slot) ((slot) == 2 -> 1 : 0)
#define OTHERS_IDLE(s) ((s) == 2 || s_at[1 - (s)] == Idle)
#define BESIDE_SUSPECT(s) ((s) != 2 && s_alone[1 - (s)])
#define BUSY_0 (s_at[0] != Idle || s_at[1] != Idle || v_at[0] != Rest)
#define BUSY_1 (s_at[2] != Idle || v_at[1] != Rest)
#else
#define WORKER_OF(slot) (slot)
#define OTHERS_IDLE(s) true
#define BESIDE_SUSPECT(s) false
#define BUSY_0 (s_at[0] != Idle || v_at[0] != Rest)
#define BUSY_1 (SLOTS > 1 && s_at[SLOTS - 1] != Idle || v_at[1] != Rest)
#endif

/* --- Redis ---------------------------------------------------------------------------------------------------- */
byte head[THREADS], tail[THREADS];          /* p:messages: sequence numbers head+1 … tail */
bit in_due[THREADS], in_suspects[THREADS], in_held[THREADS], in_leases[THREADS];
bit due_now[THREADS], suspects_now[THREADS], held_now[THREADS], lease_over[THREADS];   /* the score is not above now */
byte h_fence[THREADS], h_owner[THREADS], h_token[THREADS], h_batch[THREADS], h_first[THREADS], h_last[THREADS];
byte h_deaths[THREADS];
bit h_posted[THREADS], h_adoptable[THREADS];
byte h_round[THREADS], h_through[THREADS], h_revision[THREADS];   /* journal: 0 no round, 1 about to post, 2 run id known, 3 tools asked for; PostedThrough */
bit h_asked[THREADS];                       /* journal: tools were asked for, so that the next post carries their outputs */
bit h_decided[THREADS], h_rests[THREADS];   /* decisions; approval: held until there is one */
byte attempts[THREADS * MESSAGES];
byte last_fence;                            /* p:counters fence */
bit record[WORKERS + 2];                    /* p:workers: the record has not ended; the last two are those of DEAD and LEFT */
byte opened[THREADS], closed[THREADS];      /* p:delivery: outcomes closed+1 … opened */
bit in_deliveries[THREADS], deliveries_now[THREADS];
byte d_owner[THREADS], d_fence[THREADS];    /* p:delivering */

#define NOBODY 0
#define OWNER(w) ((w) + 1)
#define DEAD (WORKERS + 1)                  /* the id of a process that is no more */
#define LEFT (WORKERS + 2)                  /* the id of a process that stopped and said so */

/* --- the model API --------------------------------------------------------------------------------------------- */
byte posts[THREADS * MESSAGES];             /* how often a message was put into the conversation */
bit excused[THREADS * MESSAGES];            /* its owner was suspended between its last check and the socket */
byte found[THREADS];                        /* a look finds h_batch's post, begun since it was announced: bit 1 the first one, 2 the one with the tools' outputs */

/* --- processes ------------------------------------------------------------------------------------------------- */
mtype = { Idle, ClaimLost, Claimed, Save, Announce, Check, Send, Found, Follow, Ask, Asked, Join, Finish, FinishSend };
mtype = { None, Complete, Retry, Fail, Release, Hold, Approval };
mtype s_at[SLOTS] = Idle;
mtype s_what[SLOTS] = None;
byte s_thread[SLOTS], s_fence[SLOTS], s_batch[SLOTS], s_first[SLOTS], s_last[SLOTS], s_round[SLOTS], s_through[SLOTS];
byte s_deaths[SLOTS];
bit s_proven[SLOTS];                        /* by its own clock; counted from before the last good renewal was sent */
bit s_alone[SLOTS];                         /* claimed as a suspect */
bit s_asked[SLOTS];                         /* tools were asked for: later revisions of the journal, another post */
bit s_applied[SLOTS];                       /* p:request:<id> of the finish under way */

mtype = { Rest, Holding, Handled, Refused };
mtype v_at[WORKERS] = Rest;
byte v_thread[WORKERS], v_fence[WORKERS];

byte late_fence, late_owner, late_thread, late_batch, late_round, late_through, late_revision;   /* a journal call still on its way */

byte crashes = CRASHES, late = LATE, lost = LOST, errors = ERRORS, stops = STOPS, delayed = DELAYED, holds = HOLDS, refusals = REFUSALS, steers = STEERS, approvals = APPROVALS, decisions = APPROVALS;
byte unsent[2];                             /* messages that a producer has still to store */
bit unsure[2];                              /* stored, and the producer does not know */

/* --- ghosts: what the properties need and nobody sees ------------------------------------------------------------ */
byte granted[THREADS];                      /* slot+1 to which the last claim gave the thread */
byte d_granted[THREADS];
byte highest[THREADS];                      /* highest fence given so far */
byte outcomes[THREADS];                     /* replies and failures kept */
byte handled[THREADS];                      /* a bit an outcome: its handlers were called */
bit overrated[THREADS];                     /* its owner believes in the lease for longer than Redis does */
byte mishaps;                               /* processes that died, or were away for longer than their record */
hidden byte i, j;
hidden byte ours;

#define MSG(t, m) ((t) * MESSAGES + (m) - 1)
/* Slots of a worker are alike, so the first free one claims; producers too. */
#define FREE(s) (s_at[s] == Idle && (SLOTS < 3 || (s) != 1 || s_at[0] != Idle))
#define HELD(s) (s_at[s] != Idle && s_at[s] != ClaimLost)
#define WAITING(t) (tail[t] - head[t])
#define DRAINED(t) (WAITING(t) == 0 && closed[t] == opened[t])
#if THREADS == 1
#define ALL_DRAINED DRAINED(0)
#else
#define ALL_DRAINED (DRAINED(0) && DRAINED(1))
#endif
#if DELIVERERS == 0
#undef ALL_DRAINED
#if THREADS == 1
#define ALL_DRAINED (WAITING(0) == 0)
#else
#define ALL_DRAINED (WAITING(0) == 0 && WAITING(1) == 0)
#endif
#endif
#define STORED_ALL (unsent[0] + unsent[1] + unsure[0] + unsure[1] == 0)
#define DONE (STORED_ALL && ALL_DRAINED)

/* Redis changes in scripts only, so what holds at the end of each holds always. */
inline invariant(t) {
  assert(in_due[t] + in_suspects[t] + in_held[t] + in_leases[t] == (WAITING(t) > 0 -> 1 : 0));   /* a future claim for whatever waits */
  assert(!in_leases[t] || (h_owner[t] != NOBODY && h_batch[t] != 0));
  assert(in_leases[t] || h_owner[t] == NOBODY);
  assert(outcomes[t] == opened[t]);                                                             /* no reply without a delivery */
  assert(in_deliveries[t] == (closed[t] < opened[t]));
  assert(h_deaths[t] <= mishaps);                                                               /* stopping is not dying */
}

inline forget_run(s) {
  s_at[s] = Idle; s_what[s] = None; s_thread[s] = 0; s_fence[s] = 0; s_batch[s] = 0; s_first[s] = 0; s_last[s] = 0;
  s_round[s] = 0; s_through[s] = 0; s_deaths[s] = 0; s_proven[s] = 0; s_alone[s] = 0; s_applied[s] = 0; s_asked[s] = 0
}

#include "scripts.pml"
#include "processes.pml"
#include "faults.pml"

#ifndef LIVENESS
/* When nothing can happen any more, everything is answered or failed, and delivered. */
active proctype Rests() {
end:
  do
  :: atomic { timeout && !DONE -> assert(false) }
  od
}
#endif

init {
  atomic {
    record[0] = 1; record[1] = 1;
#ifndef LEAVE_LOOKS_LIKE_DEATH
    record[LEFT - 1] = 1;
#endif
#if THREADS > 1
    unsent[0] = MESSAGES; unsent[1] = MESSAGES;
#else
    unsent[0] = MESSAGES / 2; unsent[1] = MESSAGES - MESSAGES / 2;
#endif
    run Producer(0); run Producer(1);
    run Slot(0);
#if SLOTS > 1
    run Slot(1);
#endif
#if SLOTS > 2
    run Slot(2);
#endif
#if DELIVERERS > 0
    run Deliverer(0);
#endif
#if DELIVERERS > 1
    run Deliverer(1);
#endif
    run Clock(0);
#if THREADS > 1
    run Clock(1);
#endif
#if APPROVALS > 0
    run Decider();
#endif
    run Fault()
  }
}

#ifdef LIVENESS
ltl everything_ends { <> [] (DONE) }
#endif
