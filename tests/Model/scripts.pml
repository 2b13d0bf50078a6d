/* The scripts, one inline each: src/AssistantQueue/Redis/Scripts. */

/* Shared/owned.lua, with the property that only the last claim's owner gets through. */
inline owned(s, t) {
#ifdef NO_FENCE_CHECK
  ours = h_owner[t] == OWNER(WORKER_OF(s)) && h_batch[t] == s_batch[s];
#else
  ours = h_owner[t] == OWNER(WORKER_OF(s)) && h_fence[t] == s_fence[s] && h_batch[t] == s_batch[s];
#endif
  assert(!ours || granted[t] == s + 1)
}

/* Shared/rearm.lua; whether the time has come is the clock's business. */
inline rearm(t) {
  h_owner[t] = NOBODY; h_token[t] = 0; h_adoptable[t] = 0;
  if
  :: h_deaths[t] > 0 -> in_suspects[t] = 1; suspects_now[t] = 0
  :: else -> in_due[t] = 1; due_now[t] = 0
  fi
}

/* DEL p:thread:<thread> */
inline forget_thread(t) {
  h_fence[t] = 0; h_owner[t] = NOBODY; h_token[t] = 0; h_batch[t] = 0; h_first[t] = 0; h_last[t] = 0; h_deaths[t] = 0;
  h_posted[t] = 0; h_adoptable[t] = 0; h_round[t] = 0; h_through[t] = 0; h_revision[t] = 0; found[t] = 0;
  h_asked[t] = 0; h_decided[t] = 0; h_rests[t] = 0
}

/* Shared/outcome.lua */
inline keep_outcome(t) {
  outcomes[t]++;
#ifndef NO_DELIVERY_OPENED
  opened[t]++;
  if :: !in_deliveries[t] -> in_deliveries[t] = 1; deliveries_now[t] = 1 :: else fi
#endif
}

/* Shared/remove.lua: exactly the sealed range goes; what was answered has reached the API. */
inline remove(t, last) {
  assert(h_first[t] == head[t] + 1 && last <= tail[t]);
#ifdef REMOVE_ALL
  head[t] = tail[t];
#else
  head[t] = last;
#endif
  for (i : h_first[t] .. last) { attempts[MSG(t, i)] = 0 }
}

/* Shared/fence.lua */
inline next_fence() {
  last_fence++;
  assert(last_fence < 16)                   /* else the model's bit sets are too small */
}
inline keep_fence() {
#ifdef FENCE_RESET
  last_fence = 0
#else
  skip
#endif
}

/* enqueue.lua, for one message. */
inline enqueue(t) {
  if
  :: WAITING(t) == 0 || !(in_leases[t] || in_due[t] || in_suspects[t] || in_held[t]) -> in_due[t] = 1; due_now[t] = 0
#ifdef ENQUEUE_REARMS_A_RUN
  :: else -> in_due[t] = 1
#else
  :: else
#endif
  fi;
  tail[t]++;
  assert(tail[t] <= MESSAGES);              /* a repeated enqueue stores once */
  invariant(t)
}

/* claim.lua: the writes for one thread that is given to a slot. The caller has taken it out of its set. */
inline give(s, t) {
  if
  :: h_batch[t] != 0 && (h_posted[t] || h_deaths[t] > 0) -> skip  /* stays as it was sealed */
  :: else ->
    i = (WAITING(t) > BATCH -> head[t] + BATCH : tail[t]);
    if
    :: h_batch[t] == 0 || h_first[t] != head[t] + 1 || h_last[t] != i -> h_batch[t] = last_fence + 1; found[t] = 0
    :: else
    fi;
    h_first[t] = head[t] + 1; h_last[t] = i
  fi;
  overrated[t] = 0;
  next_fence();
  assert(last_fence > highest[t]);                               /* fences grow */
  highest[t] = last_fence; granted[t] = s + 1;
  h_fence[t] = last_fence; h_owner[t] = OWNER(WORKER_OF(s)); h_token[t] = s + 1; h_revision[t] = 0; h_rests[t] = 0;
  in_leases[t] = 1; lease_over[t] = 0;
  s_alone[s] = h_deaths[t] > 0;
  assert(!s_alone[s] || OTHERS_IDLE(s));                         /* a suspect runs alone in its process */
  keep_fence()
}

