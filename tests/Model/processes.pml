/* What runs in a worker: its slots and its deliverer. */

/* One slot of a worker: Claim/ClaimLoop, Run/RunStep, Finish/FinishStep and a backend. */
proctype Slot(byte s) {
end:
  do
  /* claim.lua, an ended lease */
  :: atomic { FREE(s) && !BESIDE_SUSPECT(s) && in_leases[0] && lease_over[0] -> claim_ended(s, 0) }
  :: atomic { FREE(s) && !BESIDE_SUSPECT(s) && in_due[0] && due_now[0] -> claim_due(s, 0) }
#ifndef SUSPECTS_NEVER_CLAIMED
  :: atomic { FREE(s) && OTHERS_IDLE(s) && in_suspects[0] && suspects_now[0] -> claim_suspect(s, 0) }
#endif
#if THREADS > 1
  :: atomic { FREE(s) && !BESIDE_SUSPECT(s) && in_leases[1] && lease_over[1] -> claim_ended(s, 1) }
  :: atomic { FREE(s) && !BESIDE_SUSPECT(s) && in_due[1] && due_now[1] -> claim_due(s, 1) }
  :: atomic { FREE(s) && OTHERS_IDLE(s) && in_suspects[1] && suspects_now[1] -> claim_suspect(s, 1) }
#endif
  :: atomic { FREE(s) && (in_held[0] && held_now[0] || in_held[THREADS - 1] && held_now[THREADS - 1]) ->
       back_from_held(); record[WORKER_OF(s)] = 1; invariant(0); invariant(THREADS - 1) }

  /* claim.lua again with the same token: the same batch, if it is still this claim's, and the lease anew */
  :: atomic { s_at[s] == ClaimLost ->
       i = 0;
       do
       :: i < THREADS && h_token[i] != s + 1 -> i++
       :: else -> break
       od;
       record[WORKER_OF(s)] = 1;
       if
       :: i < THREADS ->
#ifdef REPEATED_CLAIM_KEEPS_LEASE
         overrated[i] = 1;
#else
         lease_over[i] = 0;
#endif
         take(s, i)
       :: else -> forget_run(s)
       fi }

  /* Run/RunStep: what the journal says decides */
  :: atomic { s_at[s] == Claimed ->
       if
       :: s_deaths[s] >= MAX_DEATHS -> s_what[s] = Fail; s_at[s] = Finish
       :: else ->
         if
         :: s_round[s] == 2 -> s_at[s] = Follow                  /* adopted */
         :: s_round[s] == 3 -> s_at[s] = Asked /* calls without an output are made again */
         :: s_round[s] == 1 ->                                   /* a post of unknown outcome: look for metadata.batch_id first */
#ifdef NO_LOOK
           s_at[s] = Check
#else
           if
           :: (found[s_thread[s]] & (1 + s_asked[s])) && s_batch[s] == h_batch[s_thread[s]] -> s_at[s] = Found
#ifdef JOINS_UNKNOWN_POST
           :: else -> s_at[s] = (s_asked[s] -> Join : Check)
#else
           :: else -> s_at[s] = Check                            /* nothing more joins it */
#endif
           fi
#endif
         :: s_round[s] == 0 -> s_at[s] = Save
         fi
       fi }
  :: atomic { s_at[s] == Claimed && holds > 0 -> holds--; s_what[s] = Hold; s_at[s] = Finish }

  /* journal.lua: instructions and conversation sealed; the post announced; the run's id known */
  :: atomic { s_at[s] == Save && s_proven[s] ->
#ifdef JOURNAL_AFTER_POST
       journal(s, s_thread[s], 0, s_through[s], 1, Check) }
#else
       journal(s, s_thread[s], 0, s_through[s], 1, Announce) }
#endif
  :: atomic { s_at[s] == Announce && s_proven[s] -> if :: s_batch[s] == h_batch[s_thread[s]] -> found[s_thread[s]] = found[s_thread[s]] & (2 - s_asked[s]) :: else fi;   /* LastItemSeen */
       journal(s, s_thread[s], 1, s_through[s], 2 + 3 * s_asked[s], Check) }
  :: atomic { s_at[s] == Found && s_proven[s] -> journal(s, s_thread[s], 2, s_last[s], 3 + 3 * s_asked[s], Follow) }

  /* the backend: the own clock is asked, then the post goes out */
  :: atomic { s_at[s] == Check && s_proven[s] -> s_at[s] = Send }
  :: atomic { s_at[s] == Send ->
       if
       :: true ->
         if
         :: s_through[s] < s_last[s] ->
           i = (s_through[s] < s_first[s] -> s_first[s] : s_through[s] + 1);
           for (j : i .. s_last[s]) {
             posts[MSG(s_thread[s], j)]++;
             if :: !s_proven[s] -> excused[MSG(s_thread[s], j)] = 1 :: else fi;
             assert(posts[MSG(s_thread[s], j)] == 1 || excused[MSG(s_thread[s], j)])   /* once on the wire */
           }
         :: else
         fi;
         if :: s_batch[s] == h_batch[s_thread[s]] -> found[s_thread[s]] = found[s_thread[s]] | (1 + s_asked[s]) :: else fi;
         if
         :: true -> s_at[s] = Found
         :: errors > 0 -> errors--; s_round[s] = 1; s_what[s] = Retry; s_at[s] = Finish   /* done, and the answer lost */
         fi
       :: errors > 0 -> errors--; s_round[s] = 0; s_what[s] = Retry; s_at[s] = Finish     /* refused */
       :: errors > 0 -> errors--; s_round[s] = 1; s_what[s] = Retry; s_at[s] = Finish     /* not done, and nobody knows */
       fi;
       i = 0; j = 0 }
  :: atomic { s_at[s] == Follow ->
       if
       :: true -> s_what[s] = Complete; s_at[s] = Finish
       :: errors > 0 -> errors--; s_round[s] = 0; s_what[s] = Retry; s_at[s] = Finish
#if STEERS > 0
       :: steers > 0 -> steers--; s_asked[s] = 1; s_at[s] = Ask
#endif
       fi }

