/* Producers, time, and what goes wrong. */

/* Enqueue/: a call is repeated with its request id until its outcome is known. */
proctype Producer(byte n) {
end:
  do
  :: atomic { unsent[n] > 0 && !unsure[n] && (THREADS > 1 || n == 0 || unsent[0] == 0) ->
       unsent[n]--;
#if THREADS > 1
       enqueue(n);
#else
       enqueue(0);
#endif
       if
       :: true
       :: lost > 0 -> lost--; unsure[n] = 1
       fi }
  :: atomic { unsure[n] ->
       unsure[n] = 0;
#ifdef REQUEST_FORGOTTEN
#if THREADS > 1
       enqueue(n)
#else
       enqueue(0)
#endif
#endif
     }
  od
}

#if APPROVALS > 0
/* A person who decides about a tool call of the batch, at any time after it was asked for, or never: then the time for it is over. */
proctype Decider() {
end:
  do
  :: atomic { decisions > 0 && h_round[0] == 3 -> decisions--; if :: true -> decide(0) :: true fi }
  od
}
#endif

/* Time, as Redis has it. Due times come; a dead owner's lease and record end; a live owner's own clock says stop before its lease can end. */
proctype Clock(byte t) {
end:
  do
  :: atomic { in_due[t] && !due_now[t] -> due_now[t] = 1 }
  :: atomic { in_suspects[t] && !suspects_now[t] -> suspects_now[t] = 1 }
  :: atomic { in_held[t] && !held_now[t] -> held_now[t] = 1 }
  :: atomic { in_leases[t] && !lease_over[t] && granted[t] == 0 -> lease_over[t] = 1 }
  /* held by a live process: only when that can't prove it any more, or does not know of it */
  :: atomic { in_leases[t] && !lease_over[t] && granted[t] != 0 && (!s_proven[granted[t] - 1] || overrated[t]) ->
       lease_over[t] = 1; overrated[t] = 0 }
  :: atomic { in_deliveries[t] && !deliveries_now[t] && (d_granted[t] == 0 || v_at[d_granted[t] - 1] == Rest) -> deliveries_now[t] = 1 }
  :: atomic { late > 0 && in_deliveries[t] && !deliveries_now[t] && d_granted[t] != 0 -> late--; deliveries_now[t] = 1 }
  od
}

inline die(w, id) {
  i = 0;
  do
  :: i < SLOTS ->
    if
    :: WORKER_OF(i) == w ->
      forget_run(i);
      j = 0;
      do
      :: j < THREADS ->
        if :: granted[j] == i + 1 -> granted[j] = 0 :: else fi;
        if :: h_token[j] == i + 1 -> h_token[j] = SLOTS + 1 :: else fi;
        j++
      :: else -> break
      od
    :: else
    fi;
    i++
  :: else -> break
  od;
  j = 0;
  do
  :: j < THREADS ->
    if :: h_owner[j] == OWNER(w) -> h_owner[j] = id :: else fi;
    if :: d_owner[j] == OWNER(w) -> d_owner[j] = id; d_granted[j] = 0 :: else fi;
    j++
  :: else -> break
  od;
  if :: late_owner == OWNER(w) -> late_owner = id :: else fi;
  v_at[w] = Rest; v_thread[w] = 0; v_fence[w] = 0;
  i = 0; j = 0
}

#define OWNS_LIVE_LEASE(o) (h_owner[0] == (o) && in_leases[0] && !lease_over[0] || h_owner[THREADS - 1] == (o) && in_leases[THREADS - 1] && !lease_over[THREADS - 1])

proctype Fault() {
  byte w;
end:
  do
  /* SIGKILL: a process with a new worker id follows. Its record lives on until it ends. */
  :: atomic { crashes > 0 && BUSY_0 -> crashes--; mishaps++; record[DEAD - 1] = record[DEAD - 1] | record[0]; die(0, DEAD); record[0] = 1 }
#if SLOTS > 1 || DELIVERERS > 1
  :: atomic { crashes > 0 && BUSY_1 -> crashes--; mishaps++; record[DEAD - 1] = record[DEAD - 1] | record[1]; die(1, DEAD); record[1] = 1 }
#endif
  :: atomic { record[DEAD - 1] && !OWNS_LIVE_LEASE(DEAD) -> record[DEAD - 1] = 0 }
  /* SIGTERM with a run that could not be given back in time: leave.lua. The record outlives the leases. */
  :: atomic { stops > 0 && BUSY_0 -> stops--;
       die(0, LEFT); record[0] = 1 }
  /* SIGSTOP, or renewals that do not come through for too long */
  :: atomic { late > 0 && HELD(0) && s_proven[0] -> late--; s_proven[0] = 0 }
#if SLOTS > 1
  :: atomic { late > 0 && HELD(1) && s_proven[1] -> late--; s_proven[1] = 0 }
#endif
#if SLOTS == 3
  :: atomic { late > 0 && HELD(2) && s_proven[2] -> late--; s_proven[2] = 0 }
#endif
  /* the frozen process' record ends too: looks like a death to the others */
  :: atomic { late < LATE && record[0] && !s_proven[0] && s_at[0] != Idle && !OWNS_LIVE_LEASE(OWNER(0)) && (h_owner[0] == OWNER(0) || h_owner[THREADS - 1] == OWNER(0)) ->
       mishaps++; record[0] = 0 }
  /* a journal call that was still on its way */
  :: atomic { late_fence != 0 ->
       if
       :: h_owner[late_thread] == late_owner && h_fence[late_thread] == late_fence && h_batch[late_thread] == late_batch ->
         write_journal(late_thread, late_round, late_through, late_revision)
       :: else
       fi;
       invariant(late_thread);
       late_fence = 0; late_owner = 0; late_thread = 0; late_batch = 0; late_round = 0; late_through = 0; late_revision = 0 }
  od
}