/* What the answer of claim.lua tells the worker. */
inline take(s, t) {
  s_at[s] = Claimed; s_thread[s] = t; s_fence[s] = h_fence[t]; s_batch[s] = h_batch[t]; s_first[s] = h_first[t]; s_last[s] = h_last[t];
  s_round[s] = h_round[t]; s_through[s] = h_through[t]; s_deaths[s] = h_deaths[t]; s_asked[s] = h_asked[t];
  s_proven[s] = 1
}

inline answer_claim(s, t) {
  if
  :: true -> take(s, t)
  :: lost > 0 -> lost--; s_at[s] = ClaimLost
  fi
}

/* claim.lua, first lines: p:held threads whose time has come go back. */
inline back_from_held() {
  i = 0;
  do
  :: i < THREADS ->
    if
    :: in_held[i] && held_now[i] ->
      in_held[i] = 0; held_now[i] = 0;
#ifdef HELD_FORGETS_DEATHS
      in_due[i] = 1; due_now[i] = 1
#else
      if
      :: h_deaths[i] > 0 -> in_suspects[i] = 1; suspects_now[i] = 1
      :: else -> in_due[i] = 1; due_now[i] = 1
      fi
#endif
    :: else
    fi;
    i++
  :: else -> break
  od
}

/* claim.lua: an ended lease whose owner's record isn't renewed any more is a death, unless the run can be adopted. */
inline count_death(s, t) {
  if
  :: !h_adoptable[t] && !record[h_owner[t] - 1] && h_owner[t] != OWNER(WORKER_OF(s)) -> h_deaths[t]++
  :: else
  fi
}


/* claim.lua: an ended lease. */
inline claim_ended(s, t) {
  count_death(s, t);
  record[WORKER_OF(s)] = 1;
  in_leases[t] = 0; lease_over[t] = 0;
  if
#ifndef SUSPECT_BESIDE_OTHERS
  :: h_deaths[t] > 0 ->                     /* moved: runs next where nothing else runs */
    h_owner[t] = NOBODY; h_token[t] = 0; in_suspects[t] = 1; suspects_now[t] = 1; granted[t] = 0
#endif
  :: else -> give(s, t); answer_claim(s, t)
  fi;
  invariant(t)
}

/* claim.lua: a due thread. */
inline claim_due(s, t) {
  record[WORKER_OF(s)] = 1;
  in_due[t] = 0; due_now[t] = 0;
  give(s, t);
  answer_claim(s, t);
  invariant(t)
}

/* claim.lua with '1' in ARGV[6]: one suspect and nothing else. */
inline claim_suspect(s, t) {
  record[WORKER_OF(s)] = 1;
  in_suspects[t] = 0; suspects_now[t] = 0;
  give(s, t);
  answer_claim(s, t);
  invariant(t)
}

/* journal.lua, under the fence: writes what is not older than what is there. */
inline write_journal(t, round, through, revision) {
#ifndef JOURNAL_IN_ANY_ORDER
  if
  :: revision > h_revision[t] ->
#endif
    h_round[t] = round; h_through[t] = through; h_revision[t] = revision; h_adoptable[t] = round == 2;
    if :: round == 3 -> h_asked[t] = 1 :: else fi;
#ifndef REFIT_AFTER_JOURNAL
    h_posted[t] = 1
#endif
#ifndef JOURNAL_IN_ANY_ORDER
  :: else
  fi
#endif
}

inline journal(s, t, round, through, revision, next) {
  owned(s, t);
  if
  :: ours ->
    write_journal(t, round, through, revision);
    if
    :: true -> s_round[s] = round; s_through[s] = through; s_at[s] = next
    :: lost > 0 -> lost--;                                       /* the same call again; nothing remembered of this one */
      if
      :: delayed > 0 -> delayed--;
        late_fence = s_fence[s]; late_owner = OWNER(WORKER_OF(s)); late_thread = t; late_batch = s_batch[s];
        late_round = round; late_through = through; late_revision = revision
      :: true
      fi
    fi
  :: else -> forget_run(s)                                       /* LeaseLostException: nothing is written any more */
  fi;
  invariant(t)
}

/* join.lua: what has come since joins the sealed batch; a repeated call gives the same messages again. */
inline join(s, t) {
  owned(s, t);
  if
  :: ours ->
    i = (WAITING(t) > BATCH -> head[t] + BATCH : tail[t]);
#ifndef JOINED_NOT_SEALED
    if :: i > h_last[t] -> h_last[t] = i; h_posted[t] = 1 :: else fi;
#endif
    if
    :: true -> s_last[s] = (i > s_last[s] -> i : s_last[s]); s_at[s] = Announce
    :: lost > 0 -> lost--
    fi;
    i = 0
  :: else -> forget_run(s)
  fi;
  invariant(t)
}