#if STEERS > 0
  /* the model asks for tools: written down, and no longer to be adopted while they work */
  :: atomic { s_at[s] == Ask && s_proven[s] -> journal(s, s_thread[s], 3, s_through[s], 4, Asked) }
  /* the tools' outputs are there, and who has come meanwhile joins the post that hands them in; or somebody has to decide first */
  :: atomic { s_at[s] == Asked ->
       if
       :: true -> s_at[s] = Join
       :: approvals > 0 -> approvals--; s_what[s] = Approval; s_at[s] = Finish
       fi }
  :: atomic { s_at[s] == Join && s_proven[s] -> join(s, s_thread[s]) }
#endif

  /* the own clock says stop: given back if nobody else has it */
  :: atomic { (s_at[s] == Save || s_at[s] == Announce || s_at[s] == Check || s_at[s] == Found || s_at[s] == Follow || s_at[s] == Ask || s_at[s] == Join) && !s_proven[s] ->
       s_what[s] = Release; s_at[s] = Finish }

  /* Finish/FinishStep: a result is sent under a lease that can be proved, and may arrive at any later time */
  :: atomic { s_at[s] == Finish && (s_proven[s] || s_applied[s]) ->
       if
       :: s_what[s] == Retry && attempts[MSG(s_thread[s], s_first[s])] + 1 >= MAX_ATTEMPTS && !s_applied[s] -> s_what[s] = Fail
       :: else
       fi;
       s_at[s] = FinishSend }
  :: atomic { s_at[s] == FinishSend -> finish(s, s_thread[s]) }

  /* renew.lua, from a thread of its own */
  :: atomic { HELD(s) && !s_applied[s] && (!s_proven[s] || lease_over[s_thread[s]]) && (s_at[s] != FinishSend || granted[s_thread[s]] == s + 1) ->
       record[WORKER_OF(s)] = 1;
#ifdef RENEW_ANYBODY
       ours = 1;
#else
       ours = h_owner[s_thread[s]] == OWNER(WORKER_OF(s)) && h_fence[s_thread[s]] == s_fence[s];
#endif
       if
       :: ours ->
         in_leases[s_thread[s]] = 1; lease_over[s_thread[s]] = 0; overrated[s_thread[s]] = 0;
         if
         :: true -> s_proven[s] = 1
         :: lost > 0 -> lost--
         fi;
         invariant(s_thread[s])
       :: else ->
#ifdef RENEW_IGNORED
         s_proven[s] = 1
#else
         if
         :: s_at[s] == FinishSend           /* HeldLease.IsFinishing: the finish's own answer counts */
         :: else -> forget_run(s)
         fi
#endif
       fi }
  od;
}

/* Deliver/DeliverLoop and DeliverStep of a worker. */
proctype Deliverer(byte w) {
  byte t;
end:
  do
  :: atomic { v_at[w] == Rest && in_deliveries[0] && deliveries_now[0] -> claim_delivery(w, 0) }
#if THREADS > 1
  :: atomic { v_at[w] == Rest && in_deliveries[1] && deliveries_now[1] -> claim_delivery(w, 1) }
#endif
  :: atomic { v_at[w] == Holding ->
       if
       :: true ->
#ifndef CLOSE_BEFORE_HANDLERS
         if :: v_fence[w] == d_fence[v_thread[w]] -> handled[v_thread[w]] = handled[v_thread[w]] | (1 << closed[v_thread[w]]) :: else fi;
#endif
         v_at[w] = Handled
       :: refusals > 0 -> refusals--; v_at[w] = Refused
       fi }
  /* deliver-close.lua */
  :: atomic { v_at[w] == Handled ->
       t = v_thread[w];
#ifdef NO_FENCE_AT_CLOSE
       ours = closed[t] < opened[t];
#else
       ours = d_owner[t] == OWNER(w) && d_fence[t] == v_fence[w] && closed[t] < opened[t];
#endif
       if
       :: ours ->
         assert(d_granted[t] == w + 1);
         assert(handled[t] & (1 << closed[t]));                  /* at least once */
         closed[t]++; d_owner[t] = NOBODY; d_fence[t] = 0; d_granted[t] = 0;
         if
         :: closed[t] < opened[t] -> deliveries_now[t] = 1
         :: else -> in_deliveries[t] = 0; deliveries_now[t] = 0
         fi
       :: else
       fi;
       if
       :: true -> v_at[w] = Rest; v_thread[w] = 0; v_fence[w] = 0
       :: lost > 0 -> lost--                                     /* asked again, and told that it is somebody else's: known to be harmless */
       fi;
       invariant(t); t = 0 }
  /* deliver-postpone.lua */
  :: atomic { v_at[w] == Refused ->
       t = v_thread[w];
       if
       :: d_owner[t] == OWNER(w) && d_fence[t] == v_fence[w] ->
         assert(d_granted[t] == w + 1);
         d_owner[t] = NOBODY; d_fence[t] = 0; d_granted[t] = 0; deliveries_now[t] = 0
       :: else
       fi;
       v_at[w] = Rest; v_thread[w] = 0; v_fence[w] = 0;
       invariant(t); t = 0 }
  od;
}