/* approval-decide.lua: a thread that rests for it is due at once; one that runs sees it when it is given back. */
inline decide(t) {
  h_decided[t] = 1;
  if
  :: h_rests[t] && in_held[t] ->
    rearm(t);
#ifndef DECIDED_STAYS_HELD
    in_held[t] = 0; held_now[t] = 0;
#endif
    h_rests[t] = 0
  :: else
  fi;
  invariant(t)
}

inline complete(t) {                        /* complete.lua */
  assert(posts[MSG(t, h_last[t])] > 0 && posts[MSG(t, h_first[t])] > 0);
  in_leases[t] = 0;
  remove(t, h_last[t]);
  forget_thread(t);
#ifndef NO_REARM_AT_COMPLETE
  if :: WAITING(t) > 0 -> in_due[t] = 1; due_now[t] = 1 :: else fi;
#endif
  keep_outcome(t)
}

inline retry(s, t) {                        /* retry.lua */
  in_leases[t] = 0;
  h_round[t] = s_round[s]; h_through[t] = s_through[s]; h_posted[t] = s_round[s] > 0 || s_through[s] > 0; h_asked[t] = h_asked[t] && s_round[s] > 0;
  for (i : h_first[t] .. h_last[t]) { attempts[MSG(t, i)]++ }
  rearm(t)
}

inline fail(s, t) {                         /* fail.lua; Finish/Failures: newer messages that joined a retry have attempts left */
  in_leases[t] = 0;
  for (i : h_first[t] .. h_last[t]) { attempts[MSG(t, i)]++ }
  j = h_last[t];
  if
  :: s_deaths[s] < MAX_DEATHS && s_round[s] == 0 && s_through[s] == 0 ->
    do
    :: j > h_first[t] && attempts[MSG(t, j)] < attempts[MSG(t, h_first[t])] -> j--
    :: else -> break
    od
  :: else
  fi;
  remove(t, j);
  if
  :: j < h_last[t] ->
    h_batch[t] = 0; found[t] = 0; h_first[t] = 0; h_last[t] = 0; h_round[t] = 0; h_through[t] = 0; h_posted[t] = 0; h_deaths[t] = 0;
    rearm(t)
  :: else ->
    forget_thread(t);
    if :: WAITING(t) > 0 -> in_due[t] = 1; due_now[t] = 1 :: else fi
  fi;
  keep_outcome(t)
}

inline release(s, t) {                      /* release.lua */
  in_leases[t] = 0;
  h_posted[t] = 1;
  if
  :: s_what[s] == Hold || (s_what[s] == Approval && !h_decided[t]) ->
    h_owner[t] = NOBODY; h_token[t] = 0; h_adoptable[t] = 0; in_held[t] = 1; held_now[t] = 0; h_rests[t] = s_what[s] == Approval
  :: else -> rearm(t)
  fi
}

inline finish(s, t) {
  if
#ifndef REQUEST_FORGOTTEN
  :: s_applied[s] -> ours = 1                                    /* p:request:<id> */
#endif
  :: else ->
    owned(s, t);
    if
    :: ours ->
      granted[t] = 0;
      if
      :: s_what[s] == Complete -> complete(t)
      :: s_what[s] == Retry -> retry(s, t)
      :: s_what[s] == Fail -> fail(s, t)
      :: s_what[s] == Release || s_what[s] == Hold || s_what[s] == Approval -> release(s, t)
      fi;
      assert((s_what[s] != Complete && s_what[s] != Fail) || head[t] <= s_last[s]);   /* exactly what was run goes */
      j = 0
    :: else
    fi
  fi;
  assert(ours || !s_applied[s]);                                 /* a repeated finish answers "applied" */
  if
  :: true -> forget_run(s)
  :: lost > 0 -> lost--; s_applied[s] = ours; s_at[s] = Finish
  fi;
  invariant(t)
}

/* deliver-claim.lua */
inline claim_delivery(w, t) {
  next_fence();
  assert(last_fence > d_fence[t]);
  d_owner[t] = OWNER(w); d_fence[t] = last_fence; d_granted[t] = w + 1; deliveries_now[t] = 0;
  keep_fence();
  if
  :: true -> v_at[w] = Holding; v_thread[w] = t; v_fence[w] = d_fence[t]
  :: lost > 0 -> lost--                     /* nobody has it until its lease ends */
  fi;
  invariant(t)
}
